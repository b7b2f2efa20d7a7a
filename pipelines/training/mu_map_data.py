"""What a mu-map network learns from: images of an acquisition and the measured mu-map, as files that are made once.

A pair keeps each image on the grid that it came on, so that networks of any working grid learn from the same files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.left_ventricle import NoHeartFound, find_left_ventricle
from pipelines.geometry import VoxelGrid
from pipelines.images import Array, Projections, Unit, UnsuitableAcquisition, Volume
from pipelines.networks.mu_map_grid import bounds_mm
from pipelines.networks.mu_map_predict import shares_of_highest
from pipelines.physics.attenuation import check_mu_map, mu_from_hounsfield
from pipelines.reconstruction.emission_images import EmissionImages, emission_images, scatter_corrected_image
from pipelines.resampling import resample

Half = NDArray[np.float16]

SHARES = (0.7, 0.85)  # of the patients: training, then validation, then test
LEAST_KEPT = 0.25  # of the counts, in the noisier copies of an acquisition
WALL_HALF_MM = 6.0  # of the ventricle's wall, where it was found in the images
FINEST_MAP_MM = 6.0  # a CT is brought to voxels of about the camera's
_SEEN_SHARE = 0.02  # of the slice with most activity: slices with less lie outside the camera's field
_VENDOR_ANGLES_DEG = tuple(225.0 - 5.625 * view for view in range(32))  # where a vendor's image doesn't tell


@dataclass(frozen=True)
class MapPair:
    """One acquisition and its mu-map, in half precision; activities are shares of the brightest voxel."""

    patient: str  # opaque; all pairs of one patient carry the same
    levels: Half  # [copy, level, z, y, x]; copies differ in their noise
    scatter: Half | None  # [copy, z, y, x]: the scatter window
    corrected: Half | None  # [copy, z, y, x]: the last level, corrected for scatter
    grid: VoxelGrid  # of the images
    mu_per_cm: Half  # [z, y, x], with the table
    wall: Half  # [z, y, x]: share of each voxel that is left-ventricular wall; all 0 where it isn't known
    map_grid: VoxelGrid
    angles_deg: tuple[float, ...]
    known_mm: tuple[float, float]  # between these heights (LPS z) both the images and the map hold something
    split: str = ""  # "train", "validation" or "test" where that is laid down; else the patient's name decides

    @property
    def part(self) -> str:
        """Which part of the data the patient belongs to."""
        if self.split:
            return self.split
        place = int(hashlib.sha256(self.patient.encode()).hexdigest()[:8], 16) / 16**8
        return "train" if place < SHARES[0] else "validation" if place < SHARES[1] else "test"

    @property
    def digest(self) -> bytes:
        """A name of the pair's numbers."""
        parts = (self.patient, self.split, str(self.grid), str(self.map_grid))
        return hashlib.sha256("|".join(parts).encode() + self.levels.tobytes() + self.mu_per_cm.tobytes()).digest()


@dataclass(frozen=True)
class MapCohort:
    """The pairs of a training, split by patient."""

    train: tuple[MapPair, ...]
    validation: tuple[MapPair, ...]
    test: tuple[MapPair, ...]

    @property
    def digest(self) -> str:
        """A name of these data: the same pairs in the same split have the same."""
        parts = [pair.digest + pair.part.encode() for pair in (*self.train, *self.validation, *self.test)]
        return hashlib.sha256(b"".join(parts)).hexdigest()


def mu_from_ct(ct: Volume) -> Volume:
    """Return the mu-map of a CT on voxels of about a camera's, as pairs keep it."""
    return _coarse_enough(mu_from_hounsfield(ct))


def split_pairs(pairs: Iterable[MapPair]) -> MapCohort:
    """Return the pairs as 70 : 15 : 15 of the patients by the hash of their names, so that no later patient moves one.

    Raises UnsuitableAcquisition if training, validation or test got nobody.
    """
    ordered = sorted(pairs, key=lambda pair: (pair.patient, pair.digest))
    cohort = MapCohort(*(tuple(p for p in ordered if p.part == part) for part in ("train", "validation", "test")))
    if not (cohort.train and cohort.validation and cohort.test):
        found = f"{len(cohort.train)}, {len(cohort.validation)} and {len(cohort.test)}"
        raise UnsuitableAcquisition(
            f"{found} pairs fell to training, validation and test: each needs one; add patients"
        )
    return cohort


