"""Thinning keeps every count, makes two independent acquisitions, and never shows what is held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.images import UnsuitableAcquisition
from pipelines.training.denoiser_data import (
    Batch,
    TrainingStudy,
    draw_batch,
    split_by_patient,
    training_studies,
    validation_batches,
)
from tests.pipelines.training.studies import a_study, a_training_study

WHOLE = (24, 24)


def drawn(study: TrainingStudy, share: float, seed: int = 0, frames: int = 40) -> Batch:
    """Return frames that are not cropped."""
    whole = replace(study, rows=(0, study.counts.shape[2]))
    return draw_batch([whole], np.random.default_rng(seed), frames, WHOLE, (share, share))


def test_what_is_seen_and_what_is_held_out_are_all_counts() -> None:
    study = a_training_study()
    batch = drawn(study, 0.3)
    views = {frame.tobytes() for frame in study.counts[0].astype(np.float32)}
    assert {frame.tobytes() for frame in batch.frames[:, 2] + batch.held_out} <= views


def test_the_share_that_is_seen_is_the_share_that_was_asked_for() -> None:
    batch = drawn(a_training_study(), 0.25)
    seen = float(batch.frames[:, 2].sum())
    assert seen / (seen + float(batch.held_out.sum())) == pytest.approx(0.25, abs=0.01)
    assert np.allclose(batch.odds, 3.0)


def test_seen_and_held_out_counts_of_noise_are_independent() -> None:
    flat = np.random.default_rng(0).poisson(8.0, (1, 400, 24, 24)).astype(np.uint16)
    study = a_training_study()
    batch = drawn(replace(study, counts=flat, neighbors=np.tile(np.arange(400)[:, None], 5)), 0.5, frames=400)
    correlation = np.corrcoef(batch.frames[:, 2].ravel(), batch.held_out.ravel())[0, 1]
    assert abs(correlation) < 0.02  # as kept and lost shares of a fixed number they would be at -1


def test_of_a_gated_study_all_gates_together_are_learned() -> None:
    study = a_training_study(gates=4)
    level = np.array([10, 20, 30, 40], dtype=np.uint16)[:, None, None, None]
    batch = drawn(replace(study, counts=np.broadcast_to(level, study.counts.shape)), 0.9, frames=400)
    assert np.array_equal(batch.frames[:, 2] + batch.held_out, np.full((400, *WHOLE), 100.0))
    assert batch.frames.mean() == pytest.approx(90.0, rel=0.01)


def test_frames_are_cut_out_of_the_rows_with_counts() -> None:
    study = a_training_study(rows=64)
    counts = study.counts.copy()
    counts[:, :, :30] = counts[:, :, 40:] = 0
    projections = a_study(0, rows=64)
    cut = replace(projections, counts=counts[None].astype(np.float32))
    (limited,) = training_studies(cut, "one")
    assert limited.rows == (26, 44)


@pytest.mark.parametrize("crop", [(16, 16), (40, 64)])
def test_every_crop_has_the_size_that_was_asked_for(crop: tuple[int, int]) -> None:
    studies = [a_training_study(0), a_training_study(1, views=7, rows=18, columns=40)]
    batch = draw_batch(studies, np.random.default_rng(0), 24, crop, (0.1, 0.9))
    assert batch.frames.shape == (24, 5, *crop)
    assert batch.held_out.shape == (24, *crop)


def test_validation_frames_are_the_same_each_time() -> None:
    study = a_training_study()
    first, second = (validation_batches([study], 3, 3, 8, WHOLE) for _ in range(2))
    assert all(np.array_equal(one.frames, other.frames) for one, other in zip(first, second, strict=True))
    assert [float(batch.odds[0]) for batch in first] == [1.0, 3.0, 7.0]


def test_every_window_with_counts_is_learned_from() -> None:
    projections = a_study(0, windows=2)
    assert len(training_studies(projections, "one")) == 2
    projections.counts[1] = 0
    assert len(training_studies(projections, "one")) == 1


def test_counts_that_are_not_whole_are_refused() -> None:
    projections = a_study(0)
    with pytest.raises(UnsuitableAcquisition, match="whole counts"):
        training_studies(replace(projections, counts=projections.counts * 0.7), "one")


def test_studies_of_one_patient_stay_together() -> None:
    studies = [a_training_study(seed, patient=f"patient {seed // 2}") for seed in range(40)]
    cohort = split_by_patient(studies, seed=1)
    held_out = {study.patient for study in cohort.held_out}
    assert len(held_out) == 2
    assert held_out.isdisjoint({study.patient for study in cohort.train})
    assert len(cohort.train) + len(cohort.held_out) == 40
    assert cohort.digest == split_by_patient(studies[::-1], seed=1).digest


def test_a_single_patient_is_not_enough() -> None:
    with pytest.raises(UnsuitableAcquisition, match="1 patients"):
        split_by_patient([a_training_study(0)], seed=0)
