"""The figures by which the camera model is judged, against formulas and the independent analytic camera."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pipelines.geometry import AcquisitionGeometry
from pipelines.physics.collimator import FocalSensitivity
from pipelines.physics.rotation import Support
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.reconstruct import natural_grid
from tests.accuracy.analytic import Ellipsoid, project_attenuated
from tests.accuracy.figures import Figure
from tests.accuracy.phantoms import THORAX, cylinder, orbit
from tests.accuracy.shared import SIEMENS, SUM, nrmse, thorax_camera
from tests.properties import adjoint_error


def adjointness(device: str) -> list[Figure]:
    """<A x, y> = <x, A^T y> in float32 for every option of the camera."""
    plain = orbit(9, 180.0, 24, 10, 6.4, start_deg=33.0)
    ellipse = tuple(200.0 + 40 * np.cos(np.deg2rad(2 * angle)) for angle in plain.angles_deg)
    flat = replace(plain, pixel_size_mm=(4.0, 7.0), rows=14, center_of_rotation_offset_mm=5.0)
    random = torch.Generator().manual_seed(1)
    cases: dict[str, tuple[AcquisitionGeometry, dict[str, Any], bool, int]] = {
        "no correction": (plain, {}, False, 1),
        "attenuation": (plain, {}, True, 1),
        "collimator": (plain, {"collimator": SIEMENS}, False, 1),
        "attenuation + collimator": (plain, {"collimator": SIEMENS}, True, 1),
        "non-circular orbit": (replace(plain, radius_mm=ellipse), {"collimator": SIEMENS}, True, 1),
        "oblong pixels, offset axis": (flat, {"collimator": SIEMENS}, True, 1),
        "whole grid as support": (plain, {"collimator": SIEMENS, "support": Support.GRID}, True, 1),
        "eight gates": (plain, {"collimator": SIEMENS}, True, 8),
        "multifocal sensitivity": (plain, {"sensitivity": FocalSensitivity()}, True, 1),
    }
    figures = []
    for name, (geometry, options, attenuated, gates) in cases.items():
        grid = natural_grid(geometry)
        if attenuated:
            options["mu_per_cm"] = 0.2 * torch.rand(grid.shape, generator=random)
        camera = SystemMatrix(geometry, grid, device=device, **options)
        x = torch.rand((gates, *grid.shape), generator=random).to(device)
        y = torch.rand((gates, geometry.views, geometry.rows, geometry.columns), generator=random).to(device)
        worst = max(adjoint_error(camera, x, y), adjoint_error(camera, x - x.mean(), y - y.mean()))
        figures.append(Figure("adjoint, relative error", name, worst, high=1e-6))
    return figures


def attenuated_cylinder(device: str) -> list[Figure]:
    """Projections of a water cylinder of 10 cm radius against (1 - exp(-mu L)) / mu."""
    figures = []
    for size, tolerance in ((64, 0.015), (128, 0.008)):
        geometry = orbit(8, 360.0, size, 4, 410.0 / size, start_deg=11.0)
        grid = natural_grid(geometry)
        water = cylinder(100.0)
        x = torch.from_numpy(water.activity_on(grid))[None].to(device)
        for attenuated in (False, True):
            mu = torch.from_numpy(water.mu_map_on(grid).values) if attenuated else None
            found = SystemMatrix(geometry, grid, mu_per_cm=mu, device=device).forward_project(x).cpu().numpy()[0]
            exact = project_attenuated(water.activity, water.attenuation if attenuated else (), geometry, None, 8)
            middle = slice(size // 2 - size // 8, size // 2 + size // 8)
            error = found[:, 2, middle] / exact[:, 2, middle] - 1
            name = f"{size}², {'attenuated' if attenuated else 'no attenuation'}"
            group = "cylinder against closed form"
            figures += [
                Figure(group, f"{name}: mean of central bins", abs(float(error.mean())), high=0.002, percent=True),
                Figure(group, f"{name}: worst central bin", float(np.abs(error).max()), high=tolerance, percent=True),
                Figure(
                    group,
                    f"{name}: total",
                    abs(float(found.sum() / exact.sum() - 1)),
                    high=tolerance / 1.5,
                    percent=True,
                ),
            ]
    return figures


def counts_kept(device: str) -> list[Figure]:
    """Every view counts the whole activity."""
    geometry = orbit(16, 360.0, 64, 40, 6.4, start_deg=7.0)
    grid = natural_grid(geometry)
    bodies = (Ellipsoid((20.0, 10.0, 5.0), (130.0, 95.0, 70.0), 1.0), THORAX.activity[4], THORAX.activity[5])
    x = torch.from_numpy(replace(THORAX, activity=bodies).activity_on(grid))[None].to(device)
    figures = []
    for name, collimator in (("no correction", None), ("collimator", SIEMENS)):
        views = (
            SystemMatrix(geometry, grid, collimator=collimator, device=device)
            .forward_project(x)
            .sum((0, 2, 3), dtype=SUM)
        )
        error = float((views / x.sum(dtype=SUM) - 1).abs().max())
        figures.append(Figure("counts per view kept", name, error, high=0.002, percent=True))
    return figures


def point_width(device: str) -> list[Figure]:
    """The width of a point at several depths against the collimator's formula (from the second moment)."""
    figures = []
    geometry = replace(orbit(2, 180.0, 129, 65, 3.2, start_deg=180.0), radius_mm=(206.4,) * 2)
    grid = natural_grid(geometry)
    camera = SystemMatrix(geometry, grid, collimator=SIEMENS, device=device)
    worst_across = worst_along = 0.0
    for depth in (8, 24, 40, 64, 88, 104, 120):
        point = torch.zeros((1, *grid.shape), device=device)
        point[0, 32, depth, 64] = 1.0
        view = camera.forward_project(point)[0, 0].double().cpu().numpy()  # detector at the front: y = 0 is nearest
        distance = 206.4 + (depth - 64) * 3.2
        expected = float(SIEMENS.fwhm_mm(np.array(distance)))
        worst_across = max(worst_across, abs(_fwhm_mm(view.sum(0), 3.2) / expected - 1))
        worst_along = max(worst_along, abs(_fwhm_mm(view.sum(1), 3.2) / expected - 1))
    group = "point width against formula, 2.7 to 38 cm"
    figures.append(Figure(group, "across", worst_across, high=0.01, percent=True))
    figures.append(Figure(group, "along the axis", worst_along, high=0.01, percent=True))
    return figures


