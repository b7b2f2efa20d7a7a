"""What the guard looks at in a mu-map and in the heart that was corrected with it: anatomy, outline, change, agreement.

Figures of a network's maps are compared with thresholds of its card. Maps that were measured have fixed, wide limits,
and so has every map where anatomy alone sets them.
All are meant at technetium's energy: a map of other photons is judged by what it would be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.polar_map import PolarMap
from pipelines.cardiac.sampling import Sampler
from pipelines.cardiac.segments import segment_means
from pipelines.images import Volume
from pipelines.physics.attenuation import TECHNETIUM_KEV, WATER_PER_CM, water_per_cm
from pipelines.physics.body_outline import SKIN_PER_CM, body_in_emission, body_in_map, dice, seen_slices
from pipelines.physics.table import without_table
from pipelines.quality.guard import QUARANTINE, WARN, Check

Float = NDArray[np.float64]

SOFT_PER_CM = 0.10  # denser is soft tissue or bone
_BONE_PER_CM = 0.175
_AROUND_HEART_MM = 60.0  # of its center along the body: the slices whose anatomy is looked at
_LEAST_BESIDE_MM = 100.0  # of patient above and below the heart's middle; less of it shows too little of the liver
_USUAL_LUNG_SHARE = 0.30  # of the body there; 0.15 to 0.45 are met
_USUAL_SOFT_PER_CM = 0.153
_USUAL_LOG_CORRECTION = 1.5  # logarithm of corrected over uncorrected counts: the heart sends a fifth of its photons

CHECKS: tuple[Check, ...] = (
    Check("lung_share", "the lungs of the attenuation map are too large or too small"),
    Check("lungs_below", "the lungs of the attenuation map lie below the heart, as if it were upside down"),
    Check("soft_tissue", "the soft tissue of the attenuation map is denser or thinner than soft tissue is"),
    Check("body_outline", "the outline of the body in the attenuation map is not that of the emission"),
    # where no held-out map has any of it, the limit would be nothing, and the next patient's wall touches the lung
    Check("heart_in_lung", "the heart lies partly in the lung or the air of the attenuation map", (0.05, 0.15)),
    Check("correction", "the correction raises or lowers the heart's counts more than attenuation can"),
    Check("segment_ratio", "the correction changes some segments far more than others"),
    Check("factor_spread_percent", "the networks disagree about how much of the heart's radiation is lost"),
)
MEASURED_CHECKS = CHECKS[:-1]  # there is but one map, as of a model that is a single network

# lungs surround the heart and end below it: 0.22 to 0.41 in 16 virtual patients, upside down 0.59 or more
ANATOMY_LIMITS: Mapping[str, float] = MappingProxyType({f"lungs_below.{WARN}": 0.45, f"lungs_below.{QUARANTINE}": 0.50})
# what a model's card has limits for
LEARNED_FIGURES = tuple(check.figure for check in CHECKS if f"{check.figure}.{WARN}" not in ANATOMY_LIMITS)

# of maps that were measured; registration errors as real ones have stay below WARN
MEASURED_LIMITS: Mapping[str, float] = MappingProxyType(
    {
        **ANATOMY_LIMITS,
        # half as far again from the median as 99.5 % of 120 virtual scans lie: lungs do differ, and a CT invents none
        f"lung_share.{WARN}": 0.21,
        f"lung_share.{QUARANTINE}": 0.28,
        f"soft_tissue.{WARN}": 0.08,
        f"soft_tissue.{QUARANTINE}": 0.20,
        f"body_outline.{WARN}": 0.12,
        f"body_outline.{QUARANTINE}": 0.25,
        f"heart_in_lung.{WARN}": 0.15,
        f"heart_in_lung.{QUARANTINE}": 0.35,
        f"correction.{WARN}": 0.6,
        f"correction.{QUARANTINE}": 0.9,
        f"segment_ratio.{WARN}": 2.2,
        f"segment_ratio.{QUARANTINE}": 3.0,
    }
)


@dataclass(frozen=True)
class Corrected:
    """What a correction is judged by: its map and the emission on one grid, the heart, and its polar maps."""

    mu_map: Volume
    emission: Volume  # not corrected
    ventricle: LeftVentricle | None
    polar_before: PolarMap | None = None
    polar_after: PolarMap | None = None
    factors: Float | None = None  # what each network's map lets through `[network, place, view]`
    energy_kev: float = TECHNETIUM_KEV  # of the photons that the map is for


def map_figures(corrected: Corrected) -> dict[str, float]:
    """Return the figures of `CHECKS`; the larger, the stranger. NaN is what could not be told.

    Tissue scales with water, the logarithm of what a correction does with tissue: both are brought to technetium's
    energy. Raises ValueError on an energy for which water's coefficient is not known.
    """
    scale = water_per_cm(corrected.energy_kev) / WATER_PER_CM
    mu_map = replace(corrected.mu_map, values=corrected.mu_map.values / np.float32(scale))
    corrected = replace(corrected, mu_map=without_table(mu_map))
    anatomy = _anatomy(corrected)
    before, after = corrected.polar_before, corrected.polar_after
    ratios = np.full(1, np.nan)
    if before is not None and after is not None:
        means = [np.array(segment_means(one.counts, one.area_mm2)) for one in (before, after)]
        ratios = means[1] / np.maximum(means[0], 1e-9)
    low, high = float(ratios.min()), float(ratios.max())
    return {
        **anatomy,
        "lungs_below": _share_below(corrected),
        "heart_in_lung": _share_in_lung(corrected),
        "correction": abs(float(np.log(max(float(ratios.mean()), 1e-9))) / scale - _USUAL_LOG_CORRECTION),
        "segment_ratio": (high / max(low, 1e-9)) ** (1.0 / scale),
        "factor_spread_percent": _spread_percent(corrected.factors),
    }


def wall_places_mm(ventricle: LeftVentricle) -> Float:
    """Return LPS places `[place, 3]` all over the middle of the ventricle's wall, from the apex to the valve plane."""
    polar, angle = np.meshgrid(np.radians(np.arange(5.0, 130.0, 10.0)), np.arange(0.0, 360.0, 20.0), indexing="ij")
    places, _ = ventricle.wall.surface(polar.ravel(), angle.ravel())
    return np.asarray(places[ventricle.wall.along_mm(places) > ventricle.valve_plane_mm])


