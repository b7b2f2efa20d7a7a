"""OSEM beside PyTomography 3.4.0 in one process: time ratio, peak memory, image difference -> docs/reconstruction.md.

`python -m tests.benchmarks.bench_recon [--quick]`, or as a part of `make bench`. PyTomography lives in an environment
of its own (.venv-bench, made when missing): it is a yardstick here, never a dependency. Iterations of both run in turn,
so that whatever else the machine does falls on both; the ratio is the result, not the seconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry
from pipelines.physics.rotation import Support
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.osem import Subset, osem
from pipelines.reconstruction.reconstruct import natural_grid
from tests.accuracy import gpu_check
from tests.accuracy.analytic import project_attenuated
from tests.accuracy.phantoms import THORAX, orbit
from tests.accuracy.shared import SIEMENS
from tests.accuracy.table import DOCUMENT, replace_section
from tests.benchmarks.recon import ENVIRONMENT, ROOT, ReconTime, table

PEER = "pytomography==3.4.0"
FWHM_PER_SIGMA = 2.354820045


@dataclass(frozen=True)
class Case:
    """One reconstruction problem and the ratio to reach."""

    name: str
    size: int
    views: int
    arc_deg: float
    iterations: int
    subsets: int
    attenuation: bool
    collimator: bool
    goal: float  # times faster than the peer, per iteration
    limit_s: float | None = None  # for our whole reconstruction
    noisy: bool = True  # compare the images with noise too; the peer takes minutes for the large case

    @property
    def geometry(self) -> AcquisitionGeometry:
        """A circular orbit of 25 cm around a field of 41 cm."""
        return orbit(self.views, self.arc_deg, self.size, self.size, 409.6 / self.size, start_deg=225.0)


CASES = {
    "none": Case("64³, 64 views, 8 x 2, nothing", 64, 64, 180.0, 8, 2, False, False, 25.0),
    "ac": Case("64³, 64 views, 8 x 2, AC", 64, 64, 180.0, 8, 2, True, False, 50.0, 0.45),
    "cdr": Case("64³, 64 views, 8 x 2, AC + CDR", 64, 64, 180.0, 8, 2, True, True, 45.0, 1.0),
    "large": Case("128³, 60 views, 10 x 6, AC + CDR", 128, 60, 360.0, 10, 6, True, True, 35.0, 10.0, False),
}


@lru_cache
def mu_per_cm(size: int) -> Tensor:
    """Return the thorax's mu-map `[z, y, x]`; to make it takes more memory than a reconstruction, so it is kept."""
    grid = natural_grid(replace(CASES["none"], size=size).geometry)
    return torch.from_numpy(THORAX.mu_map_on(grid).values)


class Ours:
    """The product's reconstruction of a case; the subsets are those of the peer, in its order."""

    def __init__(self, case: Case, counts: Tensor, support: Support = Support.CIRCLE) -> None:
        grid = natural_grid(case.geometry)
        mu = mu_per_cm(case.size) if case.attenuation else None
        self.started = time.perf_counter()  # making the phantom is not part of a reconstruction
        camera = SystemMatrix(
            case.geometry, grid, mu_per_cm=mu, collimator=SIEMENS if case.collimator else None, support=support
        )
        self._subsets = []
        for first in range(case.subsets):
            views = list(range(first, case.views, case.subsets))
            self._subsets.append(Subset(camera.subset(views), counts[None, views]))
        self._start = torch.ones(grid.shape[1], grid.shape[2], 1, grid.shape[0]).permute(2, 3, 0, 1)
        self._iterations = case.iterations

    def run(self, after_iteration: Callable[[], None] = lambda: None, iterations: int | None = None) -> Tensor:
        """Return the image `[z, y, x]`."""

        def watch(_: int, activity: Tensor) -> bool:
            after_iteration()
            return False

        return osem(self._subsets, self._start, iterations or self._iterations, watch)[0]


