"""The low-dose rows of the denoising paper's table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.agreement.image_quality import ImageQuality
from pipelines.evaluation.denoising.low_dose_table import (
    PAPER,
    PatientRow,
    as_json,
    as_markdown,
    measure,
    other_ssim,
    plans,
    table,
    verdict,
)
from pipelines.simulation.cohort import Split

DOSES = ("half", "quarter", "eighth")


def a_row(patient: int, rmse: float) -> PatientRow:
    return PatientRow(patient, 2.5, dict.fromkeys(DOSES, ImageQuality(rmse, 30.0 + rmse, 0.9, 0.95, 0.85, 0.8)))


def test_the_patients_are_the_35_of_the_test() -> None:
    chosen = plans(1)
    assert len(chosen) == 35
    assert {plan.split for plan in chosen} == {Split.TEST}
    assert plans(1, 3) == chosen[:3]


def test_each_number_stands_beside_the_papers() -> None:
    row = next(r for r in table([a_row(1, 5.0), a_row(2, 7.0)]) if (r.dose, r.quantity) == ("half", "RMSE"))
    assert row.mean == pytest.approx(6.0)
    assert row.sd == pytest.approx(2**0.5)
    assert (row.paper_mean, row.paper_sd) == (5.69, 1.19)
    assert row.difference_percent == pytest.approx(100 * (6.0 / 5.69 - 1))


def test_the_text_says_that_the_patients_are_virtual_and_how_many_counts_they_have() -> None:
    rows = [a_row(1, 5.0), replace(a_row(2, 7.0), million_counts=3.5)]
    words = as_markdown(rows)
    assert "2 virtual patients (no clinical evidence)" in words
    assert "3.00 million counts in the median (2.50 to 3.50)" in words
    assert "| half | RMSE | 6.00 ± 1.41 | 5.69 ± 1.19 | +5.4 % |" in words
    assert len(as_json(rows)["table"]) == 9  # type: ignore[arg-type]


def test_one_number_beyond_the_line_fails_the_table() -> None:
    far = [a_row(1, 5.0), a_row(2, 7.0)]  # the same RMSE at every dose: right for half the dose, not for an eighth
    assert as_json(far)["passed"] is False
    assert "Farthest: RMSE at eighth dose, -61.3 %" in verdict(far)
    near = [PatientRow(n, 2.5, {dose: _as_printed(dose) for dose in DOSES}) for n in range(2)]
    assert as_json(near)["passed"] is True
    assert "none lies outside" in verdict(near)


def test_every_other_reading_of_ssim_stands_beside_the_papers_number() -> None:
    found = other_ssim([a_row(1, 5.0), a_row(2, 7.0)])
    assert [row.mean for row in found if row.dose == "half"] == pytest.approx([0.95, 0.85, 0.8])
    assert {row.paper_mean for row in found if row.dose == "half"} == {0.96}


def _as_printed(dose: str) -> ImageQuality:
    ssim = PAPER[dose, "SSIM"][0]
    return ImageQuality(PAPER[dose, "RMSE"][0], PAPER[dose, "PSNR"][0], ssim, ssim, ssim, ssim)


def test_one_patient_has_no_spread() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        table([a_row(1, 5.0)])


def test_less_dose_is_a_worse_image_and_the_same_patient_gives_the_same_row() -> None:
    (plan,) = plans(1, 1)
    row = measure(plan)
    half, quarter, eighth = (row.quality[dose] for dose in ("half", "quarter", "eighth"))
    assert half.rmse < quarter.rmse < eighth.rmse
    assert half.psnr_db > quarter.psnr_db > eighth.psnr_db
    assert 1.0 < row.million_counts < 8.0
    assert measure(plan) == row
