"""Denoises whole acquisitions: every window, gate and view through an ensemble of denoisers, counts kept per view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.images import Array, Projections, UnsuitableAcquisition
from pipelines.networks.denoiser import ARCHITECTURE, Denoiser
from pipelines.networks.model_card import ModelCard, check_architecture
from pipelines.networks.neighbors import gates_about, neighbor_views
from pipelines.networks.weights import read_model

LARGEST_BATCH = 32  # frames seen at a time
_CPU_BATCH = 16  # the layers of more don't stay in a core's cache: a tenth slower
# what a frame's passage through the U-Net holds at the same time: layers of `width` filters at full size, and inputs
_ACTIVATIONS, _SEEN = 14, 90
_WEIGHTS = 1970  # parameters of a network over the square of its width, at most


def load_denoiser(name: str = "denoiser", folder: Path | None = None) -> tuple[ModelCard, tuple[Denoiser, ...]]:
    """Return the card and the networks of a trained denoiser, from a site's folder or of those that are shipped.

    Raises WeightsError if there is none of this name, if its files are damaged, or if it is another kind of network.
    """
    model = read_model(name, folder)
    check_architecture(model.card, ARCHITECTURE)
    networks = tuple(Denoiser(int(model.card.settings["width"])) for _ in model.members)
    for member, network in enumerate(networks):
        model.fill(member, network)
    return model.card, networks


@dataclass(frozen=True)
class Denoised:
    """What the denoiser makes of an acquisition; all counts are those of the full dose."""

    expected: Projections  # the expectation, without noise: for images and polar maps
    virtual_full_dose: Projections  # the measured counts and what the missing dose would have added on average
    spread: Array  # standard deviation of `expected` over the ensemble `[window, gate, view, row, column]`
    count_factor: NDArray[np.float64]  # measured over predicted counts `[window, view]`, already applied


def denoiser_bytes(batch: int, rows: int, columns: int, width: int, members: int) -> int:
    """Return about how many bytes `denoise` takes on a GPU at most for so many frames at a time."""
    pixels = (rows + 7) * (columns + 7)
    weights = members * _WEIGHTS * width**2
    return 4 * (weights + batch * pixels * (_ACTIVATIONS * width + _SEEN + members))


def batch_in(free_bytes: int | None, rows: int, columns: int, width: int, members: int) -> int:
    """Return how many frames may be seen at a time so that half of the free memory stays free; None: the usual."""
    if free_bytes is None:
        return _CPU_BATCH
    fitting = range(LARGEST_BATCH, 1, -1)
    return next((b for b in fitting if denoiser_bytes(b, rows, columns, width, members) <= free_bytes // 2), 1)


def denoise(
    projections: Projections,
    dose_fraction: float,
    networks: Sequence[Denoiser],
    device: str = "cpu",
    batch: int = LARGEST_BATCH,
) -> Denoised:
    """Return the expected counts at full dose of an acquisition that holds `dose_fraction` of it.

    All energy windows are denoised, each for itself. The prediction of each view, summed over its gates, is scaled to
    the counts measured there; how far is told in `count_factor`. `virtual_full_dose` is x + (1 - p) * expected, the
    best estimate of the full-dose acquisition of which x is the share p. Memory grows with `batch` frames, not with
    the study. Raises UnsuitableAcquisition for a dose fraction outside (0, 1] or negative counts, ValueError without
    a network.
    """
    if not 0.0 < dose_fraction <= 1.0:
        raise UnsuitableAcquisition(f"a dose fraction of {dose_fraction} is not in (0, 1]")
    if projections.counts.min() < 0:
        raise UnsuitableAcquisition("projections hold negative counts: only counts as they were measured are denoised")
    if not networks:
        raise ValueError("a denoiser needs at least one network")
    neighbors = neighbor_views(projections.geometry.angles_deg)
    expected, spread = np.empty_like(projections.counts), np.empty_like(projections.counts)
    for window, counts in enumerate(projections.counts):
        expected[window], spread[window] = _ensemble(counts, neighbors, networks, device, batch)
    measured = projections.counts.sum(axis=(1, 3, 4), dtype=np.float64)
    factor = measured / np.maximum(expected.sum(axis=(1, 3, 4), dtype=np.float64), np.finfo(np.float32).tiny)
    to_full_dose = (factor / dose_fraction)[:, None, :, None, None].astype(np.float32)
    expected *= to_full_dose
    spread *= to_full_dose
    full = projections.counts + np.float32(1.0 - dose_fraction) * expected
    return Denoised(replace(projections, counts=expected), replace(projections, counts=full), spread, factor)


def _ensemble(
    counts: Array, neighbors: NDArray[np.int64], networks: Sequence[Denoiser], device: str, batch: int
) -> tuple[Array, Array]:
    """Return mean and standard deviation over the networks for the counts `[gate, view, row, column]` of a window."""
    gates = torch.from_numpy(np.ascontiguousarray(counts))
    context = gates.sum(dim=0)
    mean, spread = np.empty_like(counts), np.empty_like(counts)
    ready = [network.to(device).eval() for network in networks]
    with torch.inference_mode():
        for gate in range(len(gates)):
            beside = gates[gates_about(gate, len(gates))]
            for start in range(0, len(neighbors), batch):
                about = torch.from_numpy(neighbors[start : start + batch])
                seen: tuple[Tensor, Tensor] = (
                    beside[:, about].transpose(0, 1).to(device),
                    context[about].to(device),
                )
                members = torch.stack([network(*seen) for network in ready])
                mean[gate, start : start + batch] = members.mean(dim=0).cpu().numpy()
                spread[gate, start : start + batch] = members.std(dim=0, correction=0).cpu().numpy()
    return mean, spread
