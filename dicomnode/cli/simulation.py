"""`simulate`: virtual patients as files, one by one or as the cohorts of the papers; several processes if asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import Enum
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from dicomnode.cli.app import app
from dicomnode.cli.folders import output_folder
from dicomnode.cli.processes import JobsOption, use_one_thread
from dicomnode.cli.virtual import STATES, Kind, Member, Settings, Written, write_study


class States(Enum):
    """Which studies of a patient are made."""

    STRESS = "stress"
    REST = "rest"
    BOTH = "both"


class Cohort(Enum):
    """A group of patients as one of the papers had it."""

    DENOISING = "denoising"
    ATTENUATION = "attenuation"


USUAL_CAMERA = {None: "discovery", Cohort.DENOISING: "prospect", Cohort.ATTENUATION: "iq-spect"}


@dataclass(frozen=True)
class Order:
    """One study to write."""

    out: Path
    settings: Settings
    kinds: tuple[Kind, ...]
    number: int
    state: str
    member: Member | None = None


@app.command()
def simulate(
    out: Annotated[Path, output_folder("Where the studies go; the truth goes to truth/ in it.")],
    patients: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="How many virtual patients; a cohort's own number if not said."),
    ] = None,
    cohort: Annotated[
        Cohort | None,
        typer.Option(
            help="Patients as in a paper: 295 for training and 35 for the test of denoising, or 103 with 150 "
            "studies for attenuation correction; files go to train/, validation/ and test/."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same patients.")] = 0,
    jobs: JobsOption = 1,
    dose: Annotated[float, typer.Option(min=0.01, max=1.0, help="The share of the counts that is kept.")] = 1.0,
    gated: Annotated[bool, typer.Option("--gated", help="Eight gates of the cardiac cycle.")] = False,
    ct: Annotated[bool, typer.Option("--ct", help="A low-dose CT for attenuation correction, too.")] = False,
    mu_map: Annotated[bool, typer.Option("--map", help="A transmission attenuation map, too.")] = False,
    vendor_recon: Annotated[
        bool,
        typer.Option("--vendor-recon", help="The camera's own reconstruction without attenuation correction, too."),
    ] = False,
    state: Annotated[
        States | None, typer.Option(help="Under stress, at rest, or both (usual) as two series of one study.")
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            help="discovery (usual), symbia, symbia-128, brightview, prospect (usual for denoising), or iq-spect "
            "(usual for attenuation; sends a recon only)."
        ),
    ] = None,
    prone: Annotated[bool, typer.Option("--prone", help="The patients lie prone, not supine.")] = False,
    motion: Annotated[bool, typer.Option("--motion", help="The patients move during the acquisition.")] = False,
    registered: Annotated[
        bool, typer.Option("--registered", help="CT and map lie exactly on the emission, without the usual error.")
    ] = False,
) -> None:
    """Write virtual patients as a camera would send them. No real person is behind them.

    An interrupted run goes on where it stopped: studies that are complete in the folder are left as they are.
    """
    if cohort is None and patients is None:
        raise typer.BadParameter("say how many, or which cohort (--cohort)", param_hint="--patients")
    if cohort is not None and (state is not None or prone):
        raise typer.BadParameter("a cohort has its own states and positions", param_hint="--cohort")
    name = camera or USUAL_CAMERA[cohort]
    asked = {Kind.RECONSTRUCTION: vendor_recon, Kind.MU_MAP: mu_map or cohort is Cohort.ATTENUATION, Kind.CT: ct}
    kinds = tuple(dict.fromkeys([_first_kind(name, gated), *(kind for kind, wanted in asked.items() if wanted)]))
    settings = Settings(seed, name, dose, gated, prone, motion, registered)
    if cohort is None:
        states = STATES if state in (None, States.BOTH) else (state.value,)
        orders = [Order(out, settings, kinds, number, one) for number in range(patients or 0) for one in states]
    else:
        orders = [
            Order(out, settings, kinds, number, member.plan.state.value, member)
            for number, member in _members(cohort, seed, patients)
        ]
    _write_all(orders, jobs)


def _members(cohort: Cohort, seed: int, patients: int | None) -> Iterator[tuple[int, Member]]:
    """Yield each study of a cohort and its patient's number; fewer patients are split in the same shares."""
    from pipelines.simulation.cohort import plan_attenuation_cohort, plan_denoising_cohort

    if cohort is Cohort.DENOISING:
        total = patients or 330
        test = round(total * 35 / 330)
        plans = plan_denoising_cohort(seed, total - test, test)
    else:
        total = patients or 103
        plans = plan_attenuation_cohort(seed, round(total * 150 / 103), total)
    numbers = {patient: number for number, patient in enumerate(dict.fromkeys(plan.patient for plan in plans))}
    for plan in plans:
        yield numbers[plan.patient], Member(cohort.value, plan.split.value, plan.risk.value, plan)


def _write_all(orders: list[Order], jobs: int) -> None:
    """Write all studies and print their paths in the order of the patients, however many processes there are."""
    kept = 0
    # paths on stdout stay there even where the bar is on a terminal and they are not
    with Progress(
        console=Console(stderr=True), disable=not sys.stderr.isatty(), redirect_stdout=sys.stdout.isatty()
    ) as progress:
        for written in progress.track(_each(orders, jobs), total=len(orders), description="Virtual studies"):
            kept += not written.made
            for place in written.places:
                print(place)
    if kept:
        print(f"{kept} of {len(orders)} studies lay there complete and were left as they are", file=sys.stderr)


def _each(orders: list[Order], jobs: int) -> Iterator[Written]:
    """Yield the studies as they are written, in order."""
    if jobs == 1:
        yield from map(_fulfil, orders)
        return
    # started anew, not forked: a forked process inherits threads that it doesn't have
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=use_one_thread) as pool:
        try:
            yield from pool.map(_fulfil, orders)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _fulfil(order: Order) -> Written:
    return write_study(order.out, order.settings, order.number, order.state, order.kinds, order.member)


def _first_kind(camera: str, gated: bool) -> Kind:
    """Return what a camera always sends. Raises typer.BadParameter for a camera that isn't there or can't do it."""
    from pipelines.simulation.camera import CAMERAS

    if camera not in CAMERAS:
        raise typer.BadParameter(
            f"there is no camera {camera!r}; there are {', '.join(CAMERAS)}", param_hint="--camera"
        )
    if CAMERAS[camera].focus is None:
        return Kind.PROJECTIONS
    if gated:
        raise typer.BadParameter(
            f"only the vendor's software can reconstruct projections of {camera}, so it sends a reconstruction alone, "
            "which is not gated",
            param_hint="--gated",
        )
    return Kind.RECONSTRUCTION
