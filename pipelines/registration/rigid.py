"""Lays a mu-map over the emission: a shift and a turn of a few millimeters and degrees, and how well the bodies agree.

What both images share is where organs end, not how bright they are, and a hot liver shines beyond its edge: mutual
information of the images themselves set virtual patients 5 mm too high. So their edges are compared: gradients of the
smoothed images, each divided by those around it, so that skin counts as much as the liver. A power of the activity
stands between two errors: the activity itself laid the map 3 mm too low, its square root 1 mm too high.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from pipelines.geometry import VoxelGrid
from pipelines.images import Array, UnsuitableAcquisition, Volume
from pipelines.physics.body_outline import Mask, body_in_emission, body_in_map, dice, seen_slices
from pipelines.physics.table import without_table
from pipelines.resampling import resample

Float = NDArray[np.float64]
Point = tuple[float, float, float]

_MAP_MM = 5.0  # voxels of the map while it is registered
_EDGE_EMISSION_MM, _EDGE_MAP_MM = 8.0, 10.0  # Gaussians before gradients; the camera has blurred the emission already
_POWER = 0.6  # of the activity, see above
_AROUND_MM = 30.0  # within which an edge is compared with others
_FAINTEST = 0.05  # of the strongest surroundings: fainter edges are noise
_STARTS_MM = (0.0, -20.0, 20.0)  # along the body, where most of both images looks alike
_FARTHER = 0.03  # of the correlation, by which a start farther away has to be better
_SHOWN = 0.999  # of a voxel that lies in the map
_LEAST_SHARE = 0.2  # of the body in the emission, that a map has to show
_ROUGH_MM = 6.0  # Gaussian before images of half size
# largest and smallest step in mm, steps, relaxation, least gradient
_ROUGH_STEPS, _FINE_STEPS = (4.0, 0.2, 50, 0.6, 1e-6), (1.0, 0.02, 60, 0.6, 1e-6)


@dataclass(frozen=True)
class Registration:
    """How a map had to be moved to lie on the emission.

    The turn (Euler angles about x, y, z in degrees) goes about `center_mm`, the shift (LPS mm) follows. `agreement` is
    the Dice coefficient of both bodies' outlines, before and after; 1 is perfect.
    """

    shift_mm: Point
    turn_deg: Point
    center_mm: Point
    agreement_before: float
    agreement_after: float

    @property
    def moved_mm(self) -> float:
        """How far the map's center was moved."""
        return math.hypot(*self.shift_mm)

    @property
    def turned_deg(self) -> float:
        """The largest of its turns."""
        return max(abs(angle) for angle in self.turn_deg)

    def apply(self, volume: Volume) -> Volume:
        """Return a volume that lies where the map was moved to: its values are untouched, its grid is another."""
        return replace(volume, grid=_moved(volume.grid, self._matrix()))

    def _matrix(self) -> Float:
        """Return the motion of places in LPS mm, `[4, 4]`."""
        a, b, c = np.radians(self.turn_deg)
        about_x = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
        about_y = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
        about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
        motion = np.eye(4)
        motion[:3, :3] = about_z @ about_x @ about_y
        center = np.asarray(self.center_mm)
        motion[:3, 3] = center + np.asarray(self.shift_mm) - motion[:3, :3] @ center
        return motion


def _moved(grid: VoxelGrid, motion: Float) -> VoxelGrid:
    rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in motion @ grid.matrix)
    return VoxelGrid(grid.shape, rows)


def register(mu_map: Volume, emission: Volume, *, same_frame: bool = True) -> Registration:
    """Return the motion that lays a mu-map (1/cm) over a reconstruction that is not corrected.

    Without the same frame of reference the middles of both bodies are laid over each other first. The same images give
    the same motion on every run. Raises UnsuitableAcquisition if one image shows too little of the other's patient.
    """
    coarse = _coarse(mu_map)
    seen = seen_slices(emission)
    mask = np.asarray(np.broadcast_to(seen[:, None, None], emission.grid.shape))
    body = body_in_emission(emission) & mask
    middle = _middle_mm(body, emission.grid, "the reconstruction")
    start = (0.0, 0.0, 0.0)
    if not same_frame:
        start = _point(np.subtract(middle, _middle_mm(body_in_map(coarse), coarse.grid, "the attenuation map")))
    start_motion = Registration(start, (0.0, 0.0, 0.0), middle, 0.0, 0.0)
    _check_overlap(_shown(start_motion.apply(coarse), emission.grid), body)
    search = _Search(
        _edges((np.maximum(emission.values, 0.0) ** _POWER).astype(np.float32), emission.grid, _EDGE_EMISSION_MM),
        _edges(without_table(coarse).values, coarse.grid, _EDGE_MAP_MM),
        _image(mask.astype(np.uint8), emission.grid),
        middle,
    )
    motion = search.best_motion(start)
    a, b, c, x, y, z = motion.GetParameters()
    found = Registration(_point([x, y, z]), _point(np.degrees([a, b, c])), middle, 0.0, 0.0)
    before, after = (_agreement(one, emission, seen) for one in (coarse, found.apply(coarse)))
    return replace(found, agreement_before=before, agreement_after=after)