@dataclass(frozen=True)
class PairMaker:
    """How pairs are made."""

    copies: int = 2  # the acquisition itself, and some with a part of its counts
    seed: int = 0

    def of_projections(
        self, projections: Projections, mu_map: Volume, patient: str, *, wall: Volume | None = None, split: str = ""
    ) -> MapPair:
        """Return the pair of projections and a mu-map in the same coordinates; `wall` is the ventricle's, if known.

        Raises UnsuitableAcquisition if they can't be reconstructed, the map is none in 1/cm, or they don't overlap.
        """
        name = hashlib.sha256(projections.counts.tobytes()).hexdigest()
        rng = np.random.default_rng([self.seed, int(name[:8], 16)])
        whole = np.array_equal(projections.counts, np.rint(projections.counts))
        studies = [projections] + [_thinned(projections, rng) for _ in range(self.copies - 1 if whole else 0)]
        images = [emission_images(study) for study in studies]
        corrected = None
        if images[0].scatter is not None:
            corrected = [scatter_corrected_image(study) for study in studies]
        angles = projections.geometry.angles_deg
        return _pair(images, corrected, mu_map, patient, wall=wall, split=split, angles_deg=angles)

    def of_reconstruction(
        self, volume: Volume, mu_map: Volume, patient: str, *, wall: Volume | None = None, split: str = ""
    ) -> MapPair:
        """Return the pair of a vendor's reconstruction without attenuation correction and a mu-map."""
        images = [EmissionImages((volume,))]
        return _pair(images, None, mu_map, patient, wall=wall, split=split, angles_deg=_VENDOR_ANGLES_DEG)


def _thinned(projections: Projections, rng: np.random.Generator) -> Projections:
    kept = float(np.exp(rng.uniform(np.log(LEAST_KEPT), 0.0)))
    counts = rng.binomial(projections.counts.astype(np.int64), kept).astype(np.float32)
    return Projections(
        counts, projections.geometry, projections.windows, projections.photopeak, projections.view_time_s
    )


def _pair(
    copies: Sequence[EmissionImages],
    corrected: Sequence[Volume] | None,
    mu_map: Volume,
    patient: str,
    *,
    wall: Volume | None,
    split: str,
    angles_deg: tuple[float, ...],
) -> MapPair:
    check_mu_map(mu_map)
    first = copies[0].levels[-1]
    if not float(first.values.max()) > 0:
        raise UnsuitableAcquisition("the reconstruction holds no activity at all")
    mu_map = _coarse_enough(mu_map)
    if wall is None:
        wall = _wall_found_in(first, mu_map.grid)
    has_scatter = copies[0].scatter is not None
    return MapPair(
        patient=patient,
        levels=np.stack([np.stack([_half(level) for level in copy.levels]) for copy in copies]),
        scatter=np.stack([_half(copy.scatter) for copy in copies if copy.scatter]) if has_scatter else None,
        corrected=None if corrected is None else np.stack([_half(volume) for volume in corrected]),
        grid=first.grid,
        mu_per_cm=mu_map.values.astype(np.float16),
        wall=resample(wall, mu_map.grid).values.astype(np.float16),
        map_grid=mu_map.grid,
        angles_deg=angles_deg,
        known_mm=_known_mm(first, mu_map),
        split=split,
    )


def _half(volume: Volume) -> Half:
    return shares_of_highest(volume).astype(np.float16)


def _coarse_enough(mu_map: Volume) -> Volume:
    """Return the map on axial voxels no finer than a camera's, so that files stay small."""
    if min(mu_map.grid.voxel_mm) >= FINEST_MAP_MM:
        return mu_map
    low, high = bounds_mm(mu_map.grid)
    size = [max(int((top - bottom) / FINEST_MAP_MM), 1) for bottom, top in zip(low, high, strict=True)]
    middle = (low + high) / 2
    center = (float(middle[0]), float(middle[1]), float(middle[2]))
    return resample(mu_map, VoxelGrid.axial((size[2], size[1], size[0]), (FINEST_MAP_MM,) * 3, center))


