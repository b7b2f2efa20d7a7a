"""What is known of virtual patients, measured: collimator, scatter, ventricles, counts, and what attenuation takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.cardiac.left_ventricle import find_left_ventricle
from pipelines.cardiac.polar_map import polar_map
from pipelines.cardiac.segments import segment_means
from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Unit, Volume
from pipelines.reconstruction.reconstruct import Scatter, Settings, reconstruct
from pipelines.simulation.acquisition import expect
from pipelines.simulation.anatomy import Sex, draw_cycle
from pipelines.simulation.body import Activities
from pipelines.simulation.camera import CAMERAS, DISCOVERY, PROSPECT
from pipelines.simulation.energy import window_share
from pipelines.simulation.projector import Projector
from pipelines.simulation.registration import attenuation_map
from pipelines.simulation.scatter import ScatterProjector
from pipelines.simulation.truth import AcquisitionTruth
from pipelines.simulation.virtual_patient import make_patient
from tests.accuracy.figures import Figure
from tests.pipelines.simulation import slab_monte_carlo

Float = NDArray[np.float64]

DISTANCES_MM = (0.0, 25.0, 50.0, 100.0, 150.0, 200.0, 250.0)
PEAK, LOW = EnergyWindow(126.45, 154.55), EnergyWindow(108.0, 129.0)
STEP_MM = 3.2
WALLS = {"anterior": (1, 7, 13), "septum": (2, 3, 8, 9, 14), "inferior": (4, 10, 15), "lateral": (5, 6, 11, 12, 16)}
BASAL = range(1, 7)  # the septum's base is a membrane, and the valve plane blurs all of them
FIRST_NORMAL = 5000


def line_source() -> list[Figure]:
    """Return how far a line source's width lies off the collimator's formula, the worst of 0 to 250 mm."""
    shape, line = (5, 9, 9), np.zeros((5, 9, 9))
    line[:, 4, 4] = 1.0
    air = Volume(np.zeros(shape, np.float32), VoxelGrid.axial(shape, (0.4,) * 3, (0.0, 0.0, 0.0)), Unit.PER_CM)
    distances = tuple(max(distance, 2.0) for distance in DISTANCES_MM)  # the line itself has a width
    geometry = AcquisitionGeometry((0.0,) * len(distances), (0.5, 0.5), 129, 129, distances)
    figures = []
    for name, camera in sorted(CAMERAS.items()):
        seen = Projector(air, geometry, camera.blur).project([line])[0].sum(axis=1)
        formula = camera.blur.fwhm_mm(np.array(distances))
        widths = np.array([_full_width(profile) * 0.5 for profile in seen])
        worst = float(np.abs(widths / formula - 1.0).max())
        figures.append(Figure("line source, FWHM off the formula", f"{name}, 0 to 250 mm", worst, 0.0, 0.02, True))
    return figures


def _full_width(profile: Float) -> float:
    half = profile.max() / 2
    above = np.nonzero(profile >= half)[0]
    first, last = above[0], above[-1]
    left = first - (profile[first] - half) / (profile[first] - profile[first - 1])
    right = last + (profile[last] - half) / (profile[last] - profile[last + 1])
    return float(right - left)


def point_in_water() -> list[Figure]:
    """Return scatter to primary of a point in water at three depths, against Monte Carlo."""
    figures = []
    for wanted in (50.0, 100.0, 150.0):
        mu_map, activity, depth = _slab(wanted)
        geometry = AcquisitionGeometry((0.0,), (8.0, 8.0), 64, 64, (260.0,))
        resolution = DISCOVERY.energy_resolution
        primary = Projector(mu_map, geometry, DISCOVERY.blur).project([activity]).sum() * window_share(PEAK, resolution)
        model = ScatterProjector(mu_map, geometry, DISCOVERY.blur, (PEAK, LOW), resolution).project(activity)
        truth = slab_monte_carlo.simulate(depth, PEAK, LOW, resolution, seed=5)
        peak, low = (float(window.sum() / primary) for window in model)
        words = f"{depth / 10:.1f} cm of water"
        figures += [
            _against("scatter to primary of a point", f"{words}, photopeak", peak, truth.peak_scatter, 0.08),
            _against("scatter to primary of a point", f"{words}, 108-129 keV", low, truth.low_scatter, 0.20),
        ]
    return figures


def _against(group: str, name: str, measured: float, truth: float, tolerance: float) -> Figure:
    words = f"{name} (Monte Carlo: {truth:.2f})"
    return Figure(group, words, measured, truth * (1 - tolerance), truth * (1 + tolerance))


def _slab(depth_mm: float) -> tuple[Volume, Float, float]:
    """Return a slab of water before a detector at angle 0, a ball of activity in it, and its true depth."""
    shape = (128, 104, 160)
    grid = VoxelGrid.axial(shape, (STEP_MM,) * 3, (0.0, 0.0, 0.0))
    y = grid.matrix[1, 3] + STEP_MM * np.arange(shape[1])
    mu, activity = np.zeros(shape, dtype=np.float32), np.zeros(shape)
    mu[:, 2:98] = 0.1536
    surface = y[97] + STEP_MM / 2
    row = int(np.argmin(np.abs(y - (surface - depth_mm)))) // 4 * 4
    activity[60:64, row : row + 4, 76:80] = 1.0
    return Volume(mu, grid, Unit.PER_CM), activity, float(surface - y[row : row + 4].mean())


def ventricles() -> list[Figure]:
    """Return size, shape and emptying of a thousand normal ventricles of each sex."""
    figures = []
    for sex, volume, wall in ((Sex.MALE, (70, 160), (85, 190)), (Sex.FEMALE, (45, 110), (75, 140))):
        rng, word = np.random.default_rng(1), "men" if sex is Sex.MALE else "women"
        cycles = [draw_cycle(rng, sex, failing=False) for _ in range(1000)]
        ends = [cycle.end_diastole for cycle in cycles]
        figures += [
            *_spread("end-diastolic volume (ml)", word, [end.cavity_ml for end in ends], *volume),
            *_spread("wall (ml)", word, [end.wall_ml for end in ends], *wall),
            *_spread("ejection fraction (%)", word, [100 * cycle.ejection_fraction for cycle in cycles], 45, 80),
            *_spread("shape index, end diastole", word, [end.shape_index for end in ends], 0.48, 0.72),
            *_spread("shape index, end systole", word, [cycle.end_systole.shape_index for cycle in cycles], 0.33, 0.61),
            *_spread("eccentricity", word, [end.eccentricity for end in ends], 0.79, 0.91),
        ]
    return figures


def _spread(name: str, word: str, values: Iterable[float], low: float, high: float) -> list[Figure]:
    """Return the 5th, 50th and 95th percentile of values that must lie in a range."""
    found = np.percentile(list(values), (5, 50, 95))
    return [
        Figure(name, f"{word}, {place}", float(value), low, high)
        for place, value in zip(("5th percentile", "median", "95th percentile"), found, strict=True)
    ]


def organs() -> list[Figure]:
    """Return how much the liver holds against the heart (100)."""
    figures = []
    for word, at_rest, low, high in (("stress", False, 20, 80), ("rest", True, 45, 130)):
        held = [Activities.draw(np.random.default_rng([seed, 3]), at_rest).liver for seed in range(300)]
        figures += _spread("liver, heart = 100", word, held, low, high)
    return figures


@dataclass(frozen=True)
class Normal:
    """A normal heart, seen without noise by `prospect`: its truth, and its 17 segments (maximum 100)."""

    sex: Sex
    acquisition: AcquisitionTruth
    corrected: Float
    uncorrected: Float


def normal_heart(sex: Sex, number: int) -> Normal:
    """Return one normal heart, reconstructed with and without the true attenuation map, along the same wall."""
    torch.set_num_threads(1)
    patient = make_patient(FIRST_NORMAL + number, sex=sex, defects=())
    seen = expect(patient, PROSPECT, np.random.default_rng(number), gated=False)
    plain = Settings(iterations=6, subsets=4)
    corrected = reconstruct(
        seen.projections, replace(plain, scatter=Scatter.EFFECTIVE_SOURCE), mu_map=attenuation_map(patient)
    )
    ventricle = find_left_ventricle(corrected)
    maps = [polar_map(volume, ventricle) for volume in (corrected, reconstruct(seen.projections, plain))]
    first, second = (np.array(segment_means(one.counts, one.area_mm2)) for one in maps)
    return Normal(sex, seen.truth, 100 * first / np.sort(first)[-3:].mean(), 100 * second / np.sort(second)[-3:].mean())


def wall_means(segments: Float, *, basal: bool) -> dict[str, float]:
    """Return the mean of each wall's segments, its base included or not."""
    return {
        wall: float(np.mean([segments[number - 1] for number in members if basal or number not in BASAL]))
        for wall, members in WALLS.items()
    }


