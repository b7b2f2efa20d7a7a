"""Searches a volume for a hollow, open-ended spheroid: first spheres everywhere, then spheroids at the likely places.

The score of a spheroid compares the wall with the cavity and with what lies outside, relative to the wall's own
height. The wall is cut off at that height, so that a hot organ beside it counts no more than the muscle would.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.heart_frame import Float, Point, Spheroid, directions
from pipelines.cardiac.sampling import Sampler, voxel_centers
from pipelines.geometry import VoxelGrid
from pipelines.images import Volume

SEARCH_FWHM_MM = 8.0
STEP_MM = 7.0  # of the coarse grid
RADII_MM = (20.0, 26.0, 33.0, 41.0)
WALL_MM = 6.0  # sd of the shell in the coarse search
CANDIDATES = 40
KEPT = 4  # candidates that are fitted in full
CAVITY_WEIGHT, OUTSIDE_WEIGHT = 0.6, 0.4
OUTSIDE_MM = 14.0
FLOOR = 0.25  # of the typical height: what is fainter by far is noise, not muscle
# The axis is looked for within this angle of the usual one (45 degrees left of ahead, 25 down).
USUAL_AXIS = (0.641, -0.641, -0.423)
_USUAL = np.array(USUAL_AXIS) / np.linalg.norm(USUAL_AXIS)
WIDEST_TURN_DEG = 70.0
LEAST_LEAN_DEG = 5.0  # from the body's axis, along which anterior and lateral would have no meaning
WIDTHS_MM, STRETCHES = (21.0, 28.0, 37.0), (1.9,)
BOUNDS = np.array([[13.0, 52.0], [1.25, 2.5]])  # half-width mm, half-length / half-width
USUAL_STRETCH, STRETCH_SD = 1.85, 0.25
BASAL_POLAR = math.radians(118.0)  # where the wall ends in the search


def likely_ventricles(
    volume: Volume, near_mm: Float | None = None, reach_mm: float = 25.0
) -> list[tuple[float, Spheroid]]:
    """Return scored spheroids, best first; with `near_mm`, only those whose middle lies within `reach_mm` of it."""
    sampler = Sampler.of(volume, SEARCH_FWHM_MM)
    places = _coarse_places(volume, sampler)
    floor = FLOOR * typical_height(volume)
    if near_mm is not None:
        offsets = np.linspace(-reach_mm, reach_mm, 5)
        cube = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 3)
        places = near_mm + cube[np.linalg.norm(cube, axis=1) <= reach_mm]
    if not len(places):
        return []
    starts = _starts(places)
    scores = scores_of(sampler, starts, floor)
    best: list[tuple[float, Float]] = []
    for index in np.argsort(-scores):
        if all(np.linalg.norm(starts[index, :3] - other[:3]) > 20.0 for _, other in best):
            best.append((float(scores[index]), starts[index]))
        if len(best) == KEPT:
            break
    climbed = [climb(sampler, start, floor) for _, start in best]
    return sorted(((score, as_spheroid(found)) for score, found in climbed), key=lambda pair: -pair[0])


def typical_height(volume: Volume) -> float:
    """Return the mean activity that a count comes from: between that of the body and that of its hottest organs."""
    values = np.maximum(volume.values.astype(np.float64), 0.0)
    total = float(values.sum())
    return float((values**2).sum()) / total if total > 0.0 else 0.0


def as_spheroid(values: Float) -> Spheroid:
    """Return the spheroid of (middle 3, axis 3, half-width, stretch)."""
    axis = values[3:6] / np.linalg.norm(values[3:6])
    middle = (float(values[0]), float(values[1]), float(values[2]))
    return Spheroid(
        middle, (float(axis[0]), float(axis[1]), float(axis[2])), float(values[6]), float(values[6] * values[7])
    )


def _coarse_places(volume: Volume, sampler: Sampler) -> Float:
    """Return LPS places `[n, 3]` around which activity lies in a hollow shell, likeliest first."""
    grid = _coarse_grid(volume.grid)
    values = np.maximum(sampler.linear(voxel_centers(grid)), 0.0)
    floor = 0.05 * float(values.max())
    if floor <= 0.0:
        return np.zeros((0, 3))
    padded = tuple(size + math.ceil(2 * (RADII_MM[-1] + 3 * WALL_MM) / STEP_MM) // 2 for size in grid.shape)
    spectrum = np.fft.rfftn(values, padded, axes=(0, 1, 2))
    best = np.full(grid.shape, -np.inf)
    for radius in RADII_MM:
        wall, cavity, outside = (
            np.maximum(
                np.fft.irfftn(spectrum * kernel, padded, axes=(0, 1, 2))[tuple(slice(0, n) for n in grid.shape)], 0.0
            )
            for kernel in _kernels(padded, radius)
        )
        contrast = wall - CAVITY_WEIGHT * cavity - OUTSIDE_WEIGHT * outside
        best = np.maximum(best, contrast / (wall + floor))
    return _peaks(best, grid)


def _kernels(shape: tuple[int, ...], radius: float) -> list[NDArray[np.complex128]]:
    """Return spectra of means over a spherical shell, over the ball inside it, over the shell outside it."""
    axes = [np.fft.fftfreq(size, 1.0 / size) * STEP_MM for size in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    distance = np.sqrt(z**2 + y**2 + x**2)

    def spectrum(weight: Float) -> NDArray[np.complex128]:
        return np.asarray(np.fft.rfftn(weight / weight.sum()))

    def shell(at: float) -> Float:
        return np.asarray(np.exp(-0.5 * ((distance - at) / WALL_MM) ** 2))

    ball = np.exp(-0.5 * (distance / (0.45 * radius)) ** 2)
    return [spectrum(shell(radius)), spectrum(ball), spectrum(shell(radius + OUTSIDE_MM + 4.0))]


def _coarse_grid(grid: VoxelGrid) -> VoxelGrid:
    """Return a grid along the patient's axes that covers another one in steps of STEP_MM."""
    corners = np.array([
        grid.position_mm(z, y, x) for z in (0, grid.shape[0] - 1) for y in (0, grid.shape[1] - 1)
        for x in (0, grid.shape[2] - 1)
    ])  # fmt: skip
    low, high = corners.min(axis=0), corners.max(axis=0)
    count = np.maximum(np.ceil((high - low) / STEP_MM).astype(int) + 1, 2)
    middle = (low + high) / 2
    shape = (int(count[2]), int(count[1]), int(count[0]))
    return VoxelGrid.axial(shape, (STEP_MM,) * 3, (float(middle[0]), float(middle[1]), float(middle[2])))


