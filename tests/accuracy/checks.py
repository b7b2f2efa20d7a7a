"""All checks in the order of the table. Needs torch and numpy alone.

Each check takes a device and returns figures with tolerances; the test suite asserts them, `make gpu-check` measures
them on a GPU, and the table in docs/reconstruction.md shows them.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.accuracy import camera_checks, image_checks
from tests.accuracy.figures import Figure

Check = Callable[[str], list[Figure]]

CORE: tuple[Check, ...] = (
    camera_checks.adjointness,
    camera_checks.attenuated_cylinder,
    image_checks.flatness,
    camera_checks.counts_kept,
    camera_checks.point_width,
    image_checks.mlem,
    image_checks.empty_bins,
    camera_checks.quarter_turn,
    camera_checks.analytic_thorax,
    camera_checks.gates_and_repeats,
    camera_checks.derivative,
    image_checks.orientation,
    image_checks.recovery,
    image_checks.post_reconstruction,
    image_checks.multifocal,
    image_checks.speedups,
)