def _known_mm(image: Volume, mu_map: Volume) -> tuple[float, float]:
    """Return the heights between which image and map both hold something."""
    per_slice = np.maximum(image.values, 0.0).sum(axis=(1, 2), dtype=np.float64)
    seen = np.flatnonzero(per_slice > _SEEN_SHARE * per_slice.max())
    held = np.flatnonzero(mu_map.values.any(axis=(1, 2)))
    spans = [_heights(volume.grid, index) for volume, index in ((image, seen), (mu_map, held))]
    low, high = max(span[0] for span in spans), min(span[1] for span in spans)
    if high <= low:
        raise UnsuitableAcquisition("images and mu-map have no slice in common")
    return low, high


def known_slices(grid: VoxelGrid, known_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """Return which slices of an axial grid lie between these heights."""
    heights = grid.matrix[2, 3] + grid.matrix[2, 2] * np.arange(grid.shape[0])
    return np.asarray((heights > known_mm[0]) & (heights < known_mm[1]))


def _heights(grid: VoxelGrid, slices: NDArray[np.int64]) -> tuple[float, float]:
    ends = sorted(float(grid.position_mm(float(z), 0, 0)[2]) for z in (slices[0], slices[-1]))
    return ends[0] - grid.voxel_mm[0] / 2, ends[1] + grid.voxel_mm[0] / 2


def _wall_found_in(image: Volume, grid: VoxelGrid) -> Volume:
    """Return which voxels of a grid are the ventricle's wall as far as the image tells; none if it shows no heart."""
    values = np.zeros(grid.shape, dtype=np.float32)
    with contextlib.suppress(NoHeartFound):
        values[_near_wall(find_left_ventricle(image), grid)] = 1.0
    return Volume(values, grid, Unit.PROPORTIONAL_COUNTS)


def _near_wall(heart: LeftVentricle, grid: VoxelGrid) -> NDArray[np.bool_]:
    z, y, x = np.indices(grid.shape, dtype=np.float64)
    places = np.stack([x, y, z, np.ones_like(x)], axis=-1) @ grid.matrix[:3].T
    offset = places - np.asarray(heart.wall.middle)
    along = offset @ np.asarray(heart.wall.axis)
    across = np.sqrt(np.maximum((offset**2).sum(axis=-1) - along**2, 0.0))
    distance = (np.hypot(along / heart.wall.half_length, across / heart.wall.half_width) - 1.0) * heart.wall.half_width
    return np.asarray((np.abs(distance) < WALL_HALF_MM) & (along > heart.valve_plane_mm))


def write_pair(path: Path, pair: MapPair) -> None:
    """Write a pair so that its file is whole or not there at all."""
    stated = {
        "patient": pair.patient,
        "grid": (pair.grid.shape, pair.grid.affine),
        "map_grid": (pair.map_grid.shape, pair.map_grid.affine),
        "angles_deg": pair.angles_deg,
        "known_mm": pair.known_mm,
        "split": pair.split,
    }
    arrays: dict[str, Array | Half] = {"levels": pair.levels, "mu_per_cm": pair.mu_per_cm, "wall": pair.wall}
    arrays |= {name: one for name in ("scatter", "corrected") if (one := getattr(pair, name)) is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        np.savez_compressed(file, stated=np.array(json.dumps(stated)), **arrays)  # type: ignore[arg-type]
    part.replace(path)


def read_pair(path: Path) -> MapPair:
    """Return a pair that `write_pair` wrote. Raises UnsuitableAcquisition if the file is something else."""
    try:
        with np.load(path, allow_pickle=False) as held:
            stated = json.loads(str(held["stated"]))
            return MapPair(
                patient=stated["patient"],
                levels=held["levels"],
                scatter=held.get("scatter"),
                corrected=held.get("corrected"),
                grid=_grid(stated["grid"]),
                mu_per_cm=held["mu_per_cm"],
                wall=held["wall"],
                map_grid=_grid(stated["map_grid"]),
                angles_deg=tuple(stated["angles_deg"]),
                known_mm=(stated["known_mm"][0], stated["known_mm"][1]),
                split=stated["split"],
            )
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise UnsuitableAcquisition(f"{path}: no pair of images and mu-map ({error})") from None


def _grid(stated: Sequence[Sequence[object]]) -> VoxelGrid:
    shape, affine = stated
    return VoxelGrid(tuple(shape), tuple(tuple(row) for row in affine))  # type: ignore[arg-type, misc]
