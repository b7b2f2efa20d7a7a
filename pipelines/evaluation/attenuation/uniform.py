"""What is corrected where nobody knows the attenuation: one coefficient for all that lies within the body's contour.

The contour is found in the emission image, as departments without a CT do it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter, label
from skimage.morphology import convex_hull_image

from pipelines.images import Array, Unit, Volume
from pipelines.networks.mu_map import body_level
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.prac import PracSettings, chang_factors, virtual_camera
from pipelines.resampling import resample

# Of 0.10 to 0.13 the one that lets as many photons out of the heart as the true map does, tried on one virtual patient:
# less than water's, for lungs lie in the way.
UNIFORM_PER_CM = 0.12
CONTOUR_SHARE = 0.25  # of the body's typical activity: more than that is body
_SMOOTH_MM = 6.0


def uniform_map(emission: Volume) -> Volume:
    """Return the map in 1/cm with one coefficient within the body's contour and air around it."""
    values = np.where(body_contour(emission), UNIFORM_PER_CM, 0.0).astype(np.float32)
    return Volume(values, emission.grid, Unit.PER_CM)


def body_contour(emission: Volume) -> NDArray[np.bool_]:
    """Return which voxels `[z, y, x]` lie within the body, slice by slice the convex hull of what shines."""
    smooth = gaussian_filter(np.maximum(emission.values, 0.0), [_SMOOTH_MM / size for size in emission.grid.voxel_mm])
    level = float(body_level(torch.from_numpy(smooth)))
    return np.stack([_hull(image > CONTOUR_SHARE * level) for image in smooth])


def _hull(shining: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the convex hull of the largest area of a slice."""
    areas, number = label(binary_fill_holes(shining))
    if number == 0:
        return shining
    sizes = np.bincount(areas.ravel())[1:]
    return np.asarray(convex_hull_image(areas == 1 + int(np.argmax(sizes))), dtype=np.bool_)


def chang(uncorrected: Volume, mu_map: Volume, device: str = "cpu") -> Volume:
    """Return a reconstruction times Chang's factors of order zero for a map, on its own grid.

    Chang, IEEE Trans. Nucl. Sci. 25 (1978) 638.
    """
    settings = PracSettings()
    geometry, grid = virtual_camera(uncorrected.grid, settings)
    mu = torch.from_numpy(resample(mu_map, grid).values)
    camera = SystemMatrix(geometry, grid, device=device)
    factors = chang_factors(camera, SystemMatrix(geometry, grid, mu_per_cm=mu, device=device))[0].cpu().numpy()
    on_its_grid: Array = resample(Volume(np.ascontiguousarray(factors), grid, Unit.COUNTS), uncorrected.grid).values
    corrected = np.maximum(uncorrected.values, 0.0) * np.where(on_its_grid > 0, on_its_grid, 1.0)
    return replace(uncorrected, values=corrected.astype(np.float32))
