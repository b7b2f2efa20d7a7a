"""What the node derives is understood elsewhere: a real archive keeps it, other programs read it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicomnode.objects.derivation import DerivationContext
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.reader import read_acquisition, read_volume
from dicomnode.objects.virtual_study import VirtualStudy
from dicomnode.study import DerivedInstance
from pipelines.contract import CardiacState, PipelineInput, PipelineResult, Provenance
from tests.conftest import need_programs
from tests.dicomnode.objects.results import a_page
from tests.dicomnode.objects.small_hearts import images, two_hearts
from tests.factories import NOON, a_tomo
from tests.peers import dcmtk
from tests.peers.orthanc import AE_TITLE, Orthanc

STUDY = VirtualStudy(patient_id="PEER-1", study="derived objects", state=CardiacState.STRESS, accession_number="A-77")
CONTEXT = DerivationContext("attenuation_correction", "1", "0.1.0", {}, NOON)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[DerivedInstance, ...]:
    source = tmp_path_factory.mktemp("source") / "source.dcm"
    source.write_bytes(a_tomo(study=STUDY))
    result = PipelineResult(
        images(),
        Provenance("attenuation_correction", "1", (("Algorithm", "OSEM"),), corrections=("ATTN",)),
        hearts=two_hearts(),
        page=a_page(),
    )
    return derived_instances([source], PipelineInput(read_acquisition(source)), result, CONTEXT)


@pytest.fixture(scope="module")
def back(
    made: tuple[DerivedInstance, ...], orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The derived instances, stored into Orthanc and read back from it, by their kind."""
    folder = tmp_path_factory.mktemp("sent")
    files = []
    for number, instance in enumerate(made):
        files.append(folder / f"{number}.dcm")
        files[-1].write_bytes(instance.file_bytes)
    sent = dcmtk.store(orthanc.dicom_port, files, called=AE_TITLE, calling="SPECT1")
    assert sent.accepted, sent.output
    assert sent.statuses == ("Success",) * len(made)
    received = orthanc.retrieve_datasets(STUDY.study_instance_uid, tmp_path_factory.mktemp("back"))
    kinds = {instance.sop_instance_uid: instance.kind for instance in made}
    return {kinds[ds.SOPInstanceUID]: path for path, ds in received}


def test_an_archive_keeps_every_derived_instance_in_a_series_of_its_own(
    made: tuple[DerivedInstance, ...], back: dict[str, Path], orthanc: Orthanc
) -> None:
    assert set(back) == {instance.kind for instance in made}
    assert orthanc.instances(STUDY.study_instance_uid) == sorted(instance.sop_instance_uid for instance in made)
    assert orthanc.series(STUDY.study_instance_uid) == sorted(instance.series_instance_uid for instance in made)
    numbers = {kind: int(dcmread(path).SeriesNumber) for kind, path in back.items()}
    assert numbers == {
        "reconstruction": 911,
        "attenuation-corrected reconstruction": 912,
        "short axis": 931,
        "attenuation-corrected short axis": 932,
        "report page": 941,
        "structured report": 942,
    }


@pytest.mark.parametrize("place", [0, 1])
def test_a_short_axis_comes_back_in_the_same_place_of_the_patient(place: int, back: dict[str, Path]) -> None:
    kind = ("short axis", "attenuation-corrected short axis")[place]
    heart = two_hearts()[place]
    volume = read_volume([back[kind]])
    assert np.allclose(volume.grid.matrix, heart.short_axis.grid.matrix, atol=1e-4)
    hottest = volume.grid.position_mm(*map(float, np.unravel_index(np.argmax(volume.values), volume.values.shape)))
    truth = heart.short_axis
    expected = truth.grid.position_mm(*map(float, np.unravel_index(np.argmax(truth.values), truth.values.shape)))
    assert np.allclose(hottest, expected, atol=1e-3)
    assert dcmtk.iod_errors(back[kind]) in ([], SYNTHETIC)


# dciodvfy's dictionary is older than Synthetic Data
SYNTHETIC = ["Error - </(0008,001c)> - Attribute with an even group number is not a recognized standard attribute"]


def test_the_report_page_comes_back_pixel_for_pixel_with_its_strip(back: dict[str, Path]) -> None:
    pixels = dcmread(back["report page"]).pixel_array
    assert np.array_equal(pixels[70:], a_page())
    assert pixels[:70].std() > 10


def test_dcmtk_prints_the_numbers_of_the_structured_report(back: dict[str, Path]) -> None:
    need_programs("dsrdump")
    printed = subprocess.run(
        ["dsrdump", "+Pl", back["structured report"]], capture_output=True, text=True, check=True
    ).stdout
    reported, comparison = two_hearts()[1].perfusion, two_hearts()[0].perfusion
    assert reported is not None
    assert comparison is not None
    before, _, after = printed.partition('"not corrected (comparison): left ventricle"')
    assert f'"Total perfusion deficit")="{reported.tpd_percent:.1f}"' in before
    assert f'"Total perfusion deficit")="{comparison.tpd_percent:.1f}"' in after
    assert "Left ventricle mid inferior segment" in before
    assert f'"Left ventricular cavity volume, mean over the beat")="{two_hearts()[1].shape.cavity_ml:.1f}"' in before
    assert "VIRTUAL PATIENT - no real person" in printed
    assert "Preliminary Flag    : PRELIMINARY" in printed
    assert dcmtk.iod_errors(back["structured report"]) in ([], SYNTHETIC)