def why_untold(corrected: Corrected) -> str:
    """Return in words why some of the figures are NaN; empty if none is."""
    if corrected.ventricle is None:
        return "no left ventricle was found"
    return "map and emission have no slice in common"


def unasked(corrected: Corrected, figures: Mapping[str, float]) -> dict[str, str]:
    """Return the figures that are NaN by the camera's field and no fault, each with words: they hold nothing back."""
    if corrected.ventricle is None or not np.isnan(figures["lungs_below"]):
        return {}
    near = f"less than {_LEAST_BESIDE_MM / 10:.0f} cm of the patient are seen above or below the heart"
    return {"lungs_below": f"{near}: whether the attenuation map is upside down could not be asked"}


def _anatomy(corrected: Corrected) -> dict[str, float]:
    """Return how far lungs, soft tissue and outline are from what is usual, in the slices about the heart."""
    emission, mu_map = corrected.emission, corrected.mu_map
    slices = seen_slices(emission) & mu_map.values.any(axis=(1, 2)) & _about_heart(corrected)
    body = body_in_map(mu_map)[slices]
    if not body.any():
        return dict.fromkeys(("lung_share", "soft_tissue", "body_outline"), float("nan"))
    inside = mu_map.values[slices][body]
    soft = inside[(inside > SOFT_PER_CM) & (inside < _BONE_PER_CM)]
    density = float(np.median(soft)) if soft.size else 0.0
    return {
        "lung_share": abs(float(((inside > SKIN_PER_CM) & (inside < SOFT_PER_CM)).mean()) - _USUAL_LUNG_SHARE),
        "soft_tissue": abs(density / _USUAL_SOFT_PER_CM - 1.0),
        "body_outline": 1.0 - dice(body, body_in_emission(emission)[slices]),
    }


def _about_heart(corrected: Corrected) -> NDArray[np.bool_]:
    if corrected.ventricle is None:
        return np.ones(corrected.mu_map.grid.shape[0], dtype=bool)
    return np.asarray(np.abs(_above_mm(corrected.mu_map, corrected.ventricle)) <= _AROUND_HEART_MM)


def _above_mm(volume: Volume, ventricle: LeftVentricle) -> Float:
    """Return how far toward the head each slice lies from the middle of the ventricle."""
    matrix = volume.grid.matrix
    return np.asarray(matrix[2, 3] + matrix[2, 2] * np.arange(volume.grid.shape[0]) - ventricle.center_mm[2])


def _share_below(corrected: Corrected) -> float:
    """Return the part of the body that is lung below the heart, over that part below and above; as far either way.

    0 where there is no lung; NaN where less than `_LEAST_BESIDE_MM` of the patient is seen on either side.
    """
    if corrected.ventricle is None:
        return float("nan")
    mu_map = corrected.mu_map
    above_mm = _above_mm(mu_map, corrected.ventricle)
    seen = seen_slices(corrected.emission) & mu_map.values.any(axis=(1, 2))
    reach_mm = min(float(above_mm[seen].max(initial=0.0)), -float(above_mm[seen].min(initial=0.0)))
    if reach_mm < _LEAST_BESIDE_MM:
        return float("nan")
    body = body_in_map(mu_map)
    lung = body & (mu_map.values > SKIN_PER_CM) & (mu_map.values < SOFT_PER_CM)
    below, above = (
        float(lung[side].sum()) / max(float(body[side].sum()), 1.0)
        for side in (seen & (np.abs(above_mm) <= reach_mm) & (sign * above_mm > 0) for sign in (-1, 1))
    )
    return below / max(below + above, 1e-9)


def _share_in_lung(corrected: Corrected) -> float:
    if corrected.ventricle is None:
        return float("nan")
    mu = Sampler.of(corrected.mu_map).linear(wall_places_mm(corrected.ventricle))
    return float((mu < SOFT_PER_CM).mean())


def _spread_percent(factors: Float | None) -> float:
    """Return the standard deviation over the networks of what leaves each place, over all places and in %."""
    if factors is None or len(factors) < 2:
        return float("nan")
    leaving = factors.mean(axis=2)
    relative = leaving.std(axis=0) / np.maximum(leaving.mean(axis=0), 1e-9)
    return 100.0 * float(np.sqrt((relative**2).mean()))