def moved_by_hand(mu_map: Volume, emission: Volume, shift_mm: Point) -> Registration:
    """Return a shift (LPS mm) that a person has chosen, and how the outlines agree without and with it."""
    coarse, seen = _coarse(mu_map), seen_slices(emission)
    moved = Registration(shift_mm, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, 0.0)
    before, after = (_agreement(one, emission, seen) for one in (coarse, moved.apply(coarse)))
    return replace(moved, agreement_before=before, agreement_after=after)


@dataclass(frozen=True)
class _Search:
    """Edges of both images, where they count, and the place that is turned about."""

    fixed: sitk.Image
    moving: sitk.Image
    mask: sitk.Image
    center_mm: Point

    def best_motion(self, start_mm: Point) -> Any:
        """Return the motion of the map (Euler3DTransform) that is best among those reached from several starts.

        Patients lie nearly alike in both scans, so a start farther away has to be clearly better.
        """
        tried = []
        for along in _STARTS_MM:
            x, y, z = start_mm
            transform = sitk.Euler3DTransform()
            transform.SetCenter(self.center_mm)
            transform.SetTranslation((-x, -y, -z - along))  # from the emission to the map: against the map's motion
            error, transform = self._improved(transform, half_size=True)
            tried.append((error + (_FARTHER if along else 0.0), transform))
        _, best = min(tried, key=lambda one: one[0])
        return self._improved(best, half_size=False)[1].GetInverse()

    def _improved(self, transform: Any, *, half_size: bool) -> tuple[float, Any]:
        """Return the error that was reached and the transform, on images of full or half size."""
        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)  # sums in another order would give another motion
        method.SetMetricAsCorrelation()
        method.SetMetricFixedMask(self.mask)
        method.SetMetricSamplingStrategy(method.NONE)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetOptimizerAsRegularStepGradientDescent(*(_ROUGH_STEPS if half_size else _FINE_STEPS))
        method.SetShrinkFactorsPerLevel([2 if half_size else 1])
        method.SetSmoothingSigmasPerLevel([_ROUGH_MM if half_size else 0.0])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetInitialTransform(transform, True)
        method.Execute(self.fixed, self.moving)
        return float(method.GetMetricValue()), transform


def _coarse(mu_map: Volume) -> Volume:
    """Return the map on an axial grid of voxels that are no smaller than registration needs."""
    shape = np.array(mu_map.grid.shape)
    corners = np.array([mu_map.grid.position_mm(*(np.array(at) * (shape - 1))) for at in np.ndindex(2, 2, 2)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y, z = (max(int(length / _MAP_MM), 1) + 1 for length in high - low)
    return resample(mu_map, VoxelGrid.axial((z, y, x), (_MAP_MM,) * 3, _point((low + high) / 2)))


def _edges(values: Array, grid: VoxelGrid, sigma_mm: float) -> sitk.Image:
    """Return how strong edges are against those around them, 0 to about 1."""
    strength = sitk.GradientMagnitudeRecursiveGaussian(_image(values, grid), sigma_mm)
    around = sitk.SmoothingRecursiveGaussian(strength, _AROUND_MM)
    highest = float(sitk.GetArrayViewFromImage(around).max())
    return strength / (around + max(_FAINTEST * highest, 1e-12))


def _image(values: Array | NDArray[np.uint8], grid: VoxelGrid) -> sitk.Image:
    """Return values `[z, y, x]` with their place in the patient."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    matrix = grid.matrix
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    return image


def _middle_mm(body: Mask, grid: VoxelGrid, named: str) -> Point:
    if not body.any():
        raise UnsuitableAcquisition(f"the attenuation map can't be registered: {named} shows no body")
    z, y, x = (float(index.mean()) for index in np.nonzero(body))
    return _point(grid.position_mm(z, y, x))


def _shown(mu_map: Volume, grid: VoxelGrid) -> Mask:
    """Return the voxels of a grid that lie in a map."""
    ones = np.ones(mu_map.grid.shape, dtype=np.float32)
    return np.asarray(resample(replace(mu_map, values=ones), grid).values > _SHOWN)


def _check_overlap(shown: Mask, body: Mask) -> None:
    share = float(shown[body].mean())
    if share < _LEAST_SHARE:
        raise UnsuitableAcquisition(
            f"the attenuation map can't be registered: it shows {100 * share:.0f} % of what the reconstruction shows "
            f"of the patient, expected {100 * _LEAST_SHARE:.0f} % or more"
        )


def _agreement(mu_map: Volume, emission: Volume, seen: NDArray[np.bool_]) -> float:
    """Return the Dice coefficient of the bodies where both images show something; 0 where there is nothing."""
    both = _shown(mu_map, emission.grid) & seen[:, None, None]
    if not both.any():
        return 0.0
    placed = resample(mu_map, emission.grid)
    return dice(body_in_emission(emission) & both, body_in_map(placed) & both)


def _point(values: Any) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
