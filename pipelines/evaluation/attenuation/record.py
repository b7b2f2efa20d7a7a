"""What is kept of one scan of the attenuation evaluation: plain numbers, written as JSON.

Tables and figures are made from these records and the images beside them (`arrays`), so they can be drawn again without
computing anything anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pipelines.networks.weights import write_whole

Point = tuple[float, float, float]


class Method(Enum):
    """Where the attenuation map of an image comes from; the values name the methods in tables and files."""

    NONE = "nAC"
    UNIFORM = "uniform, body's contour"
    CHANG = "Chang, body's contour"
    PAPER = "paper's cGAN"
    OURS = "ours, with scatter window"
    OURS_PEAK = "ours, without scatter window"
    OURS_BARE = "ours, without scatter window, table not known"
    CT_BY_HAND = "CT, misregistered as usual"
    CT_REGISTERED = "CT, misregistered, registered by us"
    CTAC_REGISTERED = "CT in register, registered by us"
    CTAC = "CTAC"  # the map in register: the reference


class Road(Enum):
    """How a map enters an image."""

    PRAC = "PRAC"  # after a reconstruction that is not corrected, as in the paper
    OSEM = "OSEM"  # from the projections


class Frame(Enum):
    """In which left ventricle an image is read."""

    OWN = "own"  # found in the image itself, as a department would that has this image alone
    COMMON = "common"  # found in the reference


@dataclass(frozen=True)
class MapFigures:
    """How near a map comes to the reference."""

    nmae: float  # over whole slices, air included (Shi et al. 2020)
    nmae_box: float  # over the smallest box that holds the body: how much air is around it doesn't matter
    heart_factor: float  # mean absolute error of the attenuation factor from the heart's wall to the views, in %
    heart_bias: float  # the same with its sign
    dice: Mapping[str, float | None]  # per tissue; None where the reference has none of it


@dataclass(frozen=True)
class HeartFigures:
    """What is read from one polar map. Segments 1 to 17: mean in percent of the map's maximum."""

    segments_percent: tuple[float, ...]
    tpd_percent: float
    summed_score: float


@dataclass(frozen=True)
class RegistrationFigures:
    """What a registration did to a map."""

    shift_mm: Point
    turn_deg: Point
    agreement_before: float
    agreement_after: float
    heart_before_mm: float  # how far the map's heart lay from the emission's
    heart_after_mm: float


@dataclass(frozen=True)
class Patient:
    """Who was scanned."""

    number: int
    sex: str  # "F" or "M"
    age_years: int
    height_m: float
    weight_kg: float
    risk: str  # "healthy", "low", "intermediate", "severe"
    true_tpd_percent: float


Readings = Mapping[str, HeartFigures | None]  # [method]; None: no ventricle was found


@dataclass(frozen=True)
class ScanRecord:
    """One scan. Keys of mappings are the values of the enums above, so that JSON holds them."""

    patient: Patient
    study: int
    camera: str
    state: str  # "stress" or "rest"
    million_counts: float
    misregistration_mm: Point  # of the CT that lies as usual
    misregistration_deg: Point
    breath_mm: float
    maps: Mapping[str, MapFigures]  # [method]
    hearts: Mapping[str, Mapping[str, Readings]]  # [road][frame][method]
    shifted: Mapping[str, HeartFigures]  # [shift]: OSEM with the reference moved, read in the common frame
    registrations: Mapping[str, RegistrationFigures]  # [method]

    @property
    def name(self) -> str:
        """What its files are called."""
        return scan_name(self.camera, self.patient.number, self.study)

    def reading(self, road: Road, frame: Frame, method: Method) -> HeartFigures | None:
        """Return what was read; None where there is no such image or no ventricle was found in it."""
        return self.hearts.get(road.value, {}).get(frame.value, {}).get(method.value)


def scan_name(camera: str, patient: int, study: int) -> str:
    """Return what the files of a scan are called."""
    return f"{camera}-{patient:08d}-{study:04d}"


def write_record(path: Path, record: ScanRecord) -> None:
    """Write a record so that it is whole or not there."""
    write_whole(path, json.dumps(asdict(record)).encode())


def read_record(path: Path) -> ScanRecord:
    """Return a record; raises ValueError (or KeyError, TypeError) if the file is none."""
    stated: dict[str, Any] = json.loads(path.read_text())
    hearts = {
        road: {frame: {method: _heart(one) for method, one in of.items()} for frame, of in frames.items()}
        for road, frames in stated["hearts"].items()
    }
    changed = {
        "patient": Patient(**stated["patient"]),
        "misregistration_mm": _point(stated["misregistration_mm"]),
        "misregistration_deg": _point(stated["misregistration_deg"]),
        "maps": {method: MapFigures(**one) for method, one in stated["maps"].items()},
        "hearts": hearts,
        "shifted": {shift: _heart(one) for shift, one in stated["shifted"].items()},
        "registrations": {method: _registration(one) for method, one in stated["registrations"].items()},
    }
    return ScanRecord(**{**stated, **changed})


def _heart(stated: dict[str, Any] | None) -> HeartFigures | None:
    if stated is None:
        return None
    return HeartFigures(**{**stated, "segments_percent": tuple(stated["segments_percent"])})


def _registration(stated: dict[str, Any]) -> RegistrationFigures:
    moved = {name: _point(stated[name]) for name in ("shift_mm", "turn_deg")}
    return RegistrationFigures(**{**stated, **moved})


def _point(stated: list[float]) -> Point:
    x, y, z = stated
    return x, y, z
