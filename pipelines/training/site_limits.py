"""Normal limits from a site's own normal studies: reconstructed as its pipelines do, grouped by sex and state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.cardiac.left_ventricle import NoHeartFound, find_left_ventricle
from pipelines.cardiac.limits_library import LimitsKey, LimitsSex, LimitsState, write_limits
from pipelines.cardiac.polar_map import PolarMap, polar_map
from pipelines.cardiac.quantification import LEAST_NORMALS, NormalLimits, normal_limits
from pipelines.contract import Acquisition, OptionValue
from pipelines.images import UnsuitableAcquisition
from pipelines.perfusion.imaging import prepare
from pipelines.perfusion.options import Options


@dataclass(frozen=True)
class SiteLimits:
    """The limits that a site's studies gave, and what could not be used or was too little, in words."""

    limits: dict[LimitsKey, NormalLimits]
    remarks: tuple[str, ...]


def site_limits(
    acquisitions: Iterable[tuple[str, Acquisition]], given: Mapping[str, OptionValue], device: str = "cpu"
) -> SiteLimits:
    """Return limits, not corrected for attenuation, of normal acquisitions, each with a name for the remarks.

    `given` are the options of the rule that the limits are for; raises ValueError where they make no sense.

    A group of sex and state gets limits from 8 hearts on (40 are advised). Studies that don't state sex or state, or
    can't be reconstructed, or show no heart, are remarked on and left out.
    """
    options = Options.of(given)
    maps: dict[LimitsKey, list[PolarMap]] = {}
    remarks = []
    for name, acquisition in acquisitions:
        try:
            key = _key(acquisition)
            volume = prepare(acquisition.projections, options).reconstruct(device)
            maps.setdefault(key, []).append(polar_map(volume, find_left_ventricle(volume, options.guidance())))
        except (NoHeartFound, UnsuitableAcquisition) as error:
            remarks.append(f"{name}: {error}")
    made = {}
    for key, hearts in maps.items():
        if len(hearts) < LEAST_NORMALS:
            remarks.append(f"{key.words}: {len(hearts)} hearts are too few, at least {LEAST_NORMALS} are needed")
        else:
            population = f"{key.words}; {len(hearts)} normal studies of this site"
            made[key] = normal_limits(population, hearts, options.reconstruction_words(corrected=False))
    return SiteLimits(made, tuple(remarks))


def write_site_limits(made: SiteLimits, folder: Path) -> list[tuple[Path, NormalLimits]]:
    """Write all limits into a site's folder; return the files and what is in them."""
    return [(write_limits(key, limits, folder), limits) for key, limits in made.limits.items()]


def _key(acquisition: Acquisition) -> LimitsKey:
    try:
        return LimitsKey(LimitsSex(acquisition.sex.value), LimitsState(acquisition.state.value), corrected=False)
    except ValueError:
        raise UnsuitableAcquisition("the study must state the patient's sex, and stress or rest") from None
