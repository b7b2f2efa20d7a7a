"""Model cards and the files that they vouch for, read without torch: the node checks them before anything loads it.

A model is two files: `<name>.safetensors`, the weights, and `<name>.json`, the card with their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

SHIPPED = Path(__file__).parent / "weights"
DENOISER = "pipelines.networks.denoiser.Denoiser"  # as the card of our denoiser names its network
MU_MAP = "pipelines.networks.mu_map.MuMapNetwork"  # as the card of our mu-map network names it


class WeightsError(ValueError):
    """Weights can't be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class ModelCard:
    """What is known of trained weights; everything in it can be written as JSON."""

    name: str
    version: str
    architecture: str  # which network they belong to
    settings: Mapping[str, float | int | str]  # of the network and its training
    domain: Mapping[str, object]  # what it was trained on: studies, matrix, views, counts
    seeds: tuple[int, ...]  # one per member of the ensemble
    figures: Mapping[str, float]  # what was reached on patients held out from training
    evidence: str  # on what kind of patients, in words
    thresholds: Mapping[str, float] = field(default_factory=dict)  # of the guard, where it has been calibrated
    sha256: str = ""

    @property
    def members(self) -> int:
        """Number of networks of the ensemble."""
        return len(self.seeds)

    @property
    def width(self) -> int:
        """Filters of the network's first layer. Raises WeightsError if the card doesn't state a number of them."""
        stated = self.settings.get("width")
        if not isinstance(stated, int) or stated < 1:
            raise WeightsError(f"the model {self.name}: settings.width is {stated!r}, expected a number of filters")
        return stated


def checked_card(name: str, folder: Path | None, architecture: str) -> ModelCard:
    """Return the card of a model, from a site's folder or of those that are shipped, once its files are found whole.

    Raises WeightsError if card or weights are missing, don't belong together, or are those of another network.
    """
    card, _ = read_files(name, folder)
    check_architecture(card, architecture)
    return card


def check_architecture(card: ModelCard, architecture: str) -> None:
    """Raise WeightsError if a card's weights belong to another network."""
    if card.architecture != architecture:
        raise WeightsError(
            f"the model {card.name}: found weights of {card.architecture}, expected {architecture}; name another model"
        )


def model_files(name: str, folder: Path | None = None) -> tuple[Path, Path]:
    """Return where the card and the weights of this name lie."""
    place = folder or SHIPPED
    return place / f"{name}.json", place / f"{name}.safetensors"


def read_files(name: str, folder: Path | None = None) -> tuple[ModelCard, bytes]:
    """Return the card of this name and the bytes of its weights.

    Raises WeightsError if card or weights are missing or don't belong together.
    """
    stated, path = model_files(name, folder)
    card = read_card(stated)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: the weights that the card beside them describes are missing ({error.strerror}); copy them there"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            f"{path}: the SHA-256 is {found[:12]}..., the card says {card.sha256[:12] or 'nothing'}...: "
            "the weights were changed or belong to another card; copy both files again"
        )
    return card, content


def read_card(path: Path) -> ModelCard:
    """Return a model card. Raises WeightsError if it is missing or isn't one."""
    try:
        return card_of(json.loads(path.read_bytes()))
    except FileNotFoundError:
        there = ", ".join(sorted(weights.stem for weights in path.parent.glob("*.safetensors"))) or "none"
        raise WeightsError(
            f"{path}: there is no such model card; models in this folder: {there}. Copy card and weights there, or "
            "name another model or folder"
        ) from None
    except OSError as error:
        raise WeightsError(f"{path}: the model card can't be read ({error.strerror})") from None
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{path}: no model card ({error}); copy card and weights again") from None


def card_of(stated: Mapping[str, object]) -> ModelCard:
    """Return the card that a JSON object states. Raises ValueError or TypeError if it states anything else."""
    known = {one.name for one in fields(ModelCard)}
    if not isinstance(stated, dict) or set(stated) != known:
        raise ValueError(f"expected exactly the keys {', '.join(sorted(known))}")
    return ModelCard(**{**stated, "seeds": tuple(stated["seeds"])})
