"""A virtual acquisition counts as a camera does: as many, as noisy, in as many windows and gates, and reproducibly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipelines.geometry import RotationDirection
from pipelines.images import UnsuitableAcquisition
from pipelines.simulation.acquisition import Expected, Motion, acquire, expect, thin
from pipelines.simulation.camera import CAMERAS, DISCOVERY, IQ_SPECT, PROSPECT, SYMBIA, Camera
from pipelines.simulation.truth import as_json
from pipelines.simulation.virtual_patient import VirtualPatient


def few_views(camera: Camera, views: int = 6) -> Camera:
    return replace(camera, protocol=replace(camera.protocol, views=views))


@pytest.fixture(scope="module")
def seen(man: VirtualPatient) -> Expected:
    return expect(man, PROSPECT, np.random.default_rng(1), gated=False)


@pytest.fixture(scope="module")
def beating(man: VirtualPatient) -> Expected:
    return expect(man, few_views(DISCOVERY), np.random.default_rng(1), gated=True)


def test_a_study_has_as_many_counts_as_clinical_ones(seen: Expected) -> None:
    assert 1.3e6 < seen.truth.total_counts < 6.0e6  # of 32 views
    assert 0.08e6 < seen.truth.ventricle_counts < 0.22e6
    assert 0.25 < seen.truth.scatter_to_primary < 0.48
    assert 70 < seen.projections.counts.max() < 700


def test_the_noise_is_poisson(seen: Expected) -> None:
    mean = seen.projections.counts.astype(np.float64)
    counts = seen.count(np.random.default_rng(3)).counts
    assert np.array_equal(counts, np.rint(counts))
    bright = mean > 5
    deviation = (counts - mean)[bright] / np.sqrt(mean[bright])
    assert deviation.mean() == pytest.approx(0.0, abs=0.02)
    assert deviation.var() == pytest.approx(1.0, abs=0.03)


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_threads(man: VirtualPatient) -> None:
    camera, threads = few_views(SYMBIA, 4), torch.get_num_threads()
    found = []
    for number in (1, 2):
        torch.set_num_threads(number)
        found.append(acquire(man, camera, np.random.default_rng(5), gated=True).counts.tobytes())
    torch.set_num_threads(threads)
    assert found[0] == found[1]


def test_half_the_dose_is_half_the_counts_and_poisson_again(seen: Expected) -> None:
    full = seen.count(np.random.default_rng(4))
    half = thin(full, 0.5, np.random.default_rng(5))
    assert half.counts.sum() == pytest.approx(full.counts.sum() / 2, rel=0.003)
    mean = seen.projections.counts.astype(np.float64) / 2
    bright = mean > 5
    assert ((half.counts - mean)[bright] ** 2 / mean[bright]).mean() == pytest.approx(1.0, abs=0.03)
    assert np.all(half.counts <= full.counts)


def test_the_gates_add_up_to_the_ungated_study_at_every_dose(man: VirtualPatient, beating: Expected) -> None:
    ungated = expect(man, few_views(DISCOVERY), np.random.default_rng(1), gated=False).projections.counts
    even = beating.projections.counts.astype(np.float64)
    even[:, -1] /= beating.truth.last_gate
    np.testing.assert_allclose(even.sum(axis=1), ungated[:, 0], rtol=0.02, atol=0.02)
    counts = beating.count(np.random.default_rng(2), dose_fraction=0.25)
    assert counts.gates == 8
    assert counts.ungated().counts.sum() == pytest.approx(beating.truth.total_counts / 4, rel=0.01)


def test_the_last_gate_counts_less(beating: Expected) -> None:
    gates = beating.projections.counts[0].sum(axis=(1, 2, 3))
    assert 0.8 <= beating.truth.last_gate < 1.0
    assert gates[-1] / gates[:-1].mean() == pytest.approx(beating.truth.last_gate, rel=0.01)


def test_the_heart_is_smallest_in_systole(man: VirtualPatient, beating: Expected) -> None:
    gates = beating.projections.counts[0].astype(np.float64)
    gates[-1] /= beating.truth.last_gate
    systole = int(np.argmin(man.truth.gate_volumes_ml))
    assert np.abs(gates[systole] - gates[0]).sum() > 3 * np.abs(gates[-1] - gates[0]).sum()


def test_only_the_crystal_counts(seen: Expected) -> None:
    rows = seen.projections.counts[0, 0].sum(axis=(0, 2))
    assert (rows > 0).sum() == 40  # 250 mm of 6.4 mm rows, the outer two in part
    assert rows[12] == pytest.approx(0.53 * rows[13], rel=0.1)
    columns = seen.projections.counts[0, 0].sum(axis=(0, 1))
    assert (columns > 0).all()


def test_a_scatter_window_counts_what_was_scattered(man: VirtualPatient) -> None:
    both = expect(man, few_views(SYMBIA, 4), np.random.default_rng(1), gated=False).projections
    assert both.counts.shape[0] == len(both.windows) == 2
    peak, scatter = (window.sum() for window in both.counts)
    assert 0.35 < scatter / peak < 0.75

    def roughness(image: np.ndarray) -> float:
        return float(np.abs(np.diff(image, axis=-1)).sum() / image.sum())

    assert roughness(both.counts[1]) < 0.9 * roughness(both.counts[0])


def test_a_patient_who_slides_toward_the_head_moves_up_in_the_views_after_it(man: VirtualPatient) -> None:
    camera = few_views(DISCOVERY, 8)
    still = expect(man, camera, np.random.default_rng(1), gated=False).projections
    moved = expect(
        man, camera, np.random.default_rng(1), gated=False, motion=Motion(step_mm=(0.0, 0.0, 13.6), step_at=2)
    )
    one, two = still.counts[0, 0], moved.projections.counts[0, 0]
    for view in range(8):
        shift = 2 if camera.time_step(view) >= 2 else 0  # two rows of 6.8 mm
        expected = np.roll(one[view], -shift, axis=0)
        assert np.abs(two[view] - expected)[8:-8].sum() < 0.05 * one[view].sum()
    assert set(moved.truth.motion_mm) == {(0.0, 0.0, 0.0), (0.0, 0.0, 14.0)}
    assert as_json(moved.truth)["camera"] == "discovery"


def test_both_heads_see_a_movement_at_the_same_time() -> None:
    assert [DISCOVERY.time_step(view) for view in (0, 14, 15, 29)] == [0, 14, 0, 14]


def test_a_focussed_camera_counts_less_noise_near_the_heart(man: VirtualPatient) -> None:
    seen = expect(man, few_views(IQ_SPECT, 3), np.random.default_rng(1), gated=False)
    assert seen.projections.geometry.isocenter_mm == pytest.approx(man.truth.ventricle_center_mm, abs=0.06)
    weights = seen.sensitivity
    assert weights[64, 64] == pytest.approx(4.0, rel=0.01)
    assert weights[0, 0] == pytest.approx(1.0, rel=0.01)
    mean = seen.projections.counts[0, 0].astype(np.float64)
    counts = np.stack([seen.count(np.random.default_rng(seed)).counts[0, 0] for seed in range(12)])
    middle = (slice(None), slice(56, 72), slice(56, 72))
    noise = ((counts - mean) ** 2)[:, *middle].mean() / mean[middle].mean()
    assert noise == pytest.approx(0.25, rel=0.15)


def test_the_orbit_runs_from_right_front_to_left_back(man: VirtualPatient) -> None:
    geometry = DISCOVERY.geometry(man, np.random.default_rng(1))
    assert geometry.angles_deg[0] == 225.0
    assert geometry.angles_deg[-1] == pytest.approx(225.0 - 29 * 6.0)
    back = replace(DISCOVERY.protocol, direction=RotationDirection.COUNTERCLOCKWISE, start_deg=45.0)
    assert back.angles_deg[:2] == (45.0, 51.0)


@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_the_heads_clear_the_body(man: VirtualPatient, name: str) -> None:
    geometry = CAMERAS[name].geometry(man, np.random.default_rng(1))
    assert geometry.radius_mm is not None
    grid = man.mu_map.grid
    row, column = np.nonzero((man.mu_map.values > 0.02).any(axis=0))
    x = grid.matrix[0, 3] + column * grid.voxel_mm[2] - geometry.isocenter_mm[0]
    y = grid.matrix[1, 3] + row * grid.voxel_mm[1] - geometry.isocenter_mm[1]
    for angle, radius in zip(np.radians(geometry.angles_deg), geometry.radius_mm, strict=True):
        assert radius - (x * np.sin(angle) + y * np.cos(angle)).max() > 14.0
    assert (len(set(geometry.radius_mm)) > 1) == CAMERAS[name].protocol.contour


def test_the_collimators_resolve_what_their_makers_state() -> None:
    at_ten_centimetres = {name: float(camera.blur.fwhm_mm(np.array(100.0))) for name, camera in CAMERAS.items()}
    assert at_ten_centimetres["prospect"] == pytest.approx(7.6, abs=0.05)
    assert at_ten_centimetres["symbia"] == pytest.approx(7.0, abs=0.2)
    assert at_ten_centimetres["discovery"] == pytest.approx(7.0, abs=0.2)


def test_a_dose_that_is_no_share_is_refused(seen: Expected) -> None:
    counts = seen.count(np.random.default_rng(1))
    with pytest.raises(UnsuitableAcquisition, match="dose fraction"):
        thin(counts, 1.5, np.random.default_rng(1))
    with pytest.raises(UnsuitableAcquisition, match="whole counts"):
        thin(seen.projections, 0.5, np.random.default_rng(1))
