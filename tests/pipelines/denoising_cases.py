"""Models and acquisitions for the tests of denoising: small, and independent of the weights that are shipped."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.contract import Acquisition, CardiacState, PatientSex
from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Projections
from pipelines.networks.denoiser import ARCHITECTURE, Denoiser
from pipelines.networks.weights import ModelCard, write_model
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.quality.denoising_guard import CHECKS
from tests.pipelines.cardiac import hearts

GRID = VoxelGrid.axial((32, 32, 32), (6.4, 6.4, 6.4), (45.0, -30.0, 10.0))
GEOMETRY = AcquisitionGeometry(
    tuple(225.0 - 6.0 * view for view in range(30)), (6.4, 6.4), 32, 32, (250.0,) * 30, isocenter_mm=(45.0, -30.0, 10.0)
)
PHOTOPEAK, SCATTER = EnergyWindow(126.45, 154.55, "Tc99m"), EnergyWindow(108.0, 126.0, "scatter")
COUNTS = 4e5


def a_model(folder: Path, *, limit: float = 1e9, flat: bool = False, version: str = "1.0.0") -> Path:
    """Write a denoiser of two untrained networks: Gaussian filters, that is; return the folder.

    `limit` is every threshold of the guard; a `flat` one paints every view gray.
    """
    networks = [Denoiser(width=2) for _ in range(2)]
    if flat:
        for network in networks:
            torch.nn.init.constant_(torch.as_tensor(network.correction.bias), 300.0)
    thresholds = {f"{check.figure}.{level}": limit for check in CHECKS for level in ("warn", "quarantine")}
    card = ModelCard(
        "denoiser", version, ARCHITECTURE, {"width": 2}, {}, (0, 1), {}, "no patients: a Gaussian filter", thresholds
    )
    write_model(folder, card, [network.state_dict() for network in networks])
    return folder


def an_acquisition(
    *, gates: int = 1, windows: int = 1, upside_down: bool = False, counts: float = COUNTS
) -> Acquisition:
    """Return a woman's heart under stress as a camera counts it; the second window holds a fifth as much."""
    expected = _expected()
    if upside_down:
        expected = expected[:, ::-1]
    shares = np.array([1.0, 0.2])[:windows, None, None, None, None] / gates
    noise = np.random.default_rng(11)
    drawn = noise.poisson(shares * np.broadcast_to(counts * expected, (windows, gates, *expected.shape)))
    projections = Projections(drawn.astype(np.float32), GEOMETRY, (PHOTOPEAK, SCATTER)[:windows], view_time_s=20.0)
    return Acquisition("1.2.3", projections, state=CardiacState.STRESS, sex=PatientSex.FEMALE, injected_mbq=185.0)


@cache
def _expected() -> NDArray[np.float64]:
    """Return the share of all counts that each pixel is expected to hold."""
    activity = torch.from_numpy(hearts.seen(hearts.Heart(), GRID).values)[None]
    counts = SystemMatrix(GEOMETRY, GRID).forward_project(activity)[0].numpy()
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def with_empty_view(acquisition: Acquisition, view: int) -> Acquisition:
    """Return an acquisition in which the camera counted nothing at a view."""
    assert acquisition.projections is not None
    counts = acquisition.projections.counts.copy()
    counts[:, :, view] = 0
    return replace(acquisition, projections=replace(acquisition.projections, counts=counts))
