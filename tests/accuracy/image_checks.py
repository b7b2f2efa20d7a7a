"""The figures by which reconstructed images are judged, against phantoms of known truth."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry
from pipelines.images import Unit, Volume
from pipelines.physics.collimator import FocalSensitivity, Nodes
from pipelines.physics.rotation import Support
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.osem import Subset, log_likelihood, osem
from pipelines.reconstruction.prac import PracSettings, prac
from pipelines.reconstruction.reconstruct import Settings, natural_grid, reconstruct, uniform_start
from tests.accuracy.analytic import Ellipsoid, project, project_attenuated
from tests.accuracy.figures import Figure
from tests.accuracy.phantoms import MYOCARDIUM, THORAX, cylinder, orbit
from tests.accuracy.shared import SIEMENS, SUM, acquired, nrmse, thorax_camera


def flatness(device: str) -> list[Figure]:
    """A cylinder's reconstruction from closed-form data: cupped without attenuation correction, flat with it."""
    geometry = orbit(64, 180.0, 64, 4, 6.4)
    grid = natural_grid(geometry)
    water = cylinder(100.0)
    data = acquired(project_attenuated(water.activity, water.attenuation, geometry, None, 4), geometry)
    mu_map = water.mu_map_on(grid)
    plain = reconstruct(data, Settings(10, 4), device).values[1:3].mean(0)
    corrected = reconstruct(data, Settings(10, 4), device, mu_map).values[1:3].mean(0)
    radius = np.hypot(*(np.indices(plain.shape) - (plain.shape[0] - 1) / 2)) * 6.4
    truth = float(np.prod(grid.voxel_mm))

    def mean(image: np.ndarray, low: float, high: float) -> float:
        return float(image[(radius >= low) & (radius < high)].mean())

    rings = [mean(corrected, low, low + 10.0) / truth for low in range(0, 80, 10)]
    ratio = mean(plain, 0.0, 20.0) / mean(plain, 60.0, 80.0)
    group = "flatness of a 20 cm cylinder"
    return [
        Figure(group, "centre / edge without correction", ratio, 0.6, 0.8),
        Figure(group, "centre / edge with correction", rings[0] / rings[-1], 0.98, 1.02),
        Figure(group, "mean within 8 cm against truth", mean(corrected, 0.0, 80.0) / truth, 0.985, 1.015),
        Figure(group, "worst ring of 1 cm", max(abs(ring - 1) for ring in rings), high=0.015, percent=True),
    ]


def mlem(device: str) -> list[Figure]:
    """MLEM's likelihood rises with every update, and each update explains exactly the counts there are."""
    geometry = orbit(16, 180.0, 32, 16, 12.8)
    grid = natural_grid(geometry)
    camera = thorax_camera(geometry, grid, device)
    x = torch.from_numpy(THORAX.activity_on(grid))[None].to(device)
    expected = camera.forward_project(x)
    counts = torch.poisson(expected.cpu() * 4e5 / float(expected.sum()), generator=torch.Generator().manual_seed(2))
    data = [Subset(camera, counts.to(device))]
    likelihoods, sums = [], []

    def watch(_: int, activity: Tensor) -> bool:
        likelihoods.append(log_likelihood(data, activity))
        sums.append(float(camera.forward_project(activity).sum(dtype=SUM) / counts.sum(dtype=SUM)))
        return False

    osem(data, uniform_start(data[0].measured, grid), 60, watch)
    falls = sum(later <= earlier for earlier, later in itertools.pairwise(likelihoods))
    return [
        Figure("MLEM, 60 updates", "updates at which the likelihood did not rise", falls, high=0),
        Figure("MLEM, 60 updates", "sum of expected / sum of measured - 1", max(abs(s - 1) for s in sums), high=1e-6),
    ]


def empty_bins(device: str) -> list[Figure]:
    """Noise-free data with empty bins, 128 updates with attenuation and blur: finite, positive, counts right."""
    geometry = orbit(30, 180.0, 32, 16, 12.8)
    grid = natural_grid(geometry)
    camera = thorax_camera(geometry, grid, device)
    heart = torch.from_numpy(replace(THORAX, activity=THORAX.activity[4:]).activity_on(grid))[None].to(device)
    subsets = [camera.subset(range(first, 30, 2)) for first in (0, 1)]
    data = [Subset(part, part.forward_project(heart)) for part in subsets]
    found = osem(data, uniform_start(data[0].measured, grid), 64)
    group = "empty bins, 64 iterations x 2 subsets"
    return [
        Figure(group, "values that are negative or not finite", int((~(found >= 0)).sum()), high=0),
        Figure(
            group, "total activity / truth - 1", abs(float(found.sum() / heart.sum()) - 1), high=0.005, percent=True
        ),
    ]


