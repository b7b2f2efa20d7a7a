"""The report page: the pipeline's picture under a strip that says whose it is, whatever the header holds."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicomnode.objects.derivation import DerivationContext, Sources, read_sources
from dicomnode.objects.report import strip_content, write_report
from dicomnode.objects.strip import HEIGHT, WIDTH, draw_strip
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import PipelineResult, Provenance
from tests.dicomnode.objects.results import a_page
from tests.factories import NOON, a_tomo, changed, setting, without

CONTEXT = DerivationContext("attenuation_correction", "1", "0.1.0", {}, NOON)
RESULT = PipelineResult((), Provenance("attenuation_correction", "1"))


def sources_of(file: bytes, folder: Path) -> Sources:
    path = folder / "source.dcm"
    path.write_bytes(file)
    return read_sources([path])


def test_the_strip_says_who_and_what_and_with_which_camera(tmp_path: Path) -> None:
    study = VirtualStudy(patient_name="Virtual^Patient 7", patient_sex="F", injected_mbq=370.0)
    source = changed(
        a_tomo(study=replace(study, series_description="Stress")),
        setting(
            PatientBirthDate="19500102", AccessionNumber="A-1", Manufacturer="ACME", ManufacturerModelName="Gamma 1"
        ),
    )
    content = strip_content(sources_of(source, tmp_path), CONTEXT)
    assert content.patient == ("Virtual Patient 7", "ID VIRTUAL-0001", "born 1950-01-02", "sex F")
    assert content.study == (study.study_description, "2026-03-02", "accession A-1", "Stress")
    assert content.acquisition[:3] == ("ACME Gamma 1", "VIRTUAL", "acquired 2026-03-02 12:00")
    assert content.acquisition[3].startswith("370 MBq")
    assert content.title == "Attenuation correction"
    assert content.virtual


def test_what_the_header_does_not_say_is_left_out(tmp_path: Path) -> None:
    bare = without("PatientBirthDate", "PatientSex", "StudyDescription", "StudyDate", "AcquisitionDate", "Manufacturer")
    file = changed(changed(a_tomo(), bare), setting(PatientName="", PatientID="", ManufacturerModelName=""))
    content = strip_content(sources_of(file, tmp_path), CONTEXT)
    assert content.patient == ("(no name)", "ID (none)")
    assert content.study == ("TOMO",)
    assert not [fact for fact in content.acquisition if "acquired" in fact]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada Tarou"),
        ("山田^太郎=Ямада^Таро", "Ямада Таро"),
        ("=山田^太郎", "山田 太郎"),
        ("^^^", "(no name)"),
    ],
)
def test_a_name_is_printed_the_first_way_that_can_be_read(name: str, shown: str, tmp_path: Path) -> None:
    file = changed(a_tomo(), setting(PatientName=name))
    assert strip_content(sources_of(file, tmp_path), CONTEXT).patient[0] == shown


def test_a_real_patient_is_never_called_virtual(tmp_path: Path) -> None:
    real = changed(a_tomo(), without("SyntheticData"))
    assert not strip_content(sources_of(real, tmp_path), CONTEXT).virtual


def test_the_page_is_stored_as_a_secondary_capture_with_the_strip_on_top(tmp_path: Path) -> None:
    sources = sources_of(a_tomo(), tmp_path)
    written = write_report(sources, RESULT, a_page(), CONTEXT)
    ds = dcmread(BytesIO(written.file_bytes))
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert ds.BurnedInAnnotation == "YES"
    assert (ds.PhotometricInterpretation, ds.BitsAllocated, ds.SamplesPerPixel) == ("RGB", 8, 3)
    pixels = ds.pixel_array
    assert np.array_equal(pixels[:HEIGHT], draw_strip(strip_content(sources, CONTEXT)))
    assert np.array_equal(pixels[HEIGHT:], a_page())


def test_a_page_that_does_not_fit_under_the_strip_is_refused(tmp_path: Path) -> None:
    for page in (np.zeros((50, WIDTH - 1, 3), np.uint8), np.zeros((50, WIDTH), np.uint8)):
        with pytest.raises(ValueError, match="1600 pixels wide"):
            write_report(sources_of(a_tomo(), tmp_path), RESULT, page, CONTEXT)
