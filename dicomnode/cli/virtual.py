"""Virtual studies as files: what a camera would send of a virtual patient, and the truth beside it.

A study is one patient under stress or at rest. Its truth is written last and lists the study's files, so a study whose
truth is there is whole; one that was interrupted is made again and comes out the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dicomnode.errors import StudyUnsuitable

# A fixed day: the same seed gives the same bytes whenever it is run.
FIRST_STUDY_AT = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
REST_AFTER = timedelta(hours=4)
CT_AFTER = timedelta(minutes=20)
STATES = ("stress", "rest")


class Kind(Enum):
    """What a study may hold; the value ends the file's name."""

    PROJECTIONS = "tomo"
    RECONSTRUCTION = "recon"
    MU_MAP = "map"
    CT = "ct"


_SERIES_WORDS = {
    Kind.PROJECTIONS: "",
    Kind.RECONSTRUCTION: " recon nAC",
    Kind.MU_MAP: " transmission map",
    Kind.CT: " CT for AC",
}


@dataclass(frozen=True)
class Settings:
    """How virtual patients are drawn and acquired; two studies made with the same settings are the same."""

    seed: int = 0
    camera: str = "discovery"
    dose_fraction: float = 1.0
    gated: bool = False
    prone: bool = False
    motion: bool = False
    registered: bool = False  # CT and attenuation map lie exactly on the emission

    @property
    def words(self) -> str:
        """What sets these acquisitions apart from plain ones, each word after a space."""
        marks = {"gated": self.gated, "prone": self.prone, "motion": self.motion, "registered": self.registered}
        dose = "" if self.dose_fraction == 1.0 else f" dose {self.dose_fraction:g}"
        return "".join(f" {word}" for word, true in marks.items() if true) + dose


@dataclass(frozen=True)
class Member:
    """A study's part in a cohort; its files go to a folder named after the split."""

    cohort: str
    split: str
    risk: str
    plan: Any  # the simulation's StudyPlan


@dataclass(frozen=True)
class Written:
    """The files of a study; `made` tells whether they were made now or lay there complete."""

    files: Mapping[Kind, tuple[Path, ...]]
    truth: Path
    made: bool

    @property
    def places(self) -> tuple[Path, ...]:
        """One path per kind: the file, or the folder of a CT's slices."""
        return tuple(paths[0] if len(paths) == 1 else paths[0].parent for paths in self.files.values())


def write_study(
    out: Path,
    settings: Settings,
    number: int,
    state: str,
    kinds: Iterable[Kind] = (Kind.PROJECTIONS,),
    member: Member | None = None,
) -> Written:
    """Write virtual patient `number` of a seed under `state`, unless it is there already.

    Files are `<patient>-<state>-<camera>...-<kind>.dcm` in `out` (a CT: a folder of slices), the truth is in `truth/`.
    A `member` of a cohort is the patient of its plan, in the folder of its split.
    Raises StudyUnsuitable if the projections can't be reconstructed, as asked for by Kind.RECONSTRUCTION.
    """
    who = patient_id(settings.seed, number, member)
    stem = f"{who}-{state}-{settings.camera}{settings.words.replace(' ', '-')}"
    truth = out / "truth" / f"{stem}.json"
    made_with = {**asdict(settings), "number": number, "state": state, **_versions()}
    if member:
        made_with |= {"cohort": member.cohort, "split": member.split, "risk": member.risk, "study": member.plan.study}
    folder = out / member.split if member else out
    there = _files_there(out, truth, made_with)
    wanted = {kind: there.get(kind, ()) for kind in kinds}
    missing = [kind for kind, paths in wanted.items() if not paths]
    if not missing:
        return Written(wanted, truth, made=False)
    images, known = _make(settings, number, state, missing, member)
    for kind, files in images.items():
        wanted[kind] = there[kind] = tuple(_write(folder / name, file) for name, file in _named(stem, kind, files))
    listed = {kind.value: [str(path.relative_to(out)) for path in paths] for kind, paths in there.items()}
    record = {**known, "made_with": made_with, "files": listed}
    _write(truth, json.dumps(record, indent=2).encode())
    return Written(wanted, truth, made=True)


def patient_id(seed: int, number: int, member: Member | None = None) -> str:
    """Return the Patient ID of virtual patient `number` of a seed, or of a cohort drawn from it."""
    cohort = f"{member.cohort.upper()}-" if member else ""
    return f"VIRTUAL-{cohort}{seed:04d}-{number:04d}"


def _versions() -> dict[str, object]:
    """Return what a study depends on besides its settings: one made by another simulator is made again."""
    from pipelines.simulation.virtual_patient import REVISION

    return {"version": version("dicomnode"), "simulator": REVISION}


