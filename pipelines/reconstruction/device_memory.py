"""How much memory a reconstruction takes on a GPU, and whether that much is free: asked before a job starts."""

from __future__ import annotations

import torch

from pipelines.contract import NotNow
from pipelines.geometry import AcquisitionGeometry

_SET_ASIDE = 256 << 20  # for the libraries' own work space
_ENTRY_BYTES = 24  # of a sparse matrix and its transpose, once made
_MAKING_BYTES = 130  # per entry while it is made: places as 64-bit numbers, sorted and merged
_NEIGHBORS = 4  # voxels that a sample is interpolated from
_NODES = 14  # blurs that stand for all depths (pipelines/physics/collimator), at most
_VOLUMES, _PROJECTIONS, _PLANES = 8, 6, 3  # of these held at the same time


def free_bytes(device: str) -> int | None:
    """Return what can still be had on a CUDA device, with what torch holds but doesn't use; None for a CPU."""
    if not device.startswith("cuda"):
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def check_room(needed: int, free: int | None, device: str) -> None:
    """Raise NotNow if a job needs more than is free; `free` is None where nobody can tell, as on a CPU."""
    if free is not None and needed + _SET_ASIDE > free:
        raise NotNow(
            f"{device} has {free / 1e9:.1f} GB free, this study needs about {(needed + _SET_ASIDE) / 1e9:.1f} GB: "
            "something else is using it"
        )


def reconstruction_bytes(
    geometry: AcquisitionGeometry, gates: int, subsets: int, *, blurred: bool = False, attenuated: bool = False
) -> int:
    """Return about how many bytes OSEM takes on a GPU at most, all gates at once.

    `blurred`: with the collimator's blur; `attenuated`: with a mu-map. Tables grow with views x columns^2, work with
    gates x the volume.
    """
    views = -(-geometry.views // subsets)
    samples = views * geometry.columns**2  # (view, depth, column)
    entries = _NEIGHBORS * samples * (2 if blurred else 1)
    tables = _ENTRY_BYTES * entries * subsets + _MAKING_BYTES * entries
    volume = 4 * gates * geometry.rows * geometry.columns**2
    projections = 4 * gates * geometry.views * geometry.rows * geometry.columns
    work = _VOLUMES * volume + _PROJECTIONS * projections
    if blurred:
        work += _PLANES * _NODES * projections // subsets
    if attenuated:
        work += 4 * samples * geometry.rows * (subsets + _PLANES * gates)
    return tables + work
