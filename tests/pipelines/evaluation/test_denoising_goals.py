"""The goals of the denoiser: what counts as reached."""

from __future__ import annotations

from dataclasses import replace

from pipelines.evaluation.denoising_goals import Goal, goals
from pipelines.evaluation.denoising_record import Dose, Method, PatientRecord
from tests.pipelines.evaluation.denoising_records import a_normal, quality, some_records


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
    assert goal("expected counts, quarter dose: false", records, (3.0, 4.0)).reached is True
    assert goal("expected counts, quarter dose: false", records, (3.0, 6.0)).reached is False
    assert goal("expected counts, quarter dose: false", records, (6.0, 6.0)).reached is True
