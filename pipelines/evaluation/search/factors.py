"""The choices that a search drew from, and whether one of them does better: the paper's statistics and some more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from pipelines.agreement.statistics import UnpairedTest, holm, unpaired_test
from pipelines.evaluation.search.journal import TrainingRecord
from pipelines.training.paper_mu_map_settings import PaperMapSettings


@dataclass(frozen=True)
class Factor:
    """One thing that is drawn; `choice` names what was drawn of it."""

    name: str
    words: str
    choice: Callable[[PaperMapSettings], str]


def _weights(settings: PaperMapSettings) -> str:
    return f"{settings.adversarial_weight:g} : {settings.distance_weight:g}"


def _many(settings: PaperMapSettings) -> str:
    """Return whether many or few patches were taken of each image, of what its patch size allows."""
    whole = settings.patches * (1 if settings.size == "paper" else 5)
    middle = 75 if settings.patch[0] == settings.patch[1] else 37.5
    return "many" if whole > middle else "few"


FACTORS = (
    Factor("distance", "distance loss", lambda one: one.distance.value),
    Factor("discriminator", "discriminator", lambda one: one.discriminator.value),
    Factor("normalization", "normalization", lambda one: one.normalization.value),
    Factor("weights", "adversarial : distance weight", _weights),
    Factor("levels", "levels of the generator", lambda one: str(len(one.filters))),
    Factor("judge", "discriminator's filters", lambda one: " ".join(map(str, one.discriminator_filters))),
    Factor("patch", "patch", lambda one: " x ".join(map(str, one.patch))),
    Factor("patches", "patches per image", _many),
    Factor("scatter", "scatter correction", lambda one: "with" if one.scatter_corrected else "without"),
)


@dataclass(frozen=True)
class Group:
    """All trainings with one choice."""

    factor: Factor
    choice: str
    nmae: tuple[float, ...]  # of those that converged
    drawn: int

    @property
    def discarded(self) -> int:
        """How many did not converge."""
        return self.drawn - len(self.nmae)


def groups_of(records: Sequence[TrainingRecord], factor: Factor) -> tuple[Group, ...]:
    """Return the trainings by what was drawn of a factor."""
    by_choice: dict[str, list[TrainingRecord]] = {}
    for record in records:
        by_choice.setdefault(factor.choice(record.settings), []).append(record)
    return tuple(
        Group(
            factor,
            choice,
            tuple(one.nmae for one in found if one.nmae is not None and not one.discarded),
            len(found),
        )
        for choice, found in sorted(by_choice.items())
    )


@dataclass(frozen=True)
class Comparison:
    """Two choices of a factor against each other; `corrected` is the p value after Holm's correction."""

    first: Group
    second: Group
    found: UnpairedTest
    corrected: float


def comparisons(records: Sequence[TrainingRecord]) -> tuple[Comparison, ...]:
    """Return all pairs of choices that can be tested."""
    asked: list[tuple[Group, Group, UnpairedTest]] = []
    for factor in FACTORS:
        for first, second in combinations(groups_of(records, factor), 2):
            try:
                asked.append((first, second, unpaired_test(first.nmae, second.nmae)))
            except ValueError:  # too few, or all the same
                continue
    corrected = holm([found.p() for _, _, found in asked])
    return tuple(Comparison(*one, p) for one, p in zip(asked, corrected, strict=True))
