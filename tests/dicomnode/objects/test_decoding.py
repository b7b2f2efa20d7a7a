"""Compressed pixels are decoded outside the node, and whatever is in them costs one image at the most."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.decoding import Decoder, is_compressed
from dicomnode.objects.pixels import read_pixels
from dicomnode.objects.reader import read_acquisition, read_dataset_file
from tests.factories import REAL_DATA, a_tomo

SOUND = a_tomo(views=4, rows=16, columns=16)


def compressed(transfer_syntax: UID) -> Dataset:
    """Return the sound acquisition, its pixels compressed without loss."""
    ds = dcmread(BytesIO(SOUND))
    ds.compress(transfer_syntax, generate_instance_uid=False)
    return ds


def by_dcmtk(program: str, source: Path, target: Path) -> Path:
    if shutil.which(program) is None:
        pytest.skip(f"{program} of DCMTK is not installed")
    subprocess.run([program, source, target], check=True, capture_output=True)
    return target


@pytest.mark.parametrize("transfer_syntax", [RLELossless, JPEGLSLossless])
def test_what_was_compressed_without_loss_comes_out_as_it_was(transfer_syntax: UID, tmp_path: Path) -> None:
    (tmp_path / "plain.dcm").write_bytes(SOUND)
    compressed(transfer_syntax).save_as(tmp_path / "packed.dcm")
    plain, packed = (read_acquisition(tmp_path / name).projections for name in ("plain.dcm", "packed.dcm"))
    assert plain is not None
    assert packed is not None
    assert np.array_equal(plain.counts, packed.counts)


def test_jpeg_lossless_of_another_program_comes_out_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "plain.dcm").write_bytes(SOUND)
    packed = by_dcmtk("dcmcjpeg", tmp_path / "plain.dcm", tmp_path / "packed.dcm")
    assert dcmread(packed).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    values = read_pixels(read_dataset_file(packed)).values
    assert np.array_equal(values, read_pixels(dcmread(BytesIO(SOUND))).values)


def test_a_real_cameras_jpeg_lossless_is_read_as_another_program_reads_it(tmp_path: Path) -> None:
    source = REAL_DATA / "nema_wholebody_jpeg_lossless.dcm"
    if not source.exists():
        pytest.skip("the public camera files are not beside the checkout (shared/realdata)")
    plain = by_dcmtk("dcmdjpeg", source, tmp_path / "plain.dcm")
    assert not is_compressed(dcmread(plain))
    values = read_pixels(read_dataset_file(source)).values
    assert values.shape == (1, 1024, 256)
    assert values.max() == 278
    assert np.array_equal(values, read_pixels(read_dataset_file(plain)).values)


def test_one_child_decodes_many_images() -> None:
    ds = compressed(RLELossless)
    with Decoder() as decoder:
        first, second = decoder.decode(ds, 4 * 256), decoder.decode(ds, 4 * 256)
    assert np.array_equal(first, second)


def spoilt(ds: Dataset, change: str) -> Dataset:
    """Return a compressed image whose first frame is damaged in a way that has a name."""
    frames = list(generate_frames(ds.PixelData, number_of_frames=4))
    packed = bytearray(frames[0])
    if change == "noise":
        packed = bytearray(np.random.default_rng(1).bytes(len(packed)))
    elif change == "cut":
        packed = packed[: len(packed) // 4 * 2]
    elif change == "claims 65535 x 65535":
        at = packed.index(b"\xff\xf7")  # SOF55, the frame header of JPEG-LS: length, precision, height, width
        packed[at + 5 : at + 9] = b"\xff" * 4
    ds.PixelData = encapsulate([bytes(packed), *frames[1:]])
    return ds


@pytest.mark.parametrize("change", ["noise", "cut", "claims 65535 x 65535"])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_image_is_refused_with_a_sentence_and_the_next_is_read(change: str) -> None:
    with Decoder() as decoder:
        with pytest.raises(StudyUnsuitable, match="compressed pixels") as refused:
            decoder.decode(spoilt(compressed(JPEGLSLossless), change), 4 * 256)
        assert "JPEG-LS" in str(refused.value)
        assert decoder.decode(compressed(JPEGLSLossless), 4 * 256).shape == (4, 16, 16)


def test_an_image_of_another_transfer_syntax_than_it_says_is_refused() -> None:
    ds = compressed(RLELossless)
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    with pytest.raises(StudyUnsuitable, match="JPEG 2000"):
        read_pixels(ds)


def test_a_decoder_that_takes_too_long_is_ended() -> None:
    with Decoder(timeout_s=0.0) as decoder, pytest.raises(StudyUnsuitable, match="RLE Lossless"):
        decoder.decode(compressed(RLELossless), 4 * 256)


def test_an_image_that_decodes_to_more_than_it_claims_is_refused() -> None:
    with Decoder() as decoder, pytest.raises(StudyUnsuitable, match=r"1024 pixels, expected 512|can't be decoded"):
        decoder.decode(compressed(RLELossless), 512)


def test_loss_is_said(tmp_path: Path) -> None:
    ds = dcmread(BytesIO(SOUND))
    ds.LossyImageCompression = "01"
    ds.save_as(tmp_path / "lossy.dcm")
    assert any("compressed with loss" in note for note in read_acquisition(tmp_path / "lossy.dcm").assumptions)
