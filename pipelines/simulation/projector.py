"""Expected counts that a patient on a fine grid sends through a parallel-hole collimator: attenuation, blur by depth.

Built to be independent of the product's own system matrix: the patient is sampled more finely than any
reconstruction, the blur is integrated over the detector's pixels exactly (error function), and the broadening that
sampling itself brings is taken off the blur, so that the width of a line source is the collimator's alone.

Rotation runs on whole numbers in float32, where sums are exact in any order, and the rest in float64: the same
patient gives the same counts on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry
from pipelines.images import Volume
from pipelines.simulation.energy import FWHM_TO_SIGMA
from pipelines.simulation.shapes import Box

Float = NDArray[np.float64]

# 2^14 values times 2^5 x 2^5 interpolation weights: the largest sum that float32 holds exactly.
WHOLE_NUMBERS = 2**14
WEIGHT_STEPS = 2**5


@dataclass(frozen=True)
class Blur:
    """Collimator-detector response: FWHM(z) = sqrt(intrinsic^2 + (hole (length + z) / length)^2), lengths in mm.

    `length_mm` is the effective length of the holes (septal penetration taken off). Anger 1964; Metz et al. 1980.
    """

    intrinsic_fwhm_mm: float
    hole_mm: float
    length_mm: float

    def fwhm_mm(self, distance_mm: Float) -> Float:
        """Return the full width at half maximum of a point at each distance from the collimator's face."""
        geometric = self.hole_mm * (self.length_mm + distance_mm) / self.length_mm
        return np.asarray(np.hypot(self.intrinsic_fwhm_mm, geometric))


