"""Passwords: known again, and not to be read back."""

from __future__ import annotations

import pytest

from dicomnode.web.passwords import hash_password, is_password
from tests.dicomnode.web.browsing import HASH, PASSWORD


def test_a_password_is_known_by_its_hash_and_no_other_is() -> None:
    hashed = hash_password(PASSWORD, b"one salt")
    assert is_password(PASSWORD, hashed)
    assert not is_password(PASSWORD + " ", hashed)
    assert PASSWORD not in hashed
    assert hash_password(PASSWORD, b"another salt") != hashed


def test_a_hash_says_itself_how_it_was_made() -> None:
    assert is_password(PASSWORD, HASH), "made with less work than ours"


@pytest.mark.parametrize(
    "hashed", ["", "plain words", "scrypt$15$8$3$!!$!!", "scrypt$15$8$3$$", "scrypt$99$8$3$eA==$eA=="]
)
def test_what_is_no_hash_lets_nobody_in(hashed: str) -> None:
    assert not is_password("", hashed)
    assert not is_password(PASSWORD, hashed)
