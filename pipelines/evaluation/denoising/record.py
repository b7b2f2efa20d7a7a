"""What is kept of one test patient of the denoising evaluation: plain numbers, written as JSON, and a few images.

Tables and figures are made from these records alone, so they can be drawn again without computing anything anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pipelines.agreement.image_quality import ImageQuality
from pipelines.networks.weights import write_whole

TRUTH = "truth"  # the true value among those that were read, by method


class Dose(Enum):
    """The low doses of the denoising paper (Aghakhan Olia et al. 2022)."""

    HALF = "half"
    QUARTER = "quarter"
    EIGHTH = "eighth"

    @property
    def fraction(self) -> float:
        """Share of the full dose."""
        return {"half": 1 / 2, "quarter": 1 / 4, "eighth": 1 / 8}[self.value]

    @property
    def short(self) -> str:
        """The paper's abbreviation: HD, QD, OD."""
        return {"half": "HD", "quarter": "QD", "eighth": "OD"}[self.value]


class Method(Enum):
    """What is done to low-dose projections; the values name them in tables and files."""

    LOW_DOSE = "low dose"
    GAUSSIAN = "Gaussian"
    BUTTERWORTH = "Butterworth"
    NON_LOCAL_MEANS = "non-local means"
    PAPER = "paper's network"
    FOR_IMAGES = "ours, for images"  # without noise, coarse structure as measured
    FULL = "ours, virtual full dose"


@dataclass(frozen=True)
class Indices:
    """What is read from one image's left ventricle; the paper's indices (Table 3)."""

    defect_ml: float
    extent_percent: float
    summed_score: float  # SSS or SRS
    summed_percent: float  # SS% or SR%: of 68
    tpd_percent: float
    cavity_ml: float  # "volume"
    wall_ml: float
    eccentricity: float
    shape_index: float
    segments_percent: tuple[float, ...]  # of normal, segments 1 to 17
    scores: tuple[int, ...]  # 0 to 4, segments 1 to 17


@dataclass(frozen=True)
class Truth:
    """What is known of the virtual patient."""

    tpd_percent: float
    summed_score: float
    cavity_ml: float  # mean over the beat
    wall_ml: float


@dataclass(frozen=True)
class MethodRecord:
    """One method at one dose against the full dose and against the truth."""

    projection: ImageQuality  # the paper's scale, 0 to 255: `reading.projection_quality`
    projection_heart: ImageQuality  # the same without the rows below the heart (the paper cropped the liver)
    projection_counts_rmse: float  # against full-dose counts, in counts per pixel
    projection_truth_percent: float  # RMSE against the noise-free counts, in % of their mean in the patient
    image: ImageQuality  # the paper's scale, over the heart's slices
    image_pearson: float  # voxel by voxel against full dose, over the heart's slices
    image_truth_percent: float  # RMSE against the noise-free counts' reconstruction, in % of its mean near the heart
    indices: Indices | None  # None: no left ventricle was found
    image_whole: ImageQuality  # the same over the whole reconstruction


@dataclass(frozen=True)
class PatientRecord:
    """One test patient. Keys of mappings are the values of `Dose` and `Method`, so that JSON holds them."""

    patient: int
    sex: str  # "F" or "M"
    risk: str  # "healthy", "low", "intermediate", "severe"
    state: str  # "stress" or "rest"
    million_counts: float  # photopeak, full dose
    truth: Truth
    full_dose: Indices | None
    noise_free: Indices | None  # read from the reconstruction of the counts' expectation
    ceiling: Mapping[str, ImageQuality]  # [dose]: x + (1 - p) lambda with the true lambda, projections
    methods: Mapping[str, Mapping[str, MethodRecord]]  # [dose][method]
    gated: Mapping[str, ImageQuality]  # [method]: gates at half dose, projections
    gated_ejection_percent: Mapping[str, float]  # [method, "full dose" or TRUTH], where it could be read
    ejection_percent: Mapping[str, Mapping[str, float]]  # [dose below a half][method], where it could be read
    gated_beat_percent: Mapping[str, float]  # [method, "full dose"]: of the true beat
    gated_ceiling: ImageQuality
    image_ceiling: Mapping[str, ImageQuality]  # [dose]: reconstruction of the ceiling's
    full_dose_projection_truth_percent: float  # of the full dose itself, as in `MethodRecord`
    full_dose_image_truth_percent: float


def write_record(path: Path, record: PatientRecord) -> None:
    """Write a record so that it is whole or not there."""
    write_whole(path, json.dumps(asdict(record)).encode())


def read_record(path: Path) -> PatientRecord:
    """Return a record; raises ValueError (or KeyError, TypeError) if the file is none."""
    stated: dict[str, Any] = json.loads(path.read_text())
    return PatientRecord(
        **{
            **stated,
            "truth": Truth(**stated["truth"]),
            "full_dose": _indices(stated["full_dose"]),
            "noise_free": _indices(stated["noise_free"]),
            "ceiling": {dose: ImageQuality(**values) for dose, values in stated["ceiling"].items()},
            "methods": {
                dose: {method: _method(values) for method, values in methods.items()}
                for dose, methods in stated["methods"].items()
            },
            "gated": {method: ImageQuality(**values) for method, values in stated["gated"].items()},
            "gated_ceiling": ImageQuality(**stated["gated_ceiling"]),
            "image_ceiling": {dose: ImageQuality(**values) for dose, values in stated["image_ceiling"].items()},
        }
    )


def _method(stated: dict[str, Any]) -> MethodRecord:
    qualities = {key: ImageQuality(**stated[key]) for key in ("projection", "projection_heart", "image", "image_whole")}
    return MethodRecord(**{**stated, **qualities, "indices": _indices(stated["indices"])})


def _indices(stated: dict[str, Any] | None) -> Indices | None:
    if stated is None:
        return None
    return Indices(
        **{**stated, "segments_percent": tuple(stated["segments_percent"]), "scores": tuple(stated["scores"])}
    )
