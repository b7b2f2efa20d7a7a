"""How the attenuation evaluation reads an image: the left ventricle, its polar map, segments, total perfusion deficit.

Each image is read twice. In its own frame the ventricle is found in the image itself, as the paper's software did it;
in the common frame it is the reference's, so that only what correction did to the counts differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.left_ventricle import NoHeartFound, find_left_ventricle
from pipelines.cardiac.limits_library import limits_for
from pipelines.cardiac.polar_map import PolarMap, polar_map
from pipelines.cardiac.quantification import NormalLimits, perfusion
from pipelines.cardiac.segments import segment_means
from pipelines.evaluation.attenuation.record import HeartFigures
from pipelines.images import Volume


@dataclass(frozen=True)
class PatientLimits:
    """The normal limits of one patient's images: without and with correction."""

    not_corrected: NormalLimits
    corrected: NormalLimits

    @classmethod
    def of(cls, sex: str, state: str) -> PatientLimits:
        """Return ours; raises ValueError if a set is missing."""
        found = [limits_for(sex, state, corrected) for corrected in (False, True)]
        without, corrected = found
        if without is None or corrected is None:
            raise ValueError(f"normal limits for {sex}, {state} are missing")
        return cls(without, corrected)


def found_ventricle(volume: Volume) -> LeftVentricle | None:
    """Return the ventricle that an image shows, None where none is found."""
    try:
        return find_left_ventricle(volume)
    except NoHeartFound:
        return None


def read(volume: Volume, ventricle: LeftVentricle, limits: NormalLimits) -> tuple[PolarMap, HeartFigures]:
    """Return the polar map of an image in the frame of a ventricle, and its numbers."""
    polar = polar_map(volume, ventricle)
    found = perfusion(polar, limits)
    highest = max(float(polar.counts.max()), 1e-12)
    means = segment_means(polar.counts, polar.area_mm2)
    segments = tuple(float(one) for one in 100.0 * np.array(means) / highest)
    return polar, HeartFigures(segments, found.tpd_percent, float(found.summed_score))
