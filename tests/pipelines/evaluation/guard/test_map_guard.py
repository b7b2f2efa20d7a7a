"""The trial of attenuation correction's guard: damage is what its name says, reaches the networks, and is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.evaluation.guard.map_damage import (
    BY_NAME,
    MAP_KINDS,
    MEASURED,
    MapPresented,
    measured,
    plans,
    sound,
)
from pipelines.evaluation.guard.map_faults import (
    SOFT_PER_CM,
    MapFault,
    ball,
    faulty_map_networks,
    filled_lungs,
    flipped,
    scaled,
    shifted,
)
from pipelines.evaluation.guard.map_tables import as_json, as_markdown
from pipelines.evaluation.guard.map_trial import try_map_guard
from pipelines.evaluation.guard.studies import GuardStudy, make
from pipelines.evaluation.guard.trial import SOUND, Order, Outcome, Record, stamp_of, write_record
from pipelines.evaluation.guard.which import judges_mu_maps
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.networks.mu_map import MuMapNetwork
from pipelines.networks.mu_map_predict import predict_mu_map
from pipelines.networks.weights import WeightsError
from pipelines.simulation.anatomy import Position
from tests.pipelines.evaluation.attenuation.records import tiny_models

GRID = VoxelGrid.axial((8, 8, 8), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def study() -> GuardStudy:
    torch.set_num_threads(1)
    return make(plans(1)[0])


def a_map() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).uniform(0.0, 0.2, GRID.shape)).float()


def test_all_studies_are_supine_at_full_dose_and_fewer_are_the_first_of_more() -> None:
    planned = plans(30)
    assert {(one.dose_fraction, one.gated, one.plan.position) for one in planned} == {(1.0, False, Position.SUPINE)}
    assert plans(3) == planned[:3]
    assert len({kind.name for kind in MAP_KINDS}) == len(MAP_KINDS)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (flipped(0), lambda mu: mu.flip(0)),
        (scaled(0.8), lambda mu: 0.8 * mu),
        (shifted((30.0, 0.0, 0.0)), lambda mu: mu.roll(3, 2)),
        (shifted((0.0, 0.0, 30.0)), lambda mu: mu.roll(3, 0)),
    ],
)
def test_a_fault_does_what_its_name_says(fault: MapFault, expected: MapFault) -> None:
    assert torch.equal(fault(a_map(), GRID), expected(a_map()))  # type: ignore[call-arg]


def test_filled_lungs_and_a_hole_leave_the_rest_alone() -> None:
    mu = a_map()
    filled = filled_lungs(mu, GRID)
    lung = (mu > 0.02) & (mu < 0.10)
    assert torch.all(filled[lung] == SOFT_PER_CM)
    assert torch.equal(filled[~lung], mu[~lung])
    painted = ball((15.0, 5.0, -25.0), 4.0, 0.0)(mu, GRID)
    (place,) = (painted != mu).nonzero().tolist()
    np.testing.assert_allclose(GRID.position_mm(*place), (15.0, 5.0, -25.0))


def test_faults_reach_every_network_or_the_first_alone_and_end_with_the_trial() -> None:
    volume = Volume(np.random.default_rng(2).uniform(0, 1, (16, 16, 16)).astype(np.float32),
                    VoxelGrid.axial((16, 16, 16), (19.2,) * 3, (0.0, 0.0, 0.0)), Unit.COUNTS)  # fmt: skip
    networks = [MuMapNetwork((4, 8), 1) for _ in range(2)]

    def told() -> list[np.ndarray]:
        return [one.values for one in predict_mu_map([volume], None, networks, voxel_mm=19.2).members]

    plain = told()
    with faulty_map_networks(scaled(0.5), volume.grid, 19.2):
        assert all(np.allclose(a, 0.5 * b, atol=1e-6) for a, b in zip(told(), plain, strict=True))
    with faulty_map_networks(scaled(0.5), volume.grid, 19.2, only_first=True):
        first, second = told()
        assert np.allclose(first, 0.5 * plain[0], atol=1e-6)
        assert np.array_equal(second, plain[1])
    assert all(np.array_equal(a, b) for a, b in zip(told(), plain, strict=True))


def values_of(shown: MapPresented) -> np.ndarray:
    assert shown.measured is not None
    return shown.measured.values


def test_measured_maps_are_damaged_and_counts_are_left_as_they_are(study: GuardStudy) -> None:
    fine = measured(study)
    assert 0.1 < float(values_of(fine).max()) < 0.25
    for name in ("CT another's", "CT mirrored", "CT upside down", "CT scaled", "CT in 1/mm"):
        kind = BY_NAME[name]
        shown = kind.damage(study)
        assert kind.against == MEASURED
        assert not np.array_equal(values_of(shown), values_of(fine))
        assert shown.acquisition is study.acquisition
    moved = BY_NAME["CT 40 mm off"].damage(study).measured
    assert moved is not None
    assert fine.measured is not None
    np.testing.assert_allclose(moved.grid.position_mm(0, 0, 0) - fine.measured.grid.position_mm(0, 0, 0), (40, 0, 0))


def test_damaged_counts_and_faults_are_for_the_network(study: GuardStudy) -> None:
    for kind in MAP_KINDS:
        if kind.against == SOUND:
            shown = kind.damage(study)
            assert shown.measured is None
            assert (shown.fault is not None) != (shown.acquisition is not study.acquisition)
    assert sound(study).fault is None


def a_record(number: int, verdicts: dict[str, str]) -> Record:
    outcomes = {
        name: Outcome(verdict, () if verdict == "pass" else ((verdict, f"remark {number} on {name or 'nothing'}"),), {})
        for name, verdict in verdicts.items()
    }
    return Record(number, "symbia", 1.0, gated=False, model="m", outcomes=outcomes)


def test_each_damage_is_compared_with_the_sound_study_of_its_own_source() -> None:
    records = [
        a_record(1, {SOUND: "pass", MEASURED: "warn", "hole": "quarantine", "CT scaled": "quarantine"}),
        a_record(2, {SOUND: "pass", MEASURED: "pass", "hole": "pass", "CT scaled": "warn"}),
    ]
    document = as_json(records)
    damage = {one["kind"]: one for one in document["damage"]}  # type: ignore[attr-defined]
    assert (damage["hole"]["noticed"], damage["hole"]["held_back"], damage["hole"]["studies"]) == (1, 1, 2)
    assert (damage["CT scaled"]["noticed"], damage["CT scaled"]["held_back"]) == (2, 1)
    words = as_markdown(records)
    assert "| a measured map, misregistered as usual | 0 of 2 (0.0 %) | 1 of 2 (50.0 %) |" in words
    assert "| network's map with a hole of 8 cm in front of the heart | 1 of 2 | 1 of 2 | symbia 1 |" in words


def test_a_study_that_was_tried_with_the_same_weights_is_kept(tmp_path: Path) -> None:
    tiny_models(tmp_path / "models")
    assert judges_mu_maps("tiny", tmp_path / "models")
    with pytest.raises(WeightsError, match="absent"):
        judges_mu_maps("absent", tmp_path / "models")
    order = Order(plans(1)[0], False, "tiny", tmp_path / "models", tmp_path)
    kept = replace(a_record(0, {SOUND: "pass"}), model=stamp_of("tiny", tmp_path / "models"))
    write_record(order.file, kept)
    assert try_map_guard(order) == kept
