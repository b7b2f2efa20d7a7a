"""The networks that a training goes on from: a site's own, or those that are shipped."""

from __future__ import annotations

from pathlib import Path

from pipelines.networks.model_card import DENOISER as DENOISER  # the command line comes through this door
from pipelines.networks.model_card import MU_MAP as MU_MAP
from pipelines.networks.model_card import check_architecture
from pipelines.networks.weights import TrainedModel, read_model


def networks_to_start_from(name: str, architecture: str, folder: Path | None) -> TrainedModel:
    """Return the model of this name from a folder, or the one that is shipped, to be trained on.

    Raises WeightsError, a ValueError, if there is none or it is another kind of network.
    """
    model = read_model(name, folder)
    check_architecture(model.card, architecture)
    return model
