"""Pairs of images and mu-map are made from an acquisition, kept in files, and split by patient for good."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, UnsuitableAcquisition, Volume
from pipelines.reconstruction.emission_images import LEVEL_ITERATIONS, emission_images
from pipelines.training.mu_map_data import (
    PairMaker,
    known_slices,
    mu_from_ct,
    read_pair,
    split_pairs,
    write_pair,
)
from tests.pipelines.training.maps import a_pair, a_scan, geometry, map_grid


def no_wall() -> Volume:
    return Volume(np.zeros(map_grid().shape, dtype=np.float32), map_grid(), Unit.PROPORTIONAL_COUNTS)


def test_a_pair_holds_the_levels_as_shares_of_their_brightest_voxel() -> None:
    projections, mu_map = a_scan(0)
    pair, images = a_pair(0), emission_images(projections)
    assert pair.levels.shape == (2, len(LEVEL_ITERATIONS), *images.levels[0].grid.shape)
    last = images.levels[-1].values
    assert np.allclose(pair.levels[0, -1], last / last.max(), atol=1e-3)
    assert np.allclose(pair.mu_per_cm, mu_map.values, atol=1e-3)
    assert pair.scatter is not None
    assert pair.corrected is not None
    assert pair.angles_deg == geometry().angles_deg


def test_copies_differ_in_their_noise_and_are_the_same_each_time() -> None:
    pair = a_pair(0)
    assert not np.array_equal(pair.levels[0], pair.levels[1])
    projections, mu_map = a_scan(0)
    again = PairMaker().of_projections(projections, mu_map, "patient 0", wall=no_wall())
    assert np.array_equal(again.levels, pair.levels)


def test_counts_that_are_no_events_are_not_thinned() -> None:
    projections, mu_map = a_scan(0)
    halves = replace(projections, counts=projections.counts * np.float32(0.5))
    assert PairMaker().of_projections(halves, mu_map, "patient", wall=no_wall()).levels.shape[0] == 1


def test_a_vendors_reconstruction_is_its_only_level() -> None:
    projections, mu_map = a_scan(0)
    volume = emission_images(projections).levels[-1]
    pair = PairMaker().of_reconstruction(volume, mu_map, "patient", wall=no_wall())
    assert pair.levels.shape[:2] == (1, 1)
    assert pair.scatter is None


def test_an_empty_reconstruction_is_no_image_to_learn_from() -> None:
    _, mu_map = a_scan(0)
    empty = Volume(np.zeros_like(mu_map.values), mu_map.grid, Unit.PROPORTIONAL_COUNTS)
    with pytest.raises(UnsuitableAcquisition, match="holds no activity at all"):
        PairMaker().of_reconstruction(empty, mu_map, "somebody")


def test_the_slices_that_both_hold_are_known_alone() -> None:
    projections, mu_map = a_scan(0)
    low = Volume(np.ascontiguousarray(mu_map.values[:20]), _lower_part(20), Unit.PER_CM)
    pair = PairMaker().of_projections(projections, low, "patient", wall=no_wall())
    assert pair.known_mm == pytest.approx((-128.0, -128.0 + 20 * 8.0))
    assert known_slices(pair.grid, pair.known_mm).tolist() == [True] * 10 + [False] * 6
    with pytest.raises(UnsuitableAcquisition, match="no slice in common"):
        PairMaker().of_projections(projections, replace(mu_map, grid=_shifted(1000.0)), "patient", wall=no_wall())


def _lower_part(slices: int) -> VoxelGrid:
    return VoxelGrid((slices, *map_grid().shape[1:]), map_grid().affine)


def _shifted(z_mm: float) -> VoxelGrid:
    return VoxelGrid.axial((32, 44, 48), (8.0, 8.0, 8.0), (4.0, 8.0, z_mm))


def test_a_map_in_other_units_is_refused() -> None:
    projections, mu_map = a_scan(0)
    with pytest.raises(UnsuitableAcquisition, match="1/cm"):
        PairMaker().of_projections(projections, replace(mu_map, unit=Unit.HOUNSFIELD), "patient")


def test_a_ct_becomes_mu_on_voxels_of_a_cameras_size() -> None:
    grid = VoxelGrid.axial((60, 80, 80), (2.0, 2.0, 2.0), (10.0, 20.0, 30.0))
    values = np.full(grid.shape, -1000.0, dtype=np.float32)
    values[:, 20:60, 20:60] = 0.0
    mu = mu_from_ct(Volume(values, grid, Unit.HOUNSFIELD))
    assert min(mu.grid.voxel_mm) >= 6.0
    assert float(mu.values.max()) == pytest.approx(0.1538, abs=1e-4)
    middle = mu.values[tuple(np.rint(mu.grid.index_of((10.0, 20.0, 30.0))).astype(int))]
    assert middle == pytest.approx(0.1538, abs=1e-4)


def test_a_pair_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    pair = a_pair(0, "train")
    write_pair(tmp_path / "deep" / "pair.npz", pair)
    back = read_pair(tmp_path / "deep" / "pair.npz")
    assert back.digest == pair.digest
    assert (back.grid, back.map_grid, back.angles_deg) == (pair.grid, pair.map_grid, pair.angles_deg)
    assert (back.known_mm, back.split, back.patient) == (pair.known_mm, pair.split, pair.patient)
    assert back.scatter is not None
    assert np.array_equal(back.scatter, pair.scatter)
    assert np.array_equal(back.wall, pair.wall)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.npz").write_bytes(b"no numbers")
    np.savez(tmp_path / "another.npz", levels=np.zeros(3))
    for name in ("other.npz", "another.npz", "none.npz"):
        with pytest.raises(UnsuitableAcquisition, match=name):
            read_pair(tmp_path / name)


def test_patients_fall_to_the_parts_by_their_names_as_70_15_15() -> None:
    pairs = [replace(a_pair(0), patient=f"patient {number}") for number in range(2000)]
    shares = Counter(pair.part for pair in pairs)
    assert shares["train"] / 2000 == pytest.approx(0.7, abs=0.03)
    assert shares["validation"] / 2000 == pytest.approx(0.15, abs=0.03)


def test_both_scans_of_a_patient_fall_to_one_part_and_a_part_laid_down_is_kept() -> None:
    stress, rest = (replace(a_pair(seed), patient="the same") for seed in (0, 1))
    assert stress.part == rest.part
    other = next(part for part in ("train", "validation", "test") if part != stress.part)
    assert replace(stress, split=other).part == other


def test_no_part_may_be_empty() -> None:
    with pytest.raises(UnsuitableAcquisition, match="add patients"):
        split_pairs([a_pair(0, "train"), a_pair(1, "test")])
