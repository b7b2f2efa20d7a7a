"""Public files of real cameras: read for what they are, never stumbled over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.derivation import DerivationContext
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.header import read_header
from dicomnode.objects.reader import read_acquisition, read_volume
from dicomnode.study import InstanceContent
from pipelines.contract import CardiacState, Derived, DerivedKind, PipelineInput, PipelineResult, Provenance
from pipelines.images import Projections, Unit, Volume
from tests.dicomnode.objects.validator import errors_in
from tests.factories import NOON, REAL_DATA

CONTENT = {
    "ge_xeleris_tomo_stress": InstanceContent.PROJECTIONS,
    "ge_530c_recon_supine": InstanceContent.RECONSTRUCTION,
    "ge_530c_recon_supine_2": InstanceContent.RECONSTRUCTION,
    "mediso_recon_jaszczak": InstanceContent.RECONSTRUCTION,
    "siemens_static_two_detectors": InstanceContent.OTHER,
    "nema_wholebody_jpeg_lossless": InstanceContent.OTHER,
}


def real(name: str) -> Path:
    path = REAL_DATA / f"{name}.dcm"
    if not path.exists():
        pytest.skip(f"the public camera file {path.name} is not beside the checkout (shared/realdata)")
    return path


@pytest.fixture
def stress() -> Projections:
    projections = read_acquisition(real("ge_xeleris_tomo_stress")).projections
    assert projections is not None
    return projections


@pytest.mark.parametrize("name", CONTENT)
def test_every_real_instance_is_taken_and_told_apart(name: str) -> None:
    header = read_header(real(name).read_bytes())
    assert header.content is CONTENT[name]
    assert header.flaw is None
    assert header == read_header(real(name))


@pytest.mark.parametrize("name", ["siemens_static_two_detectors", "nema_wholebody_jpeg_lossless"])
def test_what_is_no_tomography_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(StudyUnsuitable, match="Image Type value 3: found"):
        read_acquisition(real(name))


def test_the_real_acquisition_is_read_as_its_header_says(stress: Projections) -> None:
    geometry = stress.geometry
    assert stress.counts.shape == (1, 1, 30, 64, 64)
    assert stress.counts.sum() == 3_949_221  # its own Counts Accumulated
    assert geometry.angles_deg[:2] == pytest.approx((225.44, 219.44))
    assert geometry.angles_deg[-1] == pytest.approx(51.44)
    assert geometry.pixel_size_mm == (6.799385, 6.799385)
    assert geometry.radius_mm == (327.333,) * 30
    assert geometry.isocenter_mm == pytest.approx((0.4, -7.6, 23.0), abs=0.01)
    assert stress.windows[0].name == "Tc99m_EM"
    assert stress.view_time_s == 25.717
    assert read_acquisition(real("ge_xeleris_tomo_stress")).state is CardiacState.STRESS


def test_the_real_camera_states_the_orientation_that_our_geometry_gives(stress: Projections) -> None:
    angle = np.radians(stress.geometry.angles_deg[0])
    assert (-np.cos(angle), np.sin(angle)) == pytest.approx((0.701656, -0.712516), abs=1e-6)


def back_projected(projections: Projections, row: int) -> np.ndarray:
    """Return the counts of one row, laid back along their lines over the plane `[y, x]` in mm about the axis."""
    geometry = projections.geometry
    pixel = geometry.pixel_size_mm[1]
    place = (np.arange(geometry.columns) - (geometry.columns - 1) / 2) * pixel
    y, x = np.meshgrid(place, place, indexing="ij")
    ramp = np.abs(np.fft.fftfreq(2 * geometry.columns))
    plane = np.zeros(x.shape)
    for angle, counts in zip(np.radians(geometry.angles_deg), projections.counts[0, 0, :, row], strict=True):
        sharpened = np.fft.ifft(np.fft.fft(counts, 2 * geometry.columns) * ramp).real[: geometry.columns]
        along = (-np.cos(angle) * x + np.sin(angle) * y) / pixel + (geometry.columns - 1) / 2
        plane += np.interp(along.ravel(), np.arange(geometry.columns), sharpened).reshape(x.shape)
    return plane


def test_the_heart_of_the_real_patient_lies_left_and_in_front(stress: Projections) -> None:
    plane = back_projected(stress, row=34)
    y, x = np.unravel_index(np.argmax(plane), plane.shape)
    middle = (stress.geometry.columns - 1) / 2
    assert (x - middle) * stress.geometry.pixel_size_mm[1] > 15  # +x is left
    assert (y - middle) * stress.geometry.pixel_size_mm[1] < 0  # +y is behind


@pytest.mark.parametrize("name", ["ge_530c_recon_supine", "ge_530c_recon_supine_2", "mediso_recon_jaszczak"])
def test_real_reconstructions_go_from_head_to_feet(name: str) -> None:
    volume = read_volume([real(name)])
    first, second = volume.grid.position_mm(0, 0, 0)[2], volume.grid.position_mm(1, 0, 0)[2]
    assert second < first
    assert volume.unit is Unit.PROPORTIONAL_COUNTS
    assert volume.values.max() > 0


@pytest.mark.parametrize(
    ("name", "placed"),
    [("ge_xeleris_tomo_stress", True), ("ge_530c_recon_supine", True), ("mediso_recon_jaszczak", False)],
)
def test_a_camera_that_lost_the_place_across_the_patient_is_told_from_those_that_did_not(
    name: str, placed: bool
) -> None:
    assert read_acquisition(real(name)).position_known is placed


def test_a_reconstruction_of_the_real_patient_has_no_error_and_reads_back(stress: Projections, tmp_path: Path) -> None:
    path = real("ge_xeleris_tomo_stress")
    source = read_acquisition(real("ge_530c_recon_supine")).reconstruction
    assert source is not None
    volume = Volume(source.values, source.grid, Unit.PROPORTIONAL_COUNTS)
    result = PipelineResult((Derived(DerivedKind.RECONSTRUCTION, volume, "OSEM"),), Provenance("reconstruction", "1"))
    context = DerivationContext("reconstruction", "1", "0.1.0", {}, NOON)
    made = derived_instances([path], PipelineInput(read_acquisition(path)), result, context)
    for instance in made:
        assert errors_in(instance.file_bytes, tmp_path) == []
    back = tmp_path / "recon.dcm"
    back.write_bytes(made[0].file_bytes)
    assert np.array_equal(read_volume([back]).values, volume.values)


@pytest.mark.parametrize("name", ["ge_530c_recon_supine", "mediso_recon_jaszczak"])
@pytest.mark.filterwarnings("error")
def test_a_reconstruction_can_be_the_source_too(name: str, tmp_path: Path) -> None:
    acquisition = read_acquisition(real(name))
    assert acquisition.reconstruction is not None
    derived = Derived(DerivedKind.CORRECTED_RECONSTRUCTION, acquisition.reconstruction, "corrected")
    result = PipelineResult((derived,), Provenance("p", "1", corrections=("ATTN",)))
    context = DerivationContext("p", "1", "0.1.0", {}, NOON)
    for instance in derived_instances([real(name)], PipelineInput(acquisition), result, context):
        read_header(instance.file_bytes)
        left = [error for error in errors_in(instance.file_bytes, tmp_path) if not _of_the_source(error)]
        assert left == []


def _of_the_source(error: str) -> bool:
    """Tell whether an error is about what we keep as the source has it: identity, or what it never said."""
    return "PatientBirthDate" in error or "RotationInformationSequence" in error
