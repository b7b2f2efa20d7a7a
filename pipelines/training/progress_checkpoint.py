"""Checkpoints: all that an interrupted training needs to go on as if nothing had been, in one safetensors file.

Weights and the optimizer's moments are tensors, everything else is JSON in the file's header; no pickle is involved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pipelines.networks.weights import write_whole
from pipelines.training.progress import Checked


class OtherTraining(ValueError):
    """The folder holds a training with other settings or other data."""


@dataclass(frozen=True)
class State:
    """Where a training stands, besides its tensors."""

    training: str  # names settings and data; another training never goes on from here
    step: int = 0
    seconds: float = 0.0
    finished: bool = False
    best: float = float("inf")  # the lowest loss on held-out patients so far
    since_best: int = 0  # checks since then
    history: tuple[Checked, ...] = ()


def write_checkpoint(path: Path, state: State, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint so that it is whole or as it was before."""
    content = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    write_whole(path, save(content, metadata={"state": json.dumps(asdict(state))}))


def read_checkpoint(path: Path, training: str) -> tuple[State, dict[str, Tensor]] | None:
    """Return state and tensors, or None where there are none yet. Raises OtherTraining if they are another one's."""
    if not path.exists():
        return None
    with safe_open(str(path), framework="pt") as file:  # type: ignore[no-untyped-call]
        stated = json.loads(file.metadata()["state"])
        if stated["training"] != training:
            raise OtherTraining(
                f"{path}: this is a checkpoint of a training with other settings or other data; "
                "choose another folder or remove it"
            )
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    stated["history"] = tuple(Checked(**row) for row in stated["history"])
    return State(**stated), tensors


def network_tensors(name: str, network: nn.Module) -> dict[str, Tensor]:
    """Return a network's parameters and buffers, each named after the network."""
    return {f"{name}.{key}": value for key, value in network.state_dict().items()}


def fill_network(name: str, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy what `network_tensors` returned back into a network."""
    network.load_state_dict(named(name, tensors))


def named(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of one thing, without its name."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def optimizer_tensors(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the moments of an optimizer (its settings are the caller's)."""
    return {
        f"{name}.{number}.{key}": torch.as_tensor(value)
        for number, moments in optimizer.state_dict()["state"].items()
        for key, value in moments.items()
    }


def fill_optimizer(name: str, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Copy what `optimizer_tensors` returned back into an optimizer of the same parameters."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in named(name, tensors).items():
        number, _, moment = key.partition(".")
        moments.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
