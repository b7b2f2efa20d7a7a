"""NM reconstructions -> volumes: which slice lies where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.reader import read_volume
from pipelines.images import Unit
from tests.dicomnode.objects.spect_ct import vendor_map
from tests.factories import a_tomo, changed, setting


def a_reconstruction(spacing: str | None, frames: int = 3) -> bytes:
    """Return a small NM reconstruction whose first slice is all 1, the second all 2 and so on."""

    def change(ds: Dataset) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
        ds.FrameIncrementPointer = 0x00540080
        ds.SliceVector, ds.NumberOfSlices, ds.NumberOfFrames = list(range(1, frames + 1)), frames, frames
        item = ds.DetectorInformationSequence[0]
        item.ImagePositionPatient, item.ImageOrientationPatient = [-10, -20, 100], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing = ["4", "6"]
        if spacing is not None:
            ds.SpacingBetweenSlices = spacing
        pixels = np.arange(1, frames + 1, dtype="<u2")[:, None, None] * np.ones((1, ds.Rows, ds.Columns), "<u2")
        ds.PixelData = pixels.tobytes()

    return changed(a_tomo(), change)


@pytest.mark.parametrize(("spacing", "z_of_last_mm"), [("5", 110.0), ("-5", 90.0), (None, 108.0)])
def test_the_sign_of_the_slice_spacing_says_where_the_stack_goes(
    spacing: str | None, z_of_last_mm: float, tmp_path: Path
) -> None:
    path = tmp_path / "recon.dcm"
    path.write_bytes(a_reconstruction(spacing))
    volume = read_volume([path])
    assert volume.values[2].max() == volume.values[2].min() == 3
    assert volume.grid.position_mm(2, 0, 0) == pytest.approx((-10, -20, z_of_last_mm))
    assert volume.grid.position_mm(0, 1, 2) == pytest.approx((2, -16, 100))
    assert volume.unit is Unit.PROPORTIONAL_COUNTS


def test_slices_go_where_the_slice_vector_says(tmp_path: Path) -> None:
    path = tmp_path / "recon.dcm"
    path.write_bytes(changed(a_reconstruction("5"), setting(SliceVector=[3, 1, 2])))
    assert [plane.max() for plane in read_volume([path]).values] == [2, 3, 1]


def test_an_attenuation_map_without_a_unit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.dcm"
    transmission = setting(ImageType=["DERIVED", "PRIMARY", "RECON TOMO", "TRANSMISSION"])
    path.write_bytes(changed(a_reconstruction("5"), transmission))
    with pytest.raises(StudyUnsuitable, match="Measurement Units of the attenuation map: found nothing, expected /cm"):
        read_volume([path])


def test_an_attenuation_map_of_siemens_says_its_scale_in_private(tmp_path: Path) -> None:
    def scaled(ds: Dataset) -> None:
        ds.RealWorldValueMappingSequence = []
        ds.private_block(0x0033, "SIEMENS MED NM", create=True).add_new(0x38, "FL", 10000.0)

    plain = vendor_map(tmp_path)
    private = tmp_path / "siemens.dcm"
    private.write_bytes(changed(plain.read_bytes(), scaled))
    found, expected = read_volume([private]), read_volume([plain])
    assert found.unit is Unit.PER_CM
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)  # stored in steps of 1e-4 /cm


def test_a_reconstruction_is_one_file(tmp_path: Path) -> None:
    with pytest.raises(StudyUnsuitable, match="found 2 files"):
        read_volume([tmp_path, tmp_path])
