"""A virtual patient and files of real cameras, through the reconstruction to numbers: found, and plausible."""

from __future__ import annotations

import numpy as np
import pytest

from dicomnode.objects.reader import read_acquisition
from pipelines import catalog
from pipelines.cardiac.left_ventricle import NoHeartFound, find_left_ventricle
from pipelines.cardiac.limits_library import limits_for
from pipelines.cardiac.polar_map import polar_map
from pipelines.cardiac.quantification import perfusion
from pipelines.cardiac.ventricle_shape import ventricle_shape
from pipelines.contract import Acquisition, PipelineInput
from pipelines.images import Projections, Volume
from pipelines.simulation.acquisition import acquire
from pipelines.simulation.anatomy import Sex
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.uptake import Defect
from pipelines.simulation.virtual_patient import make_patient
from tests.factories import REAL_DATA
from tests.pipelines.cardiac.hearts import angle_deg


def reconstructed(projections: Projections) -> Volume:
    done = catalog.run("reconstruction", PipelineInput(Acquisition("study", projections=projections)), "cpu")
    volume = done.derived[0].data
    assert isinstance(volume, Volume)
    return volume


INFERIOR_SCAR = Defect((0.2, 0.0, -0.98), 35.0, 40.0, 0.8, 0.0)  # of (along, lateral, anterior)


def test_a_virtual_patients_heart_is_found_and_its_scar_lies_in_the_inferior_wall() -> None:
    patient = make_patient(9006, sex=Sex.MALE, defects=(INFERIOR_SCAR,))
    volume = reconstructed(acquire(patient, CAMERAS["prospect"], np.random.default_rng(3)))
    found, truth = find_left_ventricle(volume), patient.truth
    assert angle_deg(found.long_axis, np.subtract(truth.endocardial_apex_mm, truth.base_mm)) < 8.0
    assert np.linalg.norm(np.subtract(found.center_mm, truth.ventricle_center_mm)) < 6.0
    limits = limits_for("M", "stress", corrected=False)
    assert limits is not None
    numbers = perfusion(polar_map(volume, found), limits)
    assert int(np.argmin(numbers.segments_percent)) + 1 in (4, 10, 15)
    assert numbers.segments_percent[9] < 80.0
    assert numbers.segments_percent[6] > numbers.segments_percent[9] + 20.0  # the anterior wall stays
    assert 0.5 * truth.perfusion.tpd_percent < numbers.tpd_percent < 1.3 * truth.perfusion.tpd_percent


@pytest.mark.parametrize("name", ["ge_530c_recon_supine", "ge_530c_recon_supine_2", "ge_xeleris_tomo_stress"])
def test_real_hearts_are_found_with_plausible_axes_and_sizes(name: str) -> None:
    volume = real_volume(name)
    found = find_left_ventricle(volume)
    assert 15 < found.azimuth_deg < 70
    assert -5 < found.elevation_deg < 50
    assert found.confidence > 0.7
    shape = ventricle_shape(found)
    assert 30 < shape.cavity_ml < 250
    assert 60 < shape.wall_ml < 300
    assert float(polar_map(volume, found).counts.min()) >= 0.0


def test_a_phantom_without_a_heart_is_refused() -> None:
    volume = real_volume("mediso_recon_jaszczak")
    with pytest.raises(NoHeartFound):
        find_left_ventricle(volume)


def real_volume(name: str) -> Volume:
    path = REAL_DATA / f"{name}.dcm"
    if not path.exists():
        pytest.skip(f"the public camera file {path.name} is not beside the checkout (shared/realdata)")
    acquisition = read_acquisition(path)
    if acquisition.reconstruction is not None:
        return acquisition.reconstruction
    assert acquisition.projections is not None
    return reconstructed(acquisition.projections)
