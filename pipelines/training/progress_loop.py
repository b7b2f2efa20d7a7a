"""The one training loop: steps, checks on held-out patients, checkpoints, an early end; whatever it is that learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from pipelines.training.progress import Budget, Checked, Clock, Report
from pipelines.training.progress_checkpoint import State, named, read_checkpoint, write_checkpoint


class Learner(Protocol):
    """What can be trained. What a step does depends on its number alone, so that a training can go on anywhere."""

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of one pass over the data."""

    def step(self, number: int, spent: float) -> float:
        """Learn from the batch of this number, at this share of the budget; return its loss."""

    def check(self) -> float:
        """Return the loss on held-out patients."""

    def weights(self) -> dict[str, Tensor]:
        """Return the weights that a check judges."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all that the next step depends on."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""


def usable_device(name: str) -> str:
    """Return the device of this name, "auto" being a GPU where there is one. Raises ValueError if it can't be used."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"the device {name!r} can't be used here: {reason}") from None
    return name


@dataclass(frozen=True)
class Course:
    """How long to train, and how often to look."""

    budget: Budget
    check_every: int = 250  # steps
    patience: int = 80  # checks without a better one, then training ends


@dataclass(frozen=True)
class Trained:
    """The weights that did best on held-out patients, and the way there."""

    weights: Mapping[str, Tensor]
    state: State


def train(learner: Learner, course: Course, training: str, checkpoint: Path, member: int, report: Report) -> Trained:
    """Train until the budget is spent or nothing gets better, going on from a checkpoint if there is one.

    An interrupted training loses what it did since the last check and comes out the same as an uninterrupted one
    (with a budget of epochs; minutes are never quite the same twice). Raises OtherTraining if the checkpoint is of
    a training with another name.
    """
    state, best = State(training), dict[str, Tensor]()
    found = read_checkpoint(checkpoint, training)
    if found:
        state, tensors = found
        learner.restore(named("learner", tensors))
        best = named("best", tensors)
    clock = Clock(state.seconds)
    while not state.finished:
        checked = _until_check(learner, course, state.step, clock)
        better = checked.held_out < state.best
        if better:
            best = {key: value.detach().clone() for key, value in learner.weights().items()}
        since_best = 0 if better else state.since_best + 1
        state = replace(
            state,
            step=checked.step,
            seconds=clock.seconds,
            finished=checked.spent >= 1.0 or since_best >= course.patience,
            best=min(checked.held_out, state.best),
            since_best=since_best,
            history=(*state.history, checked),
        )
        kept = {"learner": learner.tensors(), "best": best}
        write_checkpoint(
            checkpoint, state, {f"{name}.{key}": value for name, part in kept.items() for key, value in part.items()}
        )
        report(member, checked)
    return Trained(best, state)


def _until_check(learner: Learner, course: Course, step: int, clock: Clock) -> Checked:
    losses: list[float] = []
    spent = 0.0
    while spent < 1.0 and (not losses or step % course.check_every):
        spent = course.budget.spent(step / learner.steps_per_epoch, clock.seconds)
        losses.append(learner.step(step, spent))
        step += 1
        spent = course.budget.spent(step / learner.steps_per_epoch, clock.seconds)
    return Checked(
        step=step,
        epoch=round(step / learner.steps_per_epoch, 3),
        spent=spent,
        seconds=round(clock.seconds, 1),
        train=sum(losses) / len(losses),
        held_out=learner.check(),
    )
