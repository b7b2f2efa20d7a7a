"""The tables of what is read from the heart: correlation, Bland-Altman, a surrogate of the reader, truth, detection."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.agreement.statistics import Correlation, bland_altman, detection, pearson
from pipelines.evaluation.denoising.detection import (
    ABNORMAL_TPD_PERCENT,
    METHODS,
    NormalRecord,
    Share,
    false_defects,
    missed_defects,
    truly_ill,
)
from pipelines.evaluation.denoising.paper import ACCEPTABLE_PERCENT, INDICES, READER, SSS_BIAS_HALF
from pipelines.evaluation.denoising.quality_tables import NOT_TRAINED, Records, of_method
from pipelines.evaluation.denoising.record import Dose, Indices, Method, PatientRecord
from pipelines.evaluation.layout import Between, Cell, Number, Table, spread

NAMES: Mapping[str, str] = {
    "defect_ml": "Defect, ml",
    "extent_percent": "Extent, %",
    "summed_score": "SSS/SRS",
    "summed_percent": "SS%/SR%",
    "tpd_percent": "TPD, %",
    "cavity_ml": "Volume, ml",
    "wall_ml": "Wall, ml",
    "eccentricity": "Shape eccentricity",
    "shape_index": "Shape index",
}
LARGEST_DIFFERENCE, ACCEPTABLE_DIFFERENCE = 3, 1  # of the paper's physician
POINTS_PER_STEP = 2.0  # of the summed score, for one step of the physician's scale
READER_RULE = (
    "No physician scored these images. Surrogate: difference = (SSS of the image - SSS of the full dose) / "
    f"{POINTS_PER_STEP:g}, halves rounded away from 0, cut at -{LARGEST_DIFFERENCE} and +{LARGEST_DIFFERENCE}; "
    f"acceptable are -{ACCEPTABLE_DIFFERENCE} to +{ACCEPTABLE_DIFFERENCE}, as in the paper. Here + means that more "
    "deficit was read than at full dose; with the paper's physician + means higher uptake."
)
_NOISE_FREE = "noise-free"


def index_tables(records: Records, normals: Sequence[NormalRecord]) -> tuple[Table, ...]:
    """Return all tables of the heart's indices."""
    return (
        _correlations(records),
        _reader(records),
        _bland_altman(records),
        _against_truth(records),
        _detection(records, normals),
    )


def indices_of(record: PatientRecord, dose: Dose | None, method: Method | None) -> Indices | None:
    """Return what was read from an image; no method at no dose is the full dose."""
    if dose is None or method is None:
        return record.full_dose
    found = record.methods.get(dose.value, {}).get(method.value)
    return None if found is None else found.indices


def index_pairs(records: Records, dose: Dose | None, method: Method | None, name: str) -> list[tuple[float, float]]:
    """Return an index of an image and of the full dose in all patients in which both were read.

    Without a dose: of the noise-free image.
    """
    pairs = []
    for record in records:
        image = record.noise_free if dose is None else indices_of(record, dose, method)
        if image is not None and record.full_dose is not None:
            pairs.append((float(getattr(image, name)), float(getattr(record.full_dose, name))))
    return pairs


def correlation(pairs: Sequence[tuple[float, float]]) -> Correlation | None:
    """Return Pearson's correlation; None where there are too few pairs or no spread."""
    image, full = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    try:
        return pearson(image, full)
    except ValueError:
        return None


def reader_differences(records: Records, dose: Dose, method: Method) -> list[int]:
    """Return the surrogate of the physician's difference score in each patient."""
    pairs = index_pairs(records, dose, method, "summed_score")
    return [reader_step(image - full) for image, full in pairs]


def reader_step(difference: float) -> int:
    """Return a difference of summed scores in steps of the physician's scale; every step is as wide as the others."""
    steps = math.floor(abs(difference) / POINTS_PER_STEP + 0.5)
    return int(math.copysign(min(steps, LARGEST_DIFFERENCE), difference))


