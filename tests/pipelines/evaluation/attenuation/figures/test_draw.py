"""Figures of the attenuation evaluation: all are drawn, the same twice, and what is missing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.evaluation.attenuation.figures.draw import LEFT_OUT, NAMES, draw_all
from pipelines.evaluation.attenuation.material import Material
from pipelines.evaluation.attenuation.record import Method
from tests.pipelines.evaluation.attenuation.records import UNTRAINED, a_material


@pytest.fixture(scope="module")
def material() -> Material:
    return a_material(scans=4)


def test_every_figure_is_drawn_and_comes_out_the_same_again(material: Material, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert draw_all(material, first) == []
    assert {path.stem for path in first.glob("*.png")} == set(NAMES)
    again = NAMES[1]
    draw_all(material, second, (again,))
    assert (first / f"{again}.png").read_bytes() == (second / f"{again}.png").read_bytes()
    assert not (first / LEFT_OUT).exists()


def test_what_needs_a_network_is_left_out_with_the_reason(tmp_path: Path) -> None:
    bare = a_material(scans=4, methods=(Method.NONE, Method.UNIFORM, Method.CTAC))
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "fig_04_maps.png").write_bytes(b"of an earlier run")
    left_out = {one.name: one.reason for one in draw_all(bare, tmp_path / "figures")}
    assert left_out["fig_04_maps"] == "no network's map is in the records"
    assert "fig_05_polar_maps" in left_out
    assert not (tmp_path / "figures" / "fig_04_maps.png").exists()
    assert "fig_04_maps: no network's map" in (tmp_path / "figures" / LEFT_OUT).read_text()


def test_too_few_scans_draw_no_spread(tmp_path: Path) -> None:
    few = a_material(scans=2, methods=UNTRAINED)
    left_out = {one.name: one.reason for one in draw_all(few, tmp_path / "figures")}
    assert left_out["fig_06_bland_altman"] == "it compares scans: 2 are too few, 4 the least"
