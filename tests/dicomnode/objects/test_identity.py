"""Whether two files are the same instance, and what that question may cost."""

from __future__ import annotations

from pathlib import Path

from pydicom.uid import ImplicitVRLittleEndian

from dicomnode.objects.identity import same_content
from tests.dicomnode.objects.test_header import many_elements
from tests.factories import as_file, quick_dataset


def beside(folder: Path, file: bytes) -> Path:
    path = folder / "other.dcm"
    path.write_bytes(file)
    return path


def test_the_same_elements_in_another_transfer_syntax_are_the_same(tmp_path: Path) -> None:
    ds = quick_dataset()
    assert same_content(as_file(ds), beside(tmp_path, as_file(ds, ImplicitVRLittleEndian)))


def test_another_value_is_another_content(tmp_path: Path) -> None:
    other = beside(tmp_path, as_file(quick_dataset(PatientID="OTHER")))
    assert not same_content(as_file(quick_dataset()), other)


def test_what_is_no_dicom_is_never_the_same(tmp_path: Path) -> None:
    assert not same_content(b"nothing", beside(tmp_path, b"nothing"))


def test_files_of_endless_elements_are_not_compared(tmp_path: Path) -> None:
    file = many_elements(100_000)
    assert not same_content(file, beside(tmp_path, file))


def test_files_of_huge_elements_are_not_compared(tmp_path: Path) -> None:
    ds = quick_dataset()
    ds.private_block(0x11, "BLOB", create=True).add_new(0x10, "OB", bytes(9_000_000))
    assert not same_content(as_file(ds), beside(tmp_path, as_file(ds)))
