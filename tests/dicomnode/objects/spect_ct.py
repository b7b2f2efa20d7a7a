"""A small SPECT/CT study for tests: an acquisition, and CT series and attenuation maps about it as files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.objects.camera import write_reconstruction, write_transmission
from dicomnode.objects.virtual_ct import write_ct
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import CardiacState
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from tests.factories import NOON, a_tomo, changed, setting, some_projections
from tests.pipelines import chests

STUDY = VirtualStudy(patient_id="VIRTUAL-7", state=CardiacState.STRESS, series_description="Stress")
WHOLE = VoxelGrid.axial((6, 10, 10), (40.0, 40.0, 40.0), (0.0, 0.0, 0.0))  # heart and body are in it
MAP_GRID = VoxelGrid.axial((5, 8, 8), (6.4, 6.4, 6.4), (0.0, 0.0, 0.0))


def acquisition(folder: Path, study: VirtualStudy = STUDY, **elements: object) -> Path:
    """Return the file of projections."""
    return _stored(folder / "tomo.dcm", changed(a_tomo(study=study), setting(**elements)))


def header(path: Path) -> Dataset:
    return dcmread(path, stop_before_pixels=True)


def uid(path: Path) -> str:
    return str(header(path).SOPInstanceUID)


def ct(
    folder: Path,
    name: str = "CT for AC",
    number: int = 2,
    grid: VoxelGrid = WHOLE,
    study: VirtualStudy = STUDY,
    later: timedelta = timedelta(),
    **elements: object,
) -> list[Path]:
    """Return the slices of a CT series of this description and number."""
    values = np.random.default_rng(number).integers(-1000, 1000, grid.shape).astype(np.float32)
    filed = replace(study, series_description=name, series_number=number)
    files = write_ct(Volume(values, grid, Unit.HOUNSFIELD), filed, NOON + later)
    place = folder / f"ct {number}"
    return [
        _stored(place / f"{k:03d}.dcm", changed(file, setting(**elements)) if elements else file)
        for k, file in enumerate(files)
    ]


def vendor_map(folder: Path, study: VirtualStudy = STUDY, number: int = 8, **elements: object) -> Path:
    """Return the file of an attenuation map."""
    values = np.random.default_rng(1).random(MAP_GRID.shape).astype(np.float32) * 0.2
    filed = replace(study, series_description=f"{study.series_description} map", series_number=number)
    file = write_transmission(Volume(values, MAP_GRID, Unit.PER_CM), some_projections(), filed, NOON)
    return _stored(folder / f"map {number}.dcm", changed(file, setting(**elements)) if elements else file)


def reconstruction(folder: Path, **elements: object) -> Path:
    """Return the file of a camera's own reconstruction."""
    values = np.random.default_rng(2).random(MAP_GRID.shape).astype(np.float32)
    volume = Volume(values, MAP_GRID, Unit.PROPORTIONAL_COUNTS)
    file = write_reconstruction(volume, some_projections(), replace(STUDY, series_number=9), NOON)
    return _stored(folder / "recon.dcm", changed(file, setting(**elements)) if elements else file)


def chest(
    folder: Path, study: VirtualStudy = STUDY, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> tuple[Path, list[Path]]:
    """Return the files of a chest with a heart in it: the projections, and the slices of a CT that lies so far off."""
    tomo = _stored(folder / "tomo.dcm", a_tomo(chests.projections(), study))
    seen = chests.a_ct(shift_mm)
    filed = replace(study, series_description=f"{study.series_description} CT for AC", series_number=2)
    files = write_ct(replace(seen, values=np.rint(seen.values)), filed, NOON)
    return tomo, [_stored(folder / "ct" / f"{k:03d}.dcm", file) for k, file in enumerate(files)]


def _stored(path: Path, file: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file)
    return path
