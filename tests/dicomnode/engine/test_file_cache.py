"""Files that were sent to a worker: kept by what is in them, and never under a name that was sent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dicomnode.engine.file_cache import FileCache
from dicomnode.engine.jobs import FilesNeeded, NamedFile

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "cache")


def test_a_file_that_was_sent_is_found_under_the_name_that_a_pipeline_looks_for(cache: FileCache) -> None:
    assert cache.lacking([SHA256]) == (SHA256,)
    cache.take(SHA256, CONTENT)
    assert cache.lacking([SHA256]) == ()
    folder = cache.folder_of([NamedFile("denoiser.safetensors", SHA256)])
    assert (folder / "denoiser.safetensors").read_bytes() == CONTENT
    assert folder.is_absolute()


def test_other_bytes_than_those_of_the_hash_are_refused_and_not_kept(cache: FileCache, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not kept"):
        cache.take(SHA256, b"other weights")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_kept_file_that_was_changed_is_no_longer_here(cache: FileCache, tmp_path: Path) -> None:
    cache.take(SHA256, CONTENT)
    (tmp_path / "cache/files" / SHA256).write_bytes(b"other weights")
    assert cache.lacking([SHA256]) == (SHA256,)
    cache.take(SHA256, CONTENT)
    assert cache.lacking([SHA256]) == ()


@pytest.mark.parametrize("sha256", ["../../../etc/passwd", "", SHA256.upper(), f"{SHA256}\n", f"{SHA256[:-1]}/"])
def test_what_is_no_hash_never_becomes_a_path(cache: FileCache, sha256: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        cache.lacking([sha256])
    with pytest.raises(ValueError, match="SHA-256"):
        cache.take(sha256, CONTENT)


@pytest.mark.parametrize("name", ["../a.json", "/a.json", ".json", "a.pkl", "a/b.json", "a.json\n", ""])
def test_what_is_no_plain_name_is_never_laid_out(cache: FileCache, name: str) -> None:
    cache.take(SHA256, CONTENT)
    with pytest.raises(ValueError, match="no plain name"):
        cache.folder_of([NamedFile(name, SHA256)])


def test_the_same_names_with_other_contents_lie_in_another_folder(cache: FileCache) -> None:
    newer = hashlib.sha256(b"newer").hexdigest()
    cache.take(SHA256, CONTENT)
    cache.take(newer, b"newer")
    old, new = (cache.folder_of([NamedFile("mu-map.json", sha256)]) for sha256 in (SHA256, newer))
    assert (old / "mu-map.json").read_bytes() == CONTENT
    assert (new / "mu-map.json").read_bytes() == b"newer"
    assert cache.folder_of([NamedFile("mu-map.json", SHA256)]) == old
    assert list(cache.folder_of([]).iterdir()) == [], "a site's folder of limits may be empty"


def test_what_a_run_needs_is_told_by_name_and_hash(tmp_path: Path) -> None:
    (tmp_path / "denoiser.safetensors").write_bytes(CONTENT)
    needed = FilesNeeded.read({"models": [tmp_path / "denoiser.safetensors"], "normal_limits": []})
    assert needed.folders == {"models": (NamedFile("denoiser.safetensors", SHA256),), "normal_limits": ()}
    assert needed.contents == {SHA256: CONTENT}
    assert "weights" not in repr(needed)
