"""How the evaluation reads projections: reconstruction as the paper's, the left ventricle, its indices.

Each image is read for itself, as a department would that has this image alone: the ventricle is found in it anew. Only
so can size and shape differ between images at all, which the paper's Table 3 compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.agreement.image_quality import GRAY, ImageQuality, gray, image_quality
from pipelines.cardiac.gated_function import gated_function
from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.left_ventricle import NoHeartFound, find_left_ventricle
from pipelines.cardiac.polar_map import PolarMap, polar_map
from pipelines.cardiac.quantification import NormalLimits, perfusion
from pipelines.cardiac.reorientation import FIELD_MM, Orientation, reoriented
from pipelines.cardiac.ventricle_shape import HALF_WALL_MM, ventricle_shape
from pipelines.evaluation.denoising.methods import Estimate
from pipelines.evaluation.denoising.record import Indices, Method
from pipelines.geometry import AcquisitionGeometry
from pipelines.images import Array, Projections, UnsuitableAcquisition, Volume
from pipelines.perfusion.imaging import Prepared, prepare
from pipelines.perfusion.options import Options
from pipelines.reconstruction.motion import Motion

BELOW_HEART_MM = 10.0  # kept below the left ventricle's wall when the liver is left out
USUAL_REACH_MM = 50.0  # from the ventricle's middle to its lower edge, where it was not found
IN_PATIENT = 0.2  # of the mean of all pixels: more noise-free counts than that are in the patient


@dataclass(frozen=True)
class Reading:
    """One image and what was read from it; all but the volume are None where no ventricle was found."""

    volume: Volume
    ventricle: LeftVentricle | None = None
    polar: PolarMap | None = None
    indices: Indices | None = None


def reconstructed(projections: Projections) -> Volume:
    """Return the reconstruction (gates summed) as the paper made it: OSEM 8 x 2, Butterworth 0.45, order 10."""
    return _prepared(projections).reconstruct("cpu")


def _prepared(projections: Projections) -> Prepared:
    """Return projections with the paper's settings; patients of the cohort lie still, so no motion is looked for."""
    geometry = projections.geometry
    still = Motion((0.0,) * geometry.views, 0.0, geometry.pixel_size_mm[0])
    return prepare(projections, Options(), still)


def read(projections: Projections, limits: NormalLimits) -> Reading:
    """Reconstruct projections and read the ventricle."""
    volume = reconstructed(projections)
    try:
        ventricle = find_left_ventricle(volume)
    except NoHeartFound:
        return Reading(volume)
    polar = polar_map(volume, ventricle)
    return Reading(volume, ventricle, polar, _indices(polar, ventricle, limits))


def _indices(polar: PolarMap, ventricle: LeftVentricle, limits: NormalLimits) -> Indices:
    found, shape = perfusion(polar, limits), ventricle_shape(ventricle)
    return Indices(
        defect_ml=found.extent_percent / 100.0 * shape.wall_ml,
        extent_percent=found.extent_percent,
        summed_score=found.summed_score,
        summed_percent=found.summed_percent,
        tpd_percent=found.tpd_percent,
        cavity_ml=shape.cavity_ml,
        wall_ml=shape.wall_ml,
        eccentricity=shape.eccentricity,
        shape_index=shape.shape_index,
        segments_percent=found.segments_percent,
        scores=found.scores,
    )


def ejection_fraction(gated: Projections, ventricle: LeftVentricle | None) -> float | None:
    """Return the ejection fraction in percent of a gated study; None where it can't be read."""
    if ventricle is None:
        return None
    try:
        return gated_function(_prepared(gated).reconstruct_gates("cpu"), ventricle).ejection_fraction_percent
    except UnsuitableAcquisition:
        return None


