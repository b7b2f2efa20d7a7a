"""A gated study's page: volumes and ejection fraction in the table, the volume through the beat as a curve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.cardiac.gated_function import GatedFunction
from pipelines.cardiac.segments import ANGLES, RINGS
from pipelines.contract import CardiacState, Heart
from pipelines.report.facts import table
from pipelines.report.sheet import Box, Sheet
from pipelines.report.volume_curve import draw_volume_curves
from tests.pipelines.report.results import heart

BOX = Box(1136, 100, 440, 200)


def beating(volumes_ml: tuple[float, ...]) -> Heart:
    high, low = max(volumes_ml), min(volumes_ml)
    function = GatedFunction(
        volumes_ml, high, low, 100.0 * (1.0 - low / high), 0, 3, 110.0, (40.0,) * 17, np.full((RINGS, ANGLES), 40.0)
    )
    return replace(heart(), function=function)


def test_the_table_of_a_gated_study_tells_volumes_and_ejection_fraction() -> None:
    rows = {row.name: row.values for row in table([beating((100.0, 70.0, 50.0, 40.0))], CardiacState.STRESS)}
    assert rows["Ejection fraction (LVEF), %"] == ("60",)
    assert rows["End-diastolic volume (EDV), ml"] == ("100",)
    assert rows["End-systolic volume (ESV), ml"] == ("40",)


def test_an_ungated_heart_has_neither_volumes_nor_curve() -> None:
    assert not any("Ejection" in row.name for row in table([heart()], CardiacState.STRESS))
    assert draw_volume_curves(Sheet(), BOX, [heart()]) == BOX.top


def test_the_curve_is_lowest_at_end_systole() -> None:
    sheet = Sheet()
    volumes = (100.0, 80.0, 55.0, 40.0, 50.0, 70.0, 85.0, 95.0)
    assert draw_volume_curves(sheet, BOX, [beating(volumes)]) <= BOX.bottom
    pixels = sheet.pixels()[BOX.top + 20 : BOX.bottom - 20, BOX.left + 34 : BOX.right]
    rows, columns = np.nonzero(pixels.max(axis=2) < 80)
    lowest = columns[rows == rows.max()].mean() / (BOX.width - 42)
    assert abs(lowest - 3.5 / 8) < 0.02
