"""`train`: learns a network's weights from a folder of DICOM studies, virtual or a site's own."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dicomnode.cli.app import app
from dicomnode.cli.folders import input_folder, output_folder
from dicomnode.errors import StudyUnsuitable

training = typer.Typer(help="Train a network; goes on where an interrupted training stopped.", no_args_is_help=True)
app.add_typer(training, name="train")


class Model(Enum):
    """Which denoiser is trained."""

    OURS = "ours"
    PAPER = "paper"


@training.command()
def denoiser(
    data: Annotated[Path, input_folder("Folder of NM TOMO or GATED TOMO files, searched to its depths.")],
    out: Annotated[Path, output_folder("Where weights, model card, curves and checkpoints go.")],
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Train for so long; 60 unless said (paper: 50 epochs).")
    ] = None,
    epochs: Annotated[float | None, typer.Option(min=0.001, help="Or: so many passes over the data.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, data and epochs give the same weights.")] = 0,
    members: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="Networks of the ensemble, 1 unless said; minutes are shared."),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(help="Go on from trained networks, with as many members: 'shipped', or a folder with a denoiser."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
    name: Annotated[str | None, typer.Option(help="What the model is called: denoiser, or paper and its dose.")] = None,
    model: Annotated[Model, typer.Option(help="Our denoiser, or the paper's network as a baseline.")] = Model.OURS,
    dose: Annotated[float, typer.Option(min=0.01, max=0.99, help="Paper: the one dose it is trained for.")] = 0.5,
    gated: Annotated[bool, typer.Option("--gated", help="Paper: learn from single gates, not from their sum.")] = False,
    guard_minutes: Annotated[
        float, typer.Option(min=0.0, help="Time to calibrate the guard on the held-out patients; 0: not at all.")
    ] = 20.0,
) -> None:
    """Train the denoiser on a site's own studies, or on virtual ones, by foretelling counts that were held out.

    Patients are split: a tenth of them chooses the weights, and then says what the guard's thresholds are. The same
    command goes on after an interruption.
    """
    from pipelines.images import UnsuitableAcquisition
    from pipelines.training.denoiser_data import split_by_patient
    from pipelines.training.paper_denoiser import EPOCHS, PaperSettings, train_paper
    from pipelines.training.progress import Budget
    from pipelines.training.progress_checkpoint import OtherTraining

    ours = model is Model.OURS
    if not ours and start_from:
        raise typer.BadParameter("the paper's network starts from chance", param_hint="--start-from")
    budget = chosen_budget(minutes, epochs, Budget(minutes=60.0) if ours else Budget(epochs=EPOCHS))
    place = named_device(device)
    named = name or ("denoiser" if ours else f"paper-{'gated-' if gated else ''}{dose:g}")
    start = _start(start_from) if start_from else None
    number = (members or (start.card.members if start else 1)) if ours else 1
    studies, files, evidence = read_archive(data)
    try:
        cohort = split_by_patient(studies, seed)
        with shown_training(number) as report:
            common: dict[str, Any] = {"name": named, "evidence": evidence, "device": place, "report": report}
            if ours:
                _train_ours(cohort, budget, out, seed, number, start, common)
            else:
                paper = PaperSettings(dose, gated, seed)
                train_paper(cohort, paper, budget, out, **common)
    except (UnsuitableAcquisition, OtherTraining) as error:
        raise StudyUnsuitable(str(error)) from None
    if ours and guard_minutes > 0:
        held_out = {study.patient for study in cohort.held_out}
        mine = [(patient, path) for patient, path in files if patient in held_out]
        calibrate_guard(out, named, mine, seed, guard_minutes, place)
    print(out / f"{named}.json")


def _train_ours(
    cohort: Any, budget: Any, out: Path, seed: int, members: int, start: Any, common: dict[str, Any]
) -> None:
    from pipelines.training.denoiser_training import RETRAINING_RATE, DenoiserSettings, train_denoiser
    from pipelines.training.progress_loop import Course

    settings = DenoiserSettings(seed=seed, members=members)
    if start is not None:
        settings = replace(settings, width=start.card.width, learning_rate=RETRAINING_RATE)
    train_denoiser(cohort, settings, Course(budget), out, start=start, **common)


def calibrate_guard(
    models: Path, model: str, files: Sequence[tuple[str, Path]], seed: int, minutes: float, device: str
) -> None:
    """Write thresholds of the guard into a model's card, from files of patients that the model was not trained on."""
    from dicomnode.objects.reader import read_acquisition
    from pipelines.training.guard_thresholds import calibrate, write_thresholds

    shuffled = random.Random(seed).sample(files, len(files))  # noqa: S311 - an order, not a secret
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        studies = (
            (patient, read_acquisition(path))
            for patient, path in progress.track(shuffled, description="Thresholds of the guard")
        )
        found = calibrate(model, models, studies, seed, minutes=minutes, device=device)
    write_thresholds(models, model, found)
    words = f"thresholds of the guard: {len(found.runs)} runs of {len(set(found.patients))} held-out patients"
    print(words, file=sys.stderr)


