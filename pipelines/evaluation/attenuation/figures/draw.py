"""Draws the figures of the attenuation paper, and some beyond it, from the records of an evaluation.

A figure that lacks something is left out, with the reason. Figure 3 is the random search's: `dicomnode search`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from pipelines.evaluation.attenuation.figures.agreement import draw_bland_altman, draw_deficits, draw_pixels
from pipelines.evaluation.attenuation.figures.maps import draw_maps
from pipelines.evaluation.attenuation.figures.methods import Missing
from pipelines.evaluation.attenuation.figures.polar_maps import draw_polar_maps
from pipelines.evaluation.attenuation.figures.robustness import draw_errors, draw_misregistration
from pipelines.evaluation.attenuation.material import Material
from pipelines.evaluation.page import save

LEFT_OUT = "left_out.txt"


@dataclass(frozen=True)
class _Plate:
    """One figure: the name of its file, and how it is drawn."""

    name: str
    draw: Callable[[Material], Figure]


_PLATES = (
    _Plate("fig_04_maps", draw_maps),
    _Plate("fig_05_polar_maps", draw_polar_maps),
    _Plate("fig_06_bland_altman", draw_bland_altman),
    _Plate("fig_07_pixels", draw_pixels),
    _Plate("beyond_1_tpd", draw_deficits),
    _Plate("beyond_2_errors", draw_errors),
    _Plate("beyond_3_misregistration", draw_misregistration),
)
NAMES = tuple(plate.name for plate in _PLATES)


@dataclass(frozen=True)
class LeftOut:
    """A figure that could not be drawn."""

    name: str
    reason: str


def draw_all(material: Material, out: Path, names: Sequence[str] = NAMES) -> list[LeftOut]:
    """Write the figures of these names as PNGs into `out`, and return those that can't be drawn, with the reason.

    What is left out stands in `left_out.txt` beside the figures as well.
    """
    out.mkdir(parents=True, exist_ok=True)
    left_out: list[LeftOut] = []
    for plate in (one for one in _PLATES if one.name in names):
        path = out / f"{plate.name}.png"
        try:
            save(plate.draw(material), path)
        except Missing as missing:
            path.unlink(missing_ok=True)  # that of an earlier run would pass for one of this
            left_out.append(LeftOut(plate.name, str(missing)))
    note = out / LEFT_OUT
    note.unlink(missing_ok=True)
    if left_out:
        note.write_text("".join(f"{one.name}: {one.reason}\n" for one in left_out))
    return left_out
