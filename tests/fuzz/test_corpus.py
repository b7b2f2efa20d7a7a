"""Every input that fuzzing kept, and every sound one that it starts from, ends in one of our own errors or in none."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import CORPUS
from tests.fuzz.targets import TARGETS, seeds


def kept(name: str) -> list[bytes]:
    """Return the corpus of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_what_fuzzing_found_stays_answered(name: str) -> None:
    inputs = [*seeds(name), *kept(name)]
    assert len(inputs) > 8, "the corpus is missing"
    for data in inputs:
        TARGETS[name](data)


def test_the_corpus_stays_small() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert len(files) < 400
    assert sum(path.stat().st_size for path in files) < 1_000_000
