"""Pictures for the page: bounded, readable, and discreet."""

from __future__ import annotations

from copy import deepcopy
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import RLELossless

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.previews import preview_png
from tests.factories import a_tomo, as_file, quick_dataset

COLORED = {
    "Rows": 5, "Columns": 8, "SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL", "PlanarConfiguration": 0,
    "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7,
}  # fmt: skip


def written(folder: Path, content: bytes) -> Path:
    path = folder / "a.dcm"
    path.write_bytes(content)
    return path


def seen(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)))


def test_of_many_frames_twenty_are_shown(tmp_path: Path) -> None:
    file = written(tmp_path, a_tomo(views=60, rows=5, columns=8))
    assert seen(preview_png(file, identity=False)).shape == (2 * 2 * 5, 10 * 2 * 8)


def test_few_frames_leave_no_empty_places(tmp_path: Path) -> None:
    file = written(tmp_path, a_tomo(views=4, rows=5, columns=8))
    assert seen(preview_png(file, identity=False)).shape == (2 * 5, 4 * 2 * 8)


def test_a_large_page_of_another_is_shown_smaller(tmp_path: Path) -> None:
    page = quick_dataset(
        Rows=2000, Columns=4000, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0,
        BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes([200, 100, 50]) * 8_000_000,
    )  # fmt: skip
    picture = seen(preview_png(written(tmp_path, as_file(page)), identity=False))
    assert picture.shape == (1280, 2560, 3)
    assert picture[640, 640].tolist() == [200, 100, 50]


def test_gray_frames_that_call_themselves_colored_are_shown_gray(tmp_path: Path) -> None:
    ds = quick_dataset(
        Rows=5, Columns=8, NumberOfFrames=4, PhotometricInterpretation="RGB", PixelData=bytes(2 * 4 * 40)
    )
    assert seen(preview_png(written(tmp_path, as_file(ds)), identity=False)).shape == (10, 64)


def test_a_large_frame_is_shown_small_each_pixel_the_mean_of_many(tmp_path: Path) -> None:
    stored = np.tile(np.array([[0, 1000], [1000, 0]], dtype=np.uint16), (2048, 1024))
    stored[:, :1024] = 1000
    file = written(tmp_path, as_file(quick_dataset(Rows=4096, Columns=2048, PixelData=stored.tobytes())))
    picture = seen(preview_png(file, identity=False))
    assert picture.shape == (1024, 512)
    assert (picture[:, :256] == 0).all()
    assert set(picture[:, 256:].flat) <= {127, 128}


def test_large_frames_among_others_are_shown_smaller_still(tmp_path: Path) -> None:
    file = written(tmp_path, a_tomo(views=3, rows=512, columns=512))
    assert seen(preview_png(file, identity=False)).shape == (256, 3 * 256)


def test_a_compressed_image_is_shown_as_an_uncompressed_one(tmp_path: Path) -> None:
    plain = dcmread(BytesIO(a_tomo(views=4, rows=5, columns=8)))
    packed = deepcopy(plain)
    packed.compress(RLELossless, generate_instance_uid=False)
    plain.save_as(tmp_path / "plain.dcm")
    packed.save_as(tmp_path / "packed.dcm")
    first, second = (seen(preview_png(tmp_path / f"{name}.dcm", identity=False)) for name in ("plain", "packed"))
    assert np.array_equal(first, second)


def test_a_ct_slice_is_light_where_it_is_dense(tmp_path: Path) -> None:
    stored = np.array([[0, 1064, 4000, 0]], dtype=np.uint16)  # air, soft tissue, bone; minus 1000 for Hounsfield units
    ds = quick_dataset(
        Modality="CT", Rows=1, Columns=4, RescaleSlope=1, RescaleIntercept=-1000, PixelData=stored.tobytes()
    )
    assert seen(preview_png(written(tmp_path, as_file(ds)), identity=False)).tolist() == [[0, 143, 255, 0]]


def test_a_picture_that_says_it_names_the_patient_is_shown_only_to_who_may_see_it(tmp_path: Path) -> None:
    file = written(tmp_path, as_file(quick_dataset(BurnedInAnnotation="YES")))
    with pytest.raises(StudyUnsuitable, match="names the patient"):
        preview_png(file, identity=False)
    assert preview_png(file, identity=True).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no DICOM at all", "can't be read"),
        (as_file(quick_dataset(PixelData=None)), "can't be decoded"),
        (as_file(quick_dataset(Rows=None)), "no pixels"),
        (as_file(quick_dataset(**COLORED, PixelData=bytes(120))), "no picture of color frames"),
        (as_file(quick_dataset(Rows=60000, Columns=60000)), "too many for a picture"),
    ],
)
def test_what_has_no_picture_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(StudyUnsuitable, match=reason):
        preview_png(written(tmp_path, content), identity=True)


def test_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(StudyUnsuitable, match="no longer here"):
        preview_png(tmp_path / "gone.dcm", identity=True)
