"""One virtual patient through the whole attenuation evaluation, by the real road."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from pipelines.evaluation.attenuation import cases
from pipelines.evaluation.attenuation.arrays import Plane, ScanArrays
from pipelines.evaluation.attenuation.cases import SHIFTS_MM, carried, evaluate
from pipelines.evaluation.attenuation.maps import moved
from pipelines.evaluation.attenuation.material import segment_apes
from pipelines.evaluation.attenuation.models import ModelChoice, load_models
from pipelines.evaluation.attenuation.record import Frame, HeartFigures, Method, Road, ScanRecord
from pipelines.evaluation.attenuation.run import plans_of
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.registration.rigid import Registration
from tests.pipelines.evaluation.attenuation.records import tiny_models

Made = tuple[ScanRecord, ScanArrays]
NEAR, FAR = "5 mm to the left", "20 mm to the left"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A scan on a camera with few views and no scatter window; its map is moved twice only, each takes a second."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    tiny_models(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cases, "SHIFTS_MM", {name: SHIFTS_MM[name] for name in (NEAR, FAR)})
        yield evaluate(plans_of(30, 1)[0], "discovery", load_models(ModelChoice("tiny", folder, folder)), whole=True)
    torch.set_num_threads(threads)


def read(made: Made, road: Road, frame: Frame, method: Method) -> HeartFigures:
    found = made[0].reading(road, frame, method)
    assert found is not None
    return found


def ape(made: Made, road: Road, frame: Frame, method: Method) -> float:
    ours, theirs = (read(made, road, frame, one) for one in (method, Method.CTAC))
    return float(segment_apes(ours, theirs).mean())


def test_every_method_is_tried_by_both_roads_but_what_needs_a_scatter_window(made: Made) -> None:
    record, _ = made
    tried = {method.value for method in Method if method is not Method.OURS}
    assert set(record.hearts["PRAC"]["own"]) == set(record.hearts["PRAC"]["common"]) == tried
    assert set(record.hearts["OSEM"]["own"]) == tried - {Method.CHANG.value}
    assert set(record.maps) == tried - {Method.CHANG.value, Method.NONE.value}


def test_the_reference_is_free_of_error_and_other_maps_are_not(made: Made) -> None:
    maps = made[0].maps
    assert maps["CTAC"].nmae < 1e-3
    assert maps["CTAC"].nmae_box < 1e-3
    assert maps["CTAC"].dice["lung"] == pytest.approx(1.0, abs=0.01)
    assert maps["CTAC"].heart_factor < 1.0
    assert maps["CT, misregistered as usual"].nmae > maps["CTAC"].nmae
    assert 0.01 < maps["uniform, body's contour"].nmae < 0.15
    assert maps["uniform, body's contour"].nmae_box > maps["uniform, body's contour"].nmae  # without the air


@pytest.mark.parametrize("road", Road)
def test_without_correction_the_heart_is_off_by_percents_and_a_map_brings_it_back(made: Made, road: Road) -> None:
    off = ape(made, road, Frame.COMMON, Method.NONE)
    assert off > 3.0
    assert ape(made, road, Frame.COMMON, Method.CT_BY_HAND) < off
    assert ape(made, road, Frame.OWN, Method.CTAC) == 0.0


def test_the_farther_a_map_is_moved_the_worse(made: Made) -> None:
    record, _ = made
    assert set(record.shifted) == set(cases.SHIFTS_MM)
    reference = read(made, Road.OSEM, Frame.COMMON, Method.CTAC)
    near, far = (float(segment_apes(record.shifted[name], reference).mean()) for name in (NEAR, FAR))
    assert 0.0 < near < far


def test_a_map_is_moved_both_ways_along_each_axis_by_three_distances() -> None:
    assert (SHIFTS_MM[NEAR], SHIFTS_MM[FAR]) == ((5, 0, 0), (20, 0, 0))
    assert (SHIFTS_MM["10 mm forward"], SHIFTS_MM["5 mm toward the feet"]) == ((0, -10, 0), (0, 0, -5))
    moves = np.array(list(SHIFTS_MM.values()))
    assert len(np.unique(moves, axis=0)) == 18
    assert np.count_nonzero(moves, axis=1).tolist() == [1] * 18
    assert sorted(set(np.abs(moves).max(axis=1))) == [5, 10, 20]


def test_polar_maps_and_slices_of_all_maps_are_kept(made: Made) -> None:
    _, arrays = made
    for road in Road:
        assert arrays.polar(road, Frame.OWN, Method.CTAC) is not None
    axial = arrays.plane(Plane.AXIAL, Method.CTAC)
    assert axial is not None
    assert 0.1 < float(axial.max()) < 0.25
    coronal = arrays.plane(Plane.CORONAL, Method.OURS_PEAK)
    assert coronal is not None
    assert coronal.shape == (64, 64)


def test_a_registration_carries_places_of_its_map() -> None:
    quarter = Registration((1.0, 2.0, 3.0), (0.0, 0.0, 90.0), (10.0, 0.0, 0.0), 1.0, 1.0)
    np.testing.assert_allclose(carried(quarter, np.array([20.0, 0.0, 5.0])), (11.0, 12.0, 8.0), atol=1e-9)


def test_the_heart_of_a_misregistered_map_is_known_to_be_off(made: Made) -> None:
    record, _ = made
    by_hand, in_register = (record.registrations[one.value] for one in (Method.CT_REGISTERED, Method.CTAC_REGISTERED))
    assert by_hand.heart_before_mm > 1.0
    assert in_register.heart_before_mm == 0.0
    assert in_register.heart_after_mm < 6.0


def test_a_moved_map_lies_elsewhere_with_the_same_values() -> None:
    grid = VoxelGrid.axial((2, 3, 4), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0))
    volume = Volume(np.zeros((2, 3, 4), dtype=np.float32), grid, Unit.PER_CM)
    there = moved(volume, (1.0, -2.0, 3.0)).grid
    np.testing.assert_allclose(there.position_mm(0, 0, 0) - grid.position_mm(0, 0, 0), (1.0, -2.0, 3.0))