def _peaks(score: Float, grid: VoxelGrid) -> Float:
    """Return the places of the highest local maxima of a score."""
    padded = np.pad(score, 1, constant_values=-np.inf)
    highest = padded[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        widened = np.pad(highest, [(1, 1) if a == axis else (0, 0) for a in range(3)], constant_values=-np.inf)
        size = highest.shape[axis]
        highest = np.maximum.reduce([np.take(widened, range(step, step + size), axis=axis) for step in range(3)])
    index = np.argwhere((score >= highest) & (score > 0.0))
    order = np.argsort(-score[tuple(index.T)])[:CANDIDATES]
    return np.array([grid.position_mm(*place) for place in index[order]]).reshape(-1, 3)


def _starts(places: Float) -> Float:
    """Return spheroids `[n, 8]` of usual sizes in all allowed directions at the places."""
    axes = _axes()
    rows = [
        np.concatenate([place + shift * width * axis, axis, [width, stretch]])
        for place in places
        for axis in axes
        for width in WIDTHS_MM
        for stretch in STRETCHES
        for shift in (-0.3, 0.3)
    ]
    return np.array(rows)


def _axes() -> Float:
    """Return directions about 25 degrees apart within WIDEST_TURN_DEG of the usual axis."""
    along, lateral, anterior = directions(np.array(USUAL_AXIS))
    found = [along]
    for turn_deg, number in ((25.0, 6), (50.0, 10)):
        turn = math.radians(turn_deg)
        for angle in 2 * math.pi * np.arange(number) / number:
            across = math.cos(angle) * lateral + math.sin(angle) * anterior
            found.append(math.cos(turn) * along + math.sin(turn) * across)
    return np.array(found)


def _template(rings: int = 8, angles: int = 16) -> tuple[Float, Float, Float]:
    """Return polar angle, angle (radians) and relative area of places on the searched wall."""
    polar = (np.arange(rings) + 0.5) / rings * BASAL_POLAR
    angle = 2 * math.pi * (np.arange(angles) + 0.5) / angles
    polar, angle = (grid.ravel() for grid in np.meshgrid(polar, angle, indexing="ij"))
    return polar, angle, np.sin(polar)


_POLAR, _ANGLE, _AREA = _template()


def scores_of(sampler: Sampler, spheroids: Float, floor: float, chunk: int = 128) -> Float:
    """Return the score of each spheroid `[n, 8]` (middle, axis, half-width, stretch).

    So few are scored at once that their places stay in the processor's cache.
    """
    parts = [_scores(sampler, spheroids[start : start + chunk], floor) for start in range(0, len(spheroids), chunk)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _scores(sampler: Sampler, spheroids: Float, floor: float) -> Float:
    wall, cavity, outside = layers(sampler.linear, spheroids)
    share = _AREA / _AREA.sum()
    upper = np.sort(wall, axis=1)[:, wall.shape[1] // 2 :]
    height = np.maximum(upper.mean(axis=1, keepdims=True), 1e-9)
    terms = (np.clip(part / height, 0.0, 1.0) @ share for part in (wall, cavity, outside))
    held, inside, beyond = terms
    stretch = (spheroids[:, 7] - USUAL_STRETCH) / STRETCH_SD
    contrast = held - CAVITY_WEIGHT * inside - OUTSIDE_WEIGHT * beyond
    return np.asarray(contrast * (height / (height + floor))[:, 0] - 0.02 * stretch**2)


def layers(read: Callable[[Float], Float], spheroids: Float) -> tuple[Float, Float, Float]:
    """Return values `[n, place]` in the middle of the wall, inside the cavity and outside of the wall."""
    width, length = spheroids[:, 6, None], (spheroids[:, 6] * spheroids[:, 7])[:, None]
    frames = np.array([_frame((x, y, z)) for x, y, z in spheroids[:, 3:6].tolist()])
    across = np.cos(_ANGLE)[:, None] * frames[:, 1, None] + np.sin(_ANGLE)[:, None] * frames[:, 2, None]
    along = frames[:, 0, None]
    cosine, sine = np.cos(_POLAR)[:, None], np.sin(_POLAR)[:, None]
    middle = spheroids[:, None, :3]
    wall = middle + length[..., None] * cosine * along + width[..., None] * sine * across
    cavity = middle + 0.65 * length[..., None] * cosine * along + 0.3 * width[..., None] * sine * across
    normal = width[..., None] * cosine * along + length[..., None] * sine * across
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return read(wall), read(cavity), read(wall + OUTSIDE_MM * normal)


@lru_cache(maxsize=1024)
def _frame(axis: Point) -> Float:
    """Return a ventricle's own directions as rows; the spheroids of a search share few axes."""
    return np.array(directions(np.array(axis)))


def climb(sampler: Sampler, start: Float, floor: float, rounds: int = 40) -> tuple[float, Float]:
    """Return the score and the spheroid of the nearest maximum: a pattern search in eight directions."""
    best, score = start.copy(), float(scores_of(sampler, start[None], floor)[0])
    step = 1.0
    for _ in range(rounds):
        moved = _neighbors(best, step)
        scores = scores_of(sampler, moved, floor)
        gain = np.maximum(scores - score, 0.0)
        top = int(np.argmax(scores))
        if scores[top] <= score + 1e-5:
            step /= 2.0
            if step < 0.1:
                break
            continue
        # All helpful moves together are tried too: along a ridge they go further than the best one.
        together = bounded(best + ((moved - best) * (gain / gain.max())[:, None]).sum(axis=0))
        joint = float(scores_of(sampler, together[None], floor)[0])
        best, score = (together, joint) if joint > scores[top] else (moved[top], float(scores[top]))
    return score, best


def _neighbors(values: Float, step: float) -> Float:
    """Return the spheroids one step away: middle, axis, width and stretch, both ways."""
    frame = directions(values[3:6])
    moves = []
    for axis in frame:
        move = np.zeros(8)
        move[:3] = 6.0 * step * axis
        moves.append(move)
    for across in frame[1:]:
        move = np.zeros(8)
        move[3:6] = math.radians(10.0) * step * across
        moves.append(move)
    for place, size in ((6, 3.0), (7, 0.15)):
        move = np.zeros(8)
        move[place] = size * step
        moves.append(move)
    return np.array([bounded(values + sign * move) for move in moves for sign in (1.0, -1.0)])


def bounded(values: Float) -> Float:
    """Return a spheroid with a unit axis within the allowed turn and sizes within their bounds."""
    axis = values[3:6] / np.linalg.norm(values[3:6])
    cosine, least = float(axis @ _USUAL), math.cos(math.radians(WIDEST_TURN_DEG))
    if cosine < least:
        across = axis - cosine * _USUAL
        axis = least * _USUAL + math.sqrt(1.0 - least**2) * across / max(float(np.linalg.norm(across)), 1e-9)
    sizes = np.clip(values[6:], BOUNDS[:, 0], BOUNDS[:, 1])
    return np.concatenate([values[:3], _leaning(axis), sizes])


def _leaning(axis: Float) -> Float:
    """Return a unit axis that does not lie along the body's: one that nearly does leans aside, else the usual way."""
    least = math.sin(math.radians(LEAST_LEAN_DEG))
    aside = axis[:2]
    lean = float(np.linalg.norm(aside))
    if lean >= least:
        return axis
    way = aside / lean if lean > 1e-3 else _USUAL[:2] / np.linalg.norm(_USUAL[:2])
    return np.array([*(least * way), math.copysign(math.sqrt(1.0 - least**2), axis[2])])
