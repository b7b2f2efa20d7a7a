"""Judges the left ventricle's numbers on patients that nothing was made from: `python -m tests.accuracy.hearts`.

Sixty virtual patients are imaged, read and compared with their truth; the tables go to docs/cardiac.md. It takes some
fifteen minutes of two cores. With --images, the images are kept in a folder and made but once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import sys
from pathlib import Path

import numpy as np
import torch

from pipelines.cardiac.segments import ANGLES, RINGS
from pipelines.simulation.left_ventricle import Shape
from pipelines.simulation.uptake import draw_uptake
from tests.accuracy.heart_cases import Case, Float, Image, Truth, images, plan_cases, sample_places, truth_of
from tests.accuracy.heart_readings import Reading, read
from tests.accuracy.heart_tables import tables

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cardiac.md"
BEGIN, END = "<!-- evaluation: begin -->", "<!-- evaluation: end -->"
FIRST_SEED = 7000
NORMAL_WALLS = 400  # whose mean uptake is the normal one


def normal_uptake() -> Float:
    """Return the mean relative uptake `[ring, angle]` of normal walls."""
    places = sample_places(Shape(half_width=19.0, half_length=43.0, cut=0.64, wall=12.0))
    walls = [draw_uptake(np.random.default_rng([number, 41]), ()).normal(places) for number in range(NORMAL_WALLS)]
    mean: Float = np.mean(walls, axis=0)
    assert mean.shape == (RINGS, ANGLES)
    return mean


def imaged(case: Case, folder: Path | None) -> tuple[Truth, list[Image]]:
    """Return a case's truth and images, from the folder if it holds them."""
    path = folder / f"{case.seed}.pkl" if folder else None
    if path is not None and path.exists():
        kept, truth, made = pickle.loads(path.read_bytes())  # noqa: S301 - our own file
        if kept == case:
            return truth, made
    patient = case.make()
    truth, made = truth_of(patient), list(images(case, patient))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps((case, truth, made)))
    return truth, made


def read_case(case: Case, folder: Path | None, normal: Float) -> list[Reading]:
    """Return what is read from all images of a case."""
    truth, made = imaged(case, folder)
    return [read(case, truth, image, normal) for image in made]


def main() -> None:
    """Image, read, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder that keeps the images (some 300 MB)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="the file to write into")
    given = parser.parse_args()
    normal = normal_uptake()
    work = [(case, given.images, normal) for case in plan_cases(given.first_seed, given.number)]
    with multiprocessing.get_context("spawn").Pool(given.processes, torch.set_num_threads, (1,)) as pool:
        readings = [reading for part in pool.starmap(read_case, work, chunksize=1) for reading in part]
    text = tables(readings)
    sys.stdout.write(text)
    write_between(given.document, text)


def write_between(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a document; raises ValueError if it lacks them."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks the marks between which the tables belong")
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


if __name__ == "__main__":
    main()
