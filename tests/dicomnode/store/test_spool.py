"""The spool: what was stored is whole and stays as it is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from dicomnode.store import spool
from dicomnode.store.spool import Spool, dataset_sha256, generation, hashed

CONTENT = b"x" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def a_spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def test_what_was_stored_is_found_again_byte_for_byte(a_spool: Spool) -> None:
    path = a_spool.store("1.2", "1.2.3", "1.2.3.4", CONTENT, SHA256)
    assert a_spool.path(path).read_bytes() == CONTENT
    assert list(a_spool.stored()) == [path]


@pytest.mark.parametrize("uid", ["../../etc/passwd", "/etc/passwd", "a/b", "..", "x\0y", "1.2\n"])
def test_a_peers_string_never_becomes_part_of_a_path(a_spool: Spool, uid: str) -> None:
    path = a_spool.path(a_spool.store(uid, uid, uid, CONTENT, SHA256))
    assert a_spool.root in path.resolve().parents
    assert all(part not in str(path) for part in (uid,) if part != "..")
    assert path.name == f"{hashed(uid)}-{SHA256[:16]}.dcm"


def test_other_content_under_the_same_uid_gets_its_own_file(a_spool: Spool) -> None:
    other = b"y" * 1000
    first = a_spool.store("1", "2", "3", CONTENT, SHA256)
    second = a_spool.store("1", "2", "3", other, hashlib.sha256(other).hexdigest())
    assert first != second
    assert a_spool.path(first).read_bytes() == CONTENT
    assert a_spool.path(second).read_bytes() == other


def test_a_disk_that_fails_leaves_nothing_half_written(a_spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="No space left"):
        a_spool.store("1", "2", "3", CONTENT, SHA256)
    monkeypatch.undo()
    assert list(a_spool.stored()) == []
    assert not [path for path in a_spool.root.rglob("*") if path.is_file()]


def test_temporary_files_of_a_crash_are_removed_and_whole_ones_are_not(a_spool: Spool) -> None:
    path = a_spool.store("1", "2", "3", CONTENT, SHA256)
    half = a_spool.path(path).parent / ".tmp-half-written"
    half.write_bytes(b"half")
    assert list(a_spool.stored()) == list(a_spool.sweep()) == [path]
    assert not half.exists()
    assert list(a_spool.stored()) == [path]


def test_removing_an_instance_removes_its_empty_folders_but_not_its_neighbors(a_spool: Spool) -> None:
    one = a_spool.store("1", "2", "3", CONTENT, SHA256)
    two = a_spool.store("1", "2", "4", CONTENT, SHA256)
    a_spool.remove(one)
    assert list(a_spool.stored()) == [two]
    a_spool.remove(two)
    a_spool.remove(two)
    assert list(a_spool.root.iterdir()) == []


def test_a_name_that_was_purged_is_not_used_again(a_spool: Spool) -> None:
    paths = [a_spool.store("1", "2", "3", CONTENT, SHA256)]
    for _ in range(3):
        paths.append(a_spool.store("1", "2", "3", CONTENT, SHA256, purged=paths[-1]))
    assert len(set(paths)) == 4
    assert [generation(path) for path in paths] == [0, 1, 2, 3]
    assert generation(f"a/b/{'c' * 32}-{'1' * 16}.dcm") == generation("some-body-elses.dcm") == 0


def test_a_folder_that_is_removed_while_an_instance_is_on_its_way_into_it_is_made_anew(
    a_spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_spool.store("1", "2", "3", CONTENT, SHA256)
    making = Path.mkdir

    def purged_meanwhile(folder: Path, **more: bool) -> None:
        making(folder, **more)
        monkeypatch.undo()
        folder.rmdir()

    a_spool.remove(path)
    monkeypatch.setattr(Path, "mkdir", purged_meanwhile)
    assert a_spool.path(a_spool.store("1", "2", "3", CONTENT, SHA256)).read_bytes() == CONTENT


def test_a_disk_that_is_not_mounted_is_not_taken_for_an_empty_one(tmp_path: Path, a_spool: Spool) -> None:
    a_spool.root.rmdir()
    with pytest.raises(FileNotFoundError):
        a_spool.store("1", "2", "3", CONTENT, SHA256)
    assert list(tmp_path.iterdir()) == []


def test_folders_are_flushed_at_their_first_use_whoever_made_them_and_again_when_they_are_made_anew(
    a_spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = a_spool.root / hashed("1")
    series = study / hashed("2")
    series.mkdir(parents=True)  # by a process that was killed before it flushed them
    flushed: list[Path] = []
    monkeypatch.setattr(spool, "flush_folder", flushed.append)
    path = a_spool.store("1", "2", "3", CONTENT, SHA256)
    assert flushed == [series, study, a_spool.root]
    flushed.clear()
    other = a_spool.store("1", "2", "4", CONTENT, SHA256)
    assert flushed == [series]
    for one in (path, other):
        a_spool.remove(one)
    flushed.clear()
    a_spool.store("1", "2", "3", CONTENT, SHA256)
    assert set(flushed) == {series, study, a_spool.root}


def test_the_hash_of_a_dataset_does_not_depend_on_the_file_meta_information_around_it() -> None:
    def file(meta: bytes) -> bytes:
        length = b"\x02\x00\x00\x00UL\x04\x00" + len(meta).to_bytes(4, "little")
        return bytes(128) + b"DICM" + length + meta + CONTENT

    assert dataset_sha256(file(b"one")) == dataset_sha256(file(b"another one")) == SHA256
