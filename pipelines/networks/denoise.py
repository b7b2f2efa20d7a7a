"""Denoises whole acquisitions: every window and view through an ensemble of denoisers, counts and beat kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.images import Array, Projections, UnsuitableAcquisition
from pipelines.neighbors import neighbor_views
from pipelines.networks.coarse import with_measured_coarse
from pipelines.networks.denoiser import ARCHITECTURE, Denoiser
from pipelines.networks.gates import gates_of
from pipelines.networks.model_card import ModelCard, check_architecture
from pipelines.networks.weights import read_model

LARGEST_BATCH = 32  # frames seen at a time
_CPU_BATCH = 16  # the layers of more don't stay in a core's cache: a tenth slower
# what a frame's passage through the U-Net holds at the same time: layers of `width` filters at full size, and inputs
_ACTIVATIONS, _SEEN = 14, 40
_WEIGHTS = 1970  # parameters of a network over the square of its width, at most


def load_denoiser(name: str = "denoiser", folder: Path | None = None) -> tuple[ModelCard, tuple[Denoiser, ...]]:
    """Return the card and the networks of a trained denoiser, from a site's folder or of those that are shipped.

    Raises WeightsError if there is none of this name, if its files are damaged, or if it is another kind of network.
    """
    model = read_model(name, folder)
    check_architecture(model.card, ARCHITECTURE)
    networks = tuple(Denoiser(model.card.width) for _ in model.members)
    for member, network in enumerate(networks):
        model.fill(member, network)
    return model.card, networks


@dataclass(frozen=True)
class Denoised:
    """What the denoiser makes of an acquisition; all counts are those of the full dose."""

    for_images: Projections  # without noise, what is coarse as measured: to be reconstructed and read
    expected: Projections  # the networks' own estimate of the expectation: what the guard judges
    virtual_full_dose: Projections  # the measured counts and what the missing dose would have added on average
    spread: Array  # standard deviation over the ensemble, all gates together `[window, view, row, column]`
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
    """Return the counts at full dose, without noise, of an acquisition that holds `dose_fraction` of it.

    All energy windows are denoised, each for itself; of a gated study the sum of its gates, which each gate then has
    its share of (`gates`). The prediction of each view is scaled to the counts measured there; how far is told in
    `count_factor`. What is coarse in `for_images` is as measured (`coarse`). `virtual_full_dose` is
    x + (1 - p) * expected, the best estimate of the full-dose acquisition of which x is the share p. Memory grows with
    `batch` frames. Raises UnsuitableAcquisition for a dose fraction outside (0, 1] or negative counts, ValueError
    without a network.
    """
    if not 0.0 < dose_fraction <= 1.0:
        raise UnsuitableAcquisition(f"a dose fraction of {dose_fraction} is not in (0, 1]")
    if projections.counts.min() < 0:
        raise UnsuitableAcquisition("projections hold negative counts: only counts as they were measured are denoised")
    if not networks:
        raise ValueError("a denoiser needs at least one network")
    geometry, counts = projections.geometry, projections.counts
    neighbors = neighbor_views(geometry.angles_deg)
    whole = counts.sum(axis=1)
    spread, factor = np.empty_like(whole), np.empty(whole.shape[:2])
    expected, for_images = np.empty_like(counts), np.empty_like(counts)
    for window, measured in enumerate(whole):
        mean, spread[window] = _ensemble(measured, neighbors, networks, device, batch)
        factor[window] = _counts(measured) / np.maximum(_counts(mean), np.finfo(np.float32).tiny)
        mean *= factor[window, :, None, None].astype(np.float32)
        coarse = with_measured_coarse(mean, measured, geometry.pixel_size_mm)
        for estimate, gates in ((mean, expected), (coarse, for_images)):
            gates[window] = gates_of(estimate, counts[window], neighbors, geometry.pixel_size_mm)
    expected /= np.float32(dose_fraction)
    for_images /= np.float32(dose_fraction)
    spread *= (factor / dose_fraction)[:, :, None, None].astype(np.float32)
    full = counts + np.float32(1.0 - dose_fraction) * expected
    return Denoised(
        for_images=replace(projections, counts=for_images),
        expected=replace(projections, counts=expected),
        virtual_full_dose=replace(projections, counts=full),
        spread=spread,
        count_factor=factor,
    )


def _counts(views: Array) -> NDArray[np.float64]:
    return np.asarray(views.sum(axis=(1, 2), dtype=np.float64))


def _ensemble(
    counts: Array, neighbors: NDArray[np.int64], networks: Sequence[Denoiser], device: str, batch: int
) -> tuple[Array, Array]:
    """Return mean and standard deviation over the networks for the counts `[view, row, column]` of a window."""
    frames = torch.from_numpy(np.ascontiguousarray(counts))
    mean, spread = np.empty_like(counts), np.empty_like(counts)
    ready = [network.to(device).eval() for network in networks]
    with torch.inference_mode():
        for start in range(0, len(neighbors), batch):
            seen = frames[torch.from_numpy(neighbors[start : start + batch])].to(device)
            members = torch.stack([network(seen) for network in ready])
            mean[start : start + batch] = members.mean(dim=0).cpu().numpy()
            spread[start : start + batch] = members.std(dim=0, correction=0).cpu().numpy()
    return mean, spread