def speedups(device: str) -> list[Figure]:
    """What each speed-up costs in the image: blurs shared between nodes, the circular support, float32."""
    geometry = orbit(32, 180.0, 48, 24, 8.0)
    ellipse = tuple(210.0 + 30 * float(np.cos(np.deg2rad(2 * angle))) for angle in geometry.angles_deg)
    figures = []
    for name, orbit_ in (("circular orbit", geometry), ("non-circular orbit", replace(geometry, radius_mm=ellipse))):
        nodes, exact = _image_pair(orbit_, device, lambda camera: _with_own_blur_per_plane(camera))
        figures.append(
            Figure(
                "a dozen blurs in place of one per plane",
                f"{name}: image",
                nrmse(nodes, exact),
                high=2e-3,
                percent=True,
            )
        )
    circle, whole = _image_pair(geometry, device, lambda camera: None, support=Support.GRID)
    figures.append(
        Figure("circular support against whole grid", "image", nrmse(circle, whole), high=0.01, percent=True)
    )
    single, double = _image_pair(geometry, device, lambda camera: None, dtype=torch.float64)
    figures.append(Figure("float32 against float64", "image", nrmse(single, double), high=1e-5))
    return figures


def _image_pair(
    geometry: AcquisitionGeometry, device: str, change: Callable[[SystemMatrix], None], **options: Any
) -> tuple[Tensor, Tensor]:
    """Return the same noisy thorax reconstructed (8 x 2, attenuation and blur) by the camera as is and as changed."""
    grid = natural_grid(geometry)
    mu = torch.from_numpy(THORAX.mu_map_on(grid).values)
    x = torch.from_numpy(THORAX.activity_on(grid))[None].to(device)
    expected = SystemMatrix(geometry, grid, mu_per_cm=mu, collimator=SIEMENS, device=device).forward_project(x).cpu()
    counts = torch.poisson(expected * 2e6 / float(expected.sum()), generator=torch.Generator().manual_seed(4)).to(
        device
    )
    images = []
    for changed in (False, True):
        chosen = options if changed else {}
        dtype = chosen.get("dtype", torch.float32)
        parts = []
        for first in (0, 1):
            views = list(range(first, geometry.views, 2))
            whole = SystemMatrix(geometry, grid, mu_per_cm=mu, collimator=SIEMENS, device=device, **chosen)
            camera = whole.subset(views)
            if changed:
                change(camera)
            parts.append(Subset(camera, counts[:, views].to(dtype)))
        images.append(osem(parts, uniform_start(parts[0].measured, grid), 8))
    disc = images[0] > 0
    return images[0][disc], images[1][disc]


def _with_own_blur_per_plane(camera: SystemMatrix) -> None:
    """Give the camera so many nodes that every plane has a blur of its own width."""
    radius = camera.geometry.radius_mm
    assert radius is not None
    camera._nodes = Nodes.of(SIEMENS, radius, camera._frame.depth_mm().numpy(), ratio=1.02)


def orientation(device: str) -> list[Figure]:
    """A point left, front and toward the head comes back there, for both senses of rotation and odd orbits."""
    place = (50.0, -40.0, 30.0)
    ball = (Ellipsoid(place, (14.0, 14.0, 14.0), 1.0),)
    figures = []
    for name, start, arc, clockwise in (
        ("clockwise, 180° from 225°", 225.0, 180.0, True),
        ("counter-clockwise, 180° from 45°", 45.0, 180.0, False),
        ("clockwise, 208° from 239°", 239.0, 208.0, True),
        ("counter-clockwise, 360° from -71.3°", -71.3, 360.0, False),
    ):
        geometry = orbit(32, arc, 40, 24, 6.4, start, clockwise)
        volume = reconstruct(acquired(project(ball, geometry, 2), geometry), Settings(10, 2), device)
        figures.append(Figure("asymmetric point, error in mm", name, _distance_mm(volume, place), high=1.0))
        if start == 225.0:
            misread = replace(geometry, angles_deg=tuple(2 * start - angle for angle in geometry.angles_deg))
            wrong = reconstruct(acquired(project(ball, geometry, 2), misread), Settings(10, 2), device)
            figures.append(
                Figure(
                    "asymmetric point, error in mm", "sense of rotation misread", _distance_mm(wrong, place), low=10.0
                )
            )
    return figures


