"""The networks that an attenuation evaluation judges: ours, and the paper's where it was trained."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.networks.model_card import check_architecture, model_files
from pipelines.networks.mu_map_predict import MuMapModel, load_mu_map_model
from pipelines.networks.paper_mu_map import MapGenerator
from pipelines.networks.weights import read_model
from pipelines.training.paper_mu_map import ARCHITECTURE
from pipelines.training.paper_mu_map_settings import PaperMapSettings

PAPER_NAME = "paper-mu-map"  # as `train mu-map --model paper` calls it


@dataclass(frozen=True)
class ModelChoice:
    """Which trained networks are judged."""

    name: str = "mu-map"
    folder: Path | None = None  # None: those that are shipped
    paper: Path | None = None  # where the paper's network was trained to, if it was


@dataclass(frozen=True)
class PaperModel:
    """The paper's generator and how it was trained."""

    generator: MapGenerator
    settings: PaperMapSettings

    @property
    def words(self) -> str:
        """Its size, as tables name it: no compact copy may pass for the paper's own."""
        return "full size" if self.settings.size == "paper" else f"{self.settings.size} copy"


@dataclass(frozen=True)
class Models:
    """The networks, and the hash of the weights of each."""

    ours: MuMapModel
    paper: PaperModel | None
    described: str  # name and version of ours
    sha256: Mapping[str, str]


def shipped_paper() -> Path | None:
    """Return the folder of the paper's network that is shipped; None if none is."""
    card, _ = model_files(PAPER_NAME)
    return card.parent if card.exists() else None


@functools.lru_cache(maxsize=1)
def load_models(choice: ModelChoice) -> Models:
    """Return the networks; the paper's may be missing where no folder is named for it.

    Raises WeightsError if any that was named is missing or damaged.
    """
    ours = load_mu_map_model(choice.name, choice.folder)
    card, hashes = ours.card, {ours.card.name: ours.card.sha256}
    paper = None
    if choice.paper is not None:
        paper, hashes[PAPER_NAME] = _paper(choice.paper)
    return Models(ours, paper, f"{card.name} {card.version}, {card.members} networks", hashes)


def _paper(folder: Path) -> tuple[PaperModel, str]:
    model = read_model(PAPER_NAME, folder)
    check_architecture(model.card, ARCHITECTURE)
    settings = PaperMapSettings.of_stated(model.card.settings)
    generator = settings.generator()
    model.fill(0, generator)
    return PaperModel(generator, settings), model.card.sha256
