"""A small CT series for tests: a box of soft tissue in air, written as the virtual scanner writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dicomnode.objects.virtual_ct import write_ct
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from tests.factories import NOON

GRID = VoxelGrid.axial((6, 7, 9), (5.0, 2.5, 2.0), (12.25, -30.5, 101.125))


def a_ct(grid: VoxelGrid = GRID) -> Volume:
    """Return random whole Hounsfield units, with the lowest and the highest that a scanner stores among them."""
    values = np.random.default_rng(3).integers(-1024, 3072, grid.shape).astype(np.float32)
    values[0, 0, 0], values[-1, -1, -1] = -1024, 3071
    return Volume(values, grid, Unit.HOUNSFIELD)


def as_files(
    folder: Path, ct: Volume | None = None, change: Callable[[int, bytes], bytes] = lambda number, file: file
) -> list[Path]:
    """Return the files of a CT, from head to feet; `change` may spoil each, counted from 0."""
    return stored(folder, [change(k, file) for k, file in enumerate(write_ct(ct or a_ct(), VirtualStudy(), NOON))])


def stored(folder: Path, files: Sequence[bytes]) -> list[Path]:
    """Return the paths of these files in a folder."""
    paths = [folder / f"{k:03d}.dcm" for k in range(len(files))]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file)
    return paths
