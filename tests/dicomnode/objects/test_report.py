"""The report page: drawn for physicians, the same each time, whatever the header holds."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from dicomnode.objects.derivation import DerivationContext, Sources, read_sources
from dicomnode.objects.page import HEIGHT, WIDTH, Block, LpsVolume, PageContent, draw_page
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.report import page_content, write_report
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import Acquisition, Derived, DerivedKind, Finding, PipelineResult, Provenance, Verdict
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from tests.factories import NOON, a_tomo, changed, setting, some_projections, without

CONTEXT = DerivationContext("reconstruction", "1", "0.1.0", {}, NOON)
GRID = VoxelGrid.axial((24, 32, 32), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0))


def a_heart(grid: VoxelGrid = GRID) -> Volume:
    """Return a volume with one bright spot left, in front and above the middle, 40 mm each."""
    values = np.full(grid.shape, 0.01, np.float32)
    z, y, x = grid.index_of((44.0, -44.0, 20.0)).round().astype(int)
    values[z, y, x] = 1.0
    return Volume(values, grid, Unit.PROPORTIONAL_COUNTS)


def page(**changed_part: Any) -> PageContent:
    content = PageContent("Name", "Study", "Title", False, (("nAC", a_heart()),), projections=some_projections())
    return replace(content, **changed_part)


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    return not np.array_equal(one, other)


def test_the_page_is_an_rgb_picture_of_fixed_size_with_something_on_it() -> None:
    pixels = draw_page(page())
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 20


def test_the_same_content_gives_the_same_pixels() -> None:
    assert np.array_equal(draw_page(page()), draw_page(page()))


def test_each_part_of_the_content_shows() -> None:
    plain = draw_page(page())
    mu_map = Volume(np.full(GRID.shape, 0.15, np.float32), GRID, Unit.PER_CM)
    for part in (
        {"patient": "Another"},
        {"study": "Another"},
        {"title": "Another"},
        {"virtual": True},
        {"volumes": (("nAC", a_heart()), ("AC", a_heart()))},
        {"mu_map": mu_map},
        {"projections": None},
        {"blocks": (Block("Checks", ("pass: fine",)),)},
    ):
        assert differ(plain, draw_page(page(**part))), part


def test_a_warning_is_printed_in_red() -> None:
    def red(pixels: np.ndarray) -> int:
        return int(((pixels[..., 0] > 150) & (pixels[..., 1] < 60) & (pixels[..., 2] < 60)).sum())

    calm = draw_page(page(volumes=(), blocks=(Block("Checks", ("warn: few counts",)),)))
    warned = draw_page(page(volumes=(), blocks=(Block("Checks", ("! warn: few counts",)),)))
    assert red(warned) > red(calm) + 50


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "words", ["$\\frac{broken", "山田 太郎", "line\nbreak", "x" * 500, "", "\x07\x1b[31m", "A & B <b>", "a_b^c"]
)
def test_no_text_breaks_the_page(words: str) -> None:
    blocks = (Block(words, (words, *[f"line {k}" for k in range(100)])), Block("after", (words,)))
    draw_page(page(patient=words, study=words, title=words, volumes=(), projections=None, blocks=blocks))


def test_an_empty_volume_and_no_volume_can_be_drawn() -> None:
    draw_page(page(volumes=(("empty", Volume(np.zeros(GRID.shape, np.float32), GRID, Unit.COUNTS)),)))
    draw_page(page(volumes=(), projections=None))


@pytest.mark.parametrize(
    "grid",
    [
        GRID,
        VoxelGrid((24, 32, 32), ((8, 0, 0, -124), (0, 8, 0, -124), (0, 0, -8, 92), (0, 0, 0, 1))),  # head first
        VoxelGrid((24, 32, 32), ((-8, 0, 0, 124), (0, 8, 0, -124), (0, 0, 8, -92), (0, 0, 0, 1))),  # left first
        VoxelGrid((32, 32, 24), ((0, 0, 8, -124), (0, 8, 0, -124), (8, 0, 0, -92), (0, 0, 0, 1))),  # sagittal
    ],
)
def test_the_heart_is_shown_left_and_in_front_however_the_volume_is_stored(grid: VoxelGrid) -> None:
    turned = LpsVolume.of(a_heart(grid))
    z, y, x = (int(k) for k in np.unravel_index(np.argmax(turned.values), turned.values.shape))
    middle = (np.array(turned.values.shape) - 1) / 2
    assert (z > middle[0], y < middle[1], x > middle[2]) == (True, True, True)
    assert turned.heart() == (z, y, x)
    assert turned.origin_mm[0] + z * turned.voxel_mm[0] == pytest.approx(20.0)


def sources_of(file: bytes, folder: Path) -> tuple[Sources, Acquisition]:
    path = folder / "source.dcm"
    path.write_bytes(file)
    return read_sources([path]), read_acquisition(path)


RESULT = PipelineResult(
    (Derived(DerivedKind.RECONSTRUCTION, a_heart(), "OSEM, 4 iterations"),),
    Provenance("reconstruction", "1", (("iterations", "4"),), ("holes are parallel",)),
    (Finding(Verdict.PASS, "counts agree"), Finding(Verdict.WARN, "few counts")),
)


def test_the_page_says_who_what_how_and_what_the_checks_found(tmp_path: Path) -> None:
    study = VirtualStudy(patient_name="Virtual^Patient 7", series_description="Stress")
    source = changed(a_tomo(study=study), setting(PatientBirthDate="19500102", AccessionNumber="A-1"))
    content = page_content(*sources_of(source, tmp_path), RESULT, CONTEXT)
    assert content.patient == "Virtual Patient 7    ID VIRTUAL-0001    born 1950-01-02    O"
    assert content.study.endswith("Stress   |   2026-03-02   |   accession A-1")
    assert content.virtual
    lines = {block.title: block.lines for block in content.blocks}
    assert "6 views from 225 deg, 6 deg apart, clockwise seen from the feet" in lines["Acquisition"]
    assert "radius 250 mm" in lines["Acquisition"]
    assert "OSEM, 4 iterations" in lines["Made by"]
    assert lines["Checks"] == ("! warn: few counts", "pass: counts agree")
    assert "holes are parallel" in lines["Assumed"]


def test_a_real_patient_is_never_called_virtual(tmp_path: Path) -> None:
    real = changed(a_tomo(), without("SyntheticData"))
    assert not page_content(*sources_of(real, tmp_path), RESULT, CONTEXT).virtual


def test_the_page_is_stored_as_a_secondary_capture_that_shows_it(tmp_path: Path) -> None:
    sources, acquisition = sources_of(a_tomo(), tmp_path)
    written = write_report(sources, acquisition, RESULT, CONTEXT)
    ds = dcmread(BytesIO(written.file_bytes))
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert ds.BurnedInAnnotation == "YES"
    assert (ds.PhotometricInterpretation, ds.BitsAllocated, ds.SamplesPerPixel) == ("RGB", 8, 3)
    assert np.array_equal(ds.pixel_array, draw_page(page_content(sources, acquisition, RESULT, CONTEXT)))