def _fwhm_mm(profile: np.ndarray, pixel_mm: float) -> float:
    place = np.arange(profile.size)
    mean = (profile * place).sum() / profile.sum()
    return float(np.sqrt(8 * np.log(2) * (profile * (place - mean) ** 2).sum() / profile.sum()) * pixel_mm)


def quarter_turn(device: str) -> list[Figure]:
    """Turning the patient by 90 degrees is the same as starting the orbit elsewhere."""
    figures = []
    geometry = orbit(16, 360.0, 48, 8, 8.0, start_deg=0.0, clockwise=False)
    grid = natural_grid(geometry)
    x = torch.rand((1, *grid.shape), generator=torch.Generator().manual_seed(3)).to(device)
    camera = SystemMatrix(geometry, grid, collimator=SIEMENS, mu_per_cm=0.1 * x[0].cpu(), device=device)
    turned = torch.rot90(x, 1, (2, 3))  # y, x: the patient's front comes to his right, as seen by the views
    turned_camera = SystemMatrix(geometry, grid, collimator=SIEMENS, mu_per_cm=0.1 * turned[0].cpu(), device=device)
    straight = camera.forward_project(x)
    errors = [nrmse(turned_camera.forward_project(turned), straight.roll(by, 1)) for by in (4, -4)]
    figures.append(Figure("quarter turn", "turned patient against shifted views", min(errors), high=1e-5))
    return figures


def analytic_thorax(device: str) -> list[Figure]:
    """The thorax projected by the system matrix and by the independent analytic camera."""
    figures = []
    tolerances = {64: (0.025, 0.035, 0.015), 128: (0.012, 0.016, 0.006)}
    for size, limits in tolerances.items():
        geometry = orbit(2, 230.0, size, size * 5 // 8, 409.6 / size, start_deg=17.0)
        grid = natural_grid(geometry)
        x = torch.from_numpy(THORAX.activity_on(grid))[None].to(device)
        mu = torch.from_numpy(THORAX.mu_map_on(grid).values)
        cases = (
            (False, None, "no correction"),
            (True, None, "attenuation"),
            (True, SIEMENS, "attenuation + collimator"),
        )
        for (attenuated, collimator, name), limit in zip(cases, limits, strict=True):
            exact = project_attenuated(
                THORAX.activity,
                THORAX.attenuation if attenuated else (),
                geometry,
                collimator.sigma_mm if collimator else None,
            )
            camera = SystemMatrix(
                geometry, grid, mu_per_cm=mu if attenuated else None, collimator=collimator, device=device
            )
            edge = size // 16  # rows at the ends, where the analytic patient goes on and the voxels stop
            found = camera.forward_project(x)[0, :, edge:-edge].cpu()
            expected = torch.from_numpy(exact[:, edge:-edge])
            group = f"thorax {size}³ against analytic camera"
            total = abs(float(found.sum(dtype=SUM) / expected.sum() - 1))
            figures.append(Figure(group, f"{name}: NRMSE", nrmse(found, expected), high=limit, percent=True))
            figures.append(Figure(group, f"{name}: total", total, high=0.005, percent=True))
    return figures


def gates_and_repeats(device: str) -> list[Figure]:
    """Gates are independent columns of one linear map; the same input gives the same bits."""
    geometry = orbit(12, 180.0, 32, 12, 8.0)
    grid = natural_grid(geometry)
    camera = thorax_camera(geometry, grid, device)
    gates = torch.rand((8, *grid.shape), generator=torch.Generator().manual_seed(5)).to(device)
    together = camera.forward_project(gates).sum(0, keepdim=True)
    once = camera.forward_project(gates.sum(0, keepdim=True))
    again = camera.back_project(once)
    return [
        Figure("gates", "sum of 8 projected gates against the projected sum", nrmse(together, once), high=1e-6),
        Figure(
            "repeats", "values that differ in a second run", int((camera.back_project(once) != again).sum()), high=0
        ),
    ]


def derivative(device: str) -> list[Figure]:
    """The map is differentiable: autograd's gradient is the adjoint."""
    geometry = orbit(6, 180.0, 16, 6, 16.0)
    grid = natural_grid(geometry)
    camera = thorax_camera(geometry, grid, device)
    x = torch.rand((1, *grid.shape), generator=torch.Generator().manual_seed(6)).to(device).requires_grad_()
    weight = torch.rand((1, 6, 6, 16), generator=torch.Generator().manual_seed(7)).to(device)
    (gradient,) = torch.autograd.grad((camera.forward_project(x).square() * weight).sum(), x)
    by_hand = camera.back_project(2 * weight * camera.forward_project(x.detach()))
    return [Figure("derivative", "autograd against A^T", nrmse(gradient, by_hand), high=1e-6)]
