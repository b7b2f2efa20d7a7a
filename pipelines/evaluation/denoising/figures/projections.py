"""Figures of projections: one patient's views at every dose and by every method, and its gates at half dose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from pipelines.evaluation.denoising.arrays import FULL_DOSE, KEPT, NOISE_FREE, Kind, PatientArrays, image_name
from pipelines.evaluation.denoising.figures.material import Material, Missing, image, middle_one, who
from pipelines.evaluation.denoising.figures.methods import after
from pipelines.evaluation.denoising.figures.pictures import Board, Row, Scale, rows_by_dose
from pipelines.evaluation.denoising.record import TRUTH, Dose, Method, PatientRecord
from pipelines.evaluation.page import new_page
from pipelines.images import Array

VIEWS = 4
_GUTTER_IN, _CELL_IN = 1.8, 0.98  # width of a cell; its height follows from the pixels


@dataclass(frozen=True)
class _Window:
    """Which part of projections is shown: the rows from the detector's first counts to below the heart."""

    rows: slice
    columns: slice

    @classmethod
    def of(cls, arrays: PatientArrays, full: Array) -> _Window:
        """Return the window of a patient, from full-dose projections `[view, row, column]`."""
        lines, columns = (np.flatnonzero(full.sum(axis=axes)) for axes in ((0, 2), (0, 1)))
        if not len(lines):
            raise Missing(f"the projections of patient {arrays.patient} hold no counts")
        return cls(
            slice(max(int(lines[0]), arrays.heart_rows[0]), min(int(lines[-1]) + 1, arrays.heart_rows[1])),
            slice(int(columns[0]), int(columns[-1]) + 1),
        )

    def of_all(self, frames: Array) -> Array:
        """Return this part of frames `[..., row, column]`."""
        return frames[..., self.rows, self.columns]

    def cell_in(self, width: float) -> tuple[float, float]:
        """Return width and height of a cell with square pixels."""
        return width, width * (self.rows.stop - self.rows.start) / (self.columns.stop - self.columns.start)


def draw_projections(material: Material) -> Figure:
    """Draw views of one patient at full dose and at each low dose, and how far they lie from full dose."""
    record = middle_one(material.with_images(), _virtual_full_dose_error)
    arrays = material.arrays(record)
    full = image(arrays, Kind.PROJECTIONS, FULL_DOSE)
    window = _Window.of(arrays, full)
    views = [int(view) for view in (np.arange(VIEWS) + 0.5) / VIEWS * len(full)]
    rows = tuple(row for row in rows_by_dose(KEPT) if arrays.get(Kind.PROJECTIONS, row.image) is not None)
    board = Board(rows, (VIEWS, VIEWS), window.cell_in(_CELL_IN), _GUTTER_IN)
    counts = Scale("gray_r", float(window.of_all(full[views]).max()))
    low_dose = image(arrays, Kind.PROJECTIONS, image_name(Dose.QUARTER, Method.LOW_DOSE))
    reach = float(np.percentile(np.abs(window.of_all((low_dose - full)[views])), 99.5))
    difference = Scale("RdBu_r", reach, -reach)
    page = new_page(
        board.size_in,
        "Projections of one patient",
        source=after("Fig. 3"),
        patients=1,
        remark=f"{who(record)}, {record.million_counts:.1f} million counts at full dose: {_TYPICAL}",
    )
    board.label(page, [_with_error(row, record) for row in rows])
    angles = [f"{arrays.angles_deg[view]:.0f}\N{DEGREE SIGN}" for view in views]
    board.head(page, 0, "Counts", columns=angles)
    board.head(page, 1, "Image less full dose", columns=angles)
    for place, row in enumerate(rows):
        values = image(arrays, Kind.PROJECTIONS, row.image)
        board.paint(page, place, 0, window.of_all(values[views]), counts)
        if row.image != FULL_DOSE:
            board.paint(page, place, 1, window.of_all((values - full)[views]), difference)
    board.color_bar(page, 0, counts, "counts per pixel (of full dose)")
    board.color_bar(page, 1, difference, "counts per pixel")
    return page.figure


