"""The tables of the denoising evaluation, from records with known numbers."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.evaluation.denoising.gated_tables import gated_tables
from pipelines.evaluation.denoising.index_tables import index_tables, reader_differences, reader_step
from pipelines.evaluation.denoising.paired_tests import methods_compared
from pipelines.evaluation.denoising.quality_tables import quality_tables
from pipelines.evaluation.denoising.record import Dose, Method, PatientRecord, read_record, write_record
from pipelines.evaluation.denoising.tables import Evaluation, as_json, as_markdown, tables_of, worklist, write_tables
from pipelines.evaluation.layout import Between, Number, Probability, Spread, Table
from tests.pipelines.evaluation.denoising.records import a_normal, indices, some_records

Rows = list[dict[str, Any]]


PATIENTS = 16  # for 4 to 13, Wilcoxon's test of values with ties tries all signs, which takes seconds


def evaluation(records: list[PatientRecord] | None = None) -> Evaluation:
    normals = [a_normal(place, 3.0, 6.0 if place == 0 else 2.0) for place in range(4)]
    return Evaluation(some_records(PATIENTS) if records is None else records, normals, "tiny 1", {"tiny": "ab" * 32}, 1)


def rows(made: Evaluation, key: str) -> Rows:
    few = [methods_compared(made.patients)] if key == "tests" else []
    quality = (*quality_tables(made.patients), *gated_tables(made.patients))
    tables = {table.key: table for table in (*few, *quality, *index_tables(made.patients, made.normals))}
    found: Any = tables[key].as_json()["rows"]
    return list(found)


def row(made: Evaluation, key: str, dose: str, method: str, **others: str) -> dict[str, Any]:
    wanted = {"dose": dose, "method": method, **others}
    (found,) = [one for one in rows(made, key) if all(one[name] == value for name, value in wanted.items())]
    return found


def test_every_number_of_table_1_stands_beside_the_papers_and_the_ceiling() -> None:
    made = evaluation()
    rmse = [record.methods["quarter"][Method.FULL.value].projection.rmse for record in made.patients]
    ours = row(made, "table 1", "quarter", Method.FULL.value)
    assert ours["RMSE"] == {"mean": pytest.approx(np.mean(rmse)), "sd": pytest.approx(np.std(rmse, ddof=1))}
    assert ours["RMSE, paper"] == {"mean": 4.41, "sd": 0.78}
    assert ours["RMSE gain, %"] == pytest.approx(100 * (1.02 / 4.0 - 1))
    assert ours["RMSE gain, paper, %"] == pytest.approx(-56.3, abs=0.05)  # as the paper's text has it
    assert row(made, "table 1", "quarter", "low dose")["PSNR, paper"]["mean"] == 28.25
    assert row(made, "table 1", "quarter", "ceiling")["RMSE"]["mean"] == pytest.approx(np.mean(rmse) / 1.02)


def test_ejection_fractions_of_every_dose_stand_against_the_truth() -> None:
    made = evaluation()
    ours = row(made, "ejection fractions", "quarter", Method.FOR_IMAGES.value)
    assert ours["less the truth, points"] == {"mean": pytest.approx(-4.0), "sd": pytest.approx(0.0)}
    assert ours["RMS error, points"] == pytest.approx(4.0)
    assert row(made, "ejection fractions", "full", "full dose")["less the truth, points"]["mean"] == pytest.approx(-1.0)
    low = row(made, "ejection fractions", "half", Method.LOW_DOSE.value)
    assert low["less the truth, points"]["mean"] == pytest.approx(np.mean([patient % 3 for patient in range(16)]) - 5.0)
    assert row(made, "ejection fractions", "eighth", Method.FOR_IMAGES.value)["read in"] == f"0 of {PATIENTS}"


def test_the_papers_network_stands_in_the_table_as_not_trained_until_it_is() -> None:
    untrained = row(evaluation(), "table 2", "half", Method.PAPER.value)
    assert untrained["PSNR"] == "not trained"
    assert untrained["PSNR, paper"]["mean"] == 42.49
    trained = row(evaluation(some_records(5, tuple(Method))), "table 2", "half", Method.PAPER.value)
    assert trained["PSNR"]["mean"] > 30


def test_indices_correlate_with_the_full_dose_over_those_that_were_read() -> None:
    records = some_records(PATIENTS)
    unread = replace(records[0].methods["half"][Method.GAUSSIAN.value], indices=None)
    methods = {**records[0].methods, "half": {**records[0].methods["half"], Method.GAUSSIAN.value: unread}}
    made = evaluation([replace(records[0], methods=methods), *records[1:]])
    gaussian = row(made, "table 3", "half", Method.GAUSSIAN.value, index="TPD, %")
    assert gaussian["patients"] == str(PATIENTS - 1)
    ours = row(made, "table 3", "half", Method.FULL.value, index="TPD, %")
    pairs = [
        (one.methods["half"][Method.FULL.value].indices.tpd_percent, one.full_dose.tpd_percent)  # type: ignore[union-attr]
        for one in records
    ]
    assert ours["Pearson's r (95 %)"]["value"] == pytest.approx(np.corrcoef(np.transpose(pairs))[0, 1])
    assert ours["paper"] == 0.99
    assert row(made, "table 3", "full", "noise-free", index="TPD, %")["Pearson's r (95 %)"]["value"] > 0.999


def test_an_image_that_was_never_read_is_not_called_untrained() -> None:
    records = some_records(5)
    unread = [
        replace(
            one,
            methods={
                dose: {name: replace(made, indices=None) for name, made in methods.items()}
                for dose, methods in one.methods.items()
            },
        )
        for one in records
    ]
    found = row(evaluation(unread), "table 3", "half", "low dose", index="TPD, %")
    assert (found["Pearson's r (95 %)"], found["patients"]) == (None, "0")


def test_the_reader_surrogate_follows_its_rule() -> None:
    records = some_records(3)
    scores = [(4, 4), (7, 4), (0, 30)]  # image, full dose
    changed = []
    for record, (image, full) in zip(records, scores, strict=True):
        low = replace(record.methods["half"]["low dose"], indices=indices(float(image)))
        methods = {**record.methods, "half": {**record.methods["half"], "low dose": low}}
        changed.append(replace(record, full_dose=indices(float(full)), methods=methods))
    assert reader_differences(changed, Dose.HALF, Method.LOW_DOSE) == [0, 2, -3]
    found = row(evaluation(changed), "table 4", "half", "low dose")
    assert found["acceptable, %"] == pytest.approx(100 / 3)
    assert found["patients at -3 to +3"] == "1 0 0 1 0 1 0"


def test_noise_free_images_show_what_reading_alone_makes_of_the_truth() -> None:
    made = evaluation()
    assert row(made, "indices against truth", "full", "noise-free")["TPD error, points"]["mean"] == pytest.approx(0.1)
    measured = row(made, "indices against truth", "full", "as measured")
    assert measured["TPD error, points"] == {"mean": pytest.approx(0.0), "sd": pytest.approx(0.0)}
    assert measured["ventricle found"] == f"{PATIENTS} of {PATIENTS}"


def test_bland_altman_tells_bias_and_limits() -> None:
    made = evaluation()
    found = row(made, "bland-altman", "eighth", "low dose", index="TPD, %")
    differences = [
        one.methods["eighth"]["low dose"].indices.tpd_percent - one.full_dose.tpd_percent  # type: ignore[union-attr]
        for one in made.patients
    ]
    assert found["bias (95 %)"]["value"] == pytest.approx(np.mean(differences))
    assert found["upper limit (95 %)"]["value"] == pytest.approx(
        np.mean(differences) + 1.96 * np.std(differences, ddof=1)
    )


def test_false_and_missed_defects_are_counted_among_the_hearts_that_were_read() -> None:
    made = evaluation()
    ill = sum(one.truth.tpd_percent > 5 for one in made.patients)
    full = row(made, "detection", "full", "as measured")
    assert full["false defects, % (95 %)"]["value"] == 0
    assert full["missed defects, % (95 %)"]["value"] == 0
    low = row(made, "detection", "quarter", "low dose")
    assert low["false defects, % (95 %)"]["value"] == 25
    assert low["normal hearts read"] == "4 of 4"
    assert low["ill hearts read"] == f"{ill} of {ill}"
    unread = replace(made, normals=[a_normal(0, 3.0, None), a_normal(1, 3.0, 9.0)])
    found = row(unread, "detection", "quarter", "low dose")
    assert (found["false defects, % (95 %)"]["value"], found["normal hearts read"]) == (100, "1 of 2")


def test_ejection_fractions_are_compared_with_full_dose_and_truth() -> None:
    found = row(evaluation(), "gated", "half", "low dose")
    assert found["ejection fraction less full dose's, points"]["mean"] == pytest.approx(-3.0, abs=0.1)
    assert found["ejection fraction less the truth, points"]["mean"] == pytest.approx(-4.0, abs=0.1)
    assert found["beat, % of the true one"]["mean"] == pytest.approx(90.5)
    assert row(evaluation(), "gated", "half", "ceiling")["RMSE"]["mean"] == pytest.approx(1.0)


def test_tests_are_corrected_for_their_number() -> None:
    asked = rows(evaluation(), "tests")
    metrics = {one["metric"] for one in asked}
    assert {"projection RMSE", "image SSIM", "TPD, distance to full dose", "Volume, distance to full dose"} <= metrics
    assert (
        len(metrics) == 4 + 9
    )  # SSIM and RMSE in both spaces (PSNR of made-up patients all differ by the same), indices
    believed = [one["p, Wilcoxon" if one["p, Shapiro-Wilk"] < 0.05 else "p, paired t"] for one in asked]
    order = np.argsort(believed, kind="stable")
    steps = np.array(believed)[order] * np.arange(len(asked), 0, -1)  # Holm: the smallest p times their number, ...
    wanted = np.minimum(np.maximum.accumulate(steps), 1.0)
    assert [asked[place]["p, Holm"] for place in order] == pytest.approx(list(wanted))
    better = asked[0]
    assert (better["first"], better["second"]) == ("low dose", "Gaussian")
    assert better["mean difference, second less first"] > 0  # SSIM
    assert better["p, Holm"] < 0.001


def test_the_text_says_what_it_is_and_holds_every_table() -> None:
    made = evaluation(some_records(3))
    words = as_markdown(made, tables_of(made))
    assert words.startswith("# Denoising\n\n**virtual patients - not clinical evidence.** 3 virtual patients")
    document: Any = as_json(made, tables_of(made))
    assert len(document["tables"]) == 15
    assert all(f"## {table['title']}\n" in words for table in document["tables"].values())
    assert document["evidence"] == "virtual patients - not clinical evidence"


def test_two_patients_are_enough_and_one_is_not() -> None:
    two = evaluation(some_records(2))
    assert "– |" in as_markdown(two, tables_of(two))  # no correlation of two
    with pytest.raises(ValueError, match="at least 2"):
        tables_of(evaluation(some_records(1)))


def test_the_worklist_has_an_empty_row_for_each_image() -> None:
    made = evaluation(some_records(2))
    listed = list(csv.DictReader(StringIO(worklist(made))))
    assert len(listed) == 2 * (1 + 3 * 3)
    assert listed[0]["image"] == "full dose"
    assert all(one["summed score"] == "" for one in listed)


def test_what_is_written_can_be_read_again(tmp_path: Path) -> None:
    record = some_records(1)[0]
    write_record(tmp_path / "0.json", record)
    assert read_record(tmp_path / "0.json") == record
    document = write_tables(evaluation(some_records(3)), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "tables.json").read_text()) == json.loads(json.dumps(document))
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["tables.json", "tables.md", "worklist.csv"]


def test_no_probability_is_printed_as_nothing() -> None:
    assert [Probability(p).text() for p in (1e-7, 0.0123, 1.0)] == ["< 0.0001", "0.0123", "1.0000"]


def test_steps_of_the_surrogate_are_all_two_points_wide() -> None:
    assert [reader_step(difference) for difference in range(-6, 7)] == [-3, -3, -2, -2, -1, -1, 0, 1, 1, 2, 2, 3, 3]


def test_a_table_says_the_same_in_both_forms() -> None:
    table = Table("k", "Title", ("a", "b", "c", "d"), (("x", Number(1.234), Spread(1, 2), Between(3, 2, 4)),), "Note.")
    assert table.as_markdown().splitlines()[4:] == [
        "| a | b | c | d |",
        "| --- | --- | --- | --- |",
        "| x | 1.23 | 1.00 ± 2.00 | 3.00 (2.00 to 4.00) |",
    ]
    assert table.as_json()["rows"] == [
        {"a": "x", "b": 1.234, "c": {"mean": 1, "sd": 2}, "d": {"value": 3, "low": 2, "high": 4}}
    ]
    with pytest.raises(ValueError, match="one cell for each"):
        Table("k", "Title", ("a", "b"), (("x",),))
