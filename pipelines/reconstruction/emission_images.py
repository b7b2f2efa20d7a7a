"""The images from which a mu-map is told: the photopeak after more and more iterations, and the scatter window.

None is corrected for anything, so that they look alike whatever is known of the camera.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from pipelines.images import Projections, Unit, Volume
from pipelines.physics.scatter import scatter_windows
from pipelines.reconstruction.reconstruct import Scatter, Settings, natural_grid, reconstruct, reconstruct_gates

SUBSETS = 4
LEVEL_ITERATIONS = (1, 3, 8)  # the photopeak's images
SCATTER_ITERATIONS = 3


@dataclass(frozen=True)
class EmissionImages:
    """Images of one acquisition on one grid."""

    levels: tuple[Volume, ...]  # of the photopeak; a vendor's reconstruction is the only one
    scatter: Volume | None = None  # of the window just below the photopeak


def emission_images(projections: Projections, device: str = "cpu") -> EmissionImages:
    """Return the images of an acquisition, its gates added. Costs one reconstruction, and a short one for scatter."""
    ungated = projections.ungated()
    grid = natural_grid(projections.geometry)
    levels: list[Volume] = []

    def keep(iteration: int, activity: Tensor) -> bool:
        if iteration in LEVEL_ITERATIONS:
            values = np.ascontiguousarray(activity[0].cpu().numpy())
            levels.append(Volume(values, grid, Unit.PROPORTIONAL_COUNTS))
        return False

    reconstruct_gates(ungated, _settings(ungated, LEVEL_ITERATIONS[-1]), device, observe=keep)
    lower, _ = scatter_windows(ungated)
    if lower is None or not ungated.counts[lower].any():
        return EmissionImages(tuple(levels))
    scattered = replace(ungated, photopeak=lower)
    return EmissionImages(tuple(levels), reconstruct(scattered, _settings(ungated, SCATTER_ITERATIONS), device))


def scatter_corrected_image(projections: Projections, device: str = "cpu") -> Volume:
    """Return the photopeak's last level, corrected for scatter alone. Raises UnsuitableAcquisition without a window."""
    ungated = projections.ungated()
    settings = replace(_settings(ungated, LEVEL_ITERATIONS[-1]), scatter=Scatter.WINDOWS)
    return reconstruct(ungated, settings, device)


def _settings(projections: Projections, iterations: int) -> Settings:
    return Settings(iterations=iterations, subsets=min(SUBSETS, projections.geometry.views))
