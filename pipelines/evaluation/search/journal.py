"""The journal of a random search: one line of JSON per training, written when it ended, never changed afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.training.paper_mu_map_settings import PaperMapSettings

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class TrainingRecord:
    """One training of a search and what came of it."""

    number: int
    stated: Mapping[str, float | int | str]  # the settings, as `PaperMapSettings.stated` writes them
    nmae: float | None  # mean over validation images; None: there was nothing to measure
    map_spread: float | None  # standard deviation of the maps' values over that of the measured ones, mean of images
    epochs: float  # passes over the data
    best_epoch: float  # after which validation's L1 was lowest
    discarded: str  # why the training counts as not converged; empty: it does not
    seconds: float

    @property
    def settings(self) -> PaperMapSettings:
        """What was drawn."""
        return PaperMapSettings.of_stated(self.stated)


def append(folder: Path, record: TrainingRecord) -> None:
    """Write a record behind those that are there, so that it survives the end of the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / JOURNAL).open("a") as file:
        file.write(json.dumps(asdict(record)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_journal(folder: Path) -> tuple[TrainingRecord, ...]:
    """Return the records of a search. A last line that was cut off is taken out of the file: its training runs again.

    Raises ValueError, with the line, if another line is no record.
    """
    path = folder / JOURNAL
    if not path.exists():
        return ()
    text = path.read_text()
    whole, _, torn = text.rpartition("\n")
    if torn:
        part = path.with_suffix(".part")
        part.write_text(f"{whole}\n" if whole else "")
        part.replace(path)
    return tuple(_record(path, number, line) for number, line in enumerate(whole.splitlines(), start=1))


def _record(path: Path, number: int, line: str) -> TrainingRecord:
    try:
        return TrainingRecord(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}, line {number}: no record of a training ({error})") from None
