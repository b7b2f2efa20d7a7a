"""Which CT and which attenuation map of a study belong to an acquisition: chosen by their headers, with the reason.

A study may hold a CT for attenuation correction, one for the calcium score and a diagnostic one, under stress and at
rest. All are kept in the order of preference: where the first can't be read the next one is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from dicomnode.objects.cardiac_state import cardiac_state
from dicomnode.objects.elements import PARSE_ERRORS, integer, number, numbers, text
from dicomnode.objects.reader import axial_extent_mm
from pipelines.contract import CardiacState, Finding, Verdict

_NAMES = ("SeriesDescription", "ProtocolName", "ImageComments")
_FOR_ATTENUATION = re.compile(r"\b(AC|CTAC|ACCT|ATT|ATTEN\w*|MU ?MAP|LOW ?DOSE|LD)\b")
_LEAST_WIDTH_MM = 350.0  # a narrower picture, as for the calcium score, cuts the body
_HEART_MM = 60.0  # to either side of the middle of the emission's field: there the heart is put
_LOW_DOSE_MAS = 60.0
_LONG_AGO_S = 1e9


@dataclass(frozen=True)
class Emission:
    """What the choice depends on in the acquisition that is to be corrected."""

    frame: str  # its Frame of Reference UID, "" if it states none
    state: CardiacState
    heart_z_mm: tuple[float, float] | None  # between these heights the heart lies, as far as the field tells
    acquired: datetime | None

    @classmethod
    def of(cls, ds: Dataset) -> Emission:
        """Read it from the header of an NM image. Raises StudyUnsuitable if its geometry can't be read."""
        extent_mm = axial_extent_mm(ds)
        span = None if extent_mm is None else _about_the_middle(*extent_mm)
        return cls(text(ds, "FrameOfReferenceUID"), cardiac_state(ds)[0], span, _acquired(ds))


@dataclass(frozen=True)
class MapSeries:
    """A CT series, or an attenuation map, and what speaks for it."""

    paths: tuple[Path, ...]
    uids: tuple[str, ...]  # SOP Instance UIDs in the order of the paths
    name: str
    shares_frame: bool
    covers: bool = True  # heart and body
    contrast: bool = False
    named: bool = True  # as one for attenuation correction
    same_state: int = 0  # 1: of the same state, stress or rest; -1: of the other; 0: doesn't say
    low_dose: bool = True
    apart_s: float = 0.0  # from the acquisition

    @property
    def key(self) -> str:
        """The SOP Instance UID of its first file, which tells it from all others."""
        return self.uids[0]


