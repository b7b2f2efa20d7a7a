"""Left and right, head and feet, front and back, and the sense of rotation, on an asymmetric object at known places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections, Volume
from pipelines.reconstruction.reconstruct import Settings, reconstruct
from tests.accuracy.analytic import Ellipsoid, project

# Three balls of different strength: left-front-head, right-back-feet, and one near the axis to the left-back.
PLACES_MM = {1.0: (50.0, -40.0, 30.0), 0.6: (-60.0, 25.0, -25.0), 0.35: (15.0, 45.0, 10.0)}
TC99M = (EnergyWindow(126.0, 154.0),)


def balls(isocenter_mm: tuple[float, float, float]) -> list[Ellipsoid]:
    return [
        Ellipsoid(tuple(float(p + o) for p, o in zip(place, isocenter_mm, strict=True)), (14.0,) * 3, strength)  # type: ignore[arg-type]
        for strength, place in PLACES_MM.items()
    ]


def arc(start_deg: float, arc_deg: float, views: int, clockwise: bool) -> tuple[float, ...]:
    step = arc_deg / views * (-1 if clockwise else 1)
    return tuple(start_deg + step * view for view in range(views))


def acquire(geometry: AcquisitionGeometry) -> Projections:
    counts = project(balls(geometry.isocenter_mm), geometry, subsamples=2)
    return Projections(counts[None, None].astype(np.float32), geometry, TC99M)


def found_mm(volume: Volume, around_mm: np.ndarray, reach_mm: float = 22.0) -> np.ndarray:
    """Return the LPS center of mass of what the volume holds within reach of a place."""
    z, y, x = np.indices(volume.grid.shape)
    index = np.stack([x, y, z, np.ones_like(x)]).reshape(4, -1)
    position = (volume.grid.matrix @ index)[:3]
    near = np.linalg.norm(position - around_mm[:, None], axis=0) < reach_mm
    weight = volume.values.reshape(-1)[near].astype(np.float64)
    center: np.ndarray = position[:, near] @ weight / max(weight.sum(), 1e-12)
    return center


def worst_error_mm(volume: Volume, isocenter_mm: tuple[float, float, float]) -> float:
    expected = [np.array(place) + isocenter_mm for place in PLACES_MM.values()]
    return max(float(np.linalg.norm(found_mm(volume, place) - place)) for place in expected)


def strengths(volume: Volume, isocenter_mm: tuple[float, float, float]) -> list[float]:
    """Return the activity within reach of each place, as a share of the whole."""
    z, y, x = np.indices(volume.grid.shape)
    position = (volume.grid.matrix @ np.stack([x, y, z, np.ones_like(x)]).reshape(4, -1))[:3]
    shares = []
    for place in PLACES_MM.values():
        near = np.linalg.norm(position - (np.array(place) + isocenter_mm)[:, None], axis=0) < 22.0
        shares.append(float(volume.values.reshape(-1)[near].sum() / volume.values.sum()))
    return shares


ORBITS = {
    "180 degrees clockwise, right front to left back": arc(225.0, 180.0, 30, True),
    "180 degrees counter-clockwise, left back to right front": arc(45.0, 180.0, 30, False),
    "360 degrees counter-clockwise from the front": arc(180.0, 360.0, 40, False),
    "360 degrees clockwise from an odd angle": arc(-71.3, 360.0, 40, True),
    "208 degrees clockwise": arc(239.0, 208.0, 34, True),
    "two heads at 90 degrees, clockwise, head by head": arc(225.0, 90.0, 16, True) + arc(135.0, 90.0, 16, True),
    "two heads at 180 degrees, counter-clockwise": arc(0.0, 180.0, 20, False) + arc(180.0, 180.0, 20, False),
}


@pytest.mark.parametrize("angles", ORBITS.values(), ids=ORBITS.keys())
def test_every_ball_comes_back_at_its_place_and_strength(angles: tuple[float, ...]) -> None:
    geometry = AcquisitionGeometry(angles, (6.4, 6.4), 24, 40)
    volume = reconstruct(acquire(geometry), Settings(10, 2))
    assert worst_error_mm(volume, geometry.isocenter_mm) < 1.0
    assert strengths(volume, geometry.isocenter_mm) == pytest.approx(
        np.array(list(PLACES_MM)) / sum(PLACES_MM), abs=0.03
    )


def test_pixels_that_are_no_squares_a_shifted_isocenter_and_an_offset_axis() -> None:
    geometry = AcquisitionGeometry(
        ORBITS["180 degrees clockwise, right front to left back"],
        (4.0, 6.0),
        32,
        44,
        isocenter_mm=(12.0, -130.0, 400.0),
        center_of_rotation_offset_mm=7.5,
    )
    volume = reconstruct(acquire(geometry), Settings(10, 2))
    assert worst_error_mm(volume, geometry.isocenter_mm) < 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(
            lambda g: replace(g, angles_deg=tuple(2 * g.angles_deg[0] - a for a in g.angles_deg)), id="direction"
        ),
        pytest.param(lambda g: replace(g, angles_deg=tuple(a + 90.0 for a in g.angles_deg)), id="start angle"),
        pytest.param(lambda g: replace(g, angles_deg=g.angles_deg[16:] + g.angles_deg[:16]), id="order of the heads"),
        pytest.param(lambda g: replace(g, center_of_rotation_offset_mm=20.0), id="offset of the axis"),
    ],
)
def test_a_wrong_reading_of_the_geometry_moves_the_balls(wrong) -> None:  # type: ignore[no-untyped-def]
    angles = ORBITS["two heads at 90 degrees, clockwise, head by head"]
    geometry = AcquisitionGeometry(angles, (6.4, 6.4), 24, 40)
    acquired = acquire(geometry)
    misread = replace(acquired, geometry=wrong(geometry))
    assert worst_error_mm(reconstruct(acquired, Settings(10, 2)), geometry.isocenter_mm) < 1.0
    assert worst_error_mm(reconstruct(misread, Settings(10, 2)), geometry.isocenter_mm) > 4.0


def test_rows_turned_upside_down_swap_head_and_feet() -> None:
    geometry = AcquisitionGeometry(ORBITS["360 degrees counter-clockwise from the front"], (6.4, 6.4), 24, 40)
    acquired = acquire(geometry)
    upside_down = replace(acquired, counts=acquired.counts[..., ::-1, :].copy())
    assert worst_error_mm(reconstruct(upside_down, Settings(10, 2)), geometry.isocenter_mm) > 4.0
