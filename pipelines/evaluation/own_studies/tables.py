"""The tables of a site's own studies: projections, held-out counts, images and hearts; as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np

from pipelines.agreement.image_quality import GRAY, ImageQuality, psnr_db
from pipelines.evaluation.layout import Cell, Number, Spread, Table, spread
from pipelines.evaluation.own_studies.held_out_counts import HeldOut, Measured
from pipelines.evaluation.own_studies.studies import DoseRecord, HeartRecord, ImageRecord, StudyRecord
from pipelines.networks.model_card import ModelCard

LOW, DENOISED, FULL = "thinned", "denoised (for images)", "full counts"
NOT_FOUND = "no ventricle found"
_PROJECTIONS = (
    "Photopeak, against the full counts, which go from 0 to 255 over their own maximum, and so do the thinned ones "
    "over theirs; a virtual full dose (x + what is foretold of the missing counts) is on the full counts' scale. PSNR "
    "in dB, SSIM over the whole set. The full counts hold noise of their own that nobody can foretell: the root of the "
    "mean number of counts that were taken away is the RMSE that Poisson's law gives even the best prediction; "
    "*noise's share* is its square over that of the error. The Gaussian of each study and dose is the one that "
    "foretells its held-out counts best, chosen by these counts themselves."
)
_HELD_OUT = (
    "What was taken away, against what is foretold of it. *Squared error* is weighted by 1 / (prediction + 1/2) and "
    "divided by what Poisson's law gives the true expectation: 1 can be beaten by chance alone, and 1.05 says that the "
    "prediction adds 5 % to the variance of counting. Edges: the three rows with counts at each end of the detector. "
    "Heart: the pixels within 60 mm of its middle. Brightest: the "
    "hundredth of all pixels that one half of the held-out counts names; judged by the other half. Below 0, too little "
    "is foretold. ± is what counting alone makes of it (one standard deviation)."
)
_HEARTS = (
    "Reconstructions of all gates (OSEM 8 x 2, Butterworth 0.45 of Nyquist, order 10), each read for itself. *NRMSE*: "
    "root of the squared difference from the full counts' image over that image's squares, in the short-axis slices of "
    "the ventricle that the full counts show, else in the whole reconstruction. Thinned counts are a part of the full "
    "ones and share their noise, denoised ones do not, so this favors the thinned. *NRMSE, held out* is fair: the same "
    "against the image of the counts that were taken away, which neither has seen; their own noise is in both. "
    "*Segments off*: mean and largest difference of the 17 segments from those of the full counts, in percentage "
    "points (of normal; of the highest segment where no normal limits fit)."
)


@dataclass(frozen=True)
class OwnStudies:
    """A site's studies, and what they were denoised with."""

    records: Sequence[StudyRecord]
    card: ModelCard
    evidence: str
    seed: int

    @property
    def headline(self) -> str:
        """What must be known before any number."""
        weights = f"{self.card.name} {self.card.version}, {self.card.members} networks, weights SHA-256"
        return (
            f"{len(self.records)} full-dose studies, thinned binomially (seed {self.seed}), denoised by {weights} "
            f"{self.card.sha256}. Evidence: {self.evidence}. The model's: {self.card.evidence}."
        )

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables in the order to be read."""
        means = _means(self.records) if len(self.records) > 1 else ()
        return (
            _studies(self.records),
            *means,
            _projections(self.records),
            _held_out(self.records),
            _hearts(self.records),
        )


def as_markdown(own: OwnStudies) -> str:
    """Return all tables."""
    remarks = [f"* {record.key}: {remark}" for record in own.records for remark in record.remarks]
    said = ["## Remarks on the full-dose studies", "", *(remarks or ["None."]), ""]
    return "\n".join(["# Own studies, thinned and denoised", "", own.headline, "", *_markdown(own.tables), *said])


def _markdown(tables: Sequence[Table]) -> list[str]:
    return [table.as_markdown() for table in tables]


def as_json(own: OwnStudies) -> dict[str, object]:
    """Return the tables and all numbers of each study as values that JSON can hold."""
    return {
        "evidence": own.evidence,
        "model": {"name": own.card.name, "version": own.card.version, "sha256": own.card.sha256},
        "seed": own.seed,
        "tables": {table.key: table.as_json() for table in own.tables},
        "studies": [asdict(record) for record in own.records],
    }


def _studies(records: Sequence[StudyRecord]) -> Table:
    rows = tuple(
        (
            one.key,
            Number(one.million_counts),
            f"{one.views} views of {one.matrix[0]} x {one.matrix[1]}, {one.pixel_size_mm:.3g} mm",
            "ungated" if one.gates == 1 else f"{one.gates} gates",
            one.state,
            one.limits or ("none fit" if one.heart else NOT_FOUND),
        )
        for one in records
    )
    columns = ("study", "million counts", "projections", "gates", "state", "normal limits")
    return Table("studies", "Studies", columns, rows)


def _projections(records: Sequence[StudyRecord]) -> Table:
    rows = [row for record in records for one in record.doses for row in _projection_rows(record.key, one)]
    columns = ("study", "dose", "projections", "RMSE", "PSNR", "SSIM", "noise's share, %")
    return Table("projections", "Projections against the full counts", columns, tuple(rows), _PROJECTIONS)


def _projection_rows(key: str, one: DoseRecord) -> list[tuple[Cell, ...]]:
    made: list[tuple[str, ImageQuality, Cell]] = [
        (LOW, one.low, None),
        (f"virtual full dose, Gaussian {one.gaussian_mm:g} mm", one.gaussian, _share(one, one.gaussian)),
        ("virtual full dose, ours", one.full, _share(one, one.full)),
    ]
    rows: list[tuple[Cell, ...]] = [
        (key, _dose(one), name, Number(quality.rmse), Number(quality.psnr_db), Number(quality.ssim_global, 4), share)
        for name, quality, share in made
    ]
    noise = Number(psnr_db(one.noise_rmse, GRAY))
    return [*rows, (key, _dose(one), "noise that nobody can foretell", Number(one.noise_rmse), noise, None, None)]


def _share(one: DoseRecord, quality: ImageQuality) -> Number:
    return Number(one.noise_percent(quality), 1)


def _dose(one: DoseRecord) -> str:
    return f"{one.dose:g}"


def _held_out(records: Sequence[StudyRecord]) -> Table:
    rows = [
        (record.key, _dose(one), name, *_held_out_cells(judged))
        for record in records
        for one in record.doses
        for name, judged in (
            (f"Gaussian {one.gaussian_mm:g} mm", one.gaussian_held_out),
            ("ours", one.held_out),
        )
    ]
    columns = (
        "study", "dose", "prediction", "squared error", "squared error, edges", "squared error, heart",
        "counts of the heart, %", "counts of the brightest, %",
    )  # fmt: skip
    return Table("held-out counts", "Held-out counts, foretold", columns, tuple(rows), _HELD_OUT)


def _held_out_cells(one: HeldOut) -> tuple[Cell, ...]:
    return (
        _measured(one.squared_error, 3),
        _measured(one.edge_squared_error, 3),
        _measured(one.heart_squared_error, 3),
        _measured(one.heart_counts_percent, 2),
        _measured(one.brightest_percent, 2),
    )


def _measured(one: Measured | None, digits: int) -> Cell:
    return None if one is None else Spread(one.value, one.chance, digits)


def _hearts(records: Sequence[StudyRecord]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for record in records:
        rows.append((record.key, "1", FULL, None, None, *_heart_cells(record.heart, record.heart, reference=True)))
        for one in record.doses:
            for name, image in ((LOW, one.low_image), (DENOISED, one.denoised_image)):
                errors = Number(image.nrmse_percent, 1), Number(image.held_out_nrmse_percent, 1)
                rows.append((record.key, _dose(one), name, *errors, *_heart_cells(image.heart, record.heart)))
    columns = (
        "study", "dose", "image", "NRMSE, %", "NRMSE, held out, %", "ventricle", "TPD, %", "summed score",
        "segments off", "cavity, ml", "wall, ml", "EF, %",
    )  # fmt: skip
    return Table("hearts", "Reconstructions and their hearts", columns, tuple(rows), _HEARTS)


def _heart_cells(heart: HeartRecord | None, full: HeartRecord | None, *, reference: bool = False) -> tuple[Cell, ...]:
    if heart is None:
        return (NOT_FOUND, *(None,) * 6)
    off = segments_off(heart, full)
    return (
        "found",
        _number(heart.tpd_percent, 1),
        _number(heart.summed_score, 0),
        None if off is None or reference else f"{off[0]:.1f}, {off[1]:.1f}",
        Number(heart.cavity_ml, 0),
        Number(heart.wall_ml, 0),
        _number(heart.ejection_percent, 0),
    )


def segments_off(heart: HeartRecord | None, full: HeartRecord | None) -> tuple[float, float] | None:
    """Return mean and largest difference of the segments in percentage points; None unless both were read."""
    if heart is None or full is None:
        return None
    off = np.abs(np.subtract(heart.segments_percent, full.segments_percent))
    return float(off.mean()), float(off.max())


def _number(value: float | None, digits: int) -> Cell:
    return None if value is None else Number(value, digits)


def _means(records: Sequence[StudyRecord]) -> tuple[Table, ...]:
    """Return means and standard deviations over the studies; TPD is that less the full counts' own."""
    doses = [one.dose for one in records[0].doses]
    rows = tuple(
        _mean_row(f"{dose:g}", [(record, record.doses[at]) for record in records]) for at, dose in enumerate(doses)
    )
    columns = ("dose", *(name for name, _ in _MEANS), "TPD changes, thinned", "TPD changes, denoised", "hearts lost")
    notes = "Columns as in the tables below. Hearts lost: found in the full counts, in the denoised image not."
    return (Table("means", f"Means of {len(records)} studies", columns, rows, notes),)


