"""A mu-map model for tests: untrained, and independent of the weights that are shipped."""

from __future__ import annotations

from pathlib import Path

import torch

from pipelines.networks.model_card import MU_MAP, ModelCard
from pipelines.networks.mu_map import OVERSHOOT, TISSUES, MuMapNetwork
from pipelines.networks.weights import write_model

WIDTHS = (4, 4, 4, 4)
_SOFT = next(place for place, tissue in enumerate(TISSUES) if tissue.name == "muscle")


def a_mu_map_model(folder: Path, members: int = 2) -> Path:
    """Write networks that take everything for muscle, whatever they see; return the folder."""
    networks = []
    for seed in range(members):
        torch.manual_seed(seed)
        network = MuMapNetwork(WIDTHS, finer=1)
        torch.nn.init.zeros_(network.told.weight)
        place = (_SOFT + OVERSHOOT) / (len(TISSUES) - 1 + 2 * OVERSHOOT)  # on the scale, from 0 to 1
        network.told.bias = torch.nn.Parameter(torch.tensor([place, 0.5]).logit())
        networks.append(network)
    settings = {"widths": " ".join(map(str, WIDTHS)), "finer": 1, "voxel_mm": 9.6}
    card = ModelCard("mu-map", "1.0.0", MU_MAP, settings, {}, tuple(range(members)), {}, "no patients: all is muscle")
    write_model(folder, card, [dict(network.state_dict()) for network in networks])
    return folder
