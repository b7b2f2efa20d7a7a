"""What the denoising evaluation compares: each `Method` as a function from low-dose projections to full-dose counts.

The filters' strengths were chosen on validation patients (`python -m pipelines.evaluation.denoising.tuning`), by the
same measure that they are judged by afterwards: RMSE against the full-dose projections.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_nl_means

from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.images import Array, Projections
from pipelines.networks.adversarial import Generator
from pipelines.networks.denoise import denoise, load_denoiser
from pipelines.networks.denoiser import Denoiser
from pipelines.networks.model_card import check_architecture
from pipelines.networks.weights import read_model
from pipelines.reconstruction.filters import Butterworth
from pipelines.training.paper_denoiser import in_counts, predict

# Strengths with the lowest mean RMSE in the first 8 validation patients of seed 1. Gaussian: full width at half
# maximum in mm. Butterworth: cut-off as a share of the Nyquist frequency. Non-local means: h of the Anscombe
# transform, whose noise has an sd of 1.
STRENGTHS: Mapping[Method, Mapping[Dose, float]] = MappingProxyType(
    {
        Method.GAUSSIAN: {Dose.HALF: 8.0, Dose.QUARTER: 10.0, Dose.EIGHTH: 16.0},
        Method.BUTTERWORTH: {Dose.HALF: 0.8, Dose.QUARTER: 0.45, Dose.EIGHTH: 0.3},
        Method.NON_LOCAL_MEANS: {Dose.HALF: 0.2, Dose.QUARTER: 0.4, Dose.EIGHTH: 0.6},
    }
)
BUTTERWORTH_ORDER = 5.0
PATCH, REACH = 3, 7  # pixels, of non-local means: edge of a patch, how far others like it are sought
PAPER_GATED = "paper-gated-0.5"  # what the paper's network for gates is called, trained for half dose alone
_FWHM = float(np.sqrt(8 * np.log(2)))  # of a Gaussian with an sd of 1

Frames = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """What a method makes of low-dose projections."""

    projections: Projections  # counts on the scale of the full dose
    shares: Array | None = None  # [gate, view, row, column]: the paper's network says shares of the full dose's maximum


@dataclass(frozen=True)
class ModelChoice:
    """Which trained networks are judged."""

    name: str = "denoiser"
    folder: Path | None = None  # None: those that are shipped
    paper: Path | None = None  # where the paper's networks were trained to, if they were


@dataclass(frozen=True)
class Models:
    """The networks, and the hash of the weights of each."""

    ours: tuple[Denoiser, ...]
    paper: Mapping[Dose, Generator]  # those that were found
    paper_gated: Generator | None
    described: str  # name and version of ours
    sha256: Mapping[str, str]


@functools.lru_cache(maxsize=1)
def load_models(choice: ModelChoice) -> Models:
    """Return the networks; the paper's may be missing. Raises WeightsError if ours are, or if any are damaged."""
    card, networks = load_denoiser(choice.name, choice.folder)
    found = {name: _generator(name, choice.paper) for name in (*map(paper_name, Dose), PAPER_GATED)}
    trained = {name: one for name, one in found.items() if one is not None}
    return Models(
        ours=networks,
        paper={dose: trained[paper_name(dose)][0] for dose in Dose if paper_name(dose) in trained},
        paper_gated=trained[PAPER_GATED][0] if PAPER_GATED in trained else None,
        described=f"{card.name} {card.version}, {card.members} networks",
        sha256={card.name: card.sha256, **{name: one[1] for name, one in trained.items()}},
    )


def paper_name(dose: Dose) -> str:
    """Return what the paper's network for a dose is called: "paper-0.5"."""
    return f"paper-{dose.fraction:g}"


def _generator(name: str, folder: Path | None) -> tuple[Generator, str] | None:
    if folder is None or not (folder / f"{name}.json").exists():
        return None
    model = read_model(name, folder)
    check_architecture(model.card, f"{Generator.__module__}.{Generator.__name__}")
    generator = Generator()
    model.fill(0, generator)
    return generator, model.card.sha256


def estimates(
    low: Projections, dose: Dose, models: Models, methods: tuple[Method, ...] = tuple(Method)
) -> dict[Method, Estimate]:
    """Return what these methods make of low-dose projections, ungated or gated; untrained networks are left out."""
    made: dict[Method, Estimate] = {}
    denoised = denoise(low, dose.fraction, models.ours) if {Method.FOR_IMAGES, Method.FULL} & set(methods) else None
    for method in methods:
        if method is Method.LOW_DOSE:
            made[method] = Estimate(_with(low, low.counts / dose.fraction))
        elif method is Method.PAPER:
            estimate = _papers(low, dose, models)
            made |= {} if estimate is None else {method: estimate}
        elif denoised is not None and method in (Method.FOR_IMAGES, Method.FULL):
            made[method] = Estimate(denoised.for_images if method is Method.FOR_IMAGES else denoised.virtual_full_dose)
        else:
            made[method] = Estimate(filtered(low, dose, method, STRENGTHS[method][dose]))
    return made


