"""The members of an ensemble: each its own start, checkpoint and share of the minutes; one set of curves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipelines.networks.model_card import ModelCard
from pipelines.networks.weights import TrainedModel
from pipelines.training.ensemble import Weights, train_members
from pipelines.training.progress import Budget, Report, silent
from pipelines.training.progress_checkpoint import OtherTraining
from pipelines.training.progress_loop import Course


class Counter:
    """Learns to count: each step adds one to its only weight, and a higher one is better."""

    steps_per_epoch = 2

    def __init__(self, begin: Weights | None) -> None:
        self.weight = torch.zeros(1) if begin is None else begin["weight"].clone()

    def step(self, number: int, spent: float) -> float:
        self.weight += 1
        return float(number)

    def check(self) -> float:
        return -float(self.weight)

    def weights(self) -> dict[str, Tensor]:
        return {"weight": self.weight}

    def tensors(self) -> dict[str, Tensor]:
        return {"weight": self.weight}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.weight = tensors["weight"]


def counters(
    folder: Path,
    number: int,
    *,
    start: TrainedModel | None = None,
    stated: str = "counting",
    report: Report = silent,
) -> list[float]:
    """Return the only weight of each trained member."""
    weights = train_members(
        number,
        lambda _, begin: Counter(begin),
        {"task": stated},
        Course(Budget(epochs=2.0), check_every=2),
        folder,
        loss="-n",
        report=report,
        start=start,
    )
    return [float(one["weight"]) for one in weights]


def test_each_member_takes_all_passes_and_leaves_a_curve(tmp_path: Path) -> None:
    assert counters(tmp_path, 3) == [4.0, 4.0, 4.0]
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert [[checked["held_out"] for checked in member] for member in curves["members"]] == [[-2.0, -4.0]] * 3


def test_more_members_than_networks_to_start_from_take_them_in_turn(tmp_path: Path) -> None:
    card = ModelCard("counters", "1", "Counter", {}, {}, (0, 1), {}, "")
    start = TrainedModel(card, tuple({"weight": torch.tensor([begin])} for begin in (10.0, 20.0)))
    assert counters(tmp_path, 3, start=start) == [14.0, 24.0, 14.0]


def test_a_member_that_is_done_is_not_trained_again(tmp_path: Path) -> None:
    assert counters(tmp_path, 1) == [4.0]
    trained = set[int]()
    assert counters(tmp_path, 2, report=lambda member, _: trained.add(member)) == [4.0, 4.0]
    assert trained == {1}
    assert len(json.loads((tmp_path / "curves.json").read_text())["members"]) == 2


def test_checkpoints_of_which_something_else_was_stated_are_refused(tmp_path: Path) -> None:
    counters(tmp_path, 1)
    with pytest.raises(OtherTraining):
        counters(tmp_path, 1, stated="something else")
