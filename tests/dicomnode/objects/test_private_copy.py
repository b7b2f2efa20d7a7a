"""The copy of denoised projections for a camera's own station: its private elements, and nothing that became untrue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.virtual_study import VirtualStudy
from dicomnode.study import PRIVATE_COPY, DerivedInstance
from pipelines.contract import DerivedKind
from tests.dicomnode.objects.results import CONTEXT, dataset, derive
from tests.dicomnode.objects.validator import errors_in
from tests.factories import a_tomo, changed

PLAIN = DerivedKind.DENOISED_PROJECTIONS.value
KEEPING = replace(CONTEXT, pipeline="denoising", keep_private=True)
STUDY = VirtualStudy(patient_name="Weber^Anna", patient_id="W-4711", series_description="MIBI Stress")
GE, SIEMENS = "GEMS_GENIE_1", "SIEMENS MED NM"
# group, creator, element, VR, value: what a copy keeps, and what it must not
KEPT = {
    "radius": (0x0011, GE, 0x19, "FD", 287.5),
    "correction": (0x0011, GE, 0x36, "LO", "UNIF_TC99M"),
    "center of rotation": (0x0033, SIEMENS, 0x10, "FL", [0.5, -0.25]),
    "backprojection angle": (0x0033, SIEMENS, 0x24, "FL", 38.0),
}
LEFT = {
    "pixel scale": (0x0011, GE, 0x3B, "FD", 0.25),
    "pixel offset": (0x0011, GE, 0x3C, "FD", 0.0),
    "pixel scale factor": (0x0033, SIEMENS, 0x38, "FL", 10_000.0),
    "window": (0x0011, GE, 0x44, "FD", 2048.0),
    "counts": (0x0051, SIEMENS, 0x18, "SL", 123_456),
    "frame's highest pixel": (0x7FE3, SIEMENS, 0x15, "SL", 321),
    "icon": (0x0037, SIEMENS, 0x00, "OW", b"\1\2\3\4"),
    "patient's name": (0x0009, GE, 0x40, "PN", "Weber^Anna"),
    "a name where none belongs": (0x0011, GE, 0x33, "LO", "ECOR WEBER"),
    "a number of the patient": (0x0011, GE, 0x34, "LO", "w-4711 Tc99m"),
    "text of anybody's": (0x0011, GE, 0x12, "LO", "STRESS 2"),
    "comments": (0x0013, GE, 0x26, "LT", "asked to come again"),
    "another instance": (0x0009, GE, 0x1E, "UI", "1.2.840.113619.2.43"),
    "another instance as text": (0x0011, GE, 0x35, "LO", "1.2.840.113619.2.43"),
    "of unknown meaning": (0x0011, "NOBODY KNOWS", 0x01, "FD", 1.0),
}


def private(*elements: tuple[int, str, int, str, object]) -> bytes:
    """Return projections with these private elements, and with Tomo View Offset and a radius deeper inside."""

    def change(ds: Dataset) -> None:
        for group, creator, element, vr, value in elements:
            ds.private_block(group, creator, create=True).add_new(element, vr, value)
        head = Dataset()
        head.private_block(0x0013, GE, create=True).add_new(0x1E, "FD", [0.0, 0.0, 1.5] * 6)
        ds.private_block(0x0055, GE, create=True).add_new(0x22, "SQ", [head])
        detector = ds.DetectorInformationSequence[0].private_block(0x0033, SIEMENS, create=True)
        detector.add_new(0x29, "FL", 9.5)

    return changed(a_tomo(study=STUDY), change)


def names(ds: Dataset) -> set[str]:
    """Return the names of all private elements, at every depth."""
    return {element.name for element in ds.iterall() if element.tag.is_private and not element.tag.is_private_creator}


@pytest.fixture
def made(tmp_path: Path) -> dict[str, DerivedInstance]:
    return derive(tmp_path, private(*KEPT.values(), *LEFT.values()), context=KEEPING)


def test_the_copy_holds_what_the_camera_wrote_of_its_geometry(made: dict[str, DerivedInstance]) -> None:
    copy = dataset(made[PRIVATE_COPY])
    for group, creator, element, _, value in KEPT.values():
        found = copy.private_block(group, creator)[element].value
        assert np.array_equal(found, value), (group, element)
    head = copy.private_block(0x0055, GE)[0x22].value[0]
    assert list(head.private_block(0x0013, GE)[0x1E].value) == [0.0, 0.0, 1.5] * 6
    assert copy.DetectorInformationSequence[0].private_block(0x0033, SIEMENS)[0x29].value == 9.5


def test_it_leaves_out_what_the_network_changed_and_who_the_patient_is(made: dict[str, DerivedInstance]) -> None:
    copy = dataset(made[PRIVATE_COPY])
    assert names(copy) == {
        "[Radius Of Rotation]", "[Uniformity Correct Name]", "[COR Data for Detector 1]",
        "[Backprojection angle head 1]", "[Xeleris Detector Information Sequence]", "[Tomo View Offset]",
        "[Crystal thickness]",
    }  # fmt: skip


def test_but_for_them_and_its_name_it_is_the_plain_one(made: dict[str, DerivedInstance]) -> None:
    plain, copy = dataset(made[PLAIN]), dataset(made[PRIVATE_COPY])
    assert copy.SOPInstanceUID != plain.SOPInstanceUID
    assert copy.SeriesInstanceUID != plain.SeriesInstanceUID
    assert (copy.SeriesNumber, copy.SeriesDescription) == (902, f"{plain.SeriesDescription} + private")
    copy.remove_private_tags()
    for keyword in (
        "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "ImageID", "DerivationDescription",
    ):  # fmt: skip
        plain[keyword].value = copy[keyword].value
    assert copy == plain


def test_no_other_instance_holds_a_private_element(made: dict[str, DerivedInstance]) -> None:
    for kind, instance in made.items():
        assert kind == PRIVATE_COPY or not names(dataset(instance)), kind


def test_the_same_study_gives_the_same_copy(made: dict[str, DerivedInstance], tmp_path: Path) -> None:
    again = derive(tmp_path, private(*KEPT.values(), *LEFT.values()), context=KEEPING)
    assert again[PRIVATE_COPY] == made[PRIVATE_COPY]


def test_the_standard_finds_no_error_in_it_and_the_reader_reads_it(
    made: dict[str, DerivedInstance], tmp_path: Path
) -> None:
    assert errors_in(made[PRIVATE_COPY].file_bytes, tmp_path) == []
    files = {kind: tmp_path / f"{number}.dcm" for number, kind in enumerate((PLAIN, PRIVATE_COPY))}
    for kind, path in files.items():
        path.write_bytes(made[kind].file_bytes)
    plain, copy = (read_acquisition(path).projections for path in files.values())
    assert plain is not None
    assert copy is not None
    assert np.array_equal(copy.counts, plain.counts)


def test_nobody_asking_or_nothing_to_keep_makes_no_copy(tmp_path: Path) -> None:
    asked_by_nobody = replace(KEEPING, keep_private=False)
    assert PRIVATE_COPY not in derive(tmp_path, private(*KEPT.values()), context=asked_by_nobody)
    assert PRIVATE_COPY not in derive(tmp_path, a_tomo(), context=KEEPING)
    corrected = derive(tmp_path, private(*KEPT.values()), (DerivedKind.RECONSTRUCTION,), context=KEEPING)
    assert PRIVATE_COPY not in corrected