def _papers(low: Projections, dose: Dose, models: Models) -> Estimate | None:
    """Return what the paper's network predicts: gates each as a frame of one set, as they were in its training."""
    generator = models.paper_gated if low.gates > 1 else models.paper.get(dose)
    if generator is None or (low.gates > 1 and dose is not Dose.HALF):
        return None
    counts = low.photopeak_counts()
    frames = counts.reshape(-1, *counts.shape[-2:])
    shares = predict(generator, frames)
    in_full_dose = in_counts(shares, frames, dose.fraction)
    return Estimate(_with(low, in_full_dose.reshape(1, *counts.shape)), shares.reshape(counts.shape))


def filtered(low: Projections, dose: Dose, method: Method, strength: float) -> Projections:
    """Return projections smoothed in two dimensions, on the scale of the full dose.

    Only the part of the detector that counts is smoothed: its edge doesn't bleed into the empty rows beyond.
    """
    smooth = _FILTERS[method]
    pixel_mm = low.geometry.pixel_size_mm[1]
    counts = np.zeros(low.counts.shape, dtype=np.float64)
    seen = low.counts.sum(axis=(0, 1, 2))
    rows, columns = (_span(seen.sum(axis=axis)) for axis in (1, 0))
    for index in np.ndindex(low.counts.shape[:3]):
        frame = low.counts[index][rows, columns].astype(np.float64)
        counts[index][rows, columns] = np.maximum(smooth(frame, strength, pixel_mm), 0.0)
    return _with(low, counts / dose.fraction)


def _span(counts: Array) -> slice:
    """Return from where to where there are counts; everything where there are none."""
    at = np.flatnonzero(counts)
    return slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(None)


def _gaussian(frame: Frames, fwhm_mm: float, pixel_mm: float) -> Frames:
    return np.asarray(gaussian_filter(frame, fwhm_mm / _FWHM / pixel_mm, mode="nearest"))


def _butterworth(frame: Frames, share_of_nyquist: float, pixel_mm: float) -> Frames:
    """Return a frame after a two-dimensional Butterworth filter; beyond its edges it goes on as its mirror image."""
    rows, columns = frame.shape
    mirrored = np.pad(frame, ((0, rows), (0, columns)), mode="symmetric")
    across, along = (np.fft.fftfreq(size, pixel_mm / 10) for size in mirrored.shape)
    chosen = Butterworth.of_nyquist(share_of_nyquist, pixel_mm, BUTTERWORTH_ORDER)
    transfer = chosen.transfer(np.hypot(across[:, None], along[None, : columns + 1]))
    return np.asarray(np.fft.irfft2(np.fft.rfft2(mirrored) * transfer, s=mirrored.shape)[:rows, :columns])


def _non_local_means(frame: Frames, h: float, _pixel_mm: float) -> Frames:
    """Return a frame after non-local means of its Anscombe transform, turned back without bias; its counts are kept.

    Inverse: closed form of Makitalo and Foi, IEEE Trans Image Process 2011;20:2697. It is right for the mean of many
    counts, too high for a single one: hence the scaling to the frame's counts.
    """
    root = 2.0 * np.sqrt(frame + 0.375)
    means = denoise_nl_means(root, patch_size=PATCH, patch_distance=REACH, h=h, sigma=1.0, fast_mode=True)
    y = np.maximum(means, 2.0 * np.sqrt(0.375))
    unbiased = 0.25 * y**2 + np.sqrt(1.5) / 4 / y - 11 / 8 / y**2 + 5 / 8 * np.sqrt(1.5) / y**3 - 1 / 8
    positive = np.maximum(unbiased, 0.0)
    return np.asarray(positive * (frame.sum() / max(float(positive.sum()), 1e-9)))


_FILTERS: Mapping[Method, Callable[[Frames, float, float], Frames]] = MappingProxyType(
    {Method.GAUSSIAN: _gaussian, Method.BUTTERWORTH: _butterworth, Method.NON_LOCAL_MEANS: _non_local_means}
)


def _with(projections: Projections, counts: NDArray[np.floating]) -> Projections:
    return replace(projections, counts=counts.astype(np.float32))
