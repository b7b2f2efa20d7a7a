"""What was compressed with loss is never said to be whole again."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from dicomnode.objects.derived import derived_instances
from dicomnode.objects.lossy import lossy, lossy_compression
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.virtual_ct import write_ct
from pipelines.contract import DerivedKind, MapSource, PipelineInput, PipelineResult, Provenance
from tests.dicomnode.objects.ct_series import a_ct, stored
from tests.dicomnode.objects.every_kind import STUDY
from tests.dicomnode.objects.results import CONTEXT, a_result, dataset, derive
from tests.dicomnode.objects.validator import errors_in
from tests.factories import NOON, a_tomo, as_file, changed, quick_dataset, setting

LOST = {
    "LossyImageCompression": "01", "LossyImageCompressionRatio": ["12.5", "3"],
    "LossyImageCompressionMethod": ["ISO_10918_1", "ISO_15444_1"],
}  # fmt: skip


def came_as(syntax: str, **elements: object) -> Dataset:
    return dcmread(BytesIO(as_file(quick_dataset(PixelData=None, **elements), syntax)))


def test_what_is_made_of_a_lossy_image_says_so_with_ratio_and_method(tmp_path: Path) -> None:
    for kind, instance in derive(tmp_path, changed(a_tomo(), setting(**LOST))).items():
        ds = dataset(instance)
        if kind != "structured report":  # a document has no such attribute
            assert ds.LossyImageCompression == "01", kind
            assert list(ds.LossyImageCompressionRatio) == [12.5, 3], kind
            assert list(ds.LossyImageCompressionMethod) == LOST["LossyImageCompressionMethod"], kind
        assert errors_in(instance.file_bytes, tmp_path) == []


def test_what_is_made_of_whole_images_is_whole(tmp_path: Path) -> None:
    ds = dataset(derive(tmp_path)["reconstruction"])
    assert ds.LossyImageCompression == "00"
    assert "LossyImageCompressionRatio" not in ds


def test_a_lossy_ct_marks_only_what_its_map_went_into(tmp_path: Path) -> None:
    source = tmp_path / "source.dcm"
    source.write_bytes(a_tomo(study=STUDY))
    slices = stored(tmp_path, [changed(file, setting(**LOST)) for file in write_ct(a_ct(), STUDY, NOON)])
    kinds = (DerivedKind.RECONSTRUCTION, DerivedKind.CORRECTED_RECONSTRUCTION, DerivedKind.MU_MAP)
    result = PipelineResult(a_result(*kinds).derived, Provenance("p", "1", map_source=MapSource.CT))
    made = derived_instances([source, *slices], PipelineInput(read_acquisition(source)), result, CONTEXT)
    assert {one.kind: dataset(one).LossyImageCompression for one in made} == {
        "reconstruction": "00", "attenuation-corrected reconstruction": "01", "attenuation map": "01",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("syntax", "stated", "expected"),
    [
        (uid.JPEGBaseline8Bit, None, True),
        (uid.JPEGBaseline8Bit, "00", True),  # no such stream is without loss
        (uid.JPEG2000, None, True),
        (uid.JPEG2000, "00", False),  # it may be
        (uid.JPEGLSNearLossless, None, True),
        (uid.HTJ2K, None, True),
        (uid.JPEG2000Lossless, None, False),
        (uid.JPEGLosslessSV1, None, False),
        (uid.RLELossless, "01", True),
        (uid.ExplicitVRLittleEndian, None, False),
    ],
)
def test_a_lossy_transfer_syntax_tells_where_the_image_is_silent(
    syntax: str, stated: str | None, expected: bool
) -> None:
    said = {} if stated is None else {"LossyImageCompression": stated}
    assert lossy(came_as(syntax, **said)) is expected


def test_the_method_follows_from_the_transfer_syntax_where_it_is_not_stated() -> None:
    ds = lossy_compression([came_as(uid.JPEG2000)])
    assert (ds.LossyImageCompression, ds.LossyImageCompressionMethod) == ("01", "ISO_15444_1")
    assert "LossyImageCompressionRatio" not in ds
