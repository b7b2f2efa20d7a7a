"""How far a training has come: its budget of passes or minutes, what it says on the way, and the curves it leaves."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.networks.weights import write_whole


@dataclass(frozen=True)
class Budget:
    """How long to train: so many passes over the data, or so many minutes; exactly one of them is given."""

    epochs: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.epochs, self.minutes) if value is not None]
        if len(given) != 1 or given[0] <= 0:
            raise ValueError("a training needs either a number of epochs or of minutes, greater than zero")

    def spent(self, epochs: float, seconds: float) -> float:
        """Return the share of the budget, in [0, 1], that so many passes in so many seconds have used."""
        used = epochs / self.epochs if self.epochs is not None else seconds / (60.0 * (self.minutes or 1.0))
        return min(used, 1.0)

    def shared_by(self, members: int) -> Budget:
        """Return the budget of each of several networks; minutes are shared, passes are each one's own."""
        return self if self.minutes is None else Budget(minutes=self.minutes / members)


@dataclass(frozen=True)
class Checked:
    """What was seen when a training was checked."""

    step: int
    epoch: float
    spent: float  # share of the budget
    seconds: float  # of training so far, over all interruptions
    train: float  # mean loss since the last check
    held_out: float  # loss on patients that are held out from training


Report = Callable[[int, Checked], None]  # told the member's number and what was seen


def silent(member: int, checked: Checked) -> None:
    """Say nothing of a training's progress."""


class Clock:
    """Seconds of training, counted on over interruptions."""

    def __init__(self, before_s: float = 0.0) -> None:
        self._start = time.monotonic() - before_s

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return time.monotonic() - self._start


def write_curves(folder: Path, members: Sequence[Sequence[Checked]], loss: str, name: str = "curves") -> None:
    """Write the curves of a training as `<name>.json` and `<name>.png`; `loss` says what they show."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = {"loss": loss, "members": [[asdict(checked) for checked in member] for member in members]}
    write_whole(folder / f"{name}.json", json.dumps(rows, indent=1).encode())
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for number, member in enumerate(members):
        epochs = [checked.epoch for checked in member]
        color = f"C{number}"
        axes.plot(
            epochs, [checked.held_out for checked in member], color=color, label=f"held-out patients, {number + 1}"
        )
        axes.plot(epochs, [checked.train for checked in member], color=color, linewidth=0.6, alpha=0.6)
    axes.set(xlabel="passes over the data", ylabel=loss, title="Training (thin: on the training patients)")
    axes.grid(alpha=0.3)
    if any(members):
        axes.legend()
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    write_whole(folder / f"{name}.png", picture.getvalue())