class Peer:
    """PyTomography's OSEM of the same case."""

    def __init__(self, case: Case, counts: Tensor) -> None:
        from pytomography.algorithms import OSEM  # type: ignore[import-not-found]
        from pytomography.likelihoods import PoissonLogLikelihood  # type: ignore[import-not-found]
        from pytomography.metadata.SPECT import (  # type: ignore[import-not-found]
            SPECTObjectMeta,
            SPECTProjMeta,
            SPECTPSFMeta,
        )
        from pytomography.projectors.SPECT import SPECTSystemMatrix  # type: ignore[import-not-found]
        from pytomography.transforms.SPECT import (  # type: ignore[import-not-found]
            SPECTAttenuationTransform,
            SPECTPSFTransform,
        )

        geometry = case.geometry
        pixel_cm = geometry.pixel_size_mm[0] / 10
        size = case.size
        transforms: list[Any] = []
        if case.attenuation:
            transforms.append(SPECTAttenuationTransform(_to_peer(mu_per_cm(case.size))))
        if case.collimator:
            slope = SIEMENS.hole_mm / SIEMENS.effective_length_mm / FWHM_PER_SIGMA
            widths = (slope, SIEMENS.hole_mm / 10 / FWHM_PER_SIGMA, SIEMENS.intrinsic_fwhm_mm / 10 / FWHM_PER_SIGMA)

            def sigma_cm(distance: Any, a: float, b: float, c: float) -> Any:
                return np.sqrt((a * distance + b) ** 2 + c**2)

            transforms.append(SPECTPSFTransform(SPECTPSFMeta(widths, sigma_cm)))
        angles = [(angle + 180.0) % 360.0 for angle in geometry.angles_deg]
        projections_meta = SPECTProjMeta((size, size), [pixel_cm] * 2, angles, [25.0] * case.views)
        camera = SPECTSystemMatrix(transforms, [], SPECTObjectMeta([pixel_cm] * 3, [size] * 3), projections_meta)
        peer_counts = counts.flip(1).permute(0, 2, 1).contiguous()
        self._algorithm = OSEM(PoissonLogLikelihood(camera, peer_counts))
        self._case = case

    def run(self, after_iteration: Callable[[], None], iterations: int | None = None) -> Tensor:
        """Return the image `[z, y, x]`; `after_iteration` is called when the last subset is done."""
        from pytomography.callbacks import Callback  # type: ignore[import-not-found]

        last = self._case.subsets - 1

        class Watch(Callback):  # type: ignore[misc]
            def __init__(self) -> None:
                pass

            def run(self, object: Any, n_iter: int, n_subset: int) -> Any:
                if n_subset == last:
                    after_iteration()
                return object

        found = self._algorithm(iterations or self._case.iterations, self._case.subsets, callback=Watch())
        image: Tensor = found.permute(2, 1, 0)
        return image


def _to_peer(volume: Tensor) -> Tensor:
    """Return `[z, y, x]` as the peer's `[x, y, z]`; its angle is ours plus 180 degrees."""
    return volume.permute(2, 1, 0).contiguous()


def measure(key: str) -> ReconTime:
    """Return the figures of one case: iterations of peer and ours in turn, twice (noise-free and noisy data)."""
    case = CASES[key]
    clean = torch.from_numpy(simulate(case))
    noisy = torch.poisson(clean * 5e6 / clean.sum(), generator=torch.Generator().manual_seed(1))
    peer_s: list[float] = []
    ours_s: list[float] = []
    whole_grid_s: list[float] = []
    differences = []
    whole_s = min(_whole_reconstruction(case, noisy) for _ in range(3))
    for counts in (clean, noisy) if case.noisy else (clean,):
        images = _in_turn(case, counts, peer_s, ours_s, whole_grid_s)
        differences.append(_difference(*images))
    return ReconTime(
        case.name,
        peer_s=statistics.median(peer_s),
        ours_s=statistics.median(ours_s),
        goal=case.goal,
        whole_grid_s=statistics.median(whole_grid_s),
        whole_s=whole_s,
        limit_s=case.limit_s,
        clean=differences[0],
        noisy=differences[1] if case.noisy else None,
        peer_mib=_peak_mib(key, "peer"),
        ours_mib=_peak_mib(key, "ours"),
    )


def agreement() -> dict[str, float]:
    """Return the difference of the images from noise-free counts, NRMSE, for the cases of 64^3."""
    differences = {}
    for key in ("none", "ac", "cdr"):
        case = CASES[key]
        counts = torch.from_numpy(simulate(case))
        differences[case.name] = _difference(Ours(case, counts).run(), Peer(case, counts).run(lambda: None))
    return differences


def simulate(case: Case) -> np.ndarray:
    """Return noise-free counts of the thorax from the analytic camera, which is neither of the two."""
    sigma = SIEMENS.sigma_mm if case.collimator else None
    absorbers = THORAX.attenuation if case.attenuation else ()
    fine = 2 if case.size <= 64 else 1
    return project_attenuated(THORAX.activity, absorbers, case.geometry, sigma, fine).astype(np.float32)


