"""Filtered back projection gives the right level on any arc, and sees what OSEM sees."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections
from pipelines.reconstruction.fbp import fbp, view_weights
from pipelines.reconstruction.filters import Butterworth
from pipelines.reconstruction.reconstruct import natural_grid
from tests.accuracy.analytic import Ellipsoid, project, voxelize
from tests.accuracy.phantoms import orbit

ARCS = [(60, 180.0, 225.0, True), (60, 360.0, 10.0, False), (34, 208.0, 239.0, True)]
BODIES = (
    Ellipsoid((0.0, 0.0, 0.0), (120.0, 90.0, 300.0), 1.0),
    Ellipsoid((50.0, -30.0, 0.0), (30.0, 30.0, 300.0), 2.0),
)


@pytest.mark.parametrize("arc", ARCS)
def test_the_levels_of_two_organs_are_right_on_every_arc(arc: tuple[int, float, float, bool]) -> None:
    views, degrees, start, clockwise = arc
    geometry = orbit(views, degrees, 64, 4, 6.4, start, clockwise)
    counts = project(BODIES, geometry, 4)[None, None].astype(np.float32)
    volume = fbp(Projections(counts, geometry, (EnergyWindow(126.0, 154.0),)))
    truth = voxelize(BODIES, natural_grid(geometry))[2]
    found = volume.values[2]
    y, x = np.indices(truth.shape) * 6.4 - 201.6
    for organ in (np.hypot(x - 50.0, y + 30.0) < 20.0, np.hypot(x + 40.0, y) < 30.0):  # clear of the edges
        assert found[organ].mean() == pytest.approx(truth[organ].mean(), rel=0.02)


def test_a_window_takes_noise_off() -> None:
    geometry = orbit(60, 180.0, 64, 4, 6.4)
    counts = np.random.default_rng(3).poisson(project(BODIES, geometry, 2) / 1e3)[None, None].astype(np.float32)
    projections = Projections(counts, geometry, (EnergyWindow(126.0, 154.0),))
    rough, smooth = fbp(projections), fbp(projections, Butterworth.of_nyquist(0.45, 6.4, 5))
    body = (slice(1, 3), slice(28, 36), slice(20, 28))
    assert smooth.values[body].std() < 0.6 * rough.values[body].std()


@pytest.mark.parametrize("arc", ARCS)
def test_the_weights_of_the_views_add_up_to_half_a_turn(arc: tuple[int, float, float, bool]) -> None:
    views, degrees, start, clockwise = arc
    assert view_weights(orbit(views, degrees, 8, 8, 6.4, start, clockwise)).sum() == pytest.approx(np.pi)


def test_opposite_views_share_their_weight() -> None:
    weights = view_weights(AcquisitionGeometry((0.0, 60.0, 120.0, 180.0), (6.4, 6.4), 4, 4))
    np.testing.assert_allclose(weights, np.pi / 3 * np.array([0.5, 1.0, 1.0, 0.5]))
