"""What changes in the course of a heart beat: its mean and first harmonics, fitted to a few gates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.cardiac.heart_frame import Float

FINE = 128  # moments at which the lowest and the highest value of a beat are sought


@dataclass(frozen=True)
class Beat:
    """Quantities `[..., n]` as Fourier series over one beat: coefficients `[2 harmonics + 1, n]` for `gates` gates."""

    coefficients: Float
    gates: int

    @classmethod
    def fitted(cls, values: Float, weights: Float, harmonics: int) -> Beat:
        """Return the series nearest the values `[gate, n]` of the gates by weighted least squares.

        Gates that weigh nothing are bridged. There are fewer unknowns than gates that count.
        """
        harmonics = min(harmonics, (int((weights > 0).sum()) - 2) // 2)
        waves = _waves(np.arange(len(values)) / len(values), harmonics)
        weighted = waves * weights[:, None]
        values = np.where(weights[:, None] > 0, values, 0.0)
        return cls(np.asarray(np.linalg.solve(weighted.T @ waves, weighted.T @ values), dtype=np.float64), len(values))

    def by_gate(self) -> Float:
        """Return the values `[gate, n]` as gates show them."""
        return np.asarray(_waves(np.arange(self.gates) / self.gates, self._harmonics) @ self.coefficients)

    def at_moments(self) -> Float:
        """Return the values `[moment, n]` at FINE moments of the beat, moment 0 in the middle of gate 0.

        A gate shows the mean over 1 / gates of the beat, which lowers harmonic k by sinc(k / gates); it is given back.
        """
        lowered = np.sinc(np.ceil(np.arange(len(self.coefficients)) / 2) / self.gates)
        waves = _waves(np.arange(FINE) / FINE, self._harmonics)
        return np.asarray(waves @ (self.coefficients / lowered[:, None]))

    @property
    def _harmonics(self) -> int:
        return (len(self.coefficients) - 1) // 2


def _waves(phases: Float, harmonics: int) -> Float:
    """Return 1, cos, sin, cos 2, sin 2, ... `[phase, wave]`."""
    turns = 2.0 * np.pi * np.outer(phases, np.arange(1, harmonics + 1))
    both = np.stack([np.cos(turns), np.sin(turns)], axis=-1).reshape(len(phases), -1)
    return np.concatenate([np.ones((len(phases), 1)), both], axis=1)