@dataclass(frozen=True)
class MapChoice:
    """The CT series and attenuation maps of an acquisition, the best first, and what is to be said of the choice."""

    ct: tuple[MapSeries, ...] = ()
    maps: tuple[MapSeries, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that may be used."""
        return tuple(path for series in (*self.ct, *self.maps) for path in series.paths)

    @property
    def uids(self) -> tuple[str, ...]:
        """Their SOP Instance UIDs."""
        return tuple(uid for series in (*self.ct, *self.maps) for uid in series.uids)


# in the order of weight: what is worth more, and what is said of a series that is behind in it
_MERITS: tuple[tuple[Callable[[MapSeries], float], str], ...] = (
    (lambda one: one.shares_frame, "was taken in another frame of reference"),
    (lambda one: one.covers, "doesn't hold the heart and the whole width of the body"),
    (lambda one: not one.contrast, "was taken with a contrast medium"),
    (lambda one: one.named, "isn't named as one for attenuation correction"),
    (lambda one: one.same_state, "doesn't belong to the same state, stress or rest"),
    (lambda one: one.low_dose, "isn't a low-dose one"),
    (lambda one: -one.apart_s, "was taken farther away in time"),
    (lambda one: len(one.paths), "has fewer slices"),
)


def choose_maps(acquisition: Dataset, candidates: Sequence[Path]) -> MapChoice:
    """Return what of the candidates (CT slices and NM transmission images) can belong to an acquisition.

    A CT of another frame of reference is kept only where none shares the acquisition's; an attenuation map must share
    it. Raises StudyUnsuitable if the acquisition's own geometry can't be read.
    """
    emission = Emission.of(acquisition)
    by_series: dict[str, list[tuple[Path, Dataset]]] = defaultdict(list)
    maps = []
    for path in candidates:
        try:
            ds = dcmread(path, stop_before_pixels=True)
        except PARSE_ERRORS:
            continue  # the spool's files were read when they came: this one was damaged since
        if text(ds, "SOPClassUID") == CTImageStorage:
            by_series[text(ds, "SeriesInstanceUID")].append((path, ds))
        else:
            maps.append(_series([(path, ds)], emission, "attenuation map"))
    ct = [_ct_series(slices, emission) for slices in by_series.values()]
    kept = [one for one in ct if one.shares_frame] or ct
    ours = [one for one in maps if one.shares_frame]
    findings = () if ours or not maps else (_elsewhere(maps[0]),)
    return MapChoice(_ranked(kept), _ranked(ours), findings)


def why_chosen(series: MapSeries, others: Sequence[MapSeries]) -> Finding:
    """Say which CT or attenuation map is used, why it and not the others, and what speaks against it."""
    doubts = [
        "it lies in another frame of reference, so only the registration tells how it fits" * (not series.shares_frame),
        "by its headers it may not hold the heart and the whole width of the body" * (not series.covers),
        "it was taken with a contrast medium, which attenuates gamma rays less than its numbers say" * series.contrast,
    ]
    said = [f"{series.name} is used", *(doubt for doubt in doubts if doubt)]
    said += [f"{other.name} {_behind(series, other)}" for other in others]
    return Finding(Verdict.WARN if any(doubts) else Verdict.PASS, "; ".join(said))


def _behind(chosen: MapSeries, other: MapSeries) -> str:
    return next((words for merit, words in _MERITS if merit(other) < merit(chosen)), "is as good")


def _ranked(series: Sequence[MapSeries]) -> tuple[MapSeries, ...]:
    return tuple(sorted(series, key=lambda one: (*(-float(merit(one)) for merit, _ in _MERITS), one.uids)))


def _elsewhere(one: MapSeries) -> Finding:
    return Finding(Verdict.WARN, f"{one.name} is not used: it lies in another frame of reference than the acquisition")


def _series(files: Sequence[tuple[Path, Dataset]], emission: Emission, kind: str) -> MapSeries:
    """Return what every series has; `files` are its files and headers."""
    ordered = sorted(files, key=lambda one: text(one[1], "SOPInstanceUID"))
    first = ordered[0][1]
    state = cardiac_state(first)[0]
    known = CardiacState.UNKNOWN not in (state, emission.state)
    frame = text(first, "FrameOfReferenceUID")
    return MapSeries(
        paths=tuple(path for path, _ in ordered),
        uids=tuple(text(ds, "SOPInstanceUID") for _, ds in ordered),
        name=f"the {kind} of series {_title(first)}" + (f", {len(files)} slices" if len(files) > 1 else ""),
        shares_frame=bool(frame) and frame == emission.frame,
        same_state=(1 if state is emission.state else -1) if known else 0,
        apart_s=_apart_s(_acquired(first), emission.acquired),
    )


def _ct_series(slices: Sequence[tuple[Path, Dataset]], emission: Emission) -> MapSeries:
    plain = _series(slices, emission, "CT")
    first = slices[0][1]
    words = " ".join(re.sub(r"[^A-Z0-9]+", " ", text(first, keyword).upper()) for keyword in _NAMES)
    exposure_mas = number(first, "Exposure")
    return MapSeries(
        plain.paths,
        plain.uids,
        plain.name,
        plain.shares_frame,
        covers=_wide(first) and (not plain.shares_frame or _reaches(slices, emission.heart_z_mm)),
        contrast=bool(text(first, "ContrastBolusAgent")),
        named=_FOR_ATTENUATION.search(words) is not None,
        same_state=plain.same_state,
        low_dose=exposure_mas is not None and exposure_mas <= _LOW_DOSE_MAS,
        apart_s=plain.apart_s,
    )


def _title(ds: Dataset) -> str:
    described = text(ds, "SeriesDescription")
    return f"{text(ds, 'SeriesNumber') or '(no number)'}" + (f" ({described})" if described else "")


def _wide(ds: Dataset) -> bool:
    spacing = numbers(ds, "PixelSpacing")
    columns = integer(ds, "Columns") or 0
    return len(spacing) != 2 or columns * spacing[1] >= _LEAST_WIDTH_MM


def _about_the_middle(low_mm: float, high_mm: float) -> tuple[float, float]:
    middle = (low_mm + high_mm) / 2
    return max(middle - _HEART_MM, low_mm), min(middle + _HEART_MM, high_mm)


def _reaches(slices: Sequence[tuple[Path, Dataset]], heart_z_mm: tuple[float, float] | None) -> bool:
    """Tell whether the slices reach over these heights; a series that doesn't say where it lies is refused later."""
    if heart_z_mm is None:
        return True
    positions = [numbers(ds, "ImagePositionPatient") for _, ds in slices]
    heights = np.array([place[2] for place in positions if len(place) == 3])
    if len(heights) < 2:
        return True
    step = float(np.ptp(heights)) / (len(heights) - 1)
    low, high = heart_z_mm
    return bool(heights.min() - step <= low and heights.max() + step >= high)


def _acquired(ds: Dataset) -> datetime | None:
    day, hour = text(ds, "AcquisitionDate") or text(ds, "SeriesDate"), text(ds, "AcquisitionTime") or "000000"
    try:
        return datetime.strptime(f"{day[:8]}{hour[:6]:0<6}", "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _apart_s(one: datetime | None, other: datetime | None) -> float:
    return _LONG_AGO_S if one is None or other is None else abs((one - other).total_seconds())
