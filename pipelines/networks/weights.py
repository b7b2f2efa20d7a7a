"""Trained weights as files: `<name>.safetensors` (half precision) beside `<name>.json`, the card that describes them.

A card names the training domain, the figures that were reached and the hash of the weights. Weights whose hash is not
the card's are never used. Nothing here can run code of a file: safetensors holds numbers alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, float16, nn

from pipelines.networks.model_card import ModelCard as ModelCard  # the card's own words are a part of this door
from pipelines.networks.model_card import WeightsError as WeightsError
from pipelines.networks.model_card import card_of, read_files
from pipelines.networks.model_card import read_card as read_card


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
    write_whole(folder / f"{card.name}.safetensors", content)
    write_whole(folder / f"{card.name}.json", json.dumps(stated, indent=2).encode() + b"\n")
    return card_of(stated)


def read_model(name: str, folder: Path | None = None) -> TrainedModel:
    """Return the trained model of this name from a site's folder, else of those that are shipped.

    Raises WeightsError if card or weights are missing, damaged, or don't belong together.
    """
    card, content = read_files(name, folder)
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{name}.safetensors: no weights in the safetensors format ({error})") from None
    members: list[dict[str, Tensor]] = [{} for _ in range(card.members)]
    for key, value in tensors.items():
        number, _, parameter = key.partition(".")
        if not number.isdecimal() or int(number) >= len(members):
            raise WeightsError(f"{name}.safetensors: {key!r} is no parameter of the {len(members)} members of the card")
        members[int(number)][parameter] = value.float() if value.dtype is float16 else value
    return TrainedModel(card, tuple(members))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder, so that it is whole or as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
