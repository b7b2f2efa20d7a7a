"""Trained weights as files: `<name>.safetensors` (half precision) beside `<name>.json`, the card that describes them.

A card names the training domain, the figures that were reached and the hash of the weights. Weights whose hash is not
the card's are never used. Nothing here can run code of a file: safetensors holds numbers alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

SHIPPED = Path(__file__).parent / "weights"


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


@dataclass(frozen=True)
class TrainedModel:
    """A card and the weights `[member][parameter]` that it describes, in single precision."""

    card: ModelCard
    members: tuple[Mapping[str, Tensor], ...]

    def fill(self, member: int, network: nn.Module) -> None:
        """Copy a member's weights into a network. Raises WeightsError if they don't fit."""
        try:
            network.load_state_dict(dict(self.members[member]))
        except RuntimeError as error:
            raise WeightsError(f"the weights {self.card.name} don't fit {self.card.architecture}: {error}") from None


def write_model(folder: Path, card: ModelCard, members: list[Mapping[str, Tensor]]) -> ModelCard:
    """Write weights and then the card, with their hash, into a folder; return the card as written."""
    if len(members) != card.members:
        raise ValueError(f"{len(members)} sets of weights for {card.members} seeds")
    tensors = {
        f"{number}.{key}": (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for number, member in enumerate(members)
        for key, value in member.items()
    }
    content = save(tensors)
    stated = {**asdict(card), "sha256": hashlib.sha256(content).hexdigest()}
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / f"{card.name}.safetensors", content)
    _replace(folder / f"{card.name}.json", json.dumps(stated, indent=2).encode() + b"\n")
    return _card(stated)


def read_model(name: str, folder: Path | None = None) -> TrainedModel:
    """Return the trained model of this name from a site's folder, else of those that are shipped.

    Raises WeightsError if card or weights are missing, damaged, or don't belong together.
    """
    place = folder or SHIPPED
    card = read_card(place / f"{name}.json")
    path = place / f"{name}.safetensors"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path}: the weights that the card beside them describes are missing") from None
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            f"{path}: the SHA-256 is {found[:12]}..., the card says {card.sha256[:12] or 'nothing'}...: "
            "the weights were changed or belong to another card; copy both files again"
        )
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{path}: no weights in the safetensors format ({error})") from None
    members: list[dict[str, Tensor]] = [{} for _ in range(card.members)]
    for key, value in tensors.items():
        number, _, parameter = key.partition(".")
        members[int(number)][parameter] = value.float() if value.dtype is torch.float16 else value
    return TrainedModel(card, tuple(members))


def read_card(path: Path) -> ModelCard:
    """Return a model card. Raises WeightsError if it is missing or isn't one."""
    try:
        return _card(json.loads(path.read_bytes()))
    except FileNotFoundError:
        there = ", ".join(sorted(card.stem for card in path.parent.glob("*.json"))) or "none"
        raise WeightsError(f"{path}: there is no such model card; models in this folder: {there}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{path}: no model card ({error})") from None


def _card(stated: Mapping[str, object]) -> ModelCard:
    known = {one.name for one in fields(ModelCard)}
    if not isinstance(stated, dict) or set(stated) != known:
        raise ValueError(f"expected exactly the keys {', '.join(sorted(known))}")
    return ModelCard(**{**stated, "seeds": tuple(stated["seeds"])})


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or as it was before."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