def _correlations(records: Records) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, words in NAMES.items():
        rows.append((words, "full", _NOISE_FREE, *_correlated(index_pairs(records, None, None, name)), None))
        for dose in Dose:
            low, predicted = INDICES[name][dose]
            for method in Method:
                cells: tuple[Cell, Cell] = (NOT_TRAINED, None)
                if of_method(records, dose, method):
                    cells = _correlated(index_pairs(records, dose, method, name))
                printed = Number(low if method is Method.LOW_DOSE else predicted)
                rows.append((words, dose.value, method.value, *cells, printed))
    return Table(
        "table 3",
        "Table 3. Indices against those of the full dose",
        ("index", "dose", "method", "Pearson's r (95 %)", "patients", "paper"),
        tuple(rows),
        "Each image is read for itself: the ventricle is found in it anew. Interval by Fisher's transformation. The "
        "noise-free row is what a perfect image would reach: the full dose's own noise keeps it from 1.",
    )


def _correlated(pairs: Sequence[tuple[float, float]]) -> tuple[Cell, Cell]:
    found = correlation(pairs)
    return (None if found is None else Between(found.r, found.low, found.high)), str(len(pairs))


def _reader(records: Records) -> Table:
    rows = [(dose.value, method.value, *_reader_cells(records, dose, method)) for dose in Dose for method in Method]
    return Table(
        "table 4",
        "Table 4 and Figure 8. A surrogate of the reader",
        (
            "dose", "method", "acceptable, %", "of women", "of men", "acceptable, paper, %", "r of SS (95 %)",
            "r of SS, paper", "patients at -3 to +3",
        ),
        tuple(rows),
        f"{READER_RULE} Images in which no ventricle was found are left out. The worklist beside these tables lets a "
        "physician score them.",
    )  # fmt: skip


def _reader_cells(records: Records, dose: Dose, method: Method) -> tuple[Cell, ...]:
    """Return what stands in a row of the surrogate's table after dose and method."""
    low, predicted = READER[dose]
    printed = Number(low if method is Method.LOW_DOSE else predicted, 3)
    acceptable = None if method is Method.LOW_DOSE else Number(ACCEPTABLE_PERCENT[dose], 0)
    if not of_method(records, dose, method):
        return NOT_TRAINED, None, None, acceptable, None, printed, None
    differences = reader_differences(records, dose, method)
    shares = [
        acceptable_percent(reader_differences([one for one in records if one.sex in sexes], dose, method))
        for sexes in ("FM", "F", "M")
    ]
    found = correlation(index_pairs(records, dose, method, "summed_score"))
    return (
        *(None if share is None else Number(share, 0) for share in shares),
        acceptable,
        None if found is None else Between(found.r, found.low, found.high),
        printed,
        " ".join(str(differences.count(step)) for step in range(-LARGEST_DIFFERENCE, LARGEST_DIFFERENCE + 1)),
    )


def acceptable_percent(differences: Sequence[int]) -> float | None:
    """Return the share of differences that change no diagnosis; None for none."""
    if not differences:
        return None
    return 100.0 * float(np.mean([abs(one) <= ACCEPTABLE_DIFFERENCE for one in differences]))


def _bland_altman(records: Records) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, words in NAMES.items():
        for dose in Dose:
            for method in Method:
                pairs = index_pairs(records, dose, method, name)
                if len(pairs) < 3:
                    continue
                found = bland_altman(*np.array(pairs).T)
                cells = (
                    Between(found.bias, *found.bias_interval),
                    Between(found.low, *found.low_interval),
                    Between(found.high, *found.high_interval),
                )
                rows.append((words, dose.value, method.value, *cells, str(found.number)))
    bias, low, high = SSS_BIAS_HALF
    return Table(
        "bland-altman",
        "Figures 6 and 7. Bias and limits of agreement with the full dose",
        ("index", "dose", "method", "bias (95 %)", "lower limit (95 %)", "upper limit (95 %)", "patients"),
        tuple(rows),
        f"Limits: bias ± 1.96 sd. The paper prints SSS at half dose, predicted: {bias} ({low} to {high}).",
    )