class Source:
    """Volumes `[z, y, x]` as columns `[y * x, volume * z]` of whole numbers in float32, all on one scale.

    The volumes fill `box` of a grid of this shape, or all of it. `quantum` is the size of 1, `slices` are the slices
    that the columns hold, and `occupied` tells which columns are not empty.
    """

    def __init__(self, volumes: Sequence[NDArray[Any]], shape: tuple[int, int, int], box: Box | None = None) -> None:
        self.slices, rows, columns_used = box or (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
        stacked = np.concatenate([np.asarray(volume, dtype=np.float64) for volume in volumes])
        self.quantum = float(np.abs(stacked).max()) / (WHOLE_NUMBERS - 1) or 1.0
        columns = np.zeros((*shape[1:], len(stacked)), dtype=np.float32)
        columns[rows, columns_used] = np.moveaxis(np.rint(stacked / self.quantum), 0, -1)
        self.columns = torch.from_numpy(columns.reshape(-1, len(stacked)))
        self.occupied: NDArray[np.bool_] = (self.columns != 0).any(dim=1).numpy()


@dataclass(frozen=True)
class Frame:
    """What one view's detector has before it, as `[distance, lateral, source, z]`."""

    extent: tuple[int, int, int, int]  # near, far, left, right: indices of distance and lateral offset
    emitted: torch.Tensor
    mu: torch.Tensor  # per step, of one source
    path: torch.Tensor  # integral of mu from the middle of each voxel to the detector

    def transmission(self, scale: float) -> torch.Tensor:
        """Return the share of photons that leave the body, where mu is `scale` times that of the photopeak."""
        return torch.exp(-scale * self.path)


def _pixel_shares(places_mm: Float, width_mm: float, edges_mm: Float, sigma_mm: Float) -> torch.Tensor:
    """Return `[depth, place, pixel]`: the share of a blurred box about each place that falls between a pixel's edges.

    The box is a voxel's width; its blur is Gaussian. The primitive of the cumulative normal is t P(t) + p(t).
    """
    sigma = torch.from_numpy(sigma_mm)[:, None, None]
    from_place = torch.from_numpy(edges_mm[None, :] - places_mm[:, None])[None]

    def primitive(distance: torch.Tensor) -> torch.Tensor:
        scaled = distance / sigma
        density = torch.exp(-0.5 * scaled**2) / math.sqrt(2.0 * math.pi)
        area: torch.Tensor = sigma * (scaled * torch.special.ndtr(scaled) + density)
        return area

    below = (primitive(from_place + width_mm / 2) - primitive(from_place - width_mm / 2)) / width_mm
    return below.diff(dim=2)


class Projector:
    """The camera before one patient; holds what all sources share, so that several can be projected in turn.

    Photons are attenuated up to the middle of their own voxel.
    """

    def __init__(self, mu_map: Volume, geometry: AcquisitionGeometry, blur: Blur) -> None:
        """Lay out the tables; the map lies along the patient's axes, and the geometry has a radius for each view."""
        grid = mu_map.grid
        if geometry.radius_mm is None:
            raise ValueError("the simulated camera needs the radius of each view")
        depth, height, width = grid.voxel_mm
        if abs(height - width) > 1e-9 or not np.allclose(grid.matrix[:3, :3], np.diag([width, height, depth])):
            raise ValueError("the simulated patient lies on a grid along the patient's axes with square voxels")
        self.grid, self.geometry, self.step_mm = grid, geometry, width
        self.radius_mm = geometry.radius_mm
        self.body = Source([mu_map.values.astype(np.float64) * (width / 10.0)], grid.shape)
        self._set_tables(blur)

    def _set_tables(self, blur: Blur) -> None:
        """Tabulate, per distance from the detector, in which row and column a photon lands."""
        geometry, step = self.geometry, self.step_mm
        x, y, z = self.axes_mm()
        reach = math.hypot(np.abs(x - geometry.isocenter_mm[0]).max(), np.abs(y - geometry.isocenter_mm[1]).max())
        self.lateral_mm: Float = (
            np.arange(-math.ceil(reach / step), math.ceil(reach / step) + 1, dtype=np.float64) * step
        )
        self.distance_mm = np.arange(0.5, (max(self.radius_mm) + reach) / step + 1) * step
        variance = (blur.fwhm_mm(self.distance_mm) * FWHM_TO_SIGMA) ** 2
        # Sampling blurs too: a box when the patient was painted and one here (1/12 each), interpolation across (1/6).
        floor = (0.1 * step) ** 2
        across = np.sqrt(np.maximum(variance - step**2 * (2 / 12 + 1 / 6), floor))
        along = np.sqrt(np.maximum(variance - self.grid.voxel_mm[0] ** 2 * (2 / 12), floor))
        column_edges: Float = (np.arange(geometry.columns + 1.0) - geometry.columns / 2) * geometry.pixel_size_mm[1]
        row_edges: Float = (geometry.rows / 2 - np.arange(geometry.rows + 1.0)) * geometry.pixel_size_mm[0]
        self._columns_of = _pixel_shares(
            self.lateral_mm, step, column_edges - geometry.center_of_rotation_offset_mm, across
        )
        self._rows_of = -_pixel_shares(z - geometry.isocenter_mm[2], self.grid.voxel_mm[0], row_edges, along)

    def axes_mm(self) -> tuple[Float, Float, Float]:
        """Return the positions of the grid's columns, rows and slices along x, y, z."""
        matrix, (slices, rows, columns) = self.grid.matrix, self.grid.shape
        counts = (columns, rows, slices)
        x, y, z = (np.asarray(matrix[axis, 3] + matrix[axis, axis] * np.arange(counts[axis])) for axis in range(3))
        return x, y, z

    def project(self, activities: Sequence[NDArray[Any]], box: Box | None = None) -> Float:
        """Return the expected counts `[activity, view, row, column]` for one photon per unit of `[z, y, x]`.

        The activities fill `box` of the grid, or all of it.
        """
        source = Source(activities, self.grid.shape, box)
        counts = np.zeros((len(activities), self.geometry.views, self.geometry.rows, self.geometry.columns))
        for view in range(self.geometry.views) if source.occupied.any() else ():
            frame = self.frame(view, source, source.occupied)
            counts[:, view] = self.detect(frame, frame.emitted * frame.transmission(1.0), source.slices).numpy()
        return counts * source.quantum

    def frame(self, view: int, source: Source, region: NDArray[np.bool_]) -> Frame:
        """Return a source and the attenuation before it as one view's detector sees it, in a `region` of columns."""
        near, far, left, right = extent = self._extent(view, region)
        tissue = self.body.columns[:, source.slices].contiguous()
        shape = (-1, right - left, 1, tissue.shape[1])
        mu = self._lookup(view, 0, far, left, right).rows(tissue).double().view(shape) * self.body.quantum
        emitted = self._lookup(view, near, far, left, right).rows(source.columns).double()
        path = (mu.cumsum(0) - 0.5 * mu)[near:]
        return Frame(extent, emitted.view(far - near, right - left, -1, shape[3]), mu[near:], path)

    def detect(self, frame: Frame, arriving: torch.Tensor, slices_of: slice) -> torch.Tensor:
        """Return the counts `[source, row, column]` of photons `[distance, lateral, source, z]` from these slices."""
        near, far, left, right = frame.extent
        sources, slices = arriving.shape[2:]
        by_row = torch.bmm(arriving.reshape(far - near, -1, slices), self._rows_of[near:far, slices_of])
        by_row = by_row.view(-1, sources * self.geometry.rows)
        columns = self._columns_of[near:far, left:right].reshape(-1, self.geometry.columns)
        return (by_row.T @ columns).view(sources, self.geometry.rows, self.geometry.columns)

    def _extent(self, view: int, region: NDArray[np.bool_]) -> tuple[int, int, int, int]:
        """Return the index ranges of distance (near, far) and lateral offset (left, right) that hold these columns."""
        x, y, _ = self.axes_mm()
        row, column = np.nonzero(region.reshape(len(y), len(x)))
        distance, lateral = self._detector_frame(view, x[column], y[row])
        near = max(int((distance.min() - self.step_mm) / self.step_mm - 0.5), 0)
        far = min(int((distance.max() + self.step_mm) / self.step_mm - 0.5) + 2, len(self.distance_mm))
        middle = len(self.lateral_mm) // 2
        left = max(math.floor(lateral.min() / self.step_mm) - 1 + middle, 0)
        right = min(math.ceil(lateral.max() / self.step_mm) + 2 + middle, len(self.lateral_mm))
        return near, far, left, right

    def _detector_frame(self, view: int, x: Float, y: Float) -> tuple[Float, Float]:
        """Return the distance from the detector's face and the lateral offset of points in the patient."""
        angle = math.radians(self.geometry.angles_deg[view])
        dx, dy = x - self.geometry.isocenter_mm[0], y - self.geometry.isocenter_mm[1]
        distance = self.radius_mm[view] - (dx * math.sin(angle) + dy * math.cos(angle))
        return distance, -dx * math.cos(angle) + dy * math.sin(angle)

    def _lookup(self, view: int, near: int, far: int, left: int, right: int) -> _Lookup:
        """Return where the detector's frame `[distance, lateral]` finds its values in the patient's columns."""
        angle = math.radians(self.geometry.angles_deg[view])
        toward = self.radius_mm[view] - self.distance_mm[near:far, None]
        across = self.lateral_mm[None, left:right]
        x = self.geometry.isocenter_mm[0] + toward * math.sin(angle) - across * math.cos(angle)
        y = self.geometry.isocenter_mm[1] + toward * math.cos(angle) + across * math.sin(angle)
        first_x, first_y, _ = self.grid.position_mm(0, 0, 0)
        return _Lookup.between(
            (x - first_x) / self.step_mm, (y - first_y) / self.step_mm, self.grid.shape[2], self.grid.shape[1]
        )


@dataclass(frozen=True)
class _Lookup:
    """Bilinear interpolation as four columns and their whole-number weights for each point."""

    index: torch.Tensor  # [points * 4]
    weight: torch.Tensor  # [points * 4]

    @classmethod
    def between(cls, x: Float, y: Float, width: int, height: int) -> _Lookup:
        """Return the lookup for fractional column indices `x` and `y`; nothing is found outside the grid."""
        fine_x, fine_y = (np.rint(value * WEIGHT_STEPS).astype(np.int64).ravel() for value in (x, y))
        x0, y0 = fine_x // WEIGHT_STEPS, fine_y // WEIGHT_STEPS
        part_x, part_y = fine_x % WEIGHT_STEPS, fine_y % WEIGHT_STEPS
        index = np.empty((len(x0), 4), dtype=np.int32)
        weight = np.empty((len(x0), 4), dtype=np.float32)
        for corner, (right, down) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
            column, row = x0 + right, y0 + down
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index[:, corner] = np.where(inside, row * width + column, 0)
            share_x = part_x if right else WEIGHT_STEPS - part_x
            share_y = part_y if down else WEIGHT_STEPS - part_y
            weight[:, corner] = np.where(inside, share_x * share_y, 0)
        return cls(torch.from_numpy(index.ravel()), torch.from_numpy(weight.ravel()))

    def rows(self, columns: torch.Tensor) -> torch.Tensor:
        """Return the interpolated columns `[points, z]`."""
        bags = torch.arange(0, len(self.index), 4, dtype=torch.int32)
        summed = torch.nn.functional.embedding_bag(
            self.index, columns, bags, mode="sum", per_sample_weights=self.weight
        )
        return summed / (WEIGHT_STEPS * WEIGHT_STEPS)
