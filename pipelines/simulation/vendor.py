"""What the camera's own software would make of projections: a reconstruction that is not corrected for attenuation."""

from __future__ import annotations

import torch

from pipelines.images import Projections, Volume
from pipelines.perfusion.imaging import prepare
from pipelines.perfusion.options import Options


def vendor_reconstruction(projections: Projections) -> Volume:
    """Return the volume, computed on one thread: the order in which threads add would show in the bytes.

    Raises UnsuitableAcquisition if the projections can't be reconstructed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return prepare(projections, Options()).reconstruct("cpu")
    finally:
        torch.set_num_threads(threads)
