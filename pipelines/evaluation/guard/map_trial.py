"""Tries the guard of attenuation correction: sound and damaged studies through the whole pipeline, remarks kept."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines import attenuation_correction
from pipelines.contract import MapCandidate, MapSource, PipelineInput
from pipelines.evaluation.guard.map_damage import MAP_KINDS, MEASURED, MapKind, MapPresented, measured, sound
from pipelines.evaluation.guard.map_faults import faulty_map_networks
from pipelines.evaluation.guard.studies import make
from pipelines.evaluation.guard.trial import (
    REFUSED,
    SOUND,
    Order,
    Outcome,
    Record,
    read_record,
    remarks_of,
    stamp_of,
    write_record,
)
from pipelines.images import UnsuitableAcquisition
from pipelines.networks.mu_map_predict import load_mu_map_model
from pipelines.reconstruction.reconstruct import natural_grid


def try_map_guard(order: Order) -> Record:
    """Return the record of one study: the one that is kept, if it holds all that is asked, else a new one."""
    kinds: Sequence[MapKind] = MAP_KINDS if order.damaged else ()
    stamp = stamp_of(order.model, order.models)
    kept = read_record(order.file, stamp)
    if kept is not None and {kind.name for kind in kinds} <= set(kept.outcomes):
        return kept
    planned = order.planned
    study = make(planned)
    voxel_mm = load_mu_map_model(order.model, order.models).voxel_mm
    shown = {SOUND: sound(study), MEASURED: measured(study), **{kind.name: kind.damage(study) for kind in kinds}}
    outcomes = {name: _outcome(one, voxel_mm, order) for name, one in shown.items()}
    record = Record(planned.number, planned.camera, planned.dose_fraction, planned.gated, stamp, outcomes)
    write_record(order.file, record)
    return record


def _outcome(shown: MapPresented, voxel_mm: float, order: Order) -> Outcome:
    """Run the whole pipeline on what is presented."""
    options: dict[str, str | bool] = {
        "map": "network" if shown.measured is None else "vendor",
        "register_vendor_map": True,  # it stands for a CT's
        "model": order.model,
        "models": str(order.models or ""),
    }
    projections = shown.acquisition.projections
    if projections is None:
        raise ValueError("the trial's studies have projections")
    maps = () if shown.measured is None else (MapCandidate(MapSource.VENDOR, shown.measured),)
    presented = PipelineInput(shown.acquisition, maps, options)
    try:
        with faulty_map_networks(shown.fault, natural_grid(projections.geometry), voxel_mm, shown.only_first):
            result = attenuation_correction.run(presented, "cpu")
    except UnsuitableAcquisition as error:
        return Outcome(REFUSED, ((REFUSED, str(error)),), {})
    return Outcome(result.verdict.value, remarks_of(result), {})