def _files_there(out: Path, truth: Path, made_with: Mapping[str, object]) -> dict[Kind, tuple[Path, ...]]:
    """Return the files of a study that are complete and were made with the same settings."""
    try:
        record = json.loads(truth.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    if record.get("made_with") != made_with:
        return {}
    listed = {Kind(kind): tuple(out / name for name in names) for kind, names in record["files"].items()}
    return {kind: paths for kind, paths in listed.items() if all(path.is_file() for path in paths)}


def _named(stem: str, kind: Kind, files: tuple[bytes, ...]) -> list[tuple[str, bytes]]:
    if kind is Kind.CT:
        return [(f"{stem}-{kind.value}/{number:03d}.dcm", file) for number, file in enumerate(files, start=1)]
    return [(f"{stem}-{kind.value}.dcm", file) for file in files]


def _write(path: Path, content: bytes) -> Path:
    """Write a file so that it is whole or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
    return path


def _make(
    settings: Settings, number: int, state: str, kinds: Iterable[Kind], member: Member | None
) -> tuple[dict[Kind, tuple[bytes, ...]], dict[str, object]]:
    """Return the DICOM files of a study by kind, and what is known of patient, acquisition and registration."""
    from dicomnode.objects.camera import Camera, write_reconstruction, write_tomo, write_transmission
    from dicomnode.objects.virtual_ct import write_ct
    from pipelines.simulation.camera import CAMERAS
    from pipelines.simulation.truth import as_json

    machine = CAMERAS[settings.camera]
    scanned = _scanned(settings, number, state, set(kinds), member)
    patient, projections = scanned.patient, scanned.projections
    merged = 1 if machine.manufacturer.startswith("GE") else machine.heads
    camera = Camera(merged, machine.collimator.name, model=f"{machine.model} (virtual)")

    def written(kind: Kind) -> tuple[bytes, ...]:
        study, now = _study(settings, number, state, kind, patient.truth, patient_id(settings.seed, number, member))
        if kind is Kind.PROJECTIONS:
            return (write_tomo(projections, study, now, camera),)
        if kind is Kind.RECONSTRUCTION:
            return (write_reconstruction(_reconstructed(projections), projections, study, now, camera),)
        if kind is Kind.MU_MAP:
            return (write_transmission(scanned.mu_map, projections, study, now, camera),)
        return write_ct(scanned.ct, study, now, camera.model)

    known: dict[str, object] = {
        "patient": as_json(patient.truth),
        "acquisition": as_json(scanned.truth),
        "registration": as_json(scanned.registration),
    }
    if member:
        known["cohort"] = {"name": member.cohort, "split": member.split, "risk": member.risk}
    return {kind: written(kind) for kind in kinds}, known


def _scanned(settings: Settings, number: int, state: str, kinds: set[Kind], member: Member | None) -> Any:
    """Return the simulation's study: of a cohort's plan, or of the patient with this number."""
    from pipelines.contract import CardiacState
    from pipelines.simulation.anatomy import Position
    from pipelines.simulation.camera import CAMERAS
    from pipelines.simulation.cohort import StudySettings, make_study, scan
    from pipelines.simulation.virtual_patient import make_patient

    wanted = StudySettings(
        camera=CAMERAS[settings.camera],
        gated=settings.gated,
        dose_fraction=settings.dose_fraction,
        with_ct=Kind.CT in kinds,
        with_mu_map=Kind.MU_MAP in kinds,
        misregistered=not settings.registered,
        motion_share=1.0 if settings.motion else 0.0,
    )
    if member:
        return make_study(member.plan, wanted)
    position = Position.PRONE if settings.prone else Position.SUPINE
    patient = make_patient(settings.seed * 100_000 + number, state=CardiacState(state), position=position)
    return scan(patient, wanted, (settings.seed, number, STATES.index(state)))


def _study(settings: Settings, number: int, state: str, kind: Kind, truth: Any, who: str) -> tuple[Any, datetime]:
    """Return how a series is filed and when it was acquired. `truth` is the patient's."""
    from dicomnode.objects.virtual_study import VirtualStudy
    from pipelines.contract import CardiacState

    began = FIRST_STUDY_AT + timedelta(days=number)
    now = began + (REST_AFTER if state == "rest" else timedelta()) + (CT_AFTER if kind is Kind.CT else timedelta())
    study = VirtualStudy(
        patient_id=who,
        patient_name=f"Virtual^Patient {who.removeprefix('VIRTUAL-').replace('-', ' ').title()}",
        patient_sex=truth.sex,
        study=f"{settings.camera}{settings.words}",  # stress and rest are one study
        series_description=f"Virtual {state}{settings.words}{_SERIES_WORDS[kind]}",
        series_number=list(Kind).index(kind) + 1 + 10 * STATES.index(state),
        state=CardiacState(state),
        frame_of_reference=state,
        prone=truth.position == "prone",
        age_years=truth.age_years,
        height_m=truth.height_m,
        weight_kg=truth.weight_kg,
        injected_mbq=truth.injected_mbq,
        started=began,
    )
    return study, now


def _reconstructed(projections: Any) -> Any:
    """Return the volume that the camera's own software would make of projections, not corrected for attenuation."""
    from pipelines.images import UnsuitableAcquisition
    from pipelines.simulation.vendor import vendor_reconstruction

    try:
        return vendor_reconstruction(projections)
    except UnsuitableAcquisition as error:
        raise StudyUnsuitable(f"the camera's own reconstruction failed: {error}") from None
