"""Accuracy, speed and memory on a GPU; needs torch, numpy and safetensors: `python -m tests.accuracy.gpu_check`."""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from pipelines.images import EnergyWindow, Projections
from pipelines.networks.denoise import LARGEST_BATCH, denoise, denoiser_bytes
from pipelines.networks.denoiser import WIDTH, Denoiser
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.device_memory import reconstruction_bytes
from pipelines.reconstruction.osem import Subset, ordered_subsets, osem
from pipelines.reconstruction.reconstruct import Settings, natural_grid, reconstruct_gates, uniform_start
from tests.accuracy.checks import CORE
from tests.accuracy.figures import Figure, markdown
from tests.accuracy.phantoms import THORAX, orbit
from tests.accuracy.shared import SIEMENS, nrmse

# name, views, arc, size, iterations, subsets, goal in ms per iteration
MEMBERS = 3  # networks of an ensemble
MOST_OF_ESTIMATE, LEAST_OF_ESTIMATE = 1.0, 0.1  # of what a study takes: the estimate holds, and isn't absurd
STUDIES = (("ungated", 1, 64), ("8 gates", 8, 64), ("ungated 128²", 1, 128))  # name, gates, size
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


def networks(device: str) -> list[Figure]:
    """Return how the denoiser's output differs from the CPU's, its time for a study, and memory against the estimate.

    The networks are untrained: sums and products are as many and as exact.
    """
    torch.manual_seed(1)
    ensemble = [Denoiser() for _ in range(MEMBERS)]
    for network in ensemble:
        torch.nn.init.normal_(network.correction.weight, std=0.1)
    figures = []
    for name, gates, size in STUDIES:
        study = _study(gates, size)
        on_cpu = denoise(study, 0.5, ensemble).expected.counts
        denoise(study, 0.5, ensemble, device)  # chooses its algorithms
        torch.cuda.reset_peak_memory_stats(device)
        held, started = torch.cuda.memory_allocated(device), _now(device)
        on_gpu = denoise(study, 0.5, ensemble, device).expected.counts
        seconds = _now(device) - started
        estimate = denoiser_bytes(LARGEST_BATCH, size, size, WIDTH, MEMBERS)
        taken = torch.cuda.max_memory_allocated(device) - max(held - _bytes_of(ensemble), 0)
        title = f"denoiser, {MEMBERS} networks, 64 views, {name}"
        difference = nrmse(torch.from_numpy(on_gpu), torch.from_numpy(on_cpu))
        figures += [
            Figure(title, "output against the CPU's", difference, high=1e-3),
            Figure(title, "ms per study", 1000 * seconds, high=2000.0),
            Figure(title, "peak memory over the estimate", taken / estimate, LEAST_OF_ESTIMATE, MOST_OF_ESTIMATE),
        ]
        figures.append(_memory_of_reconstruction(study, name, device))
        for network in ensemble:
            network.to("cpu")
    return figures


def _memory_of_reconstruction(study: Projections, name: str, device: str) -> Figure:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    held = torch.cuda.memory_allocated(device)
    reconstruct_gates(study, Settings(iterations=1, collimator=SIEMENS), device)
    taken = torch.cuda.max_memory_allocated(device) - held
    estimate = reconstruction_bytes(study.geometry, study.gates, Settings.subsets, blurred=True)
    figure = "peak memory over the estimate"
    return Figure(f"OSEM with blur, 64 views, {name}", figure, taken / estimate, LEAST_OF_ESTIMATE, MOST_OF_ESTIMATE)


def _study(gates: int, size: int) -> Projections:
    """Return counts as even as a phantom's."""
    geometry = orbit(64, 180.0, size, size, 409.6 / size)
    counts = np.random.default_rng(1).poisson(5.0, (1, gates, 64, size, size)).astype(np.float32)
    return Projections(counts, geometry, (EnergyWindow(126.0, 154.0),))


def _bytes_of(ensemble: list[Denoiser]) -> int:
    return sum(value.numel() * value.element_size() for network in ensemble for value in network.state_dict().values())


def main() -> int:
    """Measure on the first CUDA device; say plainly when there is none."""
    if not torch.cuda.is_available():
        print("NOT RUN: torch finds no CUDA device here. The GPU check says nothing about this machine.")
        return 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    figures = [figure for check in CORE for figure in check("cuda")]
    figures += timings("cuda") + networks("cuda")
    print(markdown(figures))
    missed = [figure for figure in figures if not figure.holds]
    print(f"{len(figures)} figures, {len(missed)} outside their tolerance")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
