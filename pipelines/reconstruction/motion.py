"""Did the patient move? Axial shifts of the views against what they agree on, and how well the sinogram hangs together.

Views are compared with the reprojection of their own reconstruction: what moved does not fit what the others saw.
Lee and Barber, "Use of forward projection to correct patient motion during SPECT imaging", Phys. Med. Biol. 43
(1998) 171; Matsumoto et al., J. Nucl. Med. 42 (2001) 687.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.contract import Finding, Measurement, Verdict
from pipelines.images import Array, Projections
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.osem import Subset, ordered_subsets, osem
from pipelines.reconstruction.reconstruct import natural_grid, uniform_start

Float = NDArray[np.float64]

_ROUNDS = 4
_ITERATIONS = 2
_SEARCH_PIXELS = 4
_WARN_PIXELS = 1.0  # a shift of a pixel or more makes defects that are not there (Cooper et al., J. Nucl. Med. 1992)


@dataclass(frozen=True)
class Motion:
    """What was found: how far each view lies off along z, and how well the views agree."""

    axial_shift_mm: tuple[float, ...]  # per view; positive: the view shows the patient shifted to the head
    inconsistency: float  # rms difference of the views from their reprojection, in standard deviations of the counts
    pixel_mm: float

    @property
    def largest_mm(self) -> float:
        """The largest axial shift between any two views."""
        return max(self.axial_shift_mm) - min(self.axial_shift_mm)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The figures for the report."""
        return (
            Measurement("Largest axial motion", self.largest_mm, "mm"),
            Measurement("Inconsistency of the views", self.inconsistency, "1"),
        )

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A warning when the patient moved by a pixel or more."""
        if self.largest_mm < _WARN_PIXELS * self.pixel_mm:
            return ()
        return (Finding(Verdict.WARN, f"the patient seems to have moved by {self.largest_mm:.1f} mm along the table"),)


def find_motion(projections: Projections, device: str = "cpu") -> Motion:
    """Return the axial shift of every view of the photopeak (gates summed) and the agreement of the views.

    Shifts are relative to their mean, which no view can tell.
    """
    pixel_mm = projections.geometry.pixel_size_mm[0]
    counts = projections.ungated().photopeak_counts()[0].astype(np.float64)
    shift = np.zeros(counts.shape[0])
    matrix = SystemMatrix(projections.geometry, natural_grid(projections.geometry), device=device)
    views = ordered_subsets(projections.geometry.angles_deg, min(4, counts.shape[0]))
    parts = [matrix.subset(chosen) for chosen in views]
    agreed = counts
    for _ in range(_ROUNDS):
        agreed = _reprojection(_shifted(counts, -shift), parts, views)
        rest = np.array([_best_shift(view, model) for view, model in zip(counts, agreed, strict=True)])
        if np.abs(rest - rest.mean() - shift).max() < 0.02:
            break
        shift = rest - rest.mean()
    still = _shifted(counts, -shift)
    inconsistency = float(np.sqrt(np.mean((still - agreed) ** 2) / max(float(agreed.mean()), 1e-12)))
    return Motion(tuple(float(value) for value in shift * pixel_mm), inconsistency, pixel_mm)


def correct_motion(projections: Projections, motion: Motion) -> Projections:
    """Return the projections with every view moved back along z; what leaves the detector is lost."""
    shift = np.array(motion.axial_shift_mm) / projections.geometry.pixel_size_mm[0]
    windows, gates, views, rows, columns = projections.counts.shape
    flat = projections.counts.astype(np.float64).reshape(windows * gates, views, rows, columns)
    moved = np.stack([_shifted(part, -shift) for part in flat]).reshape(projections.counts.shape)
    return replace(projections, counts=moved.astype(np.float32))


def _reprojection(counts: Float, parts: list[SystemMatrix], views: tuple[tuple[int, ...], ...]) -> Float:
    """Return what a short reconstruction of the views projects to."""
    measured = torch.from_numpy(counts[None].astype(np.float32)).to(parts[0].device)
    subsets = [Subset(part, measured[:, list(chosen)]) for part, chosen in zip(parts, views, strict=True)]
    activity = osem(subsets, uniform_start(measured, parts[0].grid), _ITERATIONS)
    model = np.zeros_like(counts)
    for part, chosen in zip(parts, views, strict=True):
        model[list(chosen)] = part.forward_project(activity)[0].cpu().numpy()
    return model


def _best_shift(view: Float, model: Float) -> float:
    """Return by how many rows toward the head (fractions included) the model must move to fit the view best."""
    candidates = np.arange(-_SEARCH_PIXELS, _SEARCH_PIXELS + 1)
    errors = np.array([_misfit(view, model, float(candidate)) for candidate in candidates])
    best = int(errors.argmin())
    if best in (0, errors.size - 1):
        return float(candidates[best])
    low, high = float(candidates[best] - 1), float(candidates[best] + 1)
    golden = (np.sqrt(5) - 1) / 2
    while high - low > 0.01:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _misfit(view, model, left) < _misfit(view, model, right):
            high = right
        else:
            low = left
    return (low + high) / 2


def _misfit(view: Float, model: Float, shift: float) -> float:
    """Return the squared difference between a view and the shifted model, away from the rows that moved in."""
    inner = slice(_SEARCH_PIXELS, -_SEARCH_PIXELS) if view.shape[0] > 4 * _SEARCH_PIXELS else slice(None)
    moved = _shifted(model[None], np.array([shift]))[0]
    return float(((view - moved)[inner] ** 2).sum())


def _shifted(counts: Float, shift_rows: Float) -> Float:
    """Return views `[view, row, column]` moved toward the head (to lower rows) by fractions of a row.

    Cubic (Catmull-Rom) interpolation: it blurs little, so that shifts of half a row are not preferred.
    """
    rows = counts.shape[1]
    padded = np.pad(counts, [(0, 0), (_SEARCH_PIXELS + 2, _SEARCH_PIXELS + 2), (0, 0)])
    moved = np.empty_like(counts)
    for view, shift in enumerate(shift_rows):
        whole = int(np.floor(shift))
        t = float(shift) - whole
        weights = (
            (-t + 2 * t**2 - t**3) / 2,
            (2 - 5 * t**2 + 3 * t**3) / 2,
            (t + 4 * t**2 - 3 * t**3) / 2,
            (t**3 - t**2) / 2,
        )
        first = np.clip(_SEARCH_PIXELS + 2 + whole - 1, 0, padded.shape[1] - rows - 3)
        moved[view] = sum(weight * padded[view, first + k : first + k + rows] for k, weight in enumerate(weights))
    return np.maximum(moved, 0)


def shifted_toward_head(counts: Array, shift_rows: Float) -> Array:
    """Return views `[view, row, column]` moved toward the head by these fractions of a row (to simulate motion)."""
    return _shifted(counts.astype(np.float64), shift_rows).astype(np.float32)
