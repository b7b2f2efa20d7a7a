"""Normal hearts for normal limits: virtual patients without a defect, reconstructed as the product does it.

A study takes some ten seconds of one core; each is written when it is made, so that an interrupted run goes on.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipelines.contract import CardiacState
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.perfusion.imaging import prepare
from pipelines.perfusion.options import Options
from pipelines.simulation.acquisition import acquire
from pipelines.simulation.anatomy import Position, Sex
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.registration import attenuation_map
from pipelines.simulation.virtual_patient import make_patient

CAMERA_NAMES = ("prospect", "symbia", "discovery")
GROUPS = tuple((sex, state) for sex in Sex for state in (CardiacState.STRESS, CardiacState.REST))
FIRST_SEED, PER_GROUP = 8000, 40
PRONE_EVERY = 4


@dataclass(frozen=True)
class NormalStudy:
    """One normal patient to be made: who, how, on which camera."""

    seed: int
    sex: Sex
    state: CardiacState
    position: Position
    camera: str

    @property
    def file_name(self) -> str:
        """Where its volumes are kept."""
        return f"{self.seed}.npz"


def plan_normals(first_seed: int = FIRST_SEED, per_group: int = PER_GROUP) -> tuple[NormalStudy, ...]:
    """Return as many patients of each sex at stress and at rest; cameras in turn, every fourth patient prone."""
    plans: list[NormalStudy] = []
    for number in range(per_group):
        position = Position.PRONE if number % PRONE_EVERY == PRONE_EVERY - 1 else Position.SUPINE
        camera = CAMERA_NAMES[number % len(CAMERA_NAMES)]
        for sex, state in GROUPS:
            plans.append(NormalStudy(first_seed + len(plans), sex, state, position, camera))
    return tuple(plans)


def reconstructed_normal(plan: NormalStudy) -> tuple[Volume, Volume]:
    """Return a normal patient without and with correction for attenuation (by the true mu-map), full dose."""
    patient = make_patient(plan.seed, sex=plan.sex, state=plan.state, position=plan.position, defects=())
    projections = acquire(patient, CAMERAS[plan.camera], np.random.default_rng([plan.seed, 21]))
    prepared = prepare(projections, Options())
    return prepared.reconstruct("cpu"), prepared.reconstruct("cpu", attenuation_map(patient))


def write_normals(plans: tuple[NormalStudy, ...], folder: Path, processes: int = 2) -> None:
    """Make the patients that the folder does not hold yet, each in a file of its own."""
    missing = [(plan, folder / plan.file_name) for plan in plans if not (folder / plan.file_name).exists()]
    folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(processes, torch.set_num_threads, (1,)) as pool:
        pool.starmap(_write_one, missing, chunksize=1)


def _write_one(plan: NormalStudy, path: Path) -> None:
    plain, corrected = reconstructed_normal(plan)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, plain=plain.values, corrected=corrected.values, affine=plain.grid.matrix)
    unfinished.replace(path)


def read_normal(path: Path) -> tuple[Volume, Volume]:
    """Return what `write_normals` wrote: not corrected, corrected."""
    with np.load(path) as kept:
        rows = tuple(tuple(float(value) for value in row) for row in kept["affine"])
        plain, corrected = kept["plain"], kept["corrected"]
    grid = VoxelGrid(plain.shape, rows)  # type: ignore[arg-type]
    return Volume(plain, grid, Unit.PROPORTIONAL_COUNTS), Volume(corrected, grid, Unit.PROPORTIONAL_COUNTS)
