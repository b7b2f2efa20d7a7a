"""Which guard a model's name stands for: that of denoising, or that of attenuation correction."""

from __future__ import annotations

from pathlib import Path

from pipelines.networks.model_card import MU_MAP, read_files


def judges_mu_maps(model: str, models: Path | None) -> bool:
    """Return whether a model tells mu-maps. Raises WeightsError, a ValueError, if its files can't be used."""
    card, _ = read_files(model, models)
    return card.architecture == MU_MAP
