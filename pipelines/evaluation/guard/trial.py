"""Tries the guard: sound and damaged studies through the whole pipeline, and what was said of each, kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipelines import denoising
from pipelines.contract import PipelineInput, PipelineResult, Verdict
from pipelines.evaluation.guard.damage import KINDS, Kind, Presented, presented
from pipelines.evaluation.guard.faults import faulty_networks
from pipelines.evaluation.guard.studies import GuardPlan, make
from pipelines.images import UnsuitableAcquisition
from pipelines.networks.weights import read_model

REFUSED = "refused"  # the pipeline made nothing of it: as good as QUARANTINE
SOUND = ""  # the name of the study without any damage


@dataclass(frozen=True)
class Outcome:
    """What was said of one run; `remarks` are verdicts and sentences of everything that isn't PASS."""

    verdict: str
    remarks: tuple[tuple[str, str], ...]
    figures: Mapping[str, float]  # of the guard


@dataclass(frozen=True)
class Record:
    """One study: what was said of it as it is, and of each kind of damage."""

    number: int
    camera: str
    dose_fraction: float
    gated: bool
    model: str  # SHA-256 of the weights and their thresholds
    outcomes: Mapping[str, Outcome]


@dataclass(frozen=True)
class Order:
    """One study to be tried, with or without every kind of damage."""

    planned: GuardPlan
    damaged: bool
    model: str
    models: Path | None
    folder: Path

    @property
    def file(self) -> Path:
        """Where the record is kept."""
        return self.folder / "studies" / f"{self.planned.number:04d}.json"


def try_guard(order: Order) -> Record:
    """Return the record of one study: the one that is kept, if it holds all that is asked, else a new one."""
    kinds: Sequence[Kind] = KINDS if order.damaged else ()
    stamp = stamp_of(order.model, order.models)
    kept = read_record(order.file, stamp)
    if kept is not None and {kind.name for kind in kinds} <= set(kept.outcomes):
        return kept
    planned = order.planned
    study = make(planned)
    views = study.projections.geometry.views
    outcomes = {SOUND: _outcome(presented(study), views, order)}
    for number, kind in enumerate(kinds):
        rng = np.random.default_rng([planned.plan.patient, 43, number])
        outcomes[kind.name] = _outcome(kind.damage(study, rng), views, order)
    record = Record(planned.number, planned.camera, planned.dose_fraction, planned.gated, stamp, outcomes)
    write_record(order.file, record)
    return record


def write_record(file: Path, record: Record) -> None:
    """Write a record so that it is whole or not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(record)) + "\n")
    part.replace(file)


def read_record(file: Path, stamp: str) -> Record | None:
    """Return the record in a file, None if there is none of this model."""
    if not file.exists():
        return None
    stated = json.loads(file.read_text())
    if stated["model"] != stamp:
        return None
    outcomes = {
        name: Outcome(one["verdict"], tuple((verdict, words) for verdict, words in one["remarks"]), one["figures"])
        for name, one in stated["outcomes"].items()
    }
    return Record(**{**stated, "outcomes": outcomes})


def stamp_of(model: str, models: Path | None) -> str:
    """Return what names a model's weights and thresholds."""
    card = read_model(model, models).card
    return f"{card.sha256[:16]} {json.dumps(dict(card.thresholds), sort_keys=True)}"


def _outcome(shown: Presented, views: int, order: Order) -> Outcome:
    """Run the whole pipeline on what is presented."""
    options: dict[str, str | float] = {"dose_fraction": shown.dose_fraction, "model": order.model}
    if order.models:
        options["models"] = str(order.models)
    try:
        with faulty_networks(shown.fault, views):
            result = denoising.run(PipelineInput(shown.acquisition, options=options), "cpu")
    except UnsuitableAcquisition as error:
        return Outcome(REFUSED, ((REFUSED, str(error)),), {})
    return Outcome(result.verdict.value, remarks_of(result), denoising.figures_in(result))


def remarks_of(result: PipelineResult) -> tuple[tuple[str, str], ...]:
    """Return verdicts and sentences of everything that isn't PASS."""
    return tuple(sorted((one.verdict.value, one.text) for one in result.findings if one.verdict is not Verdict.PASS))
