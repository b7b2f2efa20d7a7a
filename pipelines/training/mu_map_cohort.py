"""Virtual patients as pairs of images and mu-map for the training of mu-map networks, made once and kept in files.

Run as `python -m pipelines.training.mu_map_cohort FOLDER --seed 7 --scans 200 --patients 160 --jobs 2`; an interrupted
run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from pipelines.images import Volume
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import StudyPlan, StudySettings, make_study, plan_attenuation_cohort
from pipelines.simulation.vendor import vendor_reconstruction
from pipelines.simulation.virtual_patient import VirtualPatient
from pipelines.training.mu_map_data import MapPair, PairMaker, write_pair

VENDOR_ONLY = "iq-spect"  # whose projections none but the vendor can reconstruct
MIX = ("symbia", "symbia", "discovery", "symbia", "prospect", "brightview")  # cameras, dealt out in turn


@dataclass(frozen=True)
class PairOrder:
    """One pair to make."""

    folder: Path
    plan: StudyPlan
    camera: str
    misregistered: bool
    maker: PairMaker

    @property
    def path(self) -> Path:
        """The pair's file."""
        plan = self.plan
        error = "-misregistered" if self.misregistered else ""
        return self.folder / f"{plan.patient:08d}-{plan.study:04d}-{plan.state.value}-{self.camera}{error}.npz"


def make_virtual_pair(order: PairOrder) -> MapPair:
    """Return one virtual pair; the patients of a plan keep the part of the data that the plan lays down."""
    plan = order.plan
    settings = StudySettings(CAMERAS[order.camera], with_mu_map=True, misregistered=order.misregistered)
    study = make_study(plan, settings)
    if study.mu_map is None:
        raise ValueError("a study that was asked for a mu-map has one")
    wall, split, patient = _wall(study.patient), plan.split.value, f"VIRTUAL-{plan.patient:08d}"
    maker, projections, mu_map = order.maker, study.projections, study.mu_map
    if order.camera == VENDOR_ONLY:
        return maker.of_reconstruction(vendor_reconstruction(projections), mu_map, patient, wall=wall, split=split)
    return maker.of_projections(projections, mu_map, patient, wall=wall, split=split)


def _wall(patient: VirtualPatient) -> Volume:
    values = np.zeros(patient.activity.grid.shape, dtype=np.float32)
    values[patient.gates_box] = patient.ventricle
    return Volume(values / max(float(values.max()), 1e-12), patient.activity.grid, patient.activity.unit)


def write_virtual_pair(order: PairOrder) -> Path:
    """Make a pair, unless its file is there; return the file."""
    if not order.path.exists():
        torch.set_num_threads(1)
        write_pair(order.path, make_virtual_pair(order))
    return order.path


def orders(
    folder: Path, seed: int, scans: int, patients: int, cameras: Sequence[str], misregistered: bool
) -> list[PairOrder]:
    """Return the pairs of a cohort like the paper's, its cameras dealt out in turn."""
    plans = plan_attenuation_cohort(seed, scans, patients)
    maker = PairMaker(seed=seed)
    return [
        PairOrder(folder, plan, cameras[number % len(cameras)], misregistered, maker)
        for number, plan in enumerate(plans)
    ]


def main() -> None:
    """Make a cohort of pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scans", type=int, default=150)
    parser.add_argument("--patients", type=int, default=103)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--camera", action="append", choices=sorted(CAMERAS), help="several are dealt out in turn")
    parser.add_argument("--misregistered", action="store_true", help="maps lie as a CT usually does: a little off")
    given = parser.parse_args()
    wanted = orders(given.folder, given.seed, given.scans, given.patients, given.camera or MIX, given.misregistered)
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        for path in pool.map(write_virtual_pair, wanted):
            print(path, flush=True)  # noqa: T201 - what the command is for


if __name__ == "__main__":
    main()
