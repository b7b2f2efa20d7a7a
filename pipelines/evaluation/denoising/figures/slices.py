"""Figures of the reconstructed heart: its slices at every dose and by every method, and the worst outlier's maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from pipelines.cardiac.reorientation import FIELD_MM, MARGIN_MM
from pipelines.evaluation.denoising.arrays import FULL_DOSE, KEPT, NOISE_FREE, Kind, PatientArrays, image_name
from pipelines.evaluation.denoising.figures.material import Material, Missing, image, middle_one, who
from pipelines.evaluation.denoising.figures.methods import (
    DOSE_WORDS,
    FULL_DOSE_COLOR,
    METHOD_COLORS,
    PREDICTING,
    after,
)
from pipelines.evaluation.denoising.figures.pictures import (
    GAP_IN,
    Board,
    Row,
    Scale,
    color_bar,
    paint,
    rows_by_method,
)
from pipelines.evaluation.denoising.record import Dose, Indices, PatientRecord
from pipelines.evaluation.page import HEAT, Page, new_page
from pipelines.images import Array
from pipelines.report.polar_maps import smooth_disk

_GUTTER_IN, _CELL_IN = 1.4, 0.62
_LEAST_FIELD_MM, _AROUND_MM = 105.0, 35.0  # width of a picture: so much more than the ventricle's length
_OF_OWN_WALL = Scale(HEAT, 100.0)


@dataclass(frozen=True)
class _Cut:
    kind: Kind
    name: str
    along: str
    number: int
    ends: tuple[float, float]  # of the ventricle, as shares of the way through it


_CUTS = (
    _Cut(Kind.SHORT_AXIS, "Short axis", "apex \N{RIGHTWARDS ARROW} base", 6, (0.1, 0.86)),
    _Cut(Kind.VERTICAL_LONG_AXIS, "Vertical long axis", "septum \N{RIGHTWARDS ARROW} lateral", 4, (0.28, 0.72)),
    _Cut(Kind.HORIZONTAL_LONG_AXIS, "Horizontal long axis", "inferior \N{RIGHTWARDS ARROW} anterior", 4, (0.28, 0.72)),
)


def draw_slices(material: Material, risk: str, figure_name: str) -> Figure:
    """Draw the slices of the patient of a risk group whose true deficit is the group's median."""
    group = [record for record in material.with_images() if record.risk == risk]
    if not group:
        raise Missing(f"no patient of the group {risk} has images")
    record = middle_one(group, lambda one: one.truth.tpd_percent)
    words = "normal perfusion" if risk == "healthy" else f"{risk} risk"
    chosen = "the one with the median true deficit of its risk group"
    return _slices_page(material, record, f"Reconstructed slices: a patient with {words}", figure_name, chosen)


def draw_outlier_slices(material: Material) -> Figure:
    """Draw the slices of the worst outlier."""
    record = worst_outlier(material.with_images())
    return _slices_page(material, record, "Reconstructed slices of the worst outlier", "Suppl. Fig. 16", _WORST)


def _slices_page(material: Material, record: PatientRecord, title: str, figure_name: str, chosen: str) -> Figure:
    arrays = material.arrays(record)
    for cut in _CUTS:
        image(arrays, cut.kind, FULL_DOSE)
    rows = tuple(row for row in rows_by_method(KEPT) if arrays.get(Kind.SHORT_AXIS, row.image) is not None)
    board = Board(rows, tuple(cut.number for cut in _CUTS), (_CELL_IN, _CELL_IN), _GUTTER_IN)
    page = new_page(
        board.size_in, title, source=after(figure_name), patients=1, remark=f"{who(record)}; {chosen}. {_HOW}"
    )
    board.label(page, [_with_deficit(row, record) for row in rows])
    for group, cut in enumerate(_CUTS):
        board.head(page, group, cut.name, cut.along)
        for place, row in enumerate(rows):
            board.paint(page, place, group, _shown(arrays, cut, row.image), _OF_OWN_WALL)
    board.color_bar(page, 0, _OF_OWN_WALL, "% of the ventricle's highest count")
    return page.figure


_HOW = (
    "OSEM 8 x 2, Butterworth 0.45, order 10; no attenuation correction, as in the paper. Every image over the highest "
    "count of its own left ventricle, as the field shows it; all are cut in the frame of the full dose's ventricle."
)


def _shown(arrays: PatientArrays, cut: _Cut, name: str) -> Array:
    """Return the chosen slices of an image, the heart's part of them, in % of its ventricle's highest count."""
    values = image(arrays, cut.kind, name)
    margin = MARGIN_MM / arrays.voxel_mm
    through = len(values) - 1 - 2 * margin
    picked = np.rint(margin + np.linspace(*cut.ends, cut.number) * through).astype(int)
    cropped = max(0, round((FIELD_MM - _field_mm(arrays)) / 2 / arrays.voxel_mm))
    inside = slice(cropped, values.shape[1] - cropped)
    return np.asarray(values[picked][:, inside, inside] * (100.0 / _highest(arrays, name)))


