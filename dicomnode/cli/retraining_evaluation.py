"""`evaluate retraining`: what a site with another camera gains by training the denoiser on its own studies."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from dicomnode.cli.app import JsonOption
from dicomnode.cli.evaluation import evaluate, show
from dicomnode.cli.folders import output_folder
from dicomnode.cli.processes import JobsOption, in_processes
from dicomnode.cli.training import shown_training
from dicomnode.errors import StudyUnsuitable


@evaluate.command("retraining")
def retraining(
    out: Annotated[Path, output_folder("Where the site's networks, tables.md and tables.json go.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="Each training takes so long.")] = 15.0,
    train: Annotated[int, typer.Option(min=2, help="The site's patients to learn from.")] = 40,
    test: Annotated[int, typer.Option(min=2, help="The site's patients to test on.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of the patients and of the training.")] = 91,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Write how the denoiser does at another site: as shipped, trained on there, and trained there alone.

    An interrupted training goes on where it stopped.
    """
    from pipelines.evaluation.denoising import retraining as site
    from pipelines.training.progress_checkpoint import OtherTraining

    networks = site.networks_to_train()  # asked first: it fails where the shipped ones are missing
    learn, unseen = site.site_split(site.plans(seed, train, test))
    studies = [one for made in in_processes(site.training_set, learn, jobs, "The site's patients") for one in made]
    try:
        with shown_training(networks) as report:
            site.train_both(studies, seed, minutes, out, report)
    except OtherTraining as error:
        raise StudyUnsuitable(str(error)) from None
    measured = in_processes(functools.partial(site.measure, folder=out), unseen, jobs, "Test patients")
    samples = [sample for patient in measured for sample in patient]
    show(site.as_json(samples, minutes, train), site.as_markdown(samples, minutes, train), out, as_json)
