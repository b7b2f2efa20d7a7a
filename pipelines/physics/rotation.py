"""The detector's frame: how a volume, seen from each view, is sampled on planes parallel to the detector.

The frame of a view has `depths` planes along the detector's normal, at the spacing of the voxels, and as many columns
as the detector. Sample (view, depth, column) is the bilinear interpolation of the volume at its LPS position.
Zeng and Gullberg, "Frequency domain implementation of the three-dimensional geometric point response correction",
IEEE Trans. Nucl. Sci. 39 (1992) 1444, is the source of rotation-based projection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry, VoxelGrid

_NEGLIGIBLE_WEIGHT = 1e-7  # what float64 leaves of a zero weight at multiples of 90 degrees
_SAME_LENGTH = 1e-4  # relative


class Support(Enum):
    """Where activity is looked for in an axial slice."""

    CIRCLE = "circle"  # the disc around the axis that every view sees
    GRID = "grid"  # the whole grid, corners included


@dataclass(frozen=True)
class DetectorFrame:
    """Size and place of the frame, equal for all views of an acquisition.

    `columns` includes `margin` extra columns on either side of the detector, which corners of the grid may need.
    """

    depths: int
    columns: int
    margin: int
    pixel_mm: float
    axis_in_grid: tuple[float, float]  # fractional voxel index (y, x) of the axis of rotation
    axis_column: float  # fractional frame column onto which the axis projects

    @classmethod
    def of(cls, geometry: AcquisitionGeometry, grid: VoxelGrid, support: Support) -> DetectorFrame:
        """Return the smallest frame that holds the support.

        Raises ValueError when the grid does not fit the acquisition: voxels as large as the pixels, axes along the
        patient's, slices at the detector's rows.
        """
        pixel_mm = geometry.pixel_size_mm[1]
        _check_grid(geometry, grid)
        _, axis_y, axis_x = (float(value) for value in grid.index_of(geometry.isocenter_mm))
        if support is Support.CIRCLE:
            depths, margin = geometry.columns, 0
        else:
            reach = max(
                math.hypot(y - axis_y, x - axis_x) for y in (0, grid.shape[1] - 1) for x in (0, grid.shape[2] - 1)
            )
            depths = 2 * math.ceil(reach + 0.5)
            margin = max(0, math.ceil((depths - geometry.columns) / 2))
        offset = geometry.center_of_rotation_offset_mm / pixel_mm
        columns = geometry.columns + 2 * margin
        return cls(depths, columns, margin, pixel_mm, (axis_y, axis_x), (columns - 1) / 2 + offset)

    def depth_mm(self) -> Tensor:
        """Return how far each plane lies from the axis toward the detector, `[depth]`, ascending."""
        return (torch.arange(self.depths, dtype=torch.float64) - (self.depths - 1) / 2) * self.pixel_mm


def _check_grid(geometry: AcquisitionGeometry, grid: VoxelGrid) -> None:
    """Raise ValueError unless the grid suits the acquisition."""
    axial_mm, pixel_mm = geometry.pixel_size_mm
    expected = torch.diag(torch.tensor([pixel_mm, pixel_mm, axial_mm], dtype=torch.float64))
    found = torch.from_numpy(grid.matrix[:3, :3].copy())
    if not torch.allclose(found, expected, rtol=_SAME_LENGTH, atol=_SAME_LENGTH * pixel_mm):
        raise ValueError(
            f"the grid's axes {found.tolist()} are not the patient's at the detector's pixel size "
            f"(axial {axial_mm} mm, transaxial {pixel_mm} mm)"
        )
    middle = float(grid.index_of(geometry.isocenter_mm)[0])
    if grid.shape[0] != geometry.rows or abs(middle - (geometry.rows - 1) / 2) > 1e-2:
        raise ValueError(
            f"the grid's {grid.shape[0]} slices do not lie at the detector's {geometry.rows} rows "
            f"(the middle row is at slice {middle:.2f})"
        )


def support_mask(frame: DetectorFrame, grid: VoxelGrid, support: Support, device: torch.device) -> Tensor:
    """Return which voxels of a slice may hold activity, bool `[y, x]`."""
    _, rows, columns = grid.shape
    if support is Support.GRID:
        return torch.ones((rows, columns), dtype=torch.bool, device=device)
    y = torch.arange(rows, dtype=torch.float64, device=device)[:, None] - frame.axis_in_grid[0]
    x = torch.arange(columns, dtype=torch.float64, device=device)[None, :] - frame.axis_in_grid[1]
    return y.square() + x.square() <= ((frame.depths - 1) / 2 + 1e-6) ** 2


def bilinear_entries(
    angles_deg: tuple[float, ...], frame: DetectorFrame, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the interpolation as sparse entries (sample, voxel, weight), samples ascending.

    Sample = (view * depths + depth) * columns + column of the frame; voxel = y * columns of the slice + x.
    """
    device = mask.device
    angle = torch.tensor(angles_deg, dtype=torch.float64, device=device).deg2rad()[:, None, None]
    depth = (frame.depth_mm() / frame.pixel_mm).to(device)[None, :, None]
    along = torch.arange(frame.columns, dtype=torch.float64, device=device)[None, None, :] - frame.axis_column
    # The detector's normal is (sin a, cos a), its columns run along (-cos a, sin a), in LPS (x, y).
    x = depth * angle.sin() - along * angle.cos() + frame.axis_in_grid[1]
    y = depth * angle.cos() + along * angle.sin() + frame.axis_in_grid[0]
    x0, y0 = x.floor(), y.floor()
    fx, fy = x - x0, y - y0
    corner_y = torch.stack([y0, y0, y0 + 1, y0 + 1], dim=-1).long()
    corner_x = torch.stack([x0, x0 + 1, x0, x0 + 1], dim=-1).long()
    weight = torch.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx], dim=-1)
    rows, columns = mask.shape
    inside = (corner_y >= 0) & (corner_y < rows) & (corner_x >= 0) & (corner_x < columns)
    voxel = torch.where(inside, corner_y * columns + corner_x, 0)
    keep = (inside & mask.flatten()[voxel] & (weight > _NEGLIGIBLE_WEIGHT)).flatten()
    sample = torch.arange(keep.numel() // 4, device=device).repeat_interleave(4)
    return sample[keep], voxel.flatten()[keep], weight.flatten()[keep]
