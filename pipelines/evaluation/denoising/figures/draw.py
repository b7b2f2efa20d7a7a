"""Draws every figure of the denoising paper, and two beyond it, from the records of an evaluation.

A figure that lacks something is left out, with the reason; methods that no record holds are left out of figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from pipelines.evaluation.denoising.figures.agreement import (
    draw_agreement,
    draw_deficit_against_truth,
    draw_index_boxes,
)
from pipelines.evaluation.denoising.figures.material import Material, Missing
from pipelines.evaluation.denoising.figures.networks import (
    draw_discriminator,
    draw_generator,
    draw_our_network,
    draw_training,
)
from pipelines.evaluation.denoising.figures.projections import draw_gates, draw_projections
from pipelines.evaluation.denoising.figures.quality import (
    draw_nearness_to_ceiling,
    draw_quality_boxes,
    draw_voxel_correlation,
)
from pipelines.evaluation.denoising.figures.reader import draw_reader
from pipelines.evaluation.denoising.figures.slices import draw_outlier_maps, draw_outlier_slices, draw_slices
from pipelines.evaluation.denoising.record import PatientRecord
from pipelines.evaluation.page import save

LEFT_OUT = "left_out.txt"


@dataclass(frozen=True)
class _Plate:
    """One figure: the name of its file, and how it is drawn."""

    name: str
    draw: Callable[[Material], Figure]


def _agreement(index: str, figure_name: str) -> Callable[[Material], Figure]:
    return partial(draw_agreement, index=index, figure_name=figure_name)


_PLATES = (
    _Plate("fig_01_generator", lambda _: draw_generator()),
    _Plate("fig_02_discriminator", lambda _: draw_discriminator()),
    _Plate("fig_03_projections", draw_projections),
    _Plate("fig_04_slices_severe", partial(draw_slices, risk="severe", figure_name="Fig. 4")),
    _Plate("fig_05_voxel_correlation", draw_voxel_correlation),
    _Plate("fig_06_summed_score", _agreement("summed_score", "Fig. 6")),
    _Plate("fig_07_tpd", _agreement("tpd_percent", "Fig. 7")),
    _Plate("fig_08_reader", partial(draw_reader, figure_name="Fig. 8")),
    _Plate("fig_09_gated_projections", draw_gates),
    _Plate("suppl_01_training", lambda _: draw_training()),
    _Plate("suppl_02_slices_normal", partial(draw_slices, risk="healthy", figure_name="Suppl. Fig. 2")),
    _Plate("suppl_03_slices_low", partial(draw_slices, risk="low", figure_name="Suppl. Fig. 3")),
    _Plate("suppl_04_slices_intermediate", partial(draw_slices, risk="intermediate", figure_name="Suppl. Fig. 4")),
    _Plate("suppl_05_quality", draw_quality_boxes),
    _Plate("suppl_06_defect", _agreement("defect_ml", "Suppl. Fig. 6")),
    _Plate("suppl_07_extent", _agreement("extent_percent", "Suppl. Fig. 7")),
    _Plate("suppl_08_summed_percent", _agreement("summed_percent", "Suppl. Fig. 8")),
    _Plate("suppl_09_volume", _agreement("cavity_ml", "Suppl. Fig. 9")),
    _Plate("suppl_10_wall", _agreement("wall_ml", "Suppl. Fig. 10")),
    _Plate("suppl_11_eccentricity", _agreement("eccentricity", "Suppl. Fig. 11")),
    _Plate("suppl_12_shape_index", _agreement("shape_index", "Suppl. Fig. 12")),
    _Plate("suppl_13_indices", draw_index_boxes),
    _Plate("suppl_14_reader_women", partial(draw_reader, figure_name="Suppl. Fig. 14", sex="F")),
    _Plate("suppl_15_reader_men", partial(draw_reader, figure_name="Suppl. Fig. 15", sex="M")),
    _Plate("suppl_16_outlier_maps", draw_outlier_maps),
    _Plate("suppl_16_outlier_slices", draw_outlier_slices),
    _Plate("beyond_1_ceiling", draw_nearness_to_ceiling),
    _Plate("beyond_2_tpd_truth", draw_deficit_against_truth),
    _Plate("beyond_3_our_network", lambda _: draw_our_network()),
)
NAMES = tuple(plate.name for plate in _PLATES)


@dataclass(frozen=True)
class LeftOut:
    """A figure that could not be drawn."""

    name: str
    reason: str


def draw_all(records: Sequence[PatientRecord], arrays_folder: Path, out: Path) -> list[LeftOut]:
    """Write all figures that can be drawn as PNGs into `out`, and return those that can't, with the reason.

    `arrays_folder` holds the patients' images (`arrays`). What is left out stands in `left_out.txt` beside
    the figures as well.
    """
    _, left_out = draw(records, arrays_folder, out)
    note = out / LEFT_OUT
    note.unlink(missing_ok=True)
    if left_out:
        note.write_text("".join(f"{one.name}: {one.reason}\n" for one in left_out))
    return left_out


def draw(
    records: Sequence[PatientRecord], arrays_folder: Path, out: Path, names: Sequence[str] = NAMES
) -> tuple[list[Path], list[LeftOut]]:
    """Write the figures of these names; return where they are, and what was left out and why."""
    material = Material(tuple(records), arrays_folder)
    out.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    left_out: list[LeftOut] = []
    for plate in _PLATES:
        path = out / f"{plate.name}.png"
        if plate.name not in names:
            continue
        try:
            save(plate.draw(material), path)
        except Missing as missing:
            path.unlink(missing_ok=True)  # that of an earlier run would pass for one of this
            left_out.append(LeftOut(plate.name, str(missing)))
        else:
            drawn.append(path)
    return drawn, left_out
