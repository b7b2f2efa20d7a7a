"""The table is found behind the patient, taken out without touching the patient, and put back."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, UnsuitableAcquisition, Volume
from pipelines.physics.table import find_table, with_table, without_table
from pipelines.resampling import resample
from tests.pipelines.training.maps import map_grid, tissues


def a_map(*, table: bool = True) -> Volume:
    return Volume(tissues(map_grid(), 3, table=table)[0].astype(np.float32), map_grid(), Unit.PER_CM)


def test_without_its_table_the_map_is_the_patient() -> None:
    assert np.array_equal(without_table(a_map()).values, a_map(table=False).values)


def test_a_patient_without_a_table_stays_as_he_is() -> None:
    alone = a_map(table=False)
    assert np.array_equal(without_table(alone).values, alone.values)
    assert not find_table(alone).mu_per_cm.any()


def test_the_table_that_was_found_is_the_one_that_was_there() -> None:
    there = a_map().values[0] - a_map(table=False).values[0]
    assert np.allclose(find_table(a_map()).mu_per_cm, there, atol=1e-6)


def test_a_table_is_found_where_the_patient_hides_it_in_most_slices() -> None:
    whole = a_map()
    values = whole.values.copy()
    values[4:, 30:, 20:28] = 0.155  # a back that bends over the table's middle
    bent = Volume(values, whole.grid, whole.unit)
    assert find_table(bent).mu_per_cm[:, 20:28].max() == pytest.approx(0.05)
    assert np.array_equal(without_table(bent).values[4:, 30:, 20:28], values[4:, 30:, 20:28])


def test_put_back_it_makes_the_measured_map_again_also_on_another_grid() -> None:
    table = find_table(a_map())
    assert np.allclose(with_table(a_map(table=False), table).values, a_map().values, atol=1e-6)
    coarse = VoxelGrid.axial((20, 24, 24), (12.8, 12.8, 12.8), (0.0, 0.0, 0.0))
    put_back = with_table(resample(a_map(table=False), coarse), table).values
    assert np.abs(put_back - resample(a_map(), coarse).values).max() < 0.05


def test_rows_may_run_from_back_to_front() -> None:
    upright = a_map()
    matrix = upright.grid.matrix
    matrix[:3, 3] = upright.grid.position_mm(0, upright.grid.shape[1] - 1, 0)
    matrix[1, 1] *= -1
    grid = VoxelGrid(upright.grid.shape, tuple(map(tuple, matrix.tolist())))  # type: ignore[arg-type]
    turned = Volume(np.ascontiguousarray(upright.values[:, ::-1]), grid, Unit.PER_CM)
    assert np.array_equal(without_table(turned).values[:, ::-1], without_table(upright).values)
    assert np.array_equal(find_table(turned).mu_per_cm[::-1], find_table(upright).mu_per_cm)


def test_an_oblique_map_is_refused() -> None:
    matrix = map_grid().matrix
    matrix[0, 1] = 3.0
    oblique = VoxelGrid(map_grid().shape, tuple(map(tuple, matrix.tolist())))  # type: ignore[arg-type]
    with pytest.raises(UnsuitableAcquisition, match="not axial"):
        find_table(Volume(a_map().values, oblique, Unit.PER_CM))
