"""How the views of a derived image were taken: as they were read, in the words of the standard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.rotation import rotation_of
from pipelines.contract import DerivedKind
from pipelines.images import Projections
from tests.dicomnode.objects.acquisitions import both, detector, rotation
from tests.dicomnode.objects.results import dataset, derive
from tests.dicomnode.objects.validator import errors_in
from tests.factories import Change, a_tomo, some_projections

PROJECTIONS = DerivedKind.DENOISED_PROJECTIONS


def heads_at(*starts_deg: float, views: int = 3, step_deg: float = -6.0) -> Projections:
    """Return the views of heads that start at these angles, each with a radius of its own per view."""
    angles = tuple((start + step_deg * view) % 360 for start in starts_deg for view in range(views))
    shown = some_projections(views=len(angles), radius_mm=tuple(200.0 + k for k in range(len(angles))))
    return replace(shown, geometry=replace(shown.geometry, angles_deg=angles))


def derived(kind: DerivedKind, source: bytes, folder: Path) -> Dataset:
    instance = derive(folder, source, kinds=(kind,))[kind.value]
    assert errors_in(instance.file_bytes, folder) == []
    return dataset(instance)


def summary(item: Dataset) -> tuple[float, float, str, float, int]:
    return (
        float(item.StartAngle), float(item.AngularStep), item.RotationDirection, float(item.ScanArc),
        int(item.NumberOfFramesInRotation),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (rotation(RotationDirection="CCW"), (225, 6, "CC")),
        (rotation(AngularStep="-6"), (225, 6, "CW")),
        (rotation(AngularStep=None, ScanArc="36"), (225, 6, "CW")),
        (rotation(AngularStep=None, ScanArc="-36", RotationDirection="cc"), (225, 6, "CC")),
        (rotation(StartAngle="-135"), (225, 6, "CW")),
        (both(rotation(StartAngle=None), detector(StartAngle="45")), (45, 6, "CW")),
        (rotation(ScanArc=None, NumberOfFramesInRotation=None), (225, 6, "CW")),
    ],
)
def test_denoised_projections_say_what_was_read_in_the_words_of_the_standard(
    change: Change, expected: tuple[float, float, str], tmp_path: Path
) -> None:
    item = derived(PROJECTIONS, a_tomo(change=change), tmp_path).RotationInformationSequence[0]
    assert summary(item) == (*expected, 36, 6)


@pytest.mark.parametrize(
    "change",
    [
        both(detector(0, StartAngle=None), detector(1, StartAngle=None)),
        both(rotation(RotationDirection="CCW", AngularStep="-6"), detector(0, StartAngle="585")),
    ],
)
def test_denoised_projections_of_two_heads_read_back_as_their_source(change: Change, tmp_path: Path) -> None:
    ds = derived(PROJECTIONS, a_tomo(some_projections(views=6, step_deg=-30.0), detectors=2, change=change), tmp_path)
    path = tmp_path / "denoised.dcm"
    ds.save_as(path)
    again, source = (read_acquisition(one).projections for one in (path, tmp_path / "source.dcm"))
    assert again is not None
    assert source is not None
    assert again.geometry.angles_deg == pytest.approx(source.geometry.angles_deg)
    assert [round(item.StartAngle, 3) for item in ds.DetectorInformationSequence] == [225, 135]


@pytest.mark.parametrize(
    ("starts", "arc", "first_radius"),
    [
        ((45.0, 27.0), (45, 6, "CW", 36, 6), 200.0),  # the second goes on where the first ended
        ((27.0, 45.0), (45, 6, "CW", 36, 6), 203.0),  # the first goes on where the second ended
        ((9.0, 351.0, 27.0), (27, 6, "CW", 54, 9), 206.0),
    ],
)
def test_arms_that_join_are_one_arc_whatever_their_order(
    starts: tuple[float, ...], arc: tuple[Any, ...], first_radius: float
) -> None:
    item = rotation_of(heads_at(*starts))
    assert item is not None
    assert summary(item) == arc
    assert item.RadialPosition[0] == first_radius


def test_a_full_circle_starts_where_the_first_view_was_taken() -> None:
    item = rotation_of(heads_at(180.0, 0.0, views=30))
    assert item is not None
    assert summary(item) == (180, 6, "CW", 360, 60)


@pytest.mark.parametrize("starts", [(45.0, 315.0), (45.0, 45.0)])  # apart; twice the same
def test_arms_that_do_not_join_are_no_arc(starts: tuple[float, ...]) -> None:
    assert rotation_of(heads_at(*starts)) is None


@pytest.mark.parametrize("change", [rotation(AngularStep="-6"), rotation(AngularStep=None, StartAngle=None)])
def test_a_reconstruction_of_arms_that_do_not_join_tells_the_rotation_as_its_camera_did(
    change: Change, tmp_path: Path
) -> None:
    source = a_tomo(heads_at(45.0, 315.0), detectors=2, change=change)
    ds = derived(DerivedKind.RECONSTRUCTION, source, tmp_path)
    assert summary(ds.RotationInformationSequence[0]) == (45, 6, "CW", 18, 3)


@pytest.mark.parametrize("starts", [(315.0, 45.0), (45.0, 315.0)])
def test_two_heads_side_by_side_are_one_half_turn(starts: tuple[float, ...], tmp_path: Path) -> None:
    ds = derived(DerivedKind.RECONSTRUCTION, a_tomo(heads_at(*starts, views=15), detectors=2), tmp_path)
    assert summary(ds.RotationInformationSequence[0]) == (45, 6, "CW", 180, 30)
