"""The images of one test patient that figures are drawn from: `<patient>.npz` beside the record `<patient>.json`.

All values are float16 in the file and float32 once read. A file holds, per `Kind` and name of an image:

    projections               [view, row, column]         counts on the scale of the full dose, all gates together
    short axis                [slice, row, column]        reconstruction; slices apex to base, anterior up, septum left
    vertical long axis        [slice, row, column]        slices septum to lateral wall, anterior up, apex right
    horizontal long axis      [slice, row, column]        slices inferior to anterior wall, apex up, septum left
    polar map                 [ring (24), angle (72)]     counts; `pipelines.cardiac.polar_map.as_disk` draws it
    gated projections         [gate, view, row, column]   half dose alone; only the views in `gated_views`

Names of images are `NOISE_FREE`, `FULL_DOSE` and, with `image_name(dose, method)`, "half/low dose" and the like, for
the methods in `KEPT` (the paper's network only where it was trained). Projections of LOW_DOSE are divided by the dose,
so one gray scale fits a row of images. Slices of all images of a patient are cut in the frame of the full-dose
ventricle: slice 12 is the same place in each. Polar maps are those that the indices were read from: each in the frame
that was found in its own image. What isn't there (no ventricle found, network not trained) has no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.images import Array
from pipelines.networks.weights import write_whole

NOISE_FREE, FULL_DOSE = "noise-free", "full dose"  # the counts' expectation, and the reference
KEPT = (Method.LOW_DOSE, Method.PAPER, Method.FOR_IMAGES, Method.FULL)


class Kind(Enum):
    """What an image shows; the value is the first part of its key in the file."""

    PROJECTIONS = "projections"
    SHORT_AXIS = "short axis"
    VERTICAL_LONG_AXIS = "vertical long axis"
    HORIZONTAL_LONG_AXIS = "horizontal long axis"
    POLAR_MAP = "polar map"
    GATED_PROJECTIONS = "gated projections"


def image_name(dose: Dose, method: Method) -> str:
    """Return the name of what a method makes of a dose: "half/low dose"."""
    return f"{dose.value}/{method.value}"


@dataclass(frozen=True)
class PatientArrays:
    """The images of one patient. `images` is by kind and name; use `get`."""

    patient: int
    angles_deg: tuple[float, ...]  # of the projections' views
    pixel_size_mm: tuple[float, float]  # of the projections: between rows, between columns
    voxel_mm: float  # edge of the cubic voxels of the slices
    heart_rows: tuple[int, int]  # from, to (not included): rows of projections that the metrics without the liver use
    gated_views: tuple[int, ...]  # which views the gated projections are of
    images: Mapping[Kind, Mapping[str, Array]] = field(default_factory=dict)

    def get(self, kind: Kind, name: str) -> Array | None:
        """Return an image, None if it was not made."""
        return self.images.get(kind, {}).get(name)


def arrays_path(folder: Path, patient: int) -> Path:
    """Return the file of a patient in the folder of all patients."""
    return folder / f"{patient}.npz"


def write_arrays(path: Path, arrays: PatientArrays) -> None:
    """Write a patient's images so that they are whole or not there."""
    content: dict[str, NDArray[np.generic]] = {
        "patient": np.array(arrays.patient),
        "angles_deg": np.array(arrays.angles_deg),
        "pixel_size_mm": np.array(arrays.pixel_size_mm),
        "voxel_mm": np.array(arrays.voxel_mm),
        "heart_rows": np.array(arrays.heart_rows),
        "gated_views": np.array(arrays.gated_views, dtype=np.int64),
    }
    for kind, images in arrays.images.items():
        content |= {f"{kind.value}|{name}": image.astype(np.float16) for name, image in images.items()}
    packed = BytesIO()
    np.savez_compressed(packed, **content)  # type: ignore[arg-type] # stubs
    write_whole(path, packed.getvalue())


def read_arrays(path: Path) -> PatientArrays:
    """Return a patient's images; raises FileNotFoundError, or KeyError or ValueError if the file is none of these."""
    with np.load(path, allow_pickle=False) as kept:
        images: dict[Kind, dict[str, Array]] = {}
        for key in kept.files:
            kind, _, name = key.partition("|")
            if name:
                images.setdefault(Kind(kind), {})[name] = kept[key].astype(np.float32)
        pixel, rows = kept["pixel_size_mm"], kept["heart_rows"]
        return PatientArrays(
            patient=int(kept["patient"]),
            angles_deg=tuple(float(angle) for angle in kept["angles_deg"]),
            pixel_size_mm=(float(pixel[0]), float(pixel[1])),
            voxel_mm=float(kept["voxel_mm"]),
            heart_rows=(int(rows[0]), int(rows[1])),
            gated_views=tuple(int(view) for view in kept["gated_views"]),
            images=images,
        )
