"""Tables of polar maps: by segment and by pixel as in the paper, total perfusion deficit, and against the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.agreement.polar_maps import PolarMapAgreement
from pipelines.agreement.statistics import Correlation, bland_altman, detection, pearson
from pipelines.evaluation.attenuation.map_tables import FROM_EMISSION
from pipelines.evaluation.attenuation.material import LEAST_SCANS, Material, heart_pairs, tried
from pipelines.evaluation.attenuation.paper import DLAC, NOT_CORRECTED, PrintedAgreement
from pipelines.evaluation.attenuation.record import Frame, Method, Road, ScanRecord
from pipelines.evaluation.layout import Between, Cell, Number, Spread, Table, spread

ILL_TPD_PERCENT = 3.0  # true deficit, from which a patient is not of the healthy group
COLUMNS = (
    "road", "map", "scans", "segment APE, %", "paper", "segment R", "paper, R", "pixel distance", "paper, distance",
    "pixel APE, %", "pixel R", "paper, pixel R",
)  # fmt: skip
_BY_PRAC = (Method.CTAC, Method.NONE, *FROM_EMISSION)
_FRAMES = {
    Frame.OWN: "Each image is read for itself: the ventricle is found in it anew, as the paper's software did it.",
    Frame.COMMON: "All images of a scan are read in the ventricle that was found in the reference.",
}
_WORDS = (
    "Polar maps against CTAC by the same road, each in percent of its maximum; pixels of 512 x 512 within the circle. "
    "Mean ± sd over all segments (or pixels) of all scans, as in the paper, whose patients are others. "
)


def agreement_table(material: Material, frame: Frame) -> Table:
    """Return the paper's numbers of polar maps for every method by both roads."""
    rows: list[tuple[Cell, ...]] = []
    for road in Road:
        for method in tried(material.main, road):
            found = material.agreement(material.main, road, frame, method)
            scans = str(len(heart_pairs(material.main, road, frame, method)))
            cells = (None,) * 9 if found is None else _agreement_cells(found, printed_of(method, road))
            rows.append((road.value, material.label(method), scans, *cells))
    own = frame is Frame.OWN
    return Table(
        "polar maps" if own else "polar maps, common frame",
        "Polar maps against CTAC" + ("" if own else ", in the reference's ventricle"),
        COLUMNS,
        tuple(rows),
        _WORDS + _FRAMES[frame],
    )


def printed_of(method: Method, road: Road) -> PrintedAgreement | None:
    """Return what the paper printed of such a method; it has PRAC alone."""
    if road is not Road.PRAC:
        return None
    if method is Method.NONE:
        return NOT_CORRECTED
    return DLAC if method in FROM_EMISSION else None


def _agreement_cells(found: PolarMapAgreement, printed: PrintedAgreement | None) -> tuple[Cell, ...]:
    return (
        Spread(found.segment_ape_percent, found.segment_ape_sd_percent, 3),
        Spread(printed.segment_ape.mean, printed.segment_ape.sd, 3) if printed else None,
        Number(found.segment_correlation.r, 3),
        Number(printed.segment_r, 2) if printed else None,
        Spread(found.pixel_distance, found.pixel_distance_sd, 3),
        Spread(printed.pixel_distance.mean, printed.pixel_distance.sd, 3) if printed else None,
        Spread(found.pixel_ape_percent, found.pixel_ape_sd_percent, 2),
        Number(found.pixel_correlation.r, 3),
        Number(printed.pixel_r, 2) if printed else None,
    )


def roads_table(material: Material) -> Table | None:
    """Return how far images by PRAC lie from CTAC by OSEM; None where nobody can reconstruct the projections."""
    rows: list[tuple[Cell, ...]] = []
    for method in (Method.CTAC, *tried(material.main, Road.PRAC)):
        if method not in _BY_PRAC:
            continue
        found = material.agreement(material.main, Road.PRAC, Frame.OWN, method, Road.OSEM)
        if found is None:
            continue
        name = material.label(method) if method is Method.NONE else f"{material.label(method)}, PRAC"
        scans = str(len(heart_pairs(material.main, Road.PRAC, Frame.OWN, method, Road.OSEM)))
        rows.append((name, scans, *_across(found)))
    if not rows:
        return None
    return Table(
        "prac against osem",
        "PRAC against a reconstruction with the map",
        ("image", "scans", "segment APE, %", "segment R", "pixel distance", "pixel R"),
        tuple(rows),
        "Everything against CTAC by OSEM, which stands for a vendor's own corrected reconstruction: the row of CTAC is "
        "what correcting afterwards costs by itself, the others have the error of their map besides. Each image is "
        "read for itself; mean ± sd over all segments (or pixels) of all scans. The paper compares by PRAC alone.",
    )


