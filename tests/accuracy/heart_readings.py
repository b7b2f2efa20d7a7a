"""Reads the images of a case as the product does, and compares what is read with the truth."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.left_ventricle import NoHeartFound, find_left_ventricle
from pipelines.cardiac.limits_library import limits_for
from pipelines.cardiac.polar_map import PolarMap, polar_map
from pipelines.cardiac.quantification import NormalLimits, perfusion
from pipelines.cardiac.segments import segment_means
from pipelines.cardiac.ventricle_shape import ventricle_shape
from tests.accuracy.heart_cases import Case, Float, Image, Place, Truth

READ_FOR_PERFUSION = ("AC", "AC+CDR", "nAC")
UNHARMED = 0.97  # of the normal uptake is left


@dataclass(frozen=True)
class PlaceErrors:
    """How far a found ventricle lies from the true one."""

    axis_deg: float
    center_mm: float
    base_mm: float  # along the axis, with its sign: positive toward the apex
    cavity_ml: float
    true_cavity_ml: float
    wall_ml: float
    true_wall_ml: float


@dataclass(frozen=True)
class PerfusionPair:
    """What was read of the perfusion, and what it truly is."""

    tpd: float
    true_tpd: float
    score: int
    true_score: int
    segments: tuple[float, ...]  # in % of normal
    true_left: tuple[float, ...]  # % of their own normal uptake that defects leave
    true_uptake: tuple[float, ...]  # in % of the normal mean, with the patient's own normal variation; unharmed 100


@dataclass(frozen=True)
class Reading:
    """One image of one case; `place` is None and `said` the reason where no ventricle was found."""

    case: Case
    image: str
    place: PlaceErrors | None
    said: str
    seconds: float  # finding, map, numbers: of one core
    perfusion: PerfusionPair | None = None


def read(case: Case, truth: Truth, image: Image, normal_uptake: Float) -> Reading:
    """Return what is read from an image; `normal_uptake` `[ring, angle]` is the mean of normal hearts."""
    began = time.process_time()
    try:
        ventricle = find_left_ventricle(image.volume)
    except NoHeartFound as error:
        return Reading(case, image.name, None, str(error), time.process_time() - began)
    polar = polar_map(image.volume, ventricle)
    place = place_errors(ventricle, truth.place)
    limits = limits_for(case.sex.value, case.state.value, corrected=image.name.startswith("AC"))
    pair = None
    if image.name in READ_FOR_PERFUSION and limits is not None:
        pair = _perfusion(polar, truth, limits, normal_uptake)
    return Reading(case, image.name, place, "", time.process_time() - began, pair)


def place_errors(found: LeftVentricle, true: Place) -> PlaceErrors:
    """Return how far the found ventricle lies from the mean over the beat of the true one."""
    cosine = float(np.clip(np.asarray(found.long_axis) @ true.axis, -1.0, 1.0))
    shape = ventricle_shape(found)
    return PlaceErrors(
        axis_deg=float(np.degrees(np.arccos(cosine))),
        center_mm=float(np.linalg.norm(np.asarray(found.center_mm) - true.center)),
        base_mm=float((np.asarray(found.base_mm) - true.base) @ true.axis),
        cavity_ml=shape.cavity_ml,
        true_cavity_ml=true.cavity_ml,
        wall_ml=shape.wall_ml,
        true_wall_ml=true.wall_ml,
    )


def _perfusion(polar: PolarMap, truth: Truth, limits: NormalLimits, normal_uptake: Float) -> PerfusionPair:
    found = perfusion(polar, limits)
    left = segment_means(truth.left, polar.area_mm2)
    relative = truth.uptake / normal_uptake
    # An image tells uptake only against other parts of the same heart: what is unharmed has 100 % on the average.
    unharmed = np.average(relative, weights=polar.area_mm2 * (truth.left > UNHARMED))
    uptake = segment_means(relative / unharmed, polar.area_mm2)
    return PerfusionPair(
        tpd=found.tpd_percent,
        true_tpd=truth.tpd_percent,
        score=found.summed_score,
        true_score=truth.summed_score,
        segments=found.segments_percent,
        true_left=tuple(100.0 * value for value in left),
        true_uptake=tuple(100.0 * value for value in uptake),
    )
