"""The tables of image quality: projections, images, other scales, the truth; each beside paper and ceiling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.agreement.image_quality import ImageQuality
from pipelines.evaluation.denoising.paper import IMAGE, PROJECTION, VOXEL_PEARSON, Pair, Printed
from pipelines.evaluation.denoising.record import Dose, Method, MethodRecord, PatientRecord
from pipelines.evaluation.layout import Cell, Number, Spread, Table, spread

Records = Sequence[PatientRecord]
NOT_TRAINED = "not trained"
CEILING = "ceiling"
QUALITY: Mapping[str, Callable[[ImageQuality], float]] = {
    "PSNR": lambda quality: quality.psnr_db,
    "SSIM": lambda quality: quality.ssim_global,
    "RMSE": lambda quality: quality.rmse,
}
SPACES: Mapping[str, Callable[[MethodRecord], ImageQuality]] = {
    "projection": lambda one: one.projection,
    "image": lambda one: one.image,
}
SCALES = (
    "Scales: the full dose goes from 0 to 255 over its own maximum, the low dose over its own; a prediction is on the "
    "full dose's scale (counts over the full dose's maximum; the paper's network says shares of that maximum itself). "
    "SSIM is the paper's formula over the whole set, values 0 to 1. "
)
CEILING_WORDS = (
    "Ceiling: x + (1 - p) λ with the true expectation λ, the best that anyone can foretell of the full dose's own "
    "noise. The paper's patients are others: its numbers are a scale, not a race."
)


@dataclass(frozen=True)
class _Space:
    """Where quality is measured: projections, images, without the liver."""

    key: str
    title: str
    notes: str
    quality: Callable[[MethodRecord], ImageQuality]
    ceiling: Callable[[PatientRecord], Mapping[str, ImageQuality]]
    paper: Mapping[str, Mapping[Dose, Pair]]


_SPACES = (
    _Space(
        "table 1",
        "Table 1. Projection space",
        SCALES + CEILING_WORDS,
        lambda one: one.projection,
        lambda record: record.ceiling,
        PROJECTION,
    ),
    _Space(
        "table 1 without the liver",
        "Table 1 without the rows below the heart",
        "The paper's projections were cropped by a physician to be rid of the liver; here rows lower than 10 mm below "
        "the left ventricle are left out. Scales as in Table 1, with the maximum of what is left.",
        lambda one: one.projection_heart,
        lambda _: {},
        PROJECTION,
    ),
    _Space(
        "table 2",
        "Table 2. Image space",
        "OSEM 8 x 2, Butterworth order 10, 0.45 of Nyquist; short-axis slices of 160 mm about the heart, in the frame "
        "of the full-dose ventricle. Scales as in Table 1; the paper's network is reconstructed from its shares "
        "scaled to the measured counts over p. The paper doesn't say which voxels it compared: over these "
        "slices low-dose rows come near the printed ones, over whole reconstructions their RMSE is several times "
        "smaller (below). The ceiling is the reconstruction of Table 1's; images are not bound by it.",
        lambda one: one.image,
        lambda record: record.image_ceiling,
        IMAGE,
    ),
)


def quality_tables(records: Records) -> tuple[Table, ...]:
    """Return all tables of image quality."""
    spaces = [_quality_table(records, space) for space in _SPACES]
    return (*spaces, _other_scales(records), _voxel_pearson(records), _truth(records))


def of_method(records: Records, dose: Dose, method: Method) -> list[MethodRecord]:
    """Return what a method made of a dose in each patient; nothing where it was not trained."""
    found = [record.methods.get(dose.value, {}).get(method.value) for record in records]
    return [one for one in found if one is not None]


def mean_of(records: Records, dose: Dose, method: Method, value: Callable[[MethodRecord], float]) -> float | None:
    """Return the mean over the patients, None for a method that was not trained."""
    values = [value(one) for one in of_method(records, dose, method)]
    return float(np.mean(values)) if values else None


def mean_quality(records: Records, dose: Dose, method: Method, space: str, name: str) -> float | None:
    """Return the mean of a quality of `QUALITY` in a space of `SPACES`, None for a method that was not trained."""
    return mean_of(records, dose, method, lambda one: QUALITY[name](SPACES[space](one)))


def _quality_table(records: Records, space: _Space) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for dose in Dose:
        base = mean_of(records, dose, Method.LOW_DOSE, lambda one: space.quality(one).rmse)
        for method in Method:
            found = [space.quality(one) for one in of_method(records, dose, method)]
            if not found:
                rows.append(_untrained(dose, method, space))
                continue
            rows.append((dose.value, method.value, *_qualities(found, _printed(dose, method, space), base)))
        ceilings = [space.ceiling(record)[dose.value] for record in records if dose.value in space.ceiling(record)]
        if ceilings:
            rows.append((dose.value, CEILING, *_qualities(ceilings, {}, base)))
    columns = ("dose", "method", "PSNR", "PSNR, paper", "SSIM", "SSIM, paper", "RMSE", "RMSE, paper")
    return Table(space.key, space.title, (*columns, "RMSE gain, %", "RMSE gain, paper, %"), tuple(rows), space.notes)


def _qualities(found: Sequence[ImageQuality], printed: Mapping[str, Spread], base: float | None) -> tuple[Cell, ...]:
    cells: list[Cell] = []
    for name, value in QUALITY.items():
        digits = 3 if name == "SSIM" else 2
        cells += [spread([value(one) for one in found], digits), printed.get(name)]
    error = float(np.mean([one.rmse for one in found]))
    gain = Number(100.0 * (error / base - 1.0), 1, sign=True) if base and error != base else None
    return (*cells, gain, _papers_gain(printed))


def _papers_gain(printed: Mapping[str, Spread]) -> Cell:
    low = printed.get("RMSE of low dose")
    return Number(100.0 * (printed["RMSE"].mean / low.mean - 1.0), 1, sign=True) if low else None


def _printed(dose: Dose, method: Method, space: _Space) -> dict[str, Spread]:
    """Return the paper's numbers that belong beside a method: its low dose, or what its network predicted."""
    if method is Method.LOW_DOSE:
        return {name: _spread(of[dose].low_dose) for name, of in space.paper.items()}
    beside = {name: _spread(of[dose].predicted) for name, of in space.paper.items()}
    return {**beside, "RMSE of low dose": _spread(space.paper["RMSE"][dose].low_dose)}