def _against_truth(records: Records) -> Table:
    rows: list[tuple[Cell, ...]] = []
    images: list[tuple[str, str, list[Indices | None]]] = [
        ("full", "as measured", [one.full_dose for one in records]),
        ("full", _NOISE_FREE, [one.noise_free for one in records]),
        *(
            (dose.value, method.value, [indices_of(one, dose, method) for one in records])
            for dose in Dose
            for method in Method
        ),
    ]
    for dose, method, found in images:
        read = [(one, record.truth) for one, record in zip(found, records, strict=True) if one is not None]
        if not read:
            continue
        deficits = [(indices.tpd_percent, truth.tpd_percent) for indices, truth in read]
        both = correlation(deficits)
        rows.append(
            (
                dose,
                method,
                None if both is None else Between(both.r, both.low, both.high),
                spread([ours - theirs for ours, theirs in deficits], 1),
                spread([indices.summed_score - truth.summed_score for indices, truth in read], 1),
                spread([indices.cavity_ml - truth.cavity_ml for indices, truth in read], 1),
                spread([indices.wall_ml - truth.wall_ml for indices, truth in read], 1),
                f"{len(read)} of {len(records)}",
            )
        )
    return Table(
        "indices against truth",
        "Indices against the truth of the virtual patients",
        (
            "dose", "method", "r of TPD (95 %)", "TPD error, points", "summed score error", "volume error, ml",
            "wall error, ml", "ventricle found",
        ),
        tuple(rows),
        "Errors: mean and sd of read less true. The noise-free row is what reading alone makes of the truth.",
    )  # fmt: skip


def _detection(records: Records, normals: Sequence[NormalRecord]) -> Table:
    ill = truly_ill(records)
    rows = [
        ("full", "as measured", [one.full_dose for one in normals], [_deficit(one.full_dose) for one in ill]),
        ("full", _NOISE_FREE, [one.noise_free for one in normals], [_deficit(one.noise_free) for one in ill]),
    ]
    for dose in Dose:
        for method in METHODS:
            made = [one.methods[dose.value] for one in normals]
            healthy = [one[method.value] for one in made if method.value in one]
            sick = [_deficit(one.indices) for one in of_method(ill, dose, method)]
            rows.append((dose.value, method.value, healthy, sick))
    return Table(
        "detection",
        "False and missed defects",
        (
            "dose", "method", "false defects, % (95 %)", "normal hearts read", "missed defects, % (95 %)",
            "ill hearts read", "area under the curve (95 %)",
        ),
        tuple((dose, method, *_detected(healthy, sick)) for dose, method, healthy, sick in rows),
        f"False: of {len(normals)} more normal hearts, the share read with a TPD above {ABNORMAL_TPD_PERCENT:g} %. "
        f"Missed: of the {len(ill)} test patients whose true TPD is above that, the share read below. Hearts in which "
        "no ventricle was found count in neither. The area is that of TPD between the two groups. Interval of shares "
        "by Wilson, of areas by DeLong.",
    )  # fmt: skip


def _detected(healthy: Sequence[float | None], sick: Sequence[float | None]) -> tuple[Cell, ...]:
    if not healthy and not sick:
        return NOT_TRAINED, None, None, None, None
    well, unwell = ([value for value in values if value is not None] for values in (healthy, sick))
    area = detection(unwell, well) if min(len(well), len(unwell)) > 1 else None
    return (
        _share(false_defects(healthy)),
        f"{len(well)} of {len(healthy)}",
        _share(missed_defects(sick)),
        f"{len(unwell)} of {len(sick)}",
        None if area is None else Between(area.auc, area.low, area.high),
    )


def _share(found: Share | None) -> Cell:
    return None if found is None else Between(found.percent, found.low_percent, found.high_percent, 0)


def _deficit(indices: Indices | None) -> float | None:
    return None if indices is None else indices.tpd_percent
