"""Private elements of cameras: used where they say what nothing else does, never trusted further."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.camera import write_transmission
from dicomnode.objects.reader import read_acquisition, read_noted_volume
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.geometry import VoxelGrid
from pipelines.images import Projections, Unit, UnsuitableAcquisition, Volume
from pipelines.physics.attenuation import check_mu_map
from tests.factories import NOON, Change, a_tomo, changed, setting, some_projections


def read(file: bytes, folder: Path) -> tuple[Projections, tuple[str, ...]]:
    """Return the projections of a file and what was assumed of them."""
    path = folder / "vendor.dcm"
    path.write_bytes(file)
    acquisition = read_acquisition(path)
    assert acquisition.projections is not None
    return acquisition.projections, acquisition.assumptions


def ge(radius_mm: float | None = None, offsets_mm: list[float] | None = None, stated: bool = True) -> Change:
    """Return a change that adds GE's private elements; `stated` keeps the standard's radius."""

    def change(ds: Dataset) -> None:
        if not stated:
            del ds.RotationInformationSequence[0].RadialPosition
        if radius_mm is not None:
            ds.private_block(0x0011, "GEMS_GENIE_1", create=True).add_new(0x19, "FD", radius_mm)
        if offsets_mm is not None:
            head = Dataset()
            triplets = [value for offset in offsets_mm for value in (0.5, -0.5, offset)]
            head.private_block(0x0013, "GEMS_GENIE_1", create=True).add_new(0x1E, "FD", triplets)
            ds.private_block(0x0055, "GEMS_GENIE_1", create=True).add_new(0x22, "SQ", [head])

    return change


def test_ges_view_offsets_are_added_to_the_radii(tmp_path: Path) -> None:
    projections, assumptions = read(a_tomo(views=3, change=ge(offsets_mm=[1.0, -2.0, 0.0])), tmp_path)
    assert projections.geometry.radius_mm == (251.0, 248.0, 250.0)
    assert any("Tomo View Offset" in words for words in assumptions)


@pytest.mark.parametrize("offsets", [[1.0, 2.0], [1e6, 0.0, 0.0], [float("nan"), 0.0, 0.0], [0.0, 0.0, 0.0]])
def test_view_offsets_that_make_no_sense_are_left_alone(offsets: list[float], tmp_path: Path) -> None:
    projections, _ = read(a_tomo(views=3, change=ge(offsets_mm=offsets)), tmp_path)
    assert projections.geometry.radius_mm == (250.0,) * 3


def test_ges_own_radius_serves_where_the_standards_is_missing_and_only_there(tmp_path: Path) -> None:
    assert read(a_tomo(views=3, change=ge(301.0)), tmp_path)[0].geometry.radius_mm == (250.0,) * 3
    projections, assumptions = read(a_tomo(views=3, change=ge(301.0, stated=False)), tmp_path)
    assert projections.geometry.radius_mm == (301.0,) * 3
    assert any("Radius of Rotation" in words for words in assumptions)


def ge_scale(scale: object, offset: float = 0.0) -> Change:
    """Return a change that states GE's Pixel Scale and Offset in place of a Real World Value Mapping."""

    def change(ds: Dataset) -> None:
        ds.RealWorldValueMappingSequence = []
        block = ds.private_block(0x0011, "GEMS_GENIE_1", create=True)
        block.add_new(0x3B, "FD", scale)
        block.add_new(0x3C, "FD", offset)

    return change


def test_ges_pixel_scale_is_what_a_stored_count_is_worth(tmp_path: Path) -> None:
    plain, _ = read(a_tomo(), tmp_path)
    scaled, assumptions = read(a_tomo(change=ge_scale([0.25, 0.25])), tmp_path)
    assert np.array_equal(scaled.counts, plain.counts / 4)
    assert "stored values were multiplied by GE's private Pixel Scale 0.25" in assumptions


