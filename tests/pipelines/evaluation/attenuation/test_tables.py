"""Tables of the attenuation evaluation: paper beside ours, goals from the records, nothing where nothing was made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.evaluation.attenuation.goals import goals
from pipelines.evaluation.attenuation.heart_tables import agreement_table, deficit_table, roads_table, truth_table
from pipelines.evaluation.attenuation.map_tables import map_table
from pipelines.evaluation.attenuation.material import NO_PAPER, Material, heart_pairs, segment_apes
from pipelines.evaluation.attenuation.paired_tests import methods_compared
from pipelines.evaluation.attenuation.patient_tables import literature_table, patients_table
from pipelines.evaluation.attenuation.record import Frame, Method, Road
from pipelines.evaluation.attenuation.robustness_tables import (
    camera_table,
    misregistration_table,
    registration_table,
)
from pipelines.evaluation.attenuation.tables import Evaluation, write_tables
from pipelines.evaluation.layout import Number, Spread, Table
from tests.pipelines.evaluation.attenuation.records import UNTRAINED, a_material


@pytest.fixture(scope="module")
def material() -> Material:
    return a_material(others=4)


def row_of(table: Table, *first: str) -> dict[str, object]:
    (found,) = [row for row in table.rows if row[: len(first)] == first]
    return dict(zip(table.columns, found, strict=True))


def test_segments_are_compared_in_percent_of_the_reference(material: Material) -> None:
    row = row_of(agreement_table(material, Frame.OWN), "PRAC", "nAC")
    apes = [segment_apes(a, b) for _, a, b in heart_pairs(material.main, Road.PRAC, Frame.OWN, Method.NONE)]
    spread = row["segment APE, %"]
    assert isinstance(spread, Spread)
    assert spread.mean == pytest.approx(float(np.mean(apes)))
    assert row["paper"] == Spread(7.264, 5.481, 3)
    assert row["scans"] == "6"


def test_only_prac_stands_beside_the_paper_and_osem_has_no_chang(material: Material) -> None:
    table = agreement_table(material, Frame.OWN)
    assert row_of(table, "OSEM", "nAC")["paper"] is None
    assert ("OSEM", "Chang, body's contour") not in [row[:2] for row in table.rows]
    assert row_of(table, "PRAC", "paper's cGAN (compact copy)")["paper"] == Spread(1.155, 0.769, 3)


def test_a_better_map_has_the_better_row(material: Material) -> None:
    table = agreement_table(material, Frame.COMMON)
    distances = [row_of(table, "PRAC", name)["pixel distance"] for name in ("ours, with scatter window", "nAC")]
    assert all(isinstance(one, Spread) for one in distances)
    ours, none = (one.mean for one in distances if isinstance(one, Spread))
    assert ours < none


def test_images_by_prac_are_compared_with_ctac_by_osem(material: Material) -> None:
    table = roads_table(material)
    assert table is not None
    assert [row[0] for row in table.rows[:3]] == ["CTAC, PRAC", "nAC", "paper's cGAN (compact copy), PRAC"]
    pairs = [
        (record.reading(Road.PRAC, Frame.OWN, Method.OURS), record.reading(Road.OSEM, Frame.OWN, Method.CTAC))
        for record in material.main
    ]
    apes = [segment_apes(a, b) for a, b in pairs if a is not None and b is not None]
    spread = row_of(table, "ours, with scatter window, PRAC")["segment APE, %"]
    assert isinstance(spread, Spread)
    assert spread.mean == pytest.approx(float(np.mean(apes)))
    assert row_of(table, "CTAC, PRAC")["scans"] == "6"


def test_without_osem_nothing_is_compared_with_it(material: Material) -> None:
    bare = [replace(one, hearts={"PRAC": one.hearts["PRAC"]}) for one in material.main]
    assert roads_table(replace(material, records=tuple(bare))) is None


def test_the_reference_is_no_row_of_its_own_maps(material: Material) -> None:
    assert "CTAC" not in [row[0] for row in map_table(material).rows]
    assert row_of(map_table(material), "ours, with scatter window")["NMAE, paper"] == Spread(0.020, 0.007, 3)


def test_the_truth_table_holds_ctac_itself(material: Material) -> None:
    assert row_of(truth_table(material), "OSEM", "CTAC")["scans"] == "6"
    assert len(deficit_table(material).rows) == 19


def test_scans_without_a_ventricle_are_left_out_and_counted(material: Material) -> None:
    first = material.main[0]
    hearts = {road: {f: {**of, "nAC": None} for f, of in frames.items()} for road, frames in first.hearts.items()}
    less = replace(material, records=(replace(first, hearts=hearts), *material.records[1:]))
    assert row_of(agreement_table(less, Frame.OWN), "PRAC", "nAC")["scans"] == "5"


def test_goals_are_told_from_the_records(material: Material) -> None:
    found = {goal.name: goal for goal in goals(material)}
    assert len(found) == 24
    ours = found["ours, with scatter window: NMAE of the map"]
    assert ours.reached is True
    assert ours.measured.startswith("0.003")
    segments = found["ours, with scatter window, PRAC: segment APE, %"]
    assert segments.reached is (float(segments.measured) <= 1.0)
    assert found["without correction, PRAC: segment APE, %"].wanted == "about 7 (6 to 9)"


def test_a_goal_without_numbers_is_not_known() -> None:
    bare = a_material(scans=3, methods=(Method.NONE, Method.CTAC))
    assert {goal.reached for goal in goals(bare) if "ours" in goal.name} == {None}


def test_tests_compare_patients_not_scans_and_are_corrected(material: Material) -> None:
    table = methods_compared(material)
    assert {row[-1] for row in table.rows} == {"6"}
    twice = replace(material, records=(*material.records, *(replace(one, study=1) for one in material.main)))
    assert {row[-1] for row in methods_compared(twice).rows} == {"6"}
    named = [row[1:3] for row in table.rows]
    assert ("nAC", "ours, with scatter window") in named
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        assert cells["p, Holm"].value >= min(cells["p, paired t"].value, cells["p, Wilcoxon"].value)  # type: ignore[union-attr]


def test_other_cameras_have_rows_only_if_they_were_tried(material: Material) -> None:
    table = camera_table(material)
    assert table is not None
    assert {row[0] for row in table.rows} == {"iq-spect"}
    assert {row[1] for row in table.rows} == {"PRAC"}
    assert camera_table(a_material(scans=2)) is None


def test_a_moved_reference_and_registration_have_their_tables(material: Material) -> None:
    moved = misregistration_table(material)
    assert row_of(moved, "reference moved 5 mm toward the head")["scans"] == "6"
    table = registration_table(material)
    assert table is not None
    row = row_of(table, "CT, misregistered, registered by us")
    before, after = row["heart off before, mm"], row["heart off after, mm"]
    assert isinstance(before, Spread)
    assert isinstance(after, Spread)
    assert (before.mean, after.mean) == (7.0, 2.0)
    assert isinstance(row["farthest after, mm"], Number)


def test_table_2_counts_every_scan_of_the_cohort_once() -> None:
    rows = patients_table(3).rows
    assert [row[0] for row in rows] == ["train", "validation", "test"]
    assert (sum(int(str(row[1])) for row in rows), sum(int(str(row[2])) for row in rows)) == (150, 103)
    assert len(literature_table().rows) == 13


def test_tables_are_written_as_text_and_json_alike(material: Material, tmp_path: Path) -> None:
    document = write_tables(Evaluation(material, "tiny 0.1, 2 networks", {"tiny": "ab" * 32}, 30), tmp_path)
    assert json.loads((tmp_path / "tables.json").read_text()) == json.loads(json.dumps(document))
    words = (tmp_path / "tables.md").read_text()
    assert words.startswith("# Attenuation correction\n\n**virtual patients - not clinical evidence.** 6 scans")
    assert "paper's cGAN (compact copy)" in words
    assert document["scans_on_other_cameras"] == 4


def test_a_paper_network_that_was_not_trained_has_no_row() -> None:
    table = agreement_table(a_material(methods=UNTRAINED), Frame.OWN)
    assert not [row for row in table.rows if "cGAN" in str(row[1])]


def test_that_the_papers_network_was_not_tried_is_said_at_the_head(tmp_path: Path) -> None:
    untried = replace(a_material(scans=2, methods=UNTRAINED), paper_size=NO_PAPER)
    document = write_tables(Evaluation(untried, "tiny 0.1, 2 networks", {}, 30), tmp_path)
    assert document["paper_network"] == "not tried"
    assert "no table has a row of the paper's cGAN" in (tmp_path / "tables.md").read_text()


def test_one_scan_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 2 scans"):
        write_tables(Evaluation(a_material(scans=1), "", {}, 30), tmp_path)
