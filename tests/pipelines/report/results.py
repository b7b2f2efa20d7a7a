"""Results to draw: analytic hearts read as the pipelines read them, judged by limits that stand on a normal one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from pipelines.cardiac.quantification import NormalLimits, perfusion
from pipelines.contract import (
    Acquisition,
    CardiacState,
    Derived,
    DerivedKind,
    Finding,
    Heart,
    PipelineInput,
    PipelineResult,
    Provenance,
    Verdict,
)
from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections, Volume
from pipelines.perfusion.hearts import HeartImage, read_hearts
from pipelines.perfusion.options import Options
from pipelines.report.sheet import Sheet
from tests.pipelines.cardiac import hearts as analytic

POPULATION = "virtual patients, men, stress"
ALONG = analytic.Heart().axis
LATERAL = np.cross(np.array([0.0, 0.0, 1.0]) - ALONG[2] * ALONG, ALONG)  # of the heart, LPS
PASS = Finding(Verdict.PASS, "left ventricle found")


@cache
def image(lateral_defect: bool = False, hot_gut: bool = False) -> Volume:
    """Return a heart in a body, alone or above a gut that is five times as hot."""
    uptake = analytic.without(LATERAL, 50.0, 0.1) if lateral_defect else None
    gut = (analytic.ball(analytic.USUAL_GRID, (20.0, -30.0, -110.0), 22.0, 5.0),) if hot_gut else ()
    return analytic.seen(analytic.Heart(uptake=uptake), analytic.USUAL_GRID, *gut)


@cache
def heart(lateral_defect: bool = False, hot_gut: bool = False, judged: bool = True) -> Heart:
    """Return what is read from that image."""
    images = [HeartImage("not corrected", image(lateral_defect, hot_gut))]
    (found,) = read_hearts(images, Acquisition("a study"), Options()).hearts
    if not judged:
        return found
    return replace(found, perfusion=perfusion(found.polar, _limits()), limits=POPULATION)


@cache
def _limits() -> NormalLimits:
    polar = heart(judged=False).polar
    mean = polar.counts * 100.0 / np.average(polar.counts, weights=polar.area_mm2)
    return NormalLimits(POPULATION, 40, mean, 0.08 * mean)


def projections(views: int = 30, rows: int = 64, columns: int = 64, height: float = 1.0) -> Projections:
    """Return a bright spot that moves from column to column with the view."""
    geometry = AcquisitionGeometry(
        tuple((225.0 - 6.0 * view) % 360.0 for view in range(views)), (6.4, 6.4), rows, columns
    )
    counts = np.zeros((1, 1, views, rows, columns), np.float32)
    for view in range(views):
        left = columns // 4 + view * (columns // 2) // views
        counts[0, 0, view, rows // 2 : rows // 2 + 3, left : left + 3] = 50.0 * height
    return Projections(counts, geometry, (EnergyWindow(126.0, 154.0, "Tc99m"),))


def asked(state: CardiacState = CardiacState.STRESS, **more: object) -> PipelineInput:
    """Return a study as it comes to a pipeline."""
    acquisition = Acquisition("study", projections=projections(), state=state, assumptions=("the radius was assumed",))
    return PipelineInput(replace(acquisition, **more))  # type: ignore[arg-type]


def result(*hearts: Heart, findings: tuple[Finding, ...] = (PASS,), more: tuple[Derived, ...] = ()) -> PipelineResult:
    """Return what a pipeline made of it."""
    derived = (Derived(DerivedKind.RECONSTRUCTION, image(), "OSEM"), *more)
    settings = (("Algorithm", "OSEM, 8 iterations x 2 subsets"),)
    return PipelineResult(derived, Provenance("reconstruction", "1.2.0", settings), findings, hearts=hearts)


def written(sheet: Sheet) -> list[str]:
    """Return all that is written on a page."""
    return [text.get_text() for text in sheet.figure.texts]