_MEANS: tuple[tuple[str, Callable[[DoseRecord], float]], ...] = (
    ("RMSE, thinned", lambda one: one.low.rmse),
    ("RMSE, virtual full dose", lambda one: one.full.rmse),
    ("noise's share, %", lambda one: one.noise_percent(one.full)),
    ("squared error", lambda one: one.held_out.squared_error.value),
    ("counts of the brightest, %", lambda one: one.held_out.brightest_percent.value),
    ("NRMSE, held out, %, thinned", lambda one: one.low_image.held_out_nrmse_percent),
    ("NRMSE, held out, %, denoised", lambda one: one.denoised_image.held_out_nrmse_percent),
)


def _mean_row(dose: str, ones: Sequence[tuple[StudyRecord, DoseRecord]]) -> tuple[Cell, ...]:
    lost = sum(record.heart is not None and one.denoised_image.heart is None for record, one in ones)
    return (
        dose,
        *(spread([value(one) for _, one in ones]) for _, value in _MEANS),
        _tpd_change([(record.heart, one.low_image) for record, one in ones]),
        _tpd_change([(record.heart, one.denoised_image) for record, one in ones]),
        str(lost),
    )


def _tpd_change(pairs: Sequence[tuple[HeartRecord | None, ImageRecord]]) -> Cell:
    changes = [
        image.heart.tpd_percent - full.tpd_percent
        for full, image in pairs
        if full is not None and full.tpd_percent is not None
        if image.heart is not None and image.heart.tpd_percent is not None
    ]
    return Number(fmean(changes), 1, sign=True) if len(changes) == 1 else spread(changes, 1)
