"""The accuracy figures and timings on a GPU, with nothing but torch and numpy: `python -m tests.accuracy.gpu_check`."""

from __future__ import annotations

import sys
import time

import torch

from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.osem import Subset, ordered_subsets, osem
from pipelines.reconstruction.reconstruct import natural_grid, uniform_start
from tests.accuracy.checks import CORE
from tests.accuracy.figures import Figure, markdown
from tests.accuracy.phantoms import THORAX, orbit
from tests.accuracy.shared import SIEMENS, nrmse

# name, views, arc, size, iterations, subsets, goal in ms per iteration
CASES = (("64³, 64 views, 8 x 2", 64, 180.0, 64, 8, 2, 10.0), ("128³, 60 views, 10 x 6", 60, 360.0, 128, 10, 6, 60.0))


def reconstruct_on(
    device: str, case: tuple[str, int, float, int, int, int, float]
) -> tuple[torch.Tensor, float, float]:
    """Return a thorax reconstructed with attenuation and blur, the seconds of set-up, and seconds per iteration."""
    _, views, arc, size, iterations, subsets, _ = case
    geometry = orbit(views, arc, size, size, 409.6 / size)
    grid = natural_grid(geometry)
    mu = torch.from_numpy(THORAX.mu_map_on(grid).values)
    truth = torch.from_numpy(THORAX.activity_on(grid))[None].to(device)
    started = _now(device)
    camera = SystemMatrix(geometry, grid, mu_per_cm=mu, collimator=SIEMENS, device=device)
    parts = [camera.subset(chosen) for chosen in ordered_subsets(geometry.angles_deg, subsets)]
    data = [Subset(part, part.forward_project(truth)) for part in parts]  # makes the tables
    set_up = _now(device) - started
    start = uniform_start(data[0].measured, grid)
    osem(data, start, 1)
    started = _now(device)
    image = osem(data, start, iterations)
    return image.cpu(), set_up, (_now(device) - started) / iterations


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def timings(device: str) -> list[Figure]:
    """Return the time per iteration on the device and how its image differs from the CPU's."""
    figures = []
    for case in CASES:
        image, set_up, per_iteration = reconstruct_on(device, case)
        on_cpu, _, _ = reconstruct_on("cpu", case)
        name, goal = case[0], case[-1]
        figures.append(
            Figure(f"OSEM {name}, attenuation + collimator", "ms per iteration", 1000 * per_iteration, high=goal)
        )
        figures.append(Figure(f"OSEM {name}, attenuation + collimator", "set-up in ms", 1000 * set_up, high=1000.0))
        figures.append(
            Figure(f"OSEM {name}, attenuation + collimator", "image against the CPU's", nrmse(image, on_cpu), high=1e-4)
        )
    return figures


def main() -> int:
    """Measure on the first CUDA device; say plainly when there is none."""
    if not torch.cuda.is_available():
        print("NOT RUN: torch finds no CUDA device here. The GPU check says nothing about this machine.")
        return 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    figures = [figure for check in CORE for figure in check("cuda")] + timings("cuda")
    print(markdown(figures))
    missed = [figure for figure in figures if not figure.holds]
    print(f"{len(figures)} figures, {len(missed)} outside their tolerance")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
