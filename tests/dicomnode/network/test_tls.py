"""Changed TLS files take effect with the next connection, and broken ones not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dicomnode.config import TlsSettings
from dicomnode.network.tls import RenewedContext
from tests.dicomnode.network.helpers import certificates

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    return certificates(tmp_path / "current")


def test_files_that_stay_are_read_once(tls: TlsSettings) -> None:
    renewed = RenewedContext(tls)
    assert renewed.current() is renewed.current()


def test_a_renewed_certificate_with_its_key_takes_effect(tls: TlsSettings, tmp_path: Path) -> None:
    renewed = RenewedContext(tls)
    former = renewed.current()
    other = certificates(tmp_path / "other")
    shutil.copy(other.certificate, tls.certificate)
    assert renewed.current() is former, "the key that belongs to it isn't there yet"
    shutil.copy(other.key, tls.key)
    assert renewed.current() is not former


def test_another_ca_takes_the_place_of_the_former(tls: TlsSettings, tmp_path: Path) -> None:
    renewed = RenewedContext(tls)
    before = renewed.current().get_ca_certs()
    shutil.copy(certificates(tmp_path / "other").ca, tls.ca)
    after = renewed.current().get_ca_certs()
    assert len(before) == len(after) == 1
    assert before[0]["serialNumber"] != after[0]["serialNumber"]


def test_a_file_that_vanished_leaves_the_former_in_effect(tls: TlsSettings) -> None:
    renewed = RenewedContext(tls)
    former = renewed.current()
    tls.certificate.unlink()
    assert renewed.current() is former