def _in_turn(
    case: Case, counts: Tensor, peer_s: list[float], ours_s: list[float], whole_grid_s: list[float]
) -> tuple[Tensor, Tensor]:
    """Run the peer; after each of its iterations run some of ours; return both images."""
    ours, whole_grid = Ours(case, counts), Ours(case, counts, Support.GRID)
    image = ours.run()
    whole_grid.run(iterations=1)
    mark = time.perf_counter()

    def after_peer_iteration() -> None:
        nonlocal mark
        peer_s.append(time.perf_counter() - mark)
        ours_s.extend(_iteration_times(ours))
        whole_grid_s.extend(_iteration_times(whole_grid))
        mark = time.perf_counter()

    peer = Peer(case, counts)
    peer.run(lambda: None, iterations=1)
    peer = Peer(case, counts)
    # The first iteration of a run also computes the sensitivity; it is left out for both.
    first = len(peer_s)
    mark = time.perf_counter()
    peer_image = peer.run(after_peer_iteration)
    del peer_s[first]
    return image, peer_image


def _iteration_times(ours: Ours) -> list[float]:
    marks: list[float] = []
    ours.run(lambda: marks.append(time.perf_counter()), iterations=3)
    return [later - earlier for earlier, later in pairwise(marks)]


def _whole_reconstruction(case: Case, counts: Tensor) -> float:
    ours = Ours(case, counts)
    ours.run()
    return time.perf_counter() - ours.started


def _difference(found: Tensor, expected: Tensor) -> float:
    """Return the NRMSE within the circle that both reconstruct."""
    place = torch.arange(found.shape[1]) - (found.shape[1] - 1) / 2
    disc = place[:, None].square() + place[None, :].square() <= (found.shape[1] / 2 - 1) ** 2
    difference = (found - expected)[:, disc].double().norm() / expected[:, disc].double().norm()
    return float(difference)


def _peak_mib(key: str, which: str) -> float:
    """Return what a reconstruction adds to the resident memory of a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_recon", "--peak", which, "--case", key]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return float(output.split()[-1])


def print_peak(key: str, which: str) -> None:
    """Print the peak resident memory of one reconstruction over that before it, in MiB."""
    case = CASES[key]
    counts = torch.ones(case.views, case.size, case.size)
    mu_per_cm(case.size)
    if which == "peer":
        Peer(replace(case, size=16, views=4, subsets=2), torch.ones(4, 16, 16)).run(lambda: None, iterations=1)
    else:
        Ours(replace(case, size=16, views=4, subsets=2), torch.ones(4, 16, 16)).run(iterations=1)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far (proc(5))
    before = _resident_kib("VmRSS")
    if which == "peer":
        Peer(case, counts).run(lambda: None, iterations=1)
    else:
        Ours(case, counts).run(iterations=2)
    print((_resident_kib("VmHWM") - before) / 1024)


def _resident_kib(which: str) -> int:
    """Return this process's resident memory now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which))


def prepare() -> Path:
    """Return the Python that has the peer; build its environment first if it is not there."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        print(f"building {ENVIRONMENT} with torch and {PEER} (once)", flush=True)
        venv.create(ENVIRONMENT, with_pip=True)
        (ENVIRONMENT / ".gitignore").write_text("*\n")
        version = torch.__version__.partition("+")[0]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"torch=={version}", PEER], check=True)
    return python


def run_with_peer() -> None:
    """Continue in the environment that holds the peer."""
    python = prepare()
    os.execv(python, [str(python), "-m", "tests.benchmarks.bench_recon", *sys.argv[1:]])  # noqa: S606 - our own file


def write_document(rows: list[ReconTime]) -> None:
    """Put the table into docs/reconstruction.md."""
    DOCUMENT.write_text(replace_section(DOCUMENT.read_text(), "speed", table(rows)))


def main() -> int:
    """Measure the cases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the three cases of 64³ only")
    parser.add_argument("--case", choices=CASES, help="one case only")
    parser.add_argument("--peak", choices=("peer", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--prepare", action="store_true", help="only make the environment that holds the peer")
    parser.add_argument("--json", type=Path, help="write the raw figures there, and no table into docs/")
    parser.add_argument("--agreement", action="store_true", help="only the differences of the images, as JSON")
    parser.add_argument("--device", default="cpu", help="cuda: accuracy and timings on the GPU, without the peer")
    arguments = parser.parse_args()
    if arguments.device != "cpu":
        return gpu_check.main()
    if arguments.prepare:
        prepare()
        return 0
    if importlib.util.find_spec("pytomography") is None:
        run_with_peer()
    torch.set_num_threads(2)
    if arguments.agreement:
        print(json.dumps(agreement()))
        return 0
    if arguments.peak:
        print_peak(arguments.case, arguments.peak)
        return 0
    chosen = [arguments.case] if arguments.case else [key for key in CASES if not (arguments.quick and key == "large")]
    rows = []
    for key in chosen:
        rows.append(measure(key))
        print(f"{rows[-1]}", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows]))
    elif len(rows) == len(CASES):
        write_document(rows)
        print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
