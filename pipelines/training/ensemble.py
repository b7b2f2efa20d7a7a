"""The members of an ensemble, trained one after another, each with its own checkpoint and share of the budget."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from pipelines.networks.weights import TrainedModel
from pipelines.training.progress import Report, write_curves
from pipelines.training.progress_loop import Course, Learner, train

Weights = Mapping[str, Tensor]


def train_members(
    number: int,
    learner_of: Callable[[int, Weights | None], Learner],
    stated: Mapping[str, object],
    course: Course,
    folder: Path,
    *,
    loss: str,
    report: Report,
    start: TrainedModel | None = None,
) -> list[Weights]:
    """Return the best weights of each member; write their curves into `folder`, what the `loss` is beside them.

    `learner_of` gets the member's number and the weights that it goes on from: those of the networks of `start`, in
    turn, or None for chance. `stated` is all that decides what comes out, as JSON can hold it. Goes on where an
    interrupted training stopped; raises OtherTraining if `folder/checkpoints` holds one of which something else was
    stated.
    """
    each = Course(course.budget.shared_by(number), course.check_every, course.patience)
    results = []
    for member in range(number):
        training = hashlib.sha256(json.dumps([stated, member]).encode()).hexdigest()
        begin = None if start is None else start.members[member % len(start.members)]
        checkpoint = folder / "checkpoints" / f"member-{member}.safetensors"
        results.append(train(learner_of(member, begin), each, training, checkpoint, member, report))
        write_curves(folder, [result.state.history for result in results], loss)
    return [result.weights for result in results]