def _across(found: PolarMapAgreement) -> tuple[Cell, ...]:
    return (
        Spread(found.segment_ape_percent, found.segment_ape_sd_percent, 3),
        Number(found.segment_correlation.r, 3),
        Spread(found.pixel_distance, found.pixel_distance_sd, 3),
        Number(found.pixel_correlation.r, 3),
    )


def bland_altman_table(material: Material) -> Table:
    """Return bias and limits of the segments (Figure 6) and of the total perfusion deficit."""
    rows: list[tuple[Cell, ...]] = []
    for road in Road:
        for method in tried(material.main, road):
            pairs = heart_pairs(material.main, road, Frame.OWN, method)
            if len(pairs) < LEAST_SCANS:
                continue
            segments = [np.concatenate([one[side].segments_percent for _, *one in pairs]) for side in (0, 1)]
            deficits = [np.array([one[side].tpd_percent for _, *one in pairs]) for side in (0, 1)]
            for name, (ours, theirs) in (("segments, %", segments), ("TPD, %", deficits)):
                found = bland_altman(ours, theirs)
                cells = (Number(value, 2, sign=True) for value in (found.bias, found.low, found.high))
                rows.append((road.value, material.label(method), name, *cells, str(found.number)))
    return Table(
        "bland-altman",
        "Figure 6. Bland-Altman against CTAC",
        ("road", "map", "of", "bias", "lower limit", "upper limit", "values"),
        tuple(rows),
        "Limits: bias ± 1.96 sd. Each image is read for itself. Segments of one scan are not independent of each "
        "other: trust the limits, not an interval of them.",
    )


def deficit_correlation(records: Sequence[ScanRecord], road: Road, method: Method) -> Correlation | None:
    """Return the correlation of the total perfusion deficit with the reference's; None for too few scans."""
    pairs = heart_pairs(records, road, Frame.OWN, method)
    return _correlation([(ours.tpd_percent, theirs.tpd_percent) for _, ours, theirs in pairs])


def _correlation(pairs: Sequence[tuple[float, float]]) -> Correlation | None:
    if len(pairs) < LEAST_SCANS:
        return None
    first, second = np.array(pairs).T
    try:
        return pearson(first, second)
    except ValueError:  # all the same
        return None


def deficit_table(material: Material) -> Table:
    """Return how total perfusion deficit and summed score agree with CTAC's."""
    rows: list[tuple[Cell, ...]] = []
    for road in Road:
        for method in tried(material.main, road):
            pairs = heart_pairs(material.main, road, Frame.OWN, method)
            deficit = deficit_correlation(material.main, road, method)
            score = _correlation([(ours.summed_score, theirs.summed_score) for _, ours, theirs in pairs])
            apart = spread([abs(ours.tpd_percent - theirs.tpd_percent) for _, ours, theirs in pairs])
            cells = (_between(deficit), apart, _between(score))
            rows.append((road.value, material.label(method), str(len(pairs)), *cells))
    return Table(
        "deficit",
        "Total perfusion deficit and summed score against CTAC",
        (
            "road",
            "map",
            "scans",
            "r of TPD (95 %)",
            "difference of TPD, points, absolute",
            "r of the summed score (95 %)",
        ),
        tuple(rows),
        "Each image is read for itself, against normal limits of images with or without correction, as it is. Beyond "
        "the paper, which named the missing test of diagnosis as its limit.",
    )


def truth_table(material: Material) -> Table:
    """Return how the deficit that is read agrees with the true one, the reference's too."""
    rows: list[tuple[Cell, ...]] = []
    for road in Road:
        for method in (*tried(material.main, road), Method.CTAC):
            found = [
                (one.tpd_percent, record.patient.true_tpd_percent)
                for record in material.main
                if (one := record.reading(road, Frame.OWN, method)) is not None
            ]
            rows.append((road.value, material.label(method), str(len(found)), *_truth_cells(found)))
    return Table(
        "truth",
        "Total perfusion deficit against the truth",
        ("road", "map", "scans", "r with the true TPD (95 %)", "ill from healthy, AUC (95 %)"),
        tuple(rows),
        f"Ill: a true deficit above {ILL_TPD_PERCENT:g} %. CTAC itself is not the truth: noise and blur are in it.",
    )


def _truth_cells(found: Sequence[tuple[float, float]]) -> tuple[Cell, Cell]:
    ill = [seen for seen, true in found if true > ILL_TPD_PERCENT]
    healthy = [seen for seen, true in found if true <= ILL_TPD_PERCENT]
    if min(len(ill), len(healthy)) < 2:
        return _between(_correlation(found)), None
    area = detection(ill, healthy)
    return _between(_correlation(found)), Between(area.auc, area.low, area.high)


def _between(found: Correlation | None) -> Cell:
    return None if found is None else Between(found.r, found.low, found.high, 3)
