"""The tables of the left ventricle's evaluation, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipelines.contract import CardiacState
from pipelines.simulation.anatomy import Position, Sex
from tests.accuracy.heart_cases import Float
from tests.accuracy.heart_readings import READ_FOR_PERFUSION, PerfusionPair, PlaceErrors, Reading

ABNORMAL_TPD = 3.0  # % of truth from which a heart is ill: the papers' bound of healthy and low risk
WIDE_ML, SMALL_ML = 120.0, 45.0  # true cavity, mean over the beat
AXIS_LIMIT_DEG, CENTER_LIMIT_MM, BASE_LIMIT_MM = 8.0, 3.0, 6.0
Choice = Callable[[Reading], bool]


def tables(readings: Sequence[Reading]) -> str:
    """Return all tables, one after another."""
    real = [one for one in readings if "heartless" not in one.image]
    parts = (_places(real), _refusals(readings), _perfusion(real), _strata(real), _volumes(real), _seconds(real))
    return "\n\n".join(parts) + "\n"


def quantiles(values: Sequence[float] | Float) -> str:
    """Return median, 95th percentile and largest as they are printed."""
    return ", ".join(f"{value:.1f}" for value in (*np.quantile(values, (0.5, 0.95)), np.max(values)))


def auc(ill: Sequence[float], well: Sequence[float]) -> float:
    """Return the chance that an ill heart has the larger value than a well one, ties counted half."""
    higher, lower = np.asarray(ill)[:, None], np.asarray(well)[None, :]
    return float(np.mean((higher > lower) + 0.5 * (higher == lower)))


def correlation(left: Float, right: Float) -> float:
    """Return Pearson's r over all values."""
    return float(np.corrcoef(np.ravel(left), np.ravel(right))[0, 1])


def _places(readings: Sequence[Reading]) -> str:
    choices: list[tuple[str, Choice]] = [
        ("all images", lambda one: True),
        ("full dose, 64 x 64, AC", lambda one: one.image == "AC"),
        ("full dose, 64 x 64, nAC", lambda one: one.image == "nAC"),
        ("women, AC", lambda one: one.image == "AC" and one.case.sex is Sex.FEMALE),
        ("men, AC", lambda one: one.image == "AC" and one.case.sex is Sex.MALE),
        ("prone, AC", lambda one: one.image == "AC" and one.case.position is Position.PRONE),
        (f"cavity below {SMALL_ML:.0f} ml, AC", lambda one: one.image == "AC" and _cavity(one) < SMALL_ML),
        (f"cavity above {WIDE_ML:.0f} ml, AC", lambda one: one.image == "AC" and _cavity(one) > WIDE_ML),
        ("half of the wall lost, AC", lambda one: one.image == "AC" and one.case.scar),
        ("1/8 dose", lambda one: "dose" in one.image),
        ("128 x 128", lambda one: "128" in one.image),
        ("hot bowel under the heart", lambda one: "hot" in one.image),
    ]
    lines = [
        "| images | number | not found | axis (degrees) | center (mm) | valve plane (mm) |",
        "|---|---|---|---|---|---|",
    ]
    for label, chosen in choices:
        members = [one for one in readings if chosen(one)]
        found = [one.place for one in members if one.place is not None]
        if found:
            columns = (_axis(found), [place.center_mm for place in found], [abs(place.base_mm) for place in found])
            shown = " | ".join(quantiles(column) for column in columns)
            lines.append(f"| {label} | {len(members)} | {len(members) - len(found)} | {shown} |")
    return "Place, against the mean over the beat (median, 95th percentile, largest):\n\n" + "\n".join(lines)


def _axis(places: Sequence[PlaceErrors]) -> list[float]:
    return [place.axis_deg for place in places]


def _cavity(one: Reading) -> float:
    return one.place.true_cavity_ml if one.place is not None else float("nan")


def _refusals(readings: Sequence[Reading]) -> str:
    heartless = [one for one in readings if "heartless" in one.image]
    invented = [one for one in heartless if one.place is not None]
    lines = [f"Without a heart: {len(heartless) - len(invented)} of {len(heartless)} images refused. Failures:", ""]
    failures = [f"{_name(one)}: a heart was seen where none is" for one in invented]
    for one in readings:
        if one.place is None and one not in heartless:
            failures.append(f"{_name(one)}: {one.said.split('; expected')[0]}")
        elif one.place is not None and one not in heartless and (words := _far_off(one.place)):
            failures.append(f"{_name(one)}: {words}")
    return "\n".join(lines + [f"- {failure}" for failure in failures or ["none"]])


def _name(one: Reading) -> str:
    return f"patient {one.case.seed}, {one.image}"


def _far_off(place: PlaceErrors) -> str:
    """Return which limits a find breaks, in words; nothing if none."""
    words = []
    if place.axis_deg > AXIS_LIMIT_DEG:
        words.append(f"axis {place.axis_deg:.1f} degrees off")
    if place.center_mm > CENTER_LIMIT_MM:
        words.append(f"center {place.center_mm:.1f} mm off")
    if abs(place.base_mm) > BASE_LIMIT_MM:
        words.append(f"valve plane {abs(place.base_mm):.1f} mm off")
    return ", ".join(words)


