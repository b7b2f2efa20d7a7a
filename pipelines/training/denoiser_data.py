"""What the denoiser learns from: a site's own counts, split at random into what it sees and what it must foretell.

Keeping each event with the chance p makes two independent Poisson acquisitions of the same patient (thinning; the
count version of Noise2Noise, Lehtinen et al. 2018), so neither clean images nor low-dose scans are needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Projections, UnsuitableAcquisition
from pipelines.neighbors import REACH, neighbor_views

Counts = NDArray[np.uint16]
MARGIN = 4  # empty rows that are kept beyond those with counts
WALK = 4  # neighboring views that are thinned together
VALIDATION_SHARE = 0.1
VALIDATION_DOSES = (1 / 2, 1 / 4, 1 / 8)


@dataclass(frozen=True)
class TrainingStudy:
    """The counts of one energy window of an acquisition."""

    patient: str  # opaque; all studies of one patient carry the same
    counts: Counts  # [gate, view, row, column]
    neighbors: NDArray[np.int64]  # [view, 5]
    rows: tuple[int, int]  # from, to: where counts are, with a margin; frames to learn from are cut out of them
    pixel_size_mm: float
    photopeak: bool = True  # else a window beside it
    camera_model: str = ""  # as the study names it
    collimator: str = ""

    @property
    def gates(self) -> int:
        """Number of time bins of the cardiac cycle; 1 if ungated."""
        return len(self.counts)

    @property
    def views(self) -> int:
        """Number of angular positions."""
        return len(self.neighbors)


def training_studies(
    projections: Projections, patient: str, camera_model: str = "", collimator: str = ""
) -> tuple[TrainingStudy, ...]:
    """Return an acquisition's windows as training studies; windows without counts are left out.

    Raises UnsuitableAcquisition for counts that are not whole events: those are not Poisson any more.
    """
    counts = projections.counts
    if counts.min() < 0 or counts.max() > np.iinfo(np.uint16).max or not np.array_equal(counts, np.rint(counts)):
        raise UnsuitableAcquisition("only whole counts up to 65535 per pixel can be split for training")
    neighbors = neighbor_views(projections.geometry.angles_deg)
    studies = []
    for number, window in enumerate(counts):
        rows = np.flatnonzero(window.any(axis=(0, 1, 3)))
        if len(rows):
            within = max(int(rows[0]) - MARGIN, 0), min(int(rows[-1]) + 1 + MARGIN, window.shape[2])
            size = projections.geometry.pixel_size_mm[1]
            whole, photopeak = window.astype(np.uint16), number == projections.photopeak
            studies.append(TrainingStudy(patient, whole, neighbors, within, size, photopeak, camera_model, collimator))
    return tuple(studies)


@dataclass(frozen=True)
class Cohort:
    """The studies of a training, split by patient."""

    train: tuple[TrainingStudy, ...]
    held_out: tuple[TrainingStudy, ...]

    @property
    def digest(self) -> str:
        """A name of these data: the same studies in the same split have the same."""
        hashes = (hashlib.sha256(study.counts.tobytes()).digest() for study in (*self.train, *self.held_out))
        return hashlib.sha256(b"".join((*hashes, str(len(self.train)).encode()))).hexdigest()


def split_by_patient(studies: Sequence[TrainingStudy], seed: int) -> Cohort:
    """Return the studies with a tenth of the patients, at least one, held out to choose the model.

    The split depends on the patients' names and the seed alone. Raises UnsuitableAcquisition for a single patient.
    """
    patients = sorted({study.patient for study in studies}, key=lambda name: _shuffled(name, seed))
    if len(patients) < 2:
        raise UnsuitableAcquisition(f"found studies of {len(patients)} patients, training needs at least two")
    chosen = set(patients[: max(round(VALIDATION_SHARE * len(patients)), 1)])
    ordered = sorted(studies, key=lambda study: (study.patient, hashlib.sha256(study.counts.tobytes()).digest()))
    return Cohort(
        tuple(study for study in ordered if study.patient not in chosen),
        tuple(study for study in ordered if study.patient in chosen),
    )


def _shuffled(patient: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {patient}".encode()).hexdigest()


@dataclass(frozen=True)
class Batch:
    """Frames to learn from: counts that the network sees and, of the middle frame, those held out from it."""

    frames: NDArray[np.float32]  # [batch, view (5), row, column]
    held_out: NDArray[np.float32]  # [batch, row, column]
    odds: NDArray[np.float32]  # [batch]: expected held-out counts for each count that is seen, (1 - p) / p


def draw_batch(
    studies: Sequence[TrainingStudy],
    rng: np.random.Generator,
    frames: int,
    crop: tuple[int, int],
    kept: tuple[float, float],
) -> Batch:
    """Return `frames` random frames (a multiple of 4) cut to `crop` rows and columns.

    Four neighboring views come of each study that is drawn, of a gated one the sum of its gates. The share p that is
    seen is drawn log-uniformly from `kept`.
    """
    groups = []
    for _ in range(frames // WALK):
        study = studies[int(rng.integers(len(studies)))]
        groups.append(_group(study, rng, float(np.exp(rng.uniform(*np.log(kept)))), crop))
    return Batch(*(np.concatenate(parts) for parts in zip(*groups, strict=True)))


def validation_batches(
    studies: Sequence[TrainingStudy], seed: int, number: int, frames: int, crop: tuple[int, int]
) -> list[Batch]:
    """Return the same frames each time, as many for each of the doses 1/2, 1/4 and 1/8."""
    rng = np.random.default_rng([seed, 2])
    doses = [VALIDATION_DOSES[index % len(VALIDATION_DOSES)] for index in range(number)]
    return [draw_batch(studies, rng, frames, crop, (dose, dose)) for dose in doses]


Group = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def _group(study: TrainingStudy, rng: np.random.Generator, share: float, crop: tuple[int, int]) -> Group:
    """Return seen frames, held-out counts and odds of four neighboring views."""
    views = _walk(study, int(rng.integers(study.views)))
    needed = np.unique(study.neighbors[views])
    counts = study.counts[:, needed, slice(*study.rows)].sum(axis=0, dtype=np.int64)
    counts = _cropped(counts, rng, crop)
    seen = rng.binomial(counts, share)
    about = np.searchsorted(needed, study.neighbors[views])
    held_out = (counts - seen)[about[:, REACH]]
    odds = np.full(len(views), (1.0 - share) / share, dtype=np.float32)
    return seen[about].astype(np.float32), held_out.astype(np.float32), odds


def _walk(study: TrainingStudy, start: int) -> NDArray[np.int64]:
    views = [start]
    while len(views) < WALK:
        views.append(int(study.neighbors[views[-1], REACH + 1]))
    return np.array(views)


def _cropped(counts: NDArray[np.int64], rng: np.random.Generator, crop: tuple[int, int]) -> NDArray[np.int64]:
    """Return a random window of rows and columns; what is smaller stands at a random place among empty pixels.

    This is how a heart that lies higher or lower on the detector looks; turning or mirroring would be no patient.
    """
    for axis, size in zip((-2, -1), crop, strict=True):
        there = counts.shape[axis]
        first = int(rng.integers(abs(there - size) + 1))
        if there >= size:
            counts = np.take(counts, np.arange(first, first + size), axis=axis)
        else:
            widths = [(0, 0)] * counts.ndim
            widths[axis] = (first, size - there - first)
            counts = np.pad(counts, widths)
    return counts
