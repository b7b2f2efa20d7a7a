"""Programs that share no code with the node show its images with the heart where the source has it."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from pipelines.contract import DerivedKind
from tests.conftest import need_programs
from tests.dicomnode.objects.results import a_page, derive
from tests.peers.display_sheet import Shown, real_patient, virtual_patient
from tests.peers.geometry import back_project, correlation, place
from tests.peers.readers import READERS, Frames, by_simpleitk, corners_mm

VOLUMES = [kind for kind in DerivedKind if kind is not DerivedKind.DENOISED_PROJECTIONS]
HEARTS = [kind for kind in VOLUMES if kind is not DerivedKind.MU_MAP]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """A virtual patient and what was derived of it, made once."""
    return virtual_patient(tmp_path_factory.mktemp("virtual"))


def by_name(kind: DerivedKind) -> str:
    return kind.value


@pytest.mark.parametrize("kind", VOLUMES, ids=by_name)
def test_simpleitk_puts_a_volume_where_its_header_does(kind: DerivedKind, shown: Shown) -> None:
    path = shown.derived[kind]
    expected = place(dcmread(path)).positions_mm
    ends = np.ix_((0, -1), (0, -1), (0, -1))
    assert np.allclose(corners_mm(path), expected[ends], rtol=0, atol=1e-3)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", HEARTS, ids=by_name)
def test_the_heart_is_where_the_source_has_it(kind: DerivedKind, reader: str, shown: Shown, tmp_path: Path) -> None:
    assert_heart_in_place(kind, reader, shown, tmp_path)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """A real study and what was derived of it, made once."""
    return real_patient(tmp_path_factory.mktemp("real"))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", [DerivedKind.RECONSTRUCTION, DerivedKind.SHORT_AXIS], ids=by_name)
def test_a_real_heart_is_where_the_source_has_it(kind: DerivedKind, reader: str, real: Shown, tmp_path: Path) -> None:
    assert_heart_in_place(kind, reader, real, tmp_path)


def assert_heart_in_place(kind: DerivedKind, reader: str, shown: Shown, tmp_path: Path) -> None:
    """Check that a volume fits an independent back-projection of its source best where it is, not a voxel aside."""
    need_programs(*({reader} - {"SimpleITK"}))
    frames = READERS[reader](shown.derived[kind], tmp_path)
    positions = place(dcmread(shown.derived[kind])).positions_mm
    heart = place(dcmread(shown.derived[DerivedKind.SHORT_AXIS])).middle_mm()
    box = _box_around(positions, heart)
    source = back_project(dcmread(shown.tomo), positions[box], shown.isocenter_mm)
    fits = {shift: correlation(_shifted(frames, shift)[box], source) for shift in product((-1, 0, 1), repeat=3)}
    best = max(fits, key=lambda shift: fits[shift])
    assert best == (0, 0, 0), fits
    assert fits[best] > 0.96  # mirrored or turned over: 0.94 at most


def _box_around(positions_mm: Frames, middle_mm: Frames, half_mm: float = 65.0) -> tuple[slice, slice, slice]:
    """Return the frames, rows and columns of a box around a place, one voxel off the volume's border."""
    near = np.linalg.norm(positions_mm - middle_mm, axis=-1) < half_mm
    first, last = np.argwhere(near).min(axis=0), np.argwhere(near).max(axis=0)
    inner = zip(np.maximum(first, 1), np.minimum(last, np.array(near.shape) - 2), strict=True)
    z, y, x = (slice(int(low), int(high) + 1) for low, high in inner)
    return z, y, x


def _shifted(frames: Frames, shift: tuple[int, ...]) -> Frames:
    return np.roll(frames, shift, axis=(0, 1, 2))


@pytest.mark.parametrize("reader", READERS)
def test_an_attenuation_map_is_shown_as_it_came(reader: str, shown: Shown, tmp_path: Path) -> None:
    need_programs(*({reader} - {"SimpleITK"}))
    assert shown.map is not None
    seen = READERS[reader](shown.derived[DerivedKind.MU_MAP], tmp_path)
    source = by_simpleitk(shown.map, tmp_path)
    assert seen.shape == source.shape
    assert correlation(seen, source) > 0.999
    assert np.allclose(corners_mm(shown.derived[DerivedKind.MU_MAP]), corners_mm(shown.map), rtol=0, atol=1e-3)


@pytest.mark.parametrize("reader", READERS)
def test_projections_are_shown_view_by_view_as_the_sources(reader: str, shown: Shown, tmp_path: Path) -> None:
    need_programs(*({reader} - {"SimpleITK"}))
    seen = READERS[reader](shown.derived[DerivedKind.DENOISED_PROJECTIONS], tmp_path)
    source = by_simpleitk(shown.tomo, tmp_path)
    assert seen.shape == source.shape
    for number, (view, acquired) in enumerate(zip(seen, source, strict=True)):
        assert correlation(view, acquired) > 0.999, number


@pytest.mark.parametrize("kind", [DerivedKind.DENOISED_PROJECTIONS, DerivedKind.MU_MAP], ids=by_name)
def test_stored_values_are_those_of_the_source_to_the_stored_step(kind: DerivedKind, shown: Shown) -> None:
    of = shown.tomo if kind is DerivedKind.DENOISED_PROJECTIONS else shown.map
    assert of is not None
    derived, source = dcmread(shown.derived[kind]), dcmread(of)
    step = float(derived.RealWorldValueMappingSequence[0].RealWorldValueSlope)
    worth = getattr(source, "RealWorldValueMappingSequence", None)
    unit = float(worth[0].RealWorldValueSlope) if worth else 1.0
    values = source.pixel_array * unit
    assert np.allclose(derived.pixel_array * step, values, rtol=0, atol=0.51 * step)


@pytest.mark.parametrize("reader", ["SimpleITK", "dcmj2pnm"])
def test_the_report_page_is_shown_pixel_for_pixel(reader: str, tmp_path: Path) -> None:
    need_programs(*({reader} - {"SimpleITK"}))
    path = tmp_path / "page.dcm"
    path.write_bytes(derive(tmp_path, kinds=())["report page"].file_bytes)
    if reader == "SimpleITK":
        seen = by_simpleitk(path, tmp_path)[0]
    else:
        subprocess.run(["dcmj2pnm", "--write-png", path, tmp_path / "page.png"], check=True)
        seen = np.asarray(Image.open(tmp_path / "page.png"), dtype=float)
    assert np.array_equal(seen, dcmread(path).pixel_array)
    assert np.array_equal(seen[-40:], a_page())