def chosen_budget(minutes: float | None, epochs: float | None, usual: Any) -> Any:
    """Return the budget of a training that was asked for, the usual one if none was."""
    from pipelines.training.progress import Budget

    if minutes is not None and epochs is not None:
        raise typer.BadParameter("either --minutes or --epochs, not both")
    if minutes is not None:
        return Budget(minutes=minutes)
    if epochs is not None:
        return Budget(epochs=epochs)
    return usual


def _start(named: str) -> Any:
    """Return the networks to go on from."""
    from pipelines.training.start import DENOISER, networks_to_start_from

    try:
        return networks_to_start_from("denoiser", DENOISER, None if named == "shipped" else Path(named))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--start-from") from None


def named_device(name: str) -> str:
    """Return the torch device of this name, "auto" being a GPU where there is one."""
    from pipelines.training.progress_loop import usable_device

    try:
        return usable_device(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--device") from None


def read_archive(folder: Path) -> tuple[list[Any], list[tuple[str, Path]], str]:
    """Return all projections below a folder, their files with the patient, and what kind of patients they are of.

    The folder may be a single file. Files that hold none are passed over. Raises StudyUnsuitable if nothing is left.
    """
    from dicomnode.objects.elements import text, texts
    from dicomnode.objects.reader import read_acquisition, read_dataset_file
    from pipelines.images import UnsuitableAcquisition
    from pipelines.training.denoiser_data import training_studies
    from pipelines.training.model_card import OF_A_SITE, VIRTUAL

    studies: list[Any] = []
    files: list[tuple[str, Path]] = []
    passed_over: list[str] = []
    virtual = True
    for path in sorted(path for path in (folder, *folder.rglob("*")) if path.is_file()):
        try:
            ds = read_dataset_file(path)
            if texts(ds, "ImageType")[:1] == ("DERIVED",):
                raise StudyUnsuitable("a derived image holds no counts as they were measured")
            found = read_acquisition(path)
            if found.projections is None:
                raise StudyUnsuitable("a reconstruction, not projections")
            patient = text(ds, "PatientID") or text(ds, "StudyInstanceUID")
            opaque = hashlib.sha256(patient.encode()).hexdigest()[:16]
            studies += training_studies(found.projections, opaque, found.camera_model, found.collimator)
            files.append((opaque, path))
            virtual &= patient.startswith("VIRTUAL-")
        except (StudyUnsuitable, UnsuitableAcquisition) as error:
            passed_over.append(f"{path.name}: {error}")
    if not studies:
        why = f"; the first of {len(passed_over)} files: {passed_over[0]}" if passed_over else ""
        raise StudyUnsuitable(f"{folder}: found no NM TOMO or GATED TOMO image to learn from{why}")
    print(f"{len(studies)} sets of projections; {len(passed_over)} other files were passed over", file=sys.stderr)
    return studies, files, VIRTUAL if virtual else OF_A_SITE


@contextmanager
def shown_training(networks: int) -> Iterator[Callable[[int, Any], None]]:
    """Show on a terminal how far the training of so many networks has come; yield what a training reports to."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[loss]}"))
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        names = [f"Network {number + 1} of {networks}" for number in range(networks)]
        bars = [progress.add_task(name, total=1.0, loss="") for name in names]

        def report(number: int, checked: Any) -> None:
            loss = f"held out {checked.held_out:.5f}, training {checked.train:.5f}"
            progress.update(bars[number], completed=checked.spent, loss=loss)

        yield report