def normal_hearts(normals: list[Normal]) -> list[Figure]:
    """Return counts, scatter, and what attenuation takes from each wall, in men and women."""
    truths = [normal.acquisition for normal in normals]
    who = f"{len(truths)} normal patients"
    figures = [
        *_spread("counts, `prospect` (million)", who, [truth.total_counts / 1e6 for truth in truths], 1.3, 6.0),
        *_spread("of the left ventricle (million)", who, [t.ventricle_counts / 1e6 for t in truths], 0.07, 0.25),
        *_spread("scatter to primary", who, [truth.scatter_to_primary for truth in truths], 0.28, 0.46),
    ]
    for sex, word in ((Sex.MALE, "men"), (Sex.FEMALE, "women")):
        own = [normal for normal in normals if normal.sex is sex]
        apart = np.array([np.abs(n.uncorrected - n.corrected) / n.corrected for n in own])
        figures.append(
            Figure(
                f"{len(own)} normal {word}: segments without correction",
                "mean difference",
                apart.mean(),
                0.04,
                0.12,
                True,
            )
        )
    return figures


def wall_table(normals: list[Normal]) -> str:
    """Return the walls of men and women with and without correction as a Markdown table."""
    lines = [
        "| % of the maximum | | " + " | ".join(WALLS) + " | lowest |",
        "|---|---|" + "---|" * (len(WALLS) + 1),
    ]
    for sex, word in ((Sex.MALE, "men"), (Sex.FEMALE, "women")):
        own = [normal for normal in normals if normal.sex is sex]
        for basal, part in ((False, "middle and apex"), (True, "base too")):
            rows: dict[str, Callable[[Normal], Float]] = {
                "not corrected": lambda normal: normal.uncorrected,
                "corrected": lambda normal: normal.corrected,
            }
            for name, of in rows.items():
                every = [wall_means(of(normal), basal=basal) for normal in own]
                mean = {wall: float(np.mean([one[wall] for one in every])) for wall in WALLS}
                lowest = min(mean, key=lambda wall: mean[wall])
                times = sum(min(one, key=lambda wall: one[wall]) == lowest for one in every)
                cells = " | ".join(f"{mean[wall]:.0f}" for wall in WALLS)
                lines.append(f"| {len(own)} {word}, {part} | {name} | {cells} | {lowest} ({times} of {len(own)}) |")
    return "\n".join(lines)
