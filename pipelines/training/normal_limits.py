"""Makes normal limits: ours of virtual patients (`python -m pipelines.training.normal_limits`), or a site's of its own.

A site reconstructs its normal patients as it reconstructs all others and hands in the volumes, not corrected and
corrected for attenuation apart; limits hold for images made in that way alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.cardiac.left_ventricle import NoHeartFound, find_left_ventricle
from pipelines.cardiac.limits_library import KEYS, OURS, LimitsKey, write_limits
from pipelines.cardiac.polar_map import PolarMap, polar_map
from pipelines.cardiac.quantification import NormalLimits, normal_limits
from pipelines.images import Volume
from pipelines.perfusion.options import Options
from pipelines.training.normal_volumes import (
    CAMERA_NAMES,
    PER_GROUP,
    NormalStudy,
    plan_normals,
    read_normal,
    write_normals,
)


@dataclass(frozen=True)
class NormalMaps:
    """Polar maps of normal hearts, and what was said of volumes in which no heart was found."""

    maps: tuple[PolarMap, ...]
    refusals: tuple[str, ...]


def normal_maps(volumes: Iterable[Volume]) -> NormalMaps:
    """Return the polar map of each normal heart; the volumes may be read one by one."""
    maps, refusals = [], []
    for volume in volumes:
        try:
            maps.append(polar_map(volume, find_left_ventricle(volume)))
        except NoHeartFound as error:
            refusals.append(str(error))
    return NormalMaps(tuple(maps), tuple(refusals))


def limits_of_site(population: str, reconstruction: str, volumes: Iterable[Volume]) -> NormalLimits:
    """Return the limits of a site's own normal patients, all of one sex and state, all reconstructed in one way.

    Raises ValueError if fewer than 8 hearts are found. `write_limits` puts the result into the site's folder.
    """
    return normal_limits(population, normal_maps(volumes).maps, reconstruction)


def our_limits(key: LimitsKey, plans: Sequence[NormalStudy], folder: Path) -> NormalLimits:
    """Return the limits of those virtual patients in a folder to whom the key applies."""
    chosen = [plan for plan in plans if (plan.sex.value, plan.state.value) == (key.sex.value, key.state.value)]
    found = normal_maps(_volumes(chosen, folder, key.corrected))
    cameras = ", ".join(CAMERA_NAMES)
    population = f"{key.words}; virtual patients on {cameras}, seeds {chosen[0].seed} to {chosen[-1].seed}"
    return normal_limits(population, found.maps, described(key.corrected))


def described(corrected: bool) -> str:
    """Return how our normal patients were reconstructed: as the pipelines do unless told otherwise."""
    return Options().reconstruction_words(corrected) + (" by the true mu-map" if corrected else "")


def _volumes(plans: Sequence[NormalStudy], folder: Path, corrected: bool) -> Iterator[Volume]:
    for plan in plans:
        yield read_normal(folder / plan.file_name)[int(corrected)]


def main() -> None:
    """Make our eight files of limits; the volumes are kept, so that a change of the maps needs no new patients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", type=Path, help="a folder that keeps the reconstructed patients (some 400 MB)")
    parser.add_argument("--out", type=Path, default=OURS, help="where the limits are written")
    parser.add_argument("--per-group", type=int, default=PER_GROUP, help="patients per sex at stress and at rest")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    plans = plan_normals(per_group=given.per_group)
    write_normals(plans, given.volumes, given.processes)
    for key in KEYS:
        limits = our_limits(key, plans, given.volumes)
        path = write_limits(key, limits, given.out)
        sys.stdout.write(f"{path.name}: {limits.number} hearts, {limits.sha256[:12]}\n")


if __name__ == "__main__":
    main()
