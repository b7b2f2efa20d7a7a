"""The images that are kept of a test patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.evaluation.denoising.arrays import (
    FULL_DOSE,
    Kind,
    PatientArrays,
    arrays_path,
    image_name,
    read_arrays,
    write_arrays,
)
from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.images import Array


def test_images_are_read_as_they_were_written_and_what_is_not_there_is_none(tmp_path: Path) -> None:
    image = np.linspace(0, 400, 2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8)
    name = image_name(Dose.EIGHTH, Method.PAPER)
    images: dict[Kind, dict[str, Array]] = {
        Kind.PROJECTIONS: {FULL_DOSE: image, name: image[::-1]},
        Kind.SHORT_AXIS: {FULL_DOSE: image[:1]},
    }
    path = arrays_path(tmp_path, 7)
    write_arrays(path, PatientArrays(7, (45.0, 90.0), (6.4, 6.3), 6.4, (0, 40), (1, 3), images))
    read = read_arrays(path)
    assert (read.patient, read.angles_deg, read.pixel_size_mm) == (7, (45.0, 90.0), (6.4, 6.3))
    assert (read.voxel_mm, read.heart_rows, read.gated_views) == (6.4, (0, 40), (1, 3))
    for kind, named in images.items():
        for key, values in named.items():
            found = read.get(kind, key)
            assert found is not None
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, values, rtol=1e-3, atol=1e-3)
    assert read.get(Kind.POLAR_MAP, FULL_DOSE) is None
    assert [one.name for one in tmp_path.iterdir()] == ["7.npz"]
