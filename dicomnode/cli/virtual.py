"""Virtual patients as a camera would send them: simulated arrays written as DICOM, with the truth beside them."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

# A fixed day: the same seed gives the same bytes whenever it is run.
FIRST_STUDY_AT = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def write_patient(out: Path, seed: int, number: int, dose_fraction: float, gated: bool = False) -> Path:
    """Write virtual patient `number` of a seed as a (GATED) TOMO instance and truth/<patient>.json; return its path."""
    import numpy as np

    from dicomnode.objects import camera as writer
    from pipelines.contract import CardiacState
    from pipelines.simulation.acquisition import acquire
    from pipelines.simulation.camera import DISCOVERY
    from pipelines.simulation.virtual_patient import make_patient

    patient = make_patient(seed * 100_000 + number)
    rng = np.random.default_rng([seed, number])
    projections = acquire(patient, DISCOVERY, rng, gated=gated, dose_fraction=dose_fraction)
    name = f"VIRTUAL-{seed:04d}-{number:04d}"
    kind = (" gated" if gated else "") + ("" if dose_fraction == 1.0 else f" dose {dose_fraction:g}")
    study = writer.VirtualStudy(
        patient_id=name,
        patient_name=f"Virtual^Patient {seed:04d} {number:04d}",
        patient_sex=patient.truth.sex,
        study=f"{patient.truth.state}{kind}",
        series_description=f"Virtual {patient.truth.state}{kind}",
        state=CardiacState(patient.truth.state),
    )
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}{kind.replace(' ', '-')}.dcm"
    path.write_bytes(writer.write_tomo(projections, study, FIRST_STUDY_AT + timedelta(hours=number)))
    truth = out / "truth" / f"{path.stem}.json"
    truth.parent.mkdir(exist_ok=True)
    truth.write_text(json.dumps(dataclasses.asdict(patient.truth), indent=2))
    return path
