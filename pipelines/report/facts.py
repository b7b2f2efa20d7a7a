"""The words and numbers of the report page: what was measured, checked, acquired, set and assumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.contract import CardiacState, Heart, PipelineInput, PipelineResult, Verdict
from pipelines.geometry import RotationDirection
from pipelines.images import Projections
from pipelines.report.colors import INK, VERDICT_COLORS

_SUMMED = {CardiacState.STRESS: "SSS", CardiacState.REST: "SRS", CardiacState.UNKNOWN: "Summed score"}
_Number = tuple[str, Callable[[Heart], str]]  # its name with the unit, and how it is printed
_GRAVEST_FIRST = (Verdict.QUARANTINE, Verdict.WARN, Verdict.PASS)


@dataclass(frozen=True)
class Fact:
    """One sentence and its ink."""

    words: str
    color: str = INK


@dataclass(frozen=True)
class Facts:
    """Sentences under a title."""

    title: str
    lines: tuple[Fact, ...]


@dataclass(frozen=True)
class Row:
    """One line of the table: a name with its unit, and a value for each heart."""

    name: str
    values: tuple[str, ...]


def table(hearts: Sequence[Heart], state: CardiacState) -> tuple[Row, ...]:
    """Return the numbers of each heart, perfusion first."""
    judged = any(heart.perfusion is not None for heart in hearts)
    gated = any(heart.function is not None for heart in hearts)
    numbers = (
        *(_perfusion_numbers(state) if judged else ()),
        *(_function_numbers() if gated else ()),
        *_shape_numbers(),
    )
    return tuple(Row(name, tuple(words(heart) for heart in hearts)) for name, words in numbers)


def _function_numbers() -> Iterator[_Number]:
    def number(attribute: str) -> Callable[[Heart], str]:
        return lambda heart: format(getattr(heart.function, attribute), ".0f") if heart.function else "-"

    yield "Ejection fraction (LVEF), %", number("ejection_fraction_percent")
    yield "End-diastolic volume (EDV), ml", number("edv_ml")
    yield "End-systolic volume (ESV), ml", number("esv_ml")


def _shape_numbers() -> Iterator[_Number]:
    yield "Cavity volume, mean over the beat, ml", lambda heart: f"{heart.shape.cavity_ml:.0f}"
    yield "Wall volume, ml", lambda heart: f"{heart.shape.wall_ml:.0f}"
    yield "Eccentricity", lambda heart: f"{heart.shape.eccentricity:.2f}"
    yield "Shape index", lambda heart: f"{heart.shape.shape_index:.2f}"


def _perfusion_numbers(state: CardiacState) -> Iterator[_Number]:
    def number(attribute: str, form: str) -> Callable[[Heart], str]:
        return lambda heart: format(getattr(heart.perfusion, attribute), form) if heart.perfusion else "-"

    yield "Total perfusion deficit (TPD), %", number("tpd_percent", ".1f")
    yield "Extent, % of the wall", number("extent_percent", ".1f")
    yield "Severity, % lost there", number("severity_percent", ".0f")
    yield f"{_SUMMED[state]} (of 68)", number("summed_score", "d")
    yield f"{_SUMMED[state]}, % of 68", number("summed_percent", ".1f")


def limits_words(hearts: Sequence[Heart]) -> str:
    """Tell against whom the hearts were judged."""
    judged = [heart for heart in hearts if heart.perfusion is not None]
    if not judged:
        return "No normal limits fit this study: no scores and no total perfusion deficit were made"
    populations = dict.fromkeys(heart.limits or "not named" for heart in judged)
    missing = "; none for one of the images" if len(judged) < len(hearts) else ""
    return f"Normal limits: {'; '.join(populations)}{missing}"


def fact_blocks(pipeline_input: PipelineInput, result: PipelineResult) -> tuple[Facts, ...]:
    """Return all blocks in the order of importance; what `no_heart_words` tells is not told again."""
    acquisition, made = pipeline_input.acquisition, result.provenance
    told = () if result.hearts else no_heart_words(result)
    checks = sorted(
        (finding for finding in result.findings if finding.text not in told),
        key=lambda finding: _GRAVEST_FIRST.index(finding.verdict),
    )
    settings = [f"{name}: {value}" for name, value in made.settings]
    return (
        Facts(
            "Checks", tuple(Fact(f"{_said(one.verdict)}: {one.text}", VERDICT_COLORS[one.verdict]) for one in checks)
        ),
        _plain("Assumed", dict.fromkeys((*acquisition.assumptions, *made.assumptions))),
        _plain("Made by", settings or [derived.description for derived in result.derived]),
        _plain("Acquisition", () if acquisition.projections is None else (_orbit(acquisition.projections),)),
        _plain(
            "Measurements", [f"{one.name}: {one.value:.4g} {_shown(one.unit)}".rstrip() for one in result.measurements]
        ),
    )


def no_heart_words(result: PipelineResult) -> tuple[str, ...]:
    """Tell why no heart is shown, in the words of the search where there are some."""
    said = tuple(finding.text for finding in result.findings if "left ventricle" in finding.text)
    return said or ("No left ventricle was looked for.",)


def _said(verdict: Verdict) -> str:
    """Return a verdict's word, loud where it asks for attention."""
    return str(verdict.value if verdict is Verdict.PASS else verdict.value.upper())


def _plain(title: str, lines: Iterable[str]) -> Facts:
    return Facts(title, tuple(Fact(line) for line in lines))


def _shown(unit: str) -> str:
    """Return a UCUM unit without the braces of its annotations; a plain number has none."""
    return "" if unit == "1" else unit.strip("{}")


def _orbit(projections: Projections) -> str:
    geometry = projections.geometry
    parts = [f"{geometry.views} views from {geometry.angles_deg[0]:.4g}\N{DEGREE SIGN}"]
    if geometry.views > 1:
        change = (geometry.angles_deg[1] - geometry.angles_deg[0] + 180.0) % 360.0 - 180.0
        sense = RotationDirection.COUNTERCLOCKWISE if change > 0 else RotationDirection.CLOCKWISE
        parts.append(f"{abs(change):.4g}\N{DEGREE SIGN} apart, {sense.name.lower()} seen from the feet")
    if geometry.radius_mm is not None:
        low, high = min(geometry.radius_mm), max(geometry.radius_mm)
        parts.append(f"radius {low:.0f} mm" if high - low < 0.5 else f"radius {low:.0f} to {high:.0f} mm")
    window = projections.windows[projections.photopeak]
    parts.append(f"photopeak {window.lower_kev:g} to {window.upper_kev:g} keV {window.name}".rstrip())
    if projections.gates > 1:
        parts.append(f"{projections.gates} gates")
    if projections.view_time_s:
        parts.append(f"{projections.view_time_s:.4g} s per view")
    return ", ".join(parts)
