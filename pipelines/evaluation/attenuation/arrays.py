"""The images of one scan that tables and figures are made from: `<scan>.npz` beside the record `<scan>.json`.

A file holds, all float32:

    polar|road|frame|method     [ring (24), angle (72)]   counts
    axial|method                [row, column]   attenuation map in 1/cm through the middle of the heart, head first
    coronal|method              [slice, column]   the same from the front
    axial|emission, coronal|emission              the image that maps are told from

Maps have the reference's table. What isn't there (no ventricle found, network not trained) has no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.attenuation.record import Frame, Method, Road
from pipelines.images import Array
from pipelines.networks.weights import write_whole

EMISSION = "emission"


class Plane(Enum):
    """Which slice of a map."""

    AXIAL = "axial"
    CORONAL = "coronal"


@dataclass(frozen=True)
class ScanArrays:
    """The images of one scan, by the keys of its file."""

    voxel_mm: float  # of the slices
    images: Mapping[str, Array] = field(default_factory=dict)

    def polar(self, road: Road, frame: Frame, method: Method) -> Array | None:
        """Return a polar map's counts, None where no ventricle was found or the method was not tried."""
        return self.images.get(polar_key(road, frame, method))

    def plane(self, plane: Plane, method: Method | None) -> Array | None:
        """Return a slice of a method's map, or of the emission image for None."""
        return self.images.get(plane_key(plane, method))


def polar_key(road: Road, frame: Frame, method: Method) -> str:
    """Return the key of a polar map."""
    return f"polar|{road.value}|{frame.value}|{method.value}"


def plane_key(plane: Plane, method: Method | None) -> str:
    """Return the key of a slice."""
    return f"{plane.value}|{method.value if method else EMISSION}"


def write_arrays(path: Path, arrays: ScanArrays) -> None:
    """Write a scan's images so that they are whole or not there."""
    content: dict[str, NDArray[np.generic]] = {"voxel_mm": np.array(arrays.voxel_mm)}
    content |= {key: image.astype(np.float32) for key, image in arrays.images.items()}
    packed = BytesIO()
    np.savez_compressed(packed, **content)  # type: ignore[arg-type] # stubs
    write_whole(path, packed.getvalue())


def read_arrays(path: Path) -> ScanArrays:
    """Return a scan's images; raises FileNotFoundError, or KeyError or ValueError if the file is none of these."""
    with np.load(path, allow_pickle=False) as kept:
        images = {key: kept[key].astype(np.float32) for key in kept.files if key != "voxel_mm"}
        return ScanArrays(float(kept["voxel_mm"]), images)
