"""The choices of the attenuation paper: what its random search drew from, and what it found best.

Source: Huxohl et al., EJNMMI Physics 10 (2023) 49.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum

import numpy as np
from torch import nn

from pipelines.networks.paper_mu_map import (
    BEST_CLASSIFIER,
    BEST_DENSE,
    FIVE_LEVELS,
    FOUR_LEVELS,
    MapGenerator,
    PairClassifier,
    PairPatches,
)

EPOCHS = 100
LARGE_PATCH, SMALL_PATCH = (32, 64, 64), (32, 32, 32)
Patch = tuple[int, int, int]


class Discriminator(Enum):
    """What judges pairs."""

    CLASSIFIER = "CNN classifier"
    PATCHES = "PatchGAN"


class Distance(Enum):
    """How far a map is from the measured one."""

    L1 = "L1"
    L2 = "L2"
    L2_GDL = "L2 + GDL"


class Normalization(Enum):
    """What is done to a reconstruction before it is shown."""

    MEAN = "mean"  # divided by its mean
    GAUSSIAN = "Gaussian"  # less its mean, divided by its standard deviation
    NONE = "none"  # the printed numbers of trainings imply a third choice


@dataclass(frozen=True)
class PaperMapSettings:
    """One training; the defaults are the best result of the search."""

    seed: int = 0
    filters: tuple[int, ...] = FOUR_LEVELS
    discriminator: Discriminator = Discriminator.CLASSIFIER
    discriminator_filters: tuple[int, ...] = BEST_CLASSIFIER
    dense: tuple[int, ...] = BEST_DENSE
    distance: Distance = Distance.L1
    adversarial_weight: float = 1.0
    distance_weight: float = 100.0
    patch: Patch = LARGE_PATCH
    patches: int = 25  # of each image in an epoch
    normalization: Normalization = Normalization.MEAN
    scatter_corrected: bool = False
    voxel_mm: float = 4.8
    learning_rate: float = 1e-3
    size: str = "paper"  # else how it is smaller than the paper's, for CPUs: fewer filters, larger voxels

    @property
    def batch(self) -> int:
        """Patches of one step: 64 small ones (cubes) or 32 large ones; an eighth of it in smaller sizes."""
        whole = 64 if self.patch[0] == self.patch[1] else 32
        return whole if self.size == "paper" else whole // 8

    @property
    def multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return int(2 ** (len(self.filters) - 1))

    def generator(self) -> MapGenerator:
        """Return an untrained generator."""
        return MapGenerator(self.filters)

    def judge(self) -> nn.Module:
        """Return an untrained discriminator."""
        if self.discriminator is Discriminator.PATCHES:
            return PairPatches(self.discriminator_filters)
        return PairClassifier(self.patch, self.discriminator_filters, self.dense)

    def stated(self) -> dict[str, float | int | str]:
        """Return the settings as plain values, for a model card."""
        plain: dict[str, float | int | str] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Enum):
                value = value.value
            plain[one.name] = " ".join(map(str, value)) if isinstance(value, tuple) else value
        return plain

    @classmethod
    def of_stated(cls, stated: Mapping[str, float | int | str]) -> PaperMapSettings:
        """Return the settings that `stated` wrote; what else stands on a card is passed over.

        Raises KeyError or ValueError if one is missing or is none.
        """
        return cls(
            seed=int(stated["seed"]),
            filters=_numbers(stated["filters"]),
            discriminator=Discriminator(stated["discriminator"]),
            discriminator_filters=_numbers(stated["discriminator_filters"]),
            dense=_numbers(stated["dense"]),
            distance=Distance(stated["distance"]),
            adversarial_weight=float(stated["adversarial_weight"]),
            distance_weight=float(stated["distance_weight"]),
            patch=_patch(stated["patch"]),
            patches=int(stated["patches"]),
            normalization=Normalization(stated["normalization"]),
            scatter_corrected=bool(stated["scatter_corrected"]),
            voxel_mm=float(stated["voxel_mm"]),
            learning_rate=float(stated["learning_rate"]),
            size=str(stated["size"]),
        )

    def compact(self) -> PaperMapSettings:
        """Return the same training with a quarter of the filters on voxels twice as large, which a CPU can do."""
        return replace(
            self,
            size="compact",
            filters=tuple(max(number // 4, 4) for number in self.filters),
            discriminator_filters=tuple(max(number // 4, 4) for number in self.discriminator_filters),
            dense=tuple(max(number // 4, 4) for number in self.dense),
            patch=SMALL_PATCH,
            patches=max(self.patches // 5, 1),
            voxel_mm=2 * self.voxel_mm,
        )


def reduced(settings: PaperMapSettings, share: float) -> PaperMapSettings:
    """Return the same choices with a share of the filters on voxels twice as large, patches covering as much as before.

    `compact` has one patch for all; here what was drawn of patches stays different. Raises ValueError on a share that
    is none.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"a share of the filters lies in (0, 1], not {share:g}")
    z, y, x = settings.patch
    return replace(
        settings,
        size=f"{share:g} of the filters",
        filters=_fewer(settings.filters, share),
        discriminator_filters=_fewer(settings.discriminator_filters, share),
        dense=_fewer(settings.dense, share),
        patch=(z // 2, y // 2, x // 2),
        patches=max(settings.patches // 5, 1),
        voxel_mm=2 * settings.voxel_mm,
    )


def _fewer(filters: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(max(round(number * share), 4) for number in filters)


def _numbers(words: float | int | str) -> tuple[int, ...]:
    return tuple(int(word) for word in str(words).split())


def _patch(words: float | int | str) -> Patch:
    z, y, x = _numbers(words)
    return z, y, x


def draw_paper_settings(rng: np.random.Generator, seed: int = 0) -> PaperMapSettings:
    """Return settings drawn as in the paper's random search.

    The choices of filters of the discriminator and of the pairs of weights are not printed; 215 trainings of which 34
    had each of two pairs suggest about six pairs.
    """
    patch = SMALL_PATCH if rng.random() < 0.5 else LARGE_PATCH
    most = 50 if patch == LARGE_PATCH else 100
    adversarial, distance = _WEIGHTS[int(rng.integers(len(_WEIGHTS)))]
    return PaperMapSettings(
        seed=seed,
        filters=FOUR_LEVELS if rng.random() < 0.5 else FIVE_LEVELS,
        discriminator=list(Discriminator)[int(rng.integers(2))],
        discriminator_filters=_JUDGES[int(rng.integers(len(_JUDGES)))],
        distance=list(Distance)[int(rng.integers(3))],
        adversarial_weight=adversarial,
        distance_weight=distance,
        patch=patch,
        patches=int(rng.integers(most // 2, most + 1)),
        normalization=list(Normalization)[int(rng.integers(3))],
        scatter_corrected=bool(rng.random() < 0.5),
    )


_WEIGHTS = ((1.0, 100.0), (1.0, 10.0), (1.0, 1.0), (10.0, 1.0), (100.0, 1.0), (0.0, 1.0))
_JUDGES = ((64, 128, 256), (32, 64, 128), (64, 128), (32, 64, 128, 256))