def _distance_mm(volume: Volume, place: tuple[float, float, float]) -> float:
    index = np.indices(volume.grid.shape).reshape(3, -1)[::-1]
    position = (volume.grid.matrix @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    weight = volume.values.ravel().astype(np.float64)
    return float(np.linalg.norm(position @ weight / weight.sum() - place))


def recovery(device: str) -> list[Figure]:
    """What modelling the collimator's blur gives back of the heart, from blurred and attenuated analytic data."""
    geometry = orbit(32, 180.0, 52, 30, 8.0)
    grid = natural_grid(geometry)
    data = acquired(project_attenuated(THORAX.activity, THORAX.attenuation, geometry, SIEMENS.sigma_mm), geometry)
    mu_map = THORAX.mu_map_on(grid)
    truth = THORAX.activity_on(grid)
    heart = replace(THORAX, activity=MYOCARDIUM).activity_on(grid) > 0.7 * float(np.prod(grid.voxel_mm))
    limits = {8: (0.6, 0.68), 24: (0.6, 0.8)}
    figures = []
    for iterations, low in limits.items():
        for collimator, least, name in zip((None, SIEMENS), low, ("AC", "AC + CDR"), strict=True):
            image = reconstruct(data, Settings(iterations, 2, collimator=collimator), device, mu_map).values
            found = float(image[heart].mean() / truth[heart].mean())
            figures.append(Figure("myocardium / truth", f"{name}, {iterations} x 2", found, least, 1.05))
    return figures


def post_reconstruction(device: str) -> list[Figure]:
    """PRAC against direct attenuation correction of the same data: error of the body and of the heart's segments."""
    geometry = orbit(64, 180.0, 64, 40, 6.4)
    grid = natural_grid(geometry)
    data = acquired(project_attenuated(THORAX.activity, THORAX.attenuation, geometry), geometry)
    mu_map = THORAX.mu_map_on(grid)
    uncorrected = reconstruct(data, Settings(), device)
    direct = reconstruct(data, Settings(), device, mu_map).values
    other_arc = PracSettings(angles_deg=tuple(6.0 * view for view in range(60)))
    images = {
        "uncorrected": uncorrected,
        "PRAC": prac(uncorrected, mu_map, device=device),
        "PRAC, even start, 8 x 2": prac(uncorrected, mu_map, PracSettings(8, warm_start=False), device),
        "PRAC, virtual views over 360° of a volume from 180°": prac(uncorrected, mu_map, other_arc, device),
    }
    limits = {"uncorrected": (0.8, 0.07), "PRAC": (0.22, 0.04), "PRAC, even start, 8 x 2": (0.24, 0.04)}
    figures = []
    for name, image in images.items():
        for what, value, limit in zip(
            ("body NRMSE", "segments"),
            _prac_errors(image.values, direct, mu_map),
            limits.get(name, (0.3, 0.1)),
            strict=True,
        ):
            figures.append(Figure("PRAC against direct AC", f"{name}: {what}", value, high=limit, percent=True))
    return figures


def multifocal(device: str) -> list[Figure]:
    """PRAC of a volume from a camera with multifocal sensitivity, with that sensitivity and with parallel holes."""
    geometry = orbit(34, 208.0, 64, 40, 6.4, start_deg=239.0)
    grid = natural_grid(geometry)
    focus = FocalSensitivity()
    mu_map = THORAX.mu_map_on(grid)
    mu = torch.from_numpy(mu_map.values)
    x = torch.from_numpy(THORAX.activity_on(grid))[None].to(device)
    counts = SystemMatrix(geometry, grid, mu_per_cm=mu, sensitivity=focus, device=device).forward_project(x)

    def reconstructed(mu_per_cm: Tensor | None) -> Tensor:
        camera = SystemMatrix(geometry, grid, mu_per_cm=mu_per_cm, sensitivity=focus, device=device)
        halves = [list(range(first, 34, 2)) for first in (0, 1)]
        data = [Subset(camera.subset(views), counts[:, views]) for views in halves]
        return osem(data, uniform_start(counts, grid), 8)[0].cpu().contiguous()

    direct = reconstructed(mu).numpy()
    uncorrected = Volume(reconstructed(None).numpy(), grid, Unit.PROPORTIONAL_COUNTS)
    figures = []
    for name, sensitivity, limit in (("multifocal", focus, 0.06), ("parallel", None, 0.08)):
        settings = PracSettings(angles_deg=geometry.angles_deg, sensitivity=sensitivity)
        _, segments = _prac_errors(prac(uncorrected, mu_map, settings, device).values, direct, mu_map)
        figures.append(
            Figure("PRAC of multifocal data, 208°", f"{name} sensitivity: segments", segments, high=limit, percent=True)
        )
    return figures


def _prac_errors(image: np.ndarray, direct: np.ndarray, mu_map: Volume) -> tuple[float, float]:
    """Return the error of the body (NRMSE) and of the heart's segments, of the largest."""
    body = mu_map.values > 0.02
    voxel = float(np.prod(mu_map.grid.voxel_mm))
    heart = replace(THORAX, activity=MYOCARDIUM).activity_on(mu_map.grid) > 0.7 * voxel
    error = float(np.linalg.norm((image - direct)[body]) / np.linalg.norm(direct[body]))
    return error, _segment_error(image, direct, heart)


def _segment_error(image: np.ndarray, reference: np.ndarray, heart: np.ndarray) -> float:
    """Return the mean difference of 18 sectors of the heart, each image scaled to its own highest sector."""
    z, y, x = np.nonzero(heart)
    angle = np.arctan2(y - y.mean(), x - x.mean())
    third = np.digitize(z, np.quantile(z, (1 / 3, 2 / 3)))
    sector = (np.floor((angle + np.pi) / (2 * np.pi) * 6).astype(int) % 6) + 6 * third
    means = [np.array([values[heart][sector == k].mean() for k in range(18)]) for values in (image, reference)]
    return float(np.abs(means[0] / means[0].max() - means[1] / means[1].max()).mean())