_TYPICAL = (
    "the patient with the median error of ours, virtual full dose, at quarter dose. RMSE: whole study, scale of the "
    "paper (0 to 255), against full dose. Low doses are shown over their dose; rows below the heart (liver) are left "
    "out. Noise-free: the counts' expectation; full dose differs from it by its own noise alone."
)
_GATES = (
    "the patient with the median error of the gated half dose. RMSE: all gates and views, scale of the paper (0 to "
    "255), against full dose. EF: ejection fraction read from the gates' reconstruction. Half dose is shown over its "
    "dose; rows below the heart are left out."
)


def _virtual_full_dose_error(record: PatientRecord) -> float:
    one = record.methods.get(Dose.QUARTER.value, {}).get(Method.FULL.value)
    if one is None:
        raise Missing(f"patient {record.patient} has no image of {Method.FULL.value} at quarter dose")
    return one.projection.rmse


def _with_error(row: Row, record: PatientRecord) -> Row:
    if row.dose is None or row.method is None:
        return row
    error = record.methods[row.dose.value][row.method.value].projection.rmse
    return replace(row, label=f"{row.label}\nRMSE {error:.2f}")


def draw_gates(material: Material) -> Figure:
    """Draw the gates of one view of one patient at half dose."""
    gated = [record for record in material.with_images() if Method.LOW_DOSE.value in record.gated]
    if not gated:
        raise Missing("no patient's gates are in the records")
    record = middle_one(gated, lambda one: one.gated[Method.LOW_DOSE.value].rmse)
    arrays = material.arrays(record)
    full = image(arrays, Kind.GATED_PROJECTIONS, FULL_DOSE)
    window = _Window.of(arrays, full.reshape(-1, *full.shape[2:]))
    view = _view_of_the_heart(image(arrays, Kind.GATED_PROJECTIONS, NOISE_FREE), window)
    rows = tuple(row for row in _gated_rows() if arrays.get(Kind.GATED_PROJECTIONS, row.image) is not None)
    board = Board(rows, (len(full),), window.cell_in(_CELL_IN), _GUTTER_IN)
    counts = Scale("gray_r", float(np.percentile(window.of_all(full[:, view]), 99.9)))
    page = new_page(
        board.size_in,
        "Gated projections at half dose",
        source=after("Fig. 9"),
        patients=1,
        remark=f"{who(record)}: {_GATES}",
    )
    board.label(page, [_with_gated_error(row, record) for row in rows])
    angle = arrays.angles_deg[arrays.gated_views[view]]
    gates = [f"gate {gate + 1}" for gate in range(len(full))]
    board.head(page, 0, f"View at {angle:.0f}\N{DEGREE SIGN}", columns=gates)
    for place, row in enumerate(rows):
        values = image(arrays, Kind.GATED_PROJECTIONS, row.image)
        board.paint(page, place, 0, window.of_all(values[:, view]), counts)
    board.color_bar(page, 0, counts, "counts per pixel (of full dose)")
    return page.figure


def _gated_rows() -> list[Row]:
    return [replace(row, group="" if row.dose is None else "half dose") for row in rows_by_dose(KEPT, (Dose.HALF,))]


def _view_of_the_heart(noise_free: Array, window: _Window) -> int:
    """Return the kept view with the brightest pixel above the heart's lower edge."""
    return int(window.of_all(noise_free).max(axis=(0, 2, 3)).argmax())


def _with_gated_error(row: Row, record: PatientRecord) -> Row:
    ejection = record.gated_ejection_percent.get(_ejection_name(row))
    quality = None if row.method is None else record.gated.get(row.method.value)
    words = [] if quality is None else [f"RMSE {quality.rmse:.2f}"]
    words += [] if ejection is None else [f"{'true ' if row.image == NOISE_FREE else ''}EF {ejection:.0f} %"]
    return replace(row, label="\n".join([row.label, ", ".join(words)]) if words else row.label)


def _ejection_name(row: Row) -> str:
    return row.method.value if row.method else {FULL_DOSE: FULL_DOSE, NOISE_FREE: TRUTH}[row.image]