def _field_mm(arrays: PatientArrays) -> float:
    length = len(image(arrays, Kind.SHORT_AXIS, FULL_DOSE)) * arrays.voxel_mm - 2 * MARGIN_MM
    return min(FIELD_MM, max(_LEAST_FIELD_MM, length + _AROUND_MM))


def _highest(arrays: PatientArrays, name: str) -> float:
    """Return the highest count of an image's ventricle; where none was found, that of the full dose's place."""
    polar = arrays.get(Kind.POLAR_MAP, name)
    if polar is not None:
        return max(float(polar.max()), 1e-9)
    return max(float(image(arrays, Kind.SHORT_AXIS, name).max()), 1e-9)


def _with_deficit(row: Row, record: PatientRecord) -> Row:
    return replace(row, label=f"{row.label}\n{_deficit(_indices(row, record))}")


def _deficit(indices: Indices | None) -> str:
    return "no ventricle found" if indices is None else f"TPD {indices.tpd_percent:.1f} %"


def _indices(row: Row, record: PatientRecord) -> Indices | None:
    if row.dose is None or row.method is None:
        return record.full_dose if row.image == FULL_DOSE else record.noise_free
    return record.methods[row.dose.value][row.method.value].indices


_WORST = "the one whose TPD at eighth dose, ours or the paper's network, lies farthest from that of full dose"


def worst_outlier(records: Sequence[PatientRecord]) -> PatientRecord:
    """Return the patient in whom a network's deficit at eighth dose differs most from full dose."""
    differences = [(_largest_difference(record), record) for record in records]
    known = [(difference, record) for difference, record in differences if difference is not None]
    if not known:
        raise Missing("no deficit was read both at full dose and from a network's eighth dose")
    return max(known, key=lambda pair: (pair[0], -pair[1].patient))[1]


def _largest_difference(record: PatientRecord) -> float | None:
    full, of_dose = record.full_dose, record.methods.get(Dose.EIGHTH.value, {})
    read = [of_dose[method.value].indices for method in PREDICTING if method.value in of_dose]
    if full is None:
        return None
    return max((abs(one.tpd_percent - full.tpd_percent) for one in read if one is not None), default=None)


_MAP_IN = 1.35


def draw_outlier_maps(material: Material) -> Figure:
    """Draw the polar maps of the worst outlier: a row per dose, a column per method."""
    record = worst_outlier(material.with_images())
    arrays = material.arrays(record)
    methods = [method for method in KEPT if arrays.get(Kind.POLAR_MAP, image_name(Dose.EIGHTH, method)) is not None]
    lefts = [0.35 + column * (_MAP_IN + 0.23) for column in range(len(methods) + 1)]
    tops = [0.3 + row * (_MAP_IN + 0.34) for row in range(len(Dose))]
    page = new_page(
        (lefts[-1] + _MAP_IN + 0.3, tops[-1] + _MAP_IN + 0.5),
        "Polar maps of the worst outlier",
        source=after("Suppl. Fig. 16"),
        patients=1,
        remark=f"{who(record)}; {_WORST}. Apex in the middle, anterior up, septum left; each map over its own highest "
        "count, from the ventricle that was found in its own image.",
    )
    head_colored(page, lefts[0] + _MAP_IN / 2, 0.1, "references", FULL_DOSE_COLOR)
    for name, top, indices in ((FULL_DOSE, tops[0], record.full_dose), (NOISE_FREE, tops[1], record.noise_free)):
        _map(page, (lefts[0], top), arrays.get(Kind.POLAR_MAP, name), f"{name}: {_deficit(indices)}")
    for column, method in enumerate(methods, start=1):
        head_colored(page, lefts[column] + _MAP_IN / 2, 0.1, method.value, METHOD_COLORS[method])
        for dose, top in zip(Dose, tops, strict=True):
            one = record.methods.get(dose.value, {}).get(method.value)
            values = arrays.get(Kind.POLAR_MAP, image_name(dose, method))
            said = "not trained" if one is None else _deficit(one.indices)
            _map(page, (lefts[column], top), values, f"{DOSE_WORDS[dose]}: {said}")
    color_bar(page, lefts[0] + 0.2, tops[-1] + _MAP_IN + 0.32, _OF_OWN_WALL, "% of the highest count")
    return page.figure


def head_colored(page: Page, left: float, top: float, words: str, color: str) -> None:
    """Write over a map, in the color of its method."""
    page.write(left, top, words, ha="center", color=color, weight="bold")


def _map(page: Page, place: tuple[float, float], values: Array | None, below: str) -> None:
    left, top = place
    page.write(left + _MAP_IN / 2, top + _MAP_IN + 0.09 + GAP_IN, below, ha="center")
    if values is None:
        return
    shares = values.astype(np.float64) * (100.0 / max(float(values.max()), 1e-9))
    paint(page, left, top, (_MAP_IN, _MAP_IN), np.nan_to_num(smooth_disk(shares, 300)), _OF_OWN_WALL, round_=True)
