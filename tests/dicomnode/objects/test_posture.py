"""How the patient lay, sat or stood: as the source says, in current codes, and nothing made up."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.objects.elements import code
from dicomnode.objects.posture import patient_orientation
from pipelines.contract import DerivedKind
from tests.dicomnode.objects.results import dataset, derive
from tests.dicomnode.objects.validator import errors_in, warnings_in
from tests.factories import a_tomo, changed

NOTHING: tuple[str, str, str] = ("", "", "")


def lying(orientation: tuple[str, str, str], modifier: tuple[str, str, str] = NOTHING) -> Dataset:
    """Return a header that states this posture."""
    ds, item = Dataset(), code(*orientation)
    if modifier != NOTHING:
        item.PatientOrientationModifierCodeSequence = [code(*modifier)]
    ds.PatientOrientationCodeSequence = [item]
    return ds


def told(source: Dataset) -> list[str]:
    """Return the meanings of orientation and modifier as they are written."""
    (item,) = patient_orientation(source).PatientOrientationCodeSequence
    return [item.CodeMeaning, *(one.CodeMeaning for one in item.get("PatientOrientationModifierCodeSequence", ()))]


@pytest.mark.parametrize(
    ("value", "scheme", "expected"),
    [
        ("F-10450", "99SDM", "recumbent"), ("102538003", "SCT", "recumbent"),
        ("F-10440", "SRT", "erect"), ("F-10320", "SRT", "erect"), ("10904000", "SCT", "erect"),
        ("C86043", "NCIt", "erect"),
        ("F-10460", "SNM3", "semi-erect"), ("102539006", "SCT", "semi-erect"),
    ],
)  # fmt: skip
def test_every_posture_keeps_its_meaning(value: str, scheme: str, expected: str) -> None:
    assert told(lying((value, scheme, "as it was called"))) == [expected]


def test_a_patient_who_sits_is_erect_and_sitting() -> None:
    source = lying(("F-10440", "SRT", "erect"), ("F-103A0", "SRT", "sitting"))
    assert told(source) == ["erect", "sitting"]


def test_a_code_that_is_not_known_is_copied_and_never_made_another() -> None:
    source = lying(("X-1", "99ACME", "floating"), ("X-2", "99ACME", "upside down"))
    assert told(source) == ["floating", "upside down"]


@pytest.mark.parametrize("broken", [("X-1", "", "floating"), ("", "SRT", "erect"), ("X-1", "99ACME", "")])
def test_what_is_no_code_is_left_empty(broken: tuple[str, str, str]) -> None:
    assert len(patient_orientation(lying(broken)).PatientOrientationCodeSequence) == 0
    assert told(lying(("F-10440", "SRT", "erect"), broken)) == ["erect"]


@pytest.mark.parametrize(
    "posture",
    [
        lying(("F-10320", "SRT", "standing"), ("F-103A0", "SRT", "sitting")),
        lying(("F-10460", "SRT", "semi-erect"), ("F-10340", "SRT", "supine")),
    ],
)
def test_the_validator_knows_what_is_written(posture: Dataset, tmp_path: Path) -> None:
    source = changed(a_tomo(), lambda ds: ds.update(posture))
    kind = DerivedKind.RECONSTRUCTION
    instance = derive(tmp_path, source, kinds=(kind,))[kind.value]
    assert errors_in(instance.file_bytes, tmp_path) == []
    assert not [line for line in warnings_in(instance.file_bytes, tmp_path) if "Orientation" in line]
    assert dataset(instance).PatientOrientationCodeSequence[0].CodeMeaning in ("erect", "semi-erect")
