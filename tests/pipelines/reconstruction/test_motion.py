"""A patient who moves is noticed, the distance is right, and the correction undoes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import Verdict
from pipelines.images import EnergyWindow, Projections
from pipelines.physics.collimator import LEHR
from pipelines.reconstruction.motion import correct_motion, find_motion, shifted_toward_head
from tests.accuracy.analytic import project_attenuated
from tests.accuracy.phantoms import THORAX, orbit

GEOMETRY = orbit(32, 180.0, 40, 32, 10.0)
VIEWS = np.arange(32)
AFTER = np.where(VIEWS >= 20, 2.0, 0.0)
FOR_A_WHILE = np.where((VIEWS >= 8) & (VIEWS < 14), -1.5, 0.0)


@pytest.fixture(scope="module")
def still() -> Projections:
    expected = project_attenuated(THORAX.activity, THORAX.attenuation, GEOMETRY, LEHR["GE"].sigma_mm, 1)
    counts = np.random.default_rng(1).poisson(expected * 3e6 / expected.sum()).astype(np.float32)
    return Projections(counts[None, None], GEOMETRY, (EnergyWindow(126.0, 154.0),))


def moved(still: Projections, rows: np.ndarray) -> Projections:
    return replace(still, counts=shifted_toward_head(still.counts[0, 0], rows)[None, None])


def thinned(whole: Projections, dose: float, seed: int) -> Projections:
    few = np.random.default_rng(seed).binomial(whole.counts.astype(np.int64), dose)
    return replace(whole, counts=few.astype(np.float32))


def on_crystal(projections: Projections) -> Projections:
    counts = projections.counts.copy()
    counts[..., :6, :] = counts[..., 27:, :] = 0.0
    return replace(projections, counts=counts)


def test_a_patient_who_lay_still_is_not_accused(still: Projections) -> None:
    motion = find_motion(still)
    assert motion.largest_mm == 0.0
    assert motion.findings == ()
    assert motion.lateral_residual_mm < 3.0


@pytest.mark.parametrize("rows", [AFTER, FOR_A_WHILE], ids=["moved once", "moved and came back"])
def test_the_distance_and_the_views_are_found(still: Projections, rows: np.ndarray) -> None:
    motion = find_motion(moved(still, rows))
    np.testing.assert_allclose(motion.axial_shift_mm, 10.0 * (rows - rows.mean()), atol=5.0)
    assert motion.largest_mm == pytest.approx(10.0 * np.ptp(rows), abs=5.0)
    assert motion.findings[0].verdict is Verdict.WARN
    assert "moved by" in motion.findings[0].text


@pytest.mark.parametrize("dose", [1 / 4, 1 / 8, 1 / 20])
def test_few_counts_are_no_motion(still: Projections, dose: float) -> None:
    for seed in range(20):
        motion = find_motion(thinned(still, dose, seed))
        assert motion.largest_mm == 0.0
        assert motion.lateral_jump is None


@pytest.mark.parametrize("dose", [1.0, 1 / 4])
@pytest.mark.parametrize("rows", [AFTER, FOR_A_WHILE], ids=["moved once", "moved and came back"])
def test_a_crystal_that_ends_within_the_body_hides_no_motion(still: Projections, rows: np.ndarray, dose: float) -> None:
    cut = on_crystal(moved(thinned(still, dose, 3), rows))
    assert find_motion(on_crystal(thinned(still, dose, 3))).largest_mm == 0.0
    assert find_motion(cut).largest_mm == pytest.approx(10.0 * np.ptp(rows), abs=6.0)


def test_a_jump_across_the_table_is_told_where_it_is_and_is_not_undone(still: Projections) -> None:
    counts = still.counts.copy()
    counts[:, :, 20:] = np.roll(counts[:, :, 20:], 2, axis=-1)
    aside = replace(still, counts=counts)
    motion = find_motion(aside)
    assert motion.lateral_jump is not None
    assert motion.lateral_jump.mm == pytest.approx(20.0, abs=3.0)
    assert motion.lateral_jump.between_deg == tuple(sorted(GEOMETRY.angles_deg[19:21]))
    (finding,) = motion.findings
    assert finding.verdict is Verdict.WARN
    assert "across the table between the views at" in finding.text
    assert not motion.moved_along_table
    np.testing.assert_allclose(correct_motion(aside, motion).counts, counts, atol=1e-3)


def test_a_single_row_or_an_empty_view_shows_no_motion(still: Projections) -> None:
    counts = still.counts.copy()
    counts[..., :20, :] = counts[..., 21:, :] = 0.0
    assert find_motion(replace(still, counts=counts)).largest_mm == 0.0
    assert find_motion(replace(still, counts=np.zeros_like(counts))).findings == ()
    gap = still.counts.copy()
    gap[:, :, 7] = 0.0
    assert find_motion(replace(still, counts=gap)).findings == ()


def test_correction_brings_the_views_back(still: Projections) -> None:
    shaken = moved(still, AFTER)
    mended = correct_motion(shaken, find_motion(shaken))
    inner = (slice(None), slice(None), slice(None), slice(5, -5))
    before, after = (
        np.abs(p.counts[inner] - moved(still, AFTER * 0 + AFTER.mean()).counts[inner]).sum() for p in (shaken, mended)
    )
    assert after < 0.6 * before
    assert find_motion(mended).findings == ()


def test_heads_that_are_stored_one_after_the_other_are_compared_by_angle(still: Projections) -> None:
    order = np.concatenate([VIEWS[16:], VIEWS[:16]])
    angles = tuple(GEOMETRY.angles_deg[view] for view in order)
    stored = replace(moved(still, AFTER), geometry=replace(GEOMETRY, angles_deg=angles, radius_mm=None))
    stored = replace(stored, counts=moved(still, AFTER).counts[:, :, order])
    straight = find_motion(moved(still, AFTER)).axial_shift_mm
    np.testing.assert_allclose(find_motion(stored).axial_shift_mm, np.array(straight)[order])


def test_shifting_moves_toward_the_head_by_whole_and_broken_rows() -> None:
    counts = np.zeros((2, 9, 3), np.float32)
    counts[:, 4] = 1.0
    shifted = shifted_toward_head(counts, np.array([2.0, -0.5]))
    assert shifted[0, 2, 0] == 1.0
    place = (shifted[1, :, 0] * np.arange(9)).sum() / shifted[1, :, 0].sum()
    assert place == pytest.approx(4.5)