def _pairs(readings: Sequence[Reading], image: str) -> list[PerfusionPair]:
    return [one.perfusion for one in readings if one.image == image and one.perfusion is not None]


def _perfusion(readings: Sequence[Reading]) -> str:
    rows: list[tuple[str, Callable[[list[PerfusionPair]], str]]] = [
        ("hearts", lambda pairs: str(len(pairs))),
        (f"AUC of TPD, true TPD of {ABNORMAL_TPD:g} % or more against less", _auc),
        ("TPD against truth, r", lambda pairs: f"{correlation(_tpd(pairs)[0], _tpd(pairs)[1]):.3f}"),
        ("TPD over truth, median of the ill", _ratio),
        ("TPD of those below 3 %, largest", lambda pairs: f"{max(p.tpd for p in pairs if not _ill(p)):.1f} %"),
        ("SSS or SRS against truth, r", _scores),
        ("segments against true uptake, r", lambda pairs: f"{correlation(*_segments(pairs, 'true_uptake')):.3f}"),
        ("segments against true uptake, rms", lambda pairs: f"{_rms(*_segments(pairs, 'true_uptake')):.1f} points"),
        ("segments against what defects leave, r", lambda pairs: f"{correlation(*_segments(pairs, 'true_left')):.3f}"),
        ("the same, slope", lambda pairs: f"{_slope(*_segments(pairs, 'true_left')):.2f}"),
    ]
    lines = ["| full dose | " + " | ".join(READ_FOR_PERFUSION) + " |", "|---" * (len(READ_FOR_PERFUSION) + 1) + "|"]
    columns = [_pairs(readings, image) for image in READ_FOR_PERFUSION]
    lines += [f"| {label} | " + " | ".join(said(pairs) for pairs in columns) + " |" for label, said in rows]
    return "Perfusion (true mu-map, limits of the same sex and state; those of AC serve AC+CDR too):\n\n" + "\n".join(
        lines
    )


def _ill(pair: PerfusionPair) -> bool:
    return pair.true_tpd >= ABNORMAL_TPD


def _auc(pairs: list[PerfusionPair]) -> str:
    ill, well = [p.tpd for p in pairs if _ill(p)], [p.tpd for p in pairs if not _ill(p)]
    return f"{auc(ill, well):.3f} ({len(ill)} against {len(well)})"


def _tpd(pairs: list[PerfusionPair]) -> tuple[Float, Float]:
    return np.array([p.tpd for p in pairs]), np.array([p.true_tpd for p in pairs])


def _ratio(pairs: list[PerfusionPair]) -> str:
    return f"{np.median([p.tpd / p.true_tpd for p in pairs if _ill(p)]):.2f}"


def _scores(pairs: list[PerfusionPair]) -> str:
    return f"{correlation(np.array([p.score for p in pairs]), np.array([p.true_score for p in pairs])):.3f}"


def _segments(pairs: list[PerfusionPair], truth: str) -> tuple[Float, Float]:
    return np.array([p.segments for p in pairs]), np.array([getattr(p, truth) for p in pairs])


def _rms(found: Float, true: Float) -> float:
    return float(np.sqrt(np.mean((found - true) ** 2)))


def _slope(found: Float, true: Float) -> float:
    return float(np.polyfit(np.ravel(true), np.ravel(found), 1)[0])


def _strata(readings: Sequence[Reading]) -> str:
    lines = ["| AC | hearts | true TPD, median | TPD, median | segments, rms (points) |", "|---|---|---|---|---|"]
    for low, high in ((0.0, 3.0), (3.0, 8.0), (8.0, 14.0), (14.0, 100.0)):
        pairs = [pair for pair in _pairs(readings, "AC") if low <= pair.true_tpd < high]
        if pairs:
            found, true = _tpd(pairs)
            rms = _rms(*_segments(pairs, "true_uptake"))
            name = f"{low:g} to {high:g} %"
            lines.append(f"| {name} | {len(pairs)} | {np.median(true):.1f} % | {np.median(found):.1f} % | {rms:.1f} |")
    return "\n".join(lines)


def _volumes(readings: Sequence[Reading]) -> str:
    places = [one.place for one in readings if one.image == "AC" and one.place is not None]
    lines = ["| volume, AC | bias | sd of the difference | r | true mean |", "|---|---|---|---|---|"]
    for label in ("cavity", "wall"):
        found = np.array([getattr(place, f"{label}_ml") for place in places])
        true = np.array([getattr(place, f"true_{label}_ml") for place in places])
        off = found - true
        r = correlation(found, true)
        lines.append(f"| {label} (ml) | {off.mean():+.1f} | {off.std(ddof=1):.1f} | {r:.2f} | {true.mean():.0f} |")
    return "\n".join(lines)


def _seconds(readings: Sequence[Reading]) -> str:
    times = [one.seconds for one in readings if one.perfusion is not None]
    rest = sum(one.case.state is CardiacState.REST for one in readings if one.image == "AC")
    return (
        f"Finding, map and numbers of one image of 64 cubed took {quantiles(times)} s of one core (median, 95th "
        f"percentile, largest). {rest} of the patients were at rest."
    )