def _untrained(dose: Dose, method: Method, space: _Space) -> tuple[Cell, ...]:
    printed = _printed(dose, method, space)
    cells = (NOT_TRAINED, printed["PSNR"], None, printed["SSIM"], None, printed["RMSE"], None, _papers_gain(printed))
    return (dose.value, method.value, *cells)


def _spread(printed: Printed) -> Spread:
    return Spread(printed.mean, printed.sd)


def _other_scales(records: Records) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for dose in Dose:
        for method in Method:
            found = of_method(records, dose, method)
            if found:
                cells = (
                    spread([one.projection_counts_rmse for one in found]),
                    spread([one.projection.ssim_windowed for one in found], 3),
                    spread([one.projection.ssim_unscaled for one in found], 3),
                    spread([one.image.ssim_windowed for one in found], 3),
                    spread([one.image_whole.rmse for one in found]),
                )
                rows.append((dose.value, method.value, *cells))
    return Table(
        "other scales",
        "Other scales of the same comparison with the full dose",
        (
            "dose", "method", "projection RMSE, counts per pixel", "projection SSIM, windows of 7 x 7",
            "projection SSIM, values 0 to 255", "image SSIM, windows of 7 x 7", "whole image RMSE",
        ),
        tuple(rows),
        "Counts: every method on the scale of the full dose, the low dose divided by p, the paper's network scaled to "
        "the measured counts over p. Whole image: all voxels of the reconstruction, scale as in Table 1.",
    )  # fmt: skip


def _voxel_pearson(records: Records) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for dose in Dose:
        low_dose, predicted = VOXEL_PEARSON[dose]
        for method in Method:
            found = [one.image_pearson for one in of_method(records, dose, method)]
            printed = low_dose if method is Method.LOW_DOSE else predicted
            beside = None if printed is None else Spread(printed.mean, printed.sd, 3)
            rows.append((dose.value, method.value, spread(found, 4) if found else NOT_TRAINED, beside))
    return Table(
        "figure 5",
        "Figure 5. Correlation with the full dose, voxel by voxel",
        ("dose", "method", "Pearson's r", "paper"),
        tuple(rows),
        "Over the slices of Table 2; mean and sd over patients.",
    )


def _truth(records: Records) -> Table:
    of_full = [record.full_dose_projection_truth_percent for record in records]
    images_of_full = [record.full_dose_image_truth_percent for record in records]
    rows: list[tuple[Cell, ...]] = [("full", "as measured", spread(of_full, 1), spread(images_of_full, 1))]
    for dose in Dose:
        for method in Method:
            found = of_method(records, dose, method)
            if found:
                projections = spread([one.projection_truth_percent for one in found], 1)
                images = spread([one.image_truth_percent for one in found], 1)
                rows.append((dose.value, method.value, projections, images))
    return Table(
        "truth",
        "Against the truth: the counts' expectation, without noise",
        ("dose", "method", "projection RMSE, %", "image RMSE, %"),
        tuple(rows),
        "In % of the noise-free mean: projections where the patient is, images within 60 mm of the heart. The full "
        "dose itself is not the truth; a method that comes below its row knows the patient better than a full-dose "
        "scan shows. The virtual full dose keeps the low dose's noise on purpose.",
    )


def three_cells(found: Sequence[ImageQuality]) -> tuple[Cell, ...]:
    return tuple(spread([value(one) for one in found], 3 if name == "SSIM" else 2) for name, value in QUALITY.items())
