"""The goals of the denoiser: what counts as reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipelines.evaluation.denoising.goals import Goal, goals
from pipelines.evaluation.denoising.record import Dose, Method, PatientRecord
from tests.pipelines.evaluation.denoising.records import a_normal, indices, quality, some_records


def goal(words: str, records: list[PatientRecord], deficits: tuple[float, float] = (3.0, 3.0)) -> Goal:
    normals = [a_normal(place, *deficits) for place in range(3)]
    (found,) = [one for one in goals(records, normals) if words in one.name]
    return found


def with_projections(records: list[PatientRecord], dose: Dose, rmse: float) -> list[PatientRecord]:
    """The records with another error of the virtual full dose."""
    return [
        replace(
            record,
            methods={
                **record.methods,
                dose.value: {
                    **record.methods[dose.value],
                    Method.FULL.value: replace(record.methods[dose.value][Method.FULL.value], projection=quality(rmse)),
                },
            },
        )
        for record in records
    ]


def test_the_virtual_full_dose_must_stay_near_the_ceiling() -> None:
    records = some_records(8)
    near = goal("half dose: RMSE above", records)
    assert (near.measured[:5], near.reached) == ("2.0 %", True)
    mean = sum(record.ceiling["half"].rmse for record in records) / 8
    assert goal("half dose: RMSE above", with_projections(records, Dose.HALF, 1.04 * mean)).reached is False


def test_every_row_must_be_ahead_of_the_papers_network() -> None:
    assert goal("virtual full dose: ahead", some_records(8)).reached is None  # not trained
    records = some_records(8, tuple(Method))
    behind = goal("virtual full dose: ahead", with_projections(records, Dose.EIGHTH, 50.0))
    assert behind.reached is False
    assert "projection PSNR at eighth dose" in behind.measured
    assert "projection PSNR at half dose" not in behind.measured
    assert " of 45 rows" in behind.measured


def with_deficits(records: list[PatientRecord], method: Method, off: Sequence[float]) -> list[PatientRecord]:
    """The records with the deficit read so far off the full dose's, in each patient, at every dose."""
    changed = []
    for record, error in zip(records, off, strict=True):
        assert record.full_dose is not None
        read = indices(record.full_dose.tpd_percent + error)
        methods = {
            dose: {**made, method.value: replace(made[method.value], indices=read)}
            for dose, made in record.methods.items()
        }
        changed.append(replace(record, methods=methods))
    return changed


def perfect(records: list[PatientRecord]) -> list[PatientRecord]:
    """The records with a virtual full dose that is read as the full dose is, and a paper's network that isn't."""
    number = len(records)
    return with_deficits(with_deficits(records, Method.FULL, [0.0] * number), Method.PAPER, [2.0, -2.0] * (number // 2))


def test_rows_that_could_not_be_compared_leave_the_goal_open() -> None:
    trained = perfect(some_records(8, tuple(Method)))
    found = goal("virtual full dose: ahead", trained)
    assert (found.measured, found.reached) == ("45 of 45 rows", True)
    untrained = [
        {name: made for name, made in one.methods["eighth"].items() if name != Method.PAPER.value} for one in trained
    ]
    two = [replace(one, methods={**one.methods, "eighth": made}) for one, made in zip(trained, untrained, strict=True)]
    found = goal("virtual full dose: ahead", two)
    assert (found.measured, found.reached) == ("30 of 30 rows", None)


def test_a_network_gains_nothing_from_hearts_that_are_not_found_in_its_images() -> None:
    records = perfect(some_records(8, tuple(Method)))
    half = records[0].methods["half"]
    far = replace(half[Method.FULL.value], indices=indices(90.0))
    unread = replace(half[Method.PAPER.value], indices=None)
    methods = {**records[0].methods, "half": {**half, Method.FULL.value: far, Method.PAPER.value: unread}}
    lost = [replace(records[0], methods=methods), *records[1:]]
    assert goal("virtual full dose: ahead", lost).reached is True
    read = replace(half[Method.PAPER.value], indices=half[Method.FULL.value].indices)
    methods = {**methods, "half": {**methods["half"], Method.PAPER.value: read}}
    found = [replace(records[0], methods=methods), *records[1:]]
    assert "r of TPD, % at half dose" in goal("virtual full dose: ahead", found).measured


def test_printed_numbers_are_met_to_the_digits_that_were_printed() -> None:
    found = goal("printed", with_projections(some_records(8), Dose.HALF, 3.504))
    assert "projection RMSE at half" not in found.measured
    found = goal("printed", with_projections(some_records(8), Dose.HALF, 3.51))
    assert "projection RMSE at half" in found.measured


def test_psnr_at_an_eighth_of_the_dose() -> None:
    assert goal("PSNR", with_projections(some_records(4), Dose.EIGHTH, 5.0)).reached is True
    assert goal("PSNR", with_projections(some_records(4), Dose.EIGHTH, 5.3)).reached is False  # 33.6 dB


def test_denoising_must_not_make_defects_that_the_full_dose_does_not_show() -> None:
    records = some_records(4)
    assert goal("for images, quarter dose: false", records, (3.0, 4.0)).reached is True
    assert goal("for images, quarter dose: false", records, (3.0, 6.0)).reached is False
    assert goal("for images, quarter dose: false", records, (6.0, 6.0)).reached is True
