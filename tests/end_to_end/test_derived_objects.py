"""What the node derives is understood elsewhere: archives keep, find and move it, other programs read it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicomnode.objects.reader import read_volume
from dicomnode.study import DerivedInstance
from tests.conftest import need_isolation, need_programs
from tests.dicomnode.objects.every_kind import STUDY, of_both_pipelines
from tests.dicomnode.objects.results import a_page
from tests.dicomnode.objects.small_hearts import two_hearts
from tests.peers import dcmtk
from tests.peers.orthanc import AE_TITLE, READER, Orthanc

CORRECTED = "corrected by CT: "


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DerivedInstance]:
    """Every kind of instance of both pipelines, by its name."""
    return of_both_pipelines(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def files(made: dict[str, DerivedInstance], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The derived instances as files, by their name."""
    folder = tmp_path_factory.mktemp("sent")
    paths = {name: folder / f"{number}.dcm" for number, name in enumerate(made)}
    for name, path in paths.items():
        path.write_bytes(made[name].file_bytes)
    return paths


@dataclass(frozen=True)
class Archive:
    """An archive that is queried and moved from as READER."""

    ae_title: str
    port: int
    reader_port: int


@pytest.fixture(scope="module")
def dcmqrscp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dcmtk.QueryRetrieveSCP]:
    """DCMTK's archive, for the tests of this file."""
    need_programs("dcmqrscp", "movescu", "findscu")
    need_isolation()
    server = dcmtk.QueryRetrieveSCP(tmp_path_factory.mktemp("dcmqrscp"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["orthanc", "dcmqrscp"])
def archive(request: pytest.FixtureRequest, files: Mapping[str, Path]) -> Archive:
    """An archive that every kind was stored into."""
    server = request.getfixturevalue(request.param)
    if isinstance(server, Orthanc):
        place = Archive(AE_TITLE, server.dicom_port, server.reader_port)
    else:
        place = Archive(server.ae_title, server.port, server.reader_port)
    sent = dcmtk.store(place.port, list(files.values()), called=place.ae_title, calling="SPECT1")
    assert sent.accepted, sent.output
    assert sent.statuses == ("Success",) * len(files)
    return place


@pytest.fixture(scope="module")
def back(
    archive: Archive, made: dict[str, DerivedInstance], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The derived instances as the archive moves them to a reader (C-MOVE), by their name."""
    folder = tmp_path_factory.mktemp("back")
    moved = dcmtk.move(archive.port, archive.ae_title, READER, archive.reader_port, STUDY.study_instance_uid, folder)
    names = {instance.sop_instance_uid: name for name, instance in made.items()}
    return {names[str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)]: path for path in moved}


def test_an_archive_finds_every_derived_instance_in_a_series_of_its_own(
    archive: Archive, made: dict[str, DerivedInstance]
) -> None:
    series = [instance.series_instance_uid for instance in made.values()]
    found = dcmtk.find_instances(archive.port, archive.ae_title, READER, STUDY.study_instance_uid, series)
    assert found == sorted(instance.sop_instance_uid for instance in made.values())


def test_what_is_moved_back_is_what_was_sent_element_by_element(files: dict[str, Path], back: dict[str, Path]) -> None:
    assert set(back) == set(files)
    for name, sent in files.items():
        before, after = dcmread(sent), dcmread(back[name])
        different = {*before.keys()} ^ {*after.keys()}
        different |= {tag for tag in before.keys() & after.keys() if before[tag] != after[tag]}
        assert not different, f"{name}: {sorted(map(str, different))}"


def test_every_kind_has_the_number_of_its_series(back: dict[str, Path]) -> None:
    numbers = {name: int(dcmread(path).SeriesNumber) for name, path in back.items() if name.startswith(CORRECTED)}
    assert {name.removeprefix(CORRECTED): number for name, number in numbers.items()} == {
        "reconstruction": 911,
        "attenuation-corrected reconstruction": 912,
        "attenuation map": 921,
        "short axis": 931,
        "attenuation-corrected short axis": 932,
        "report page": 941,
        "structured report": 942,
    }
    assert int(dcmread(back["denoised: denoised projections"]).SeriesNumber) == 901


@pytest.mark.parametrize("place", [0, 1])
def test_a_short_axis_comes_back_in_the_same_place_of_the_patient(place: int, back: dict[str, Path]) -> None:
    kind = ("short axis", "attenuation-corrected short axis")[place]
    heart = two_hearts()[place]
    volume = read_volume([back[CORRECTED + kind]])
    assert np.allclose(volume.grid.matrix, heart.short_axis.grid.matrix, atol=1e-4)
    hottest = volume.grid.position_mm(*map(float, np.unravel_index(np.argmax(volume.values), volume.values.shape)))
    truth = heart.short_axis
    expected = truth.grid.position_mm(*map(float, np.unravel_index(np.argmax(truth.values), truth.values.shape)))
    assert np.allclose(hottest, expected, atol=1e-3)


def test_the_report_page_comes_back_pixel_for_pixel_with_its_strip(back: dict[str, Path]) -> None:
    pixels = dcmread(back[CORRECTED + "report page"]).pixel_array
    assert np.array_equal(pixels[70:], a_page())
    assert pixels[:70].std() > 10


def test_dcmtk_prints_the_numbers_of_the_structured_report(back: dict[str, Path]) -> None:
    need_programs("dsrdump")
    printed = subprocess.run(
        ["dsrdump", "+Pl", back[CORRECTED + "structured report"]], capture_output=True, text=True, check=True
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
