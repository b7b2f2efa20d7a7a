"""Projections and Volume: an array together with its geometry; shape, unit and finiteness are checked once, here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry, VoxelGrid

Array = NDArray[np.float32]


class UnsuitableAcquisition(ValueError):
    """The images can't be processed as asked; the message tells a physicist what was found and what was expected."""


class Unit(Enum):
    """What a volume's values mean; the value is the UCUM code."""

    COUNTS = "{counts}"
    PROPORTIONAL_COUNTS = "{propcounts}"
    PER_CM = "/cm"
    HOUNSFIELD = "[hnsf'U]"


@dataclass(frozen=True)
class EnergyWindow:
    """An energy window of the camera, in keV; where the study does not state it, the one that was assumed."""

    lower_kev: float
    upper_kev: float
    name: str = ""
    stated: bool = True

    def holds(self, energy_kev: float) -> bool:
        """Tell whether a photon of this energy falls into the window."""
        return self.lower_kev <= energy_kev <= self.upper_kev


@dataclass(frozen=True)
class Projections:
    """Counts `[window, gate, view, row, column]` with the geometry of the views.

    Row 0 is nearest the head. An ungated acquisition has one gate.
    """

    counts: Array
    geometry: AcquisitionGeometry
    windows: tuple[EnergyWindow, ...]
    photopeak: int = 0  # index into windows
    view_time_s: float | None = None

    def __post_init__(self) -> None:
        geometry = self.geometry
        expected = (geometry.views, geometry.rows, geometry.columns)
        if self.counts.ndim != 5 or self.counts.shape[2:] != expected:
            raise UnsuitableAcquisition(
                f"projections have the shape {self.counts.shape}, expected [window, gate, view, row, column] "
                f"with views, rows, columns = {expected}"
            )
        if len(self.windows) != self.counts.shape[0] or not 0 <= self.photopeak < len(self.windows):
            raise UnsuitableAcquisition(
                f"{len(self.windows)} energy windows (photopeak {self.photopeak}) "
                f"for {self.counts.shape[0]} sets of counts"
            )
        if not np.all(np.isfinite(self.counts)):
            raise UnsuitableAcquisition("projections hold values that are not finite")

    @property
    def gates(self) -> int:
        """Number of time bins of the cardiac cycle; 1 if ungated."""
        return int(self.counts.shape[1])

    def photopeak_counts(self) -> Array:
        """Return the photopeak's counts `[gate, view, row, column]`."""
        return np.asarray(self.counts[self.photopeak])

    def ungated(self) -> Projections:
        """Return the same acquisition with its gates summed."""
        return replace(self, counts=self.counts.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Volume:
    """Values `[z, y, x]` on a grid in the patient."""

    values: Array
    grid: VoxelGrid
    unit: Unit

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise UnsuitableAcquisition(f"a volume of shape {self.values.shape} on a grid of shape {self.grid.shape}")
        if not np.all(np.isfinite(self.values)):
            raise UnsuitableAcquisition("a volume holds values that are not finite")
