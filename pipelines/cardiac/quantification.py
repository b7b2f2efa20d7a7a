"""Numbers of perfusion: normal limits, extent, severity, total perfusion deficit, segment scores and their sums.

Limits are made from polar maps of normal hearts, of a site or of a cohort of virtual patients; a hash names them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.polar_map import PolarMap
from pipelines.cardiac.segments import ANGLES, RINGS, SEGMENTS, segment_means

Float = NDArray[np.float64]

ABNORMAL_SD = 2.5  # below the mean: 3 mean absolute deviations
WORST_LOSS = 0.70  # of the mean, from which a sample has the worst score (Slomka et al. 2005)
WORST_SCORE = 4.0
LEAST_SD = 0.04  # of the mean: what repeating a study alone makes
LEAST_NORMALS = 8
SCALING_ROUNDS = 20
DECIMALS = 2


@dataclass(frozen=True)
class NormalLimits:
    """Mean and standard deviation of normal hearts `[ring, angle]`; the mean of the whole map is 100.

    `population` names who they were: sex, stress or rest, corrected for attenuation or not; `reconstruction` says how
    their images were made, which must be the way of the images that are read against them.
    """

    population: str
    number: int
    mean: Float
    sd: Float
    reconstruction: str = ""

    def __post_init__(self) -> None:
        if self.mean.shape != (RINGS, ANGLES) or self.sd.shape != (RINGS, ANGLES):
            raise ValueError(f"normal limits are {RINGS} rings x {ANGLES} angles")
        if not np.all(np.isfinite(self.mean)) or not np.all(np.isfinite(self.sd)):
            raise ValueError("normal limits hold values that are not finite")
        if float(self.mean.min()) <= 0.0 or float(self.sd.min()) <= 0.0:
            raise ValueError("means and standard deviations of normal hearts are positive")

    @property
    def threshold(self) -> Float:
        """The value `[ring, angle]` below which a sample is abnormal."""
        return self.mean - ABNORMAL_SD * self.sd

    @property
    def sha256(self) -> str:
        """Hash of all that the limits say, by which a result names them."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()

    def as_json(self) -> str:
        """Return the limits as text, with their hash."""
        return json.dumps({**self._content(), "sha256": self.sha256})

    @classmethod
    def from_json(cls, text: str) -> NormalLimits:
        """Return the limits that were written so; raises ValueError if the text was changed or is no such text."""
        try:
            content = json.loads(text)
            mean, sd = (np.array(content[name], dtype=np.float64) for name in ("mean", "sd"))
            number, made = int(content["number"]), str(content["reconstruction"])
            limits = cls(str(content["population"]), number, mean, sd, made)
            stated = content["sha256"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no normal limits: {error}") from None
        if limits.sha256 != stated:
            raise ValueError(f"the normal limits of {limits.population!r} don't match their hash: they were changed")
        return limits

    def _content(self) -> dict[str, object]:
        rounded = {name: np.round(values, 6).tolist() for name, values in (("mean", self.mean), ("sd", self.sd))}
        named = {"population": self.population, "number": self.number, "reconstruction": self.reconstruction}
        return {**named, **rounded}


def normal_limits(population: str, normals: Sequence[PolarMap], reconstruction: str = "") -> NormalLimits:
    """Return the limits of these normal hearts; raises ValueError for fewer than 8.

    Each heart is scaled to the mean of all, repeatedly. The standard deviation is that of the sample and its
    neighbors together, for a few dozen hearts give it only roughly, and at least 4 % of the mean.
    """
    if len(normals) < LEAST_NORMALS:
        raise ValueError(f"{len(normals)} normal hearts are too few for limits: at least {LEAST_NORMALS} are asked")
    maps = np.stack([one.counts for one in normals])
    area = np.mean([one.area_mm2 for one in normals], axis=0)
    if min(float(np.average(one, weights=area)) for one in maps) <= 0.0:
        raise ValueError("a polar map without counts is no normal heart")
    mean = maps.mean(axis=0)
    for _ in range(SCALING_ROUNDS):
        scale = [np.average(one * mean, weights=area) / np.average(one**2, weights=area) for one in maps]
        maps = maps * np.array(scale)[:, None, None]
        mean = maps.mean(axis=0)
        mean *= 100.0 / np.average(mean, weights=area)
    variance = _with_neighbors(maps.var(axis=0, ddof=1))
    sd = np.maximum(np.sqrt(variance), LEAST_SD * mean)
    return NormalLimits(population, len(normals), _to_file(mean), _to_file(sd), reconstruction)


def _to_file(values: Float) -> Float:
    """Return values (100 is the wall's mean) as a small file holds them, so that writing changes nothing."""
    return np.maximum(np.round(values, DECIMALS), 10.0**-DECIMALS)


def _with_neighbors(values: Float) -> Float:
    """Return the mean over 3 rings and 5 angles."""
    padded = np.pad(values, [(1, 1), (0, 0)], mode="edge")
    rings = (padded[:-2] + padded[1:-1] + padded[2:]) / 3.0
    return np.asarray(np.mean([np.roll(rings, step, axis=1) for step in range(-2, 3)], axis=0))


def scaled(polar: PolarMap, limits: NormalLimits) -> Float:
    """Return the map `[ring, angle]` on the scale of the limits: its normal part is as high as theirs.

    Starts from the hottest quarter and takes in all that is normal on the scale found so far, until nothing changes.
    """
    ratio = polar.counts / limits.mean
    normal = ratio >= np.quantile(ratio, 0.75)
    if float(ratio.max()) <= 0.0:
        return np.zeros_like(ratio)
    for _ in range(SCALING_ROUNDS):
        weight = np.where(normal, polar.area_mm2, 0.0)
        factor = float((weight * ratio * limits.mean).sum() / (weight * limits.mean).sum())
        now = polar.counts / factor >= limits.threshold
        if np.array_equal(now, normal) or not now.any():
            break
        normal = now
    return np.asarray(polar.counts / factor)


@dataclass(frozen=True)
class Perfusion:
    """What is read from one polar map against normal limits."""

    segments_percent: tuple[float, ...]  # of normal, segments 1 to 17
    scores: tuple[int, ...]  # 0 (normal) to 4 (no uptake), segments 1 to 17
    extent_percent: float  # share of the wall that is abnormal
    severity_percent: float  # mean loss, of normal, where it is abnormal; 0 if nowhere
    tpd_percent: float  # total perfusion deficit
    limits_sha256: str
    abnormal: NDArray[np.bool_]  # [ring, angle]

    @property
    def summed_score(self) -> int:
        """SSS of a stress study, SRS of a rest study: 0 to 68."""
        return sum(self.scores)

    @property
    def summed_percent(self) -> float:
        """The summed score in % of the worst one."""
        return 100.0 * self.summed_score / (WORST_SCORE * SEGMENTS)


def perfusion(polar: PolarMap, limits: NormalLimits) -> Perfusion:
    """Return the numbers of a polar map.

    A sample scores 0 at the limit and 4 at a loss of 70 % of the mean, in proportion between. TPD is the mean score
    over the wall's area in % of 4; a segment's score its rounded mean (Slomka et al. 2005).
    """
    values, area = scaled(polar, limits), polar.area_mm2
    threshold = limits.threshold
    worst = np.minimum((1.0 - WORST_LOSS) * limits.mean, 0.9 * threshold)
    score = WORST_SCORE * np.clip((threshold - values) / np.maximum(threshold - worst, 1e-9), 0.0, 1.0)
    abnormal = values < threshold
    loss = 1.0 - values / limits.mean
    held = np.where(abnormal, area, 0.0)
    return Perfusion(
        segments_percent=tuple(100.0 * mean for mean in segment_means(values / limits.mean, area)),
        scores=tuple(round(mean) for mean in segment_means(score, area)),
        extent_percent=100.0 * float(held.sum() / area.sum()),
        severity_percent=100.0 * float((held * loss).sum() / held.sum()) if abnormal.any() else 0.0,
        tpd_percent=100.0 / WORST_SCORE * float(np.average(score, weights=area)),
        limits_sha256=limits.sha256,
        abnormal=abnormal,
    )


def summed_difference_score(stress: Perfusion, rest: Perfusion) -> int:
    """Return SDS: what the rest study has better than the stress study."""
    return stress.summed_score - rest.summed_score
