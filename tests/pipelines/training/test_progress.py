"""Budgets, and the curves that a training leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.training.progress import Budget, Checked, Clock, write_curves


def test_a_budget_is_spent_by_passes_or_by_time() -> None:
    assert Budget(epochs=4.0).spent(1.0, seconds=9999.0) == 0.25
    assert Budget(minutes=2.0).spent(9999.0, seconds=30.0) == 0.25
    assert Budget(minutes=2.0).spent(0.0, seconds=500.0) == 1.0


def test_members_share_minutes_but_not_passes() -> None:
    assert Budget(minutes=60.0).shared_by(3) == Budget(minutes=20.0)
    assert Budget(epochs=9.0).shared_by(3) == Budget(epochs=9.0)


@pytest.mark.parametrize(("epochs", "minutes"), [(None, None), (1.0, 1.0), (0.0, None), (None, -3.0)])
def test_a_budget_is_either_passes_or_minutes(epochs: float | None, minutes: float | None) -> None:
    with pytest.raises(ValueError, match="either"):
        Budget(epochs, minutes)


def test_the_clock_goes_on_from_the_time_before_an_interruption() -> None:
    assert Clock(before_s=100.0).seconds >= 100.0


def test_curves_are_written_as_numbers_and_as_a_picture(tmp_path: Path) -> None:
    member = [Checked(step, step / 10, step / 40, float(step), 2.0 / step, 3.0 / step) for step in (10, 20, 40)]
    write_curves(tmp_path, [member, member[:2]], "loss")
    rows = json.loads((tmp_path / "curves.json").read_text())
    assert [row["held_out"] for row in rows["members"][0]] == [0.3, 0.15, 0.075]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
