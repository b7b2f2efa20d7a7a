"""Where the heart falls on the detector: the pixels of each view that a ball about it covers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry


def heart_shadow(
    geometry: AcquisitionGeometry, center_mm: tuple[float, float, float], radius_mm: float
) -> NDArray[np.bool_]:
    """Return the pixels `[view, row, column]` within `radius_mm` of the line through a place (LPS)."""
    angles = np.radians(geometry.angles_deg)
    x, y, z = np.subtract(center_mm, geometry.isocenter_mm)
    across_mm = -x * np.cos(angles) + y * np.sin(angles) + geometry.center_of_rotation_offset_mm
    axial_mm, transaxial_mm = geometry.pixel_size_mm
    rows_mm = (np.arange(geometry.rows) - (geometry.rows - 1) / 2) * axial_mm
    columns_mm = (np.arange(geometry.columns) - (geometry.columns - 1) / 2) * transaxial_mm
    from_row = (rows_mm + z)[None, :, None]  # rows run toward the feet
    from_column = columns_mm[None, None, :] - across_mm[:, None, None]
    return np.asarray(from_row**2 + from_column**2 <= radius_mm**2)