def beat_percent(gates: Array, noise_free: Array) -> float:
    """Return how much of the true beat gates `[gate, view, row, column]` show, in percent.

    The beat is how gates, each over its own counts, differ from their mean; the share is that of a straight line
    through all pixels. Noise leaves it at 100 on average, a method that makes the gates alike brings it to 0.
    """
    seen, true = (one / one.sum(axis=(1, 2, 3), keepdims=True, dtype=np.float64) for one in (gates, noise_free))
    motion = true - true.mean(axis=0)
    return 100.0 * float(((seen - seen.mean(axis=0)) * motion).sum() / (motion**2).sum())


def heart_rows(
    geometry: AcquisitionGeometry, ventricle: LeftVentricle | None, center_mm: Sequence[float]
) -> tuple[int, int]:
    """Return the rows from the top of the detector to just below the left ventricle: what lies lower is left out.

    The paper's projections were cropped by a physician to be rid of the liver. `center_mm` (LPS) is where the heart
    lies if no ventricle was found.
    """
    if ventricle is None:
        lowest = center_mm[2] - USUAL_REACH_MM
    else:
        wall = ventricle.wall
        along, across = wall.half_length * wall.axis[2], wall.half_width * np.hypot(wall.axis[0], wall.axis[1])
        lowest = wall.middle[2] - float(np.hypot(along, across)) - HALF_WALL_MM
    rows_mm = geometry.pixel_size_mm[0]
    below = geometry.rows / 2 + (geometry.isocenter_mm[2] - lowest + BELOW_HEART_MM) / rows_mm
    return 0, int(np.clip(np.ceil(below), 8, geometry.rows))


def projection_quality(
    method: Method, estimate: Estimate, full: Projections, rows: tuple[int, int] | None = None
) -> ImageQuality:
    """Return the paper's metric in projection space; `rows` (from, to) are those that count, all of them for None.

    The full dose goes from 0 to 255 over its own maximum, and so does the low dose over its own. What a method
    predicts is on the full dose's scale: counts are divided by the full dose's maximum. The paper's network predicts
    shares of that maximum itself, and these are taken as they are.
    """
    reference = full.photopeak_counts()
    whole = float(reference.max())
    image = estimate.projections.photopeak_counts() if estimate.shares is None else estimate.shares * whole
    if rows is not None:
        reference, image = reference[..., slice(*rows), :], image[..., slice(*rows), :]
    return _quality(method, image, reference)


def heart_slices(volume: Volume, ventricle: LeftVentricle | None, center_mm: Sequence[float]) -> Array:
    """Return the short-axis slices of an image in the frame of a ventricle; without one, a box about the heart's place.

    The paper doesn't say which voxels its Table 2 compares. Over these slices low-dose images come out near the printed
    rows; over whole reconstructions, with the liver's maximum as the scale and empty voxels around the patient, their
    errors are a third to a fifth of those.
    """
    if ventricle is not None:
        return reoriented(volume, ventricle, Orientation.SHORT_AXIS).values
    x, y, z = center_mm
    middle, reach = volume.grid.index_of((x, y, z)), FIELD_MM / 2 / np.array(volume.grid.voxel_mm)
    low = np.maximum(np.floor(middle - reach), 0).astype(int)
    high = np.ceil(middle + reach).astype(int)
    return np.asarray(volume.values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])


def image_quality_of(method: Method, image: Array, full: Array) -> ImageQuality:
    """Return the paper's metric in image space, over all voxels; scales as in projection space."""
    return _quality(method, image, full)


def _quality(method: Method, image: Array, reference: Array) -> ImageQuality:
    graded = gray(image) if method is Method.LOW_DOSE else image.astype(np.float64) * (GRAY / float(reference.max()))
    return image_quality(graded, gray(reference), GRAY)


def truth_percent(image: Array, truth: Array, where: Array) -> float:
    """Return the RMSE against the noise-free image in percent of that image's mean, both where `where` is true."""
    error = (image - truth)[where].astype(np.float64)
    return 100.0 * float(np.sqrt(np.mean(error**2)) / truth[where].mean(dtype=np.float64))


def in_patient(noise_free: Array) -> Array:
    """Return which pixels show the patient."""
    return np.asarray(noise_free > IN_PATIENT * noise_free.mean(dtype=np.float64))
