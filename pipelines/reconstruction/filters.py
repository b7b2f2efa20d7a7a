"""Post-filters of a reconstructed volume: Butterworth, Gaussian, Hann, each with the unit of its width in the name.

Frequencies are in cycles/cm along every axis, so a filter acts equally in all directions whatever the voxel's shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Array

Frequencies = NDArray[np.float64]


class PostFilter(Protocol):
    """Anything with a transfer function over frequency."""

    def transfer(self, cycles_per_cm: Frequencies) -> Frequencies:
        """Return the factor by which an amplitude of this frequency is multiplied."""
        ...

    def describe(self) -> str:
        """Return the filter in words, with units."""
        ...


@dataclass(frozen=True)
class Butterworth:
    """1 / sqrt(1 + (f / cutoff)^(2 order)): the amplitude is 0.707 at the cut-off.

    Makers differ by the square root: with `power=True` it is 1 / (1 + (f / cutoff)^(2 order)), 0.5 at the cut-off.
    """

    cutoff_cycles_per_cm: float
    order: float
    power: bool = False

    def __post_init__(self) -> None:
        if self.cutoff_cycles_per_cm <= 0 or self.order <= 0:
            raise ValueError(f"a Butterworth filter needs a positive cut-off and order, not {self}")

    @classmethod
    def of_nyquist(cls, fraction: float, pixel_mm: float, order: float) -> Butterworth:
        """Return the filter whose cut-off is a fraction of the Nyquist frequency of pixels this large."""
        return cls(fraction * nyquist_cycles_per_cm(pixel_mm), order)

    def transfer(self, cycles_per_cm: Frequencies) -> Frequencies:
        """Return the factor at each frequency."""
        with np.errstate(over="ignore"):
            attenuation = 1 + (cycles_per_cm / self.cutoff_cycles_per_cm) ** (2 * self.order)
        return 1 / attenuation if self.power else 1 / np.sqrt(attenuation)

    def describe(self) -> str:
        """Return the filter in words."""
        form = "power form" if self.power else "amplitude form"
        return f"Butterworth order {self.order:g}, cut-off {self.cutoff_cycles_per_cm:.4g} cycles/cm ({form})"


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian of this full width at half maximum."""

    fwhm_mm: float

    def __post_init__(self) -> None:
        if self.fwhm_mm < 0:
            raise ValueError(f"a Gaussian can't have a width of {self.fwhm_mm} mm")

    def transfer(self, cycles_per_cm: Frequencies) -> Frequencies:
        """Return the factor at each frequency."""
        sigma_cm = self.fwhm_mm / 10 / math.sqrt(8 * math.log(2))
        return np.exp(-2 * (math.pi * sigma_cm * cycles_per_cm) ** 2)

    def describe(self) -> str:
        """Return the filter in words."""
        return f"Gaussian {self.fwhm_mm:g} mm FWHM"


@dataclass(frozen=True)
class Hann:
    """(1 + cos(pi f / cutoff)) / 2 below the cut-off, nothing above."""

    cutoff_cycles_per_cm: float

    def __post_init__(self) -> None:
        if self.cutoff_cycles_per_cm <= 0:
            raise ValueError(f"a Hann filter needs a positive cut-off, not {self.cutoff_cycles_per_cm}")

    def transfer(self, cycles_per_cm: Frequencies) -> Frequencies:
        """Return the factor at each frequency."""
        relative = np.minimum(cycles_per_cm / self.cutoff_cycles_per_cm, 1.0)
        return (1 + np.cos(math.pi * relative)) / 2

    def describe(self) -> str:
        """Return the filter in words."""
        return f"Hann, cut-off {self.cutoff_cycles_per_cm:.4g} cycles/cm"


def nyquist_cycles_per_cm(pixel_mm: float) -> float:
    """Return the highest frequency that pixels this large can hold."""
    return 10 / (2 * pixel_mm)


def filter_volume(values: Array, voxel_mm: tuple[float, float, float], post_filter: PostFilter) -> Array:
    """Return the volume `[z, y, x]` filtered in three dimensions.

    The volume is continued by its mirror image along z, so that an organ cut by the last slice doesn't reappear in
    the first; in the plane, reconstructions end in zeros and need no such care.
    """
    mirrored = np.concatenate([values, values[::-1]], axis=0)
    fz, fy, fx = (np.fft.fftfreq(n, d) for n, d in zip(mirrored.shape, np.array(voxel_mm) / 10, strict=True))
    fx = np.abs(fx[: mirrored.shape[2] // 2 + 1])
    frequency = np.sqrt(fz[:, None, None] ** 2 + fy[None, :, None] ** 2 + fx[None, None, :] ** 2)
    spectrum = np.fft.rfftn(mirrored) * post_filter.transfer(frequency)
    return np.fft.irfftn(spectrum, s=mirrored.shape, axes=(0, 1, 2))[: values.shape[0]].astype(np.float32)