@pytest.mark.parametrize("scale", [1.0, 0.0, -2.0, float("nan")])
def test_a_ge_scale_that_says_nothing_leaves_counts_as_they_are(scale: float, tmp_path: Path) -> None:
    plain, _ = read(a_tomo(), tmp_path)
    assert np.array_equal(read(a_tomo(change=ge_scale(scale)), tmp_path)[0].counts, plain.counts)


def test_what_the_standard_says_of_the_scale_wins_over_ge(tmp_path: Path) -> None:
    straight = some_projections()
    file = changed(a_tomo(straight, change=setting(RescaleSlope="0.5", RescaleIntercept="2")), ge_scale(7.0))
    assert np.array_equal(read(file, tmp_path)[0].counts, straight.counts * 0.5 + 2)


@pytest.mark.parametrize(
    ("scale", "offset", "words"),
    [([1.0, 2.0], 0.0, "Pixel Scale: found 1, 2, expected the same"), (0.5, 3.0, "Pixel Offset: found 3, expected 0")],
)
def test_a_ge_scale_that_could_be_read_in_several_ways_is_not_guessed(
    scale: object, offset: float, words: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyUnsuitable, match=words):
        read(a_tomo(change=ge_scale(scale, offset)), tmp_path)


@pytest.mark.parametrize("columns_mm", [1e2, 20.0])
def test_a_field_of_view_wider_than_any_detector_is_no_pixel_spacing(columns_mm: float, tmp_path: Path) -> None:
    file = a_tomo(some_projections(columns=64), change=setting(PixelSpacing=[6.4, columns_mm]))
    with pytest.raises(StudyUnsuitable, match=r"Pixel Spacing: found 64 columns of .* mm, .* mm in all"):
        read(file, tmp_path)


def siemens(file: bytes, factor: object) -> bytes:
    """Return an attenuation map as Siemens writes it: no units, a scale in a private element."""

    def change(ds: Dataset) -> None:
        del ds.RealWorldValueMappingSequence
        ds.private_block(0x0033, "SIEMENS MED NM", create=True).add_new(0x38, "FL", factor)

    return changed(file, change)


def a_mu_map() -> bytes:
    projections = some_projections(rows=6, columns=6)
    grid = VoxelGrid.axial((6, 6, 6), (6.4, 6.4, 6.4), (0.0, 0.0, 0.0))
    values = np.full(grid.shape, 0.15, dtype=np.float32)
    return write_transmission(Volume(values, grid, Unit.PER_CM), projections, VirtualStudy(), NOON)


def test_a_siemens_attenuation_map_is_scaled_by_its_private_factor(tmp_path: Path) -> None:
    path = tmp_path / "map.dcm"
    path.write_bytes(siemens(a_mu_map(), 10_000.0))
    volume = read_acquisition(path).reconstruction
    assert volume is not None
    assert volume.unit is Unit.PER_CM
    assert np.allclose(volume.values, 0.15, rtol=1e-3)


def test_a_ge_attenuation_map_is_scaled_by_its_private_scale(tmp_path: Path) -> None:
    path = tmp_path / "map.dcm"
    path.write_bytes(changed(a_mu_map(), ge_scale(1e-4)))
    volume, assumptions = read_noted_volume([path])
    assert volume.unit is Unit.PER_CM
    assert np.allclose(volume.values, 0.15, rtol=1e-3)
    assert "stored values were multiplied by GE's private Pixel Scale 0.0001" in assumptions
    path.write_bytes(changed(a_mu_map(), ge_scale(1e-5)))  # in 1/mm: what corrects with it refuses it
    with pytest.raises(UnsuitableAcquisition, match=r"from 0.015 to 0.015 1/cm"):
        check_mu_map(read_noted_volume([path])[0])


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf")])
def test_a_factor_that_is_none_leaves_the_map_unsuitable(factor: float, tmp_path: Path) -> None:
    path = tmp_path / "map.dcm"
    path.write_bytes(siemens(a_mu_map(), factor))
    with pytest.raises(StudyUnsuitable, match="Measurement Units of the attenuation map"):
        read_acquisition(path)
