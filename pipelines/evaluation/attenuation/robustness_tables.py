"""Tables of what is not as it should be: other cameras, a CT that lies otherwise, and what registration does to it."""

from __future__ import annotations

import math

from pipelines.evaluation.attenuation.cases import SHIFTS_MM
from pipelines.evaluation.attenuation.heart_tables import deficit_correlation
from pipelines.evaluation.attenuation.map_tables import map_figures_of
from pipelines.evaluation.attenuation.material import Material, heart_pairs, segment_apes, tried
from pipelines.evaluation.attenuation.record import Frame, Method, Road
from pipelines.evaluation.attenuation.run import OTHERS
from pipelines.evaluation.layout import Cell, Number, Spread, Table, spread


def camera_table(material: Material) -> Table | None:
    """Return the main numbers on each other camera; None where none was tried."""
    rows: list[tuple[Cell, ...]] = []
    for camera in OTHERS:
        records = material.on(camera)
        for road in Road:
            for method in tried(records, road):
                found = material.agreement(records, road, Frame.OWN, method)
                maps = map_figures_of(records, method)
                deficit = deficit_correlation(records, road, method)
                cells: tuple[Cell, ...] = (None,) * 4
                if found is not None:
                    cells = (
                        Spread(found.segment_ape_percent, found.segment_ape_sd_percent, 3),
                        Number(found.segment_correlation.r, 3),
                        Spread(found.pixel_distance, found.pixel_distance_sd, 3),
                        Number(found.pixel_correlation.r, 3),
                    )
                named = (camera, road.value, material.label(method), str(len(records)))
                of_deficit = None if deficit is None else Number(deficit.r, 3)
                rows.append((*named, spread([one.nmae for one in maps], 4), *cells, of_deficit))
    if not rows:
        return None
    return Table(
        "cameras",
        "Other cameras",
        ("camera", "road", "map", "scans", "NMAE", "segment APE, %", "segment R", "pixel distance", "pixel R",
         "r of TPD"),
        tuple(rows),
        "The first test patients of the cohort on each camera; read and compared as on the main one. Of `iq-spect` "
        "there is only the vendor's reconstruction, as in the paper: PRAC alone, no scatter window.",
    )  # fmt: skip


def misregistration_table(material: Material) -> Table:
    """Return how much worse CTAC gets where its map lies otherwise."""
    rows: list[tuple[Cell, ...]] = []
    for name in SHIFTS_MM:
        apes, deficits = [], []
        for record in material.main:
            reference, moved = record.reading(Road.OSEM, Frame.COMMON, Method.CTAC), record.shifted.get(name)
            if reference is not None and moved is not None:
                apes.append(float(segment_apes(moved, reference).mean()))
                deficits.append(abs(moved.tpd_percent - reference.tpd_percent))
        worst = Number(max(apes), 2) if apes else None
        rows.append((f"reference moved {name}", str(len(apes)), spread(apes), worst, spread(deficits)))
    for method in (Method.CT_BY_HAND, Method.CT_REGISTERED, Method.CTAC_REGISTERED, Method.OURS, Method.OURS_PEAK):
        pairs = heart_pairs(material.main, Road.OSEM, Frame.COMMON, method)
        apes = [float(segment_apes(ours, theirs).mean()) for _, ours, theirs in pairs]
        deficits = [abs(ours.tpd_percent - theirs.tpd_percent) for _, ours, theirs in pairs]
        worst = Number(max(apes), 2) if apes else None
        rows.append((material.label(method), str(len(apes)), spread(apes), worst, spread(deficits)))
    return Table(
        "misregistration",
        "A CT that lies otherwise",
        ("map", "scans", "segment APE, %", "worst scan", "difference of TPD, points, absolute"),
        tuple(rows),
        "OSEM, read in the reference's ventricle; mean over the segments of a scan, mean ± sd over scans. As usual: "
        "4 mm per axis (2 % of scans 12 to 20 mm), 1 degree, and mostly a deeper breath, as after an alignment by "
        "hand.",
    )


def registration_table(material: Material) -> Table | None:
    """Return how far maps lay from the emission before and after our registration; None where none was tried."""
    rows: list[tuple[Cell, ...]] = []
    for method in (Method.CT_REGISTERED, Method.CTAC_REGISTERED):
        found = [(one, one.registrations[method.value]) for one in material.main if method.value in one.registrations]
        if not found:
            continue
        before, after = ([getattr(one, f"heart_{when}_mm") for _, one in found] for when in ("before", "after"))
        turns = [math.hypot(*one.turn_deg) for _, one in found]
        agreements = [[getattr(one, f"agreement_{when}") for _, one in found] for when in ("before", "after")]
        cells = (spread(before), spread(after), Number(max(after), 1), spread(turns))
        rows.append((method.value, str(len(found)), *cells, *(spread(one, 3) for one in agreements)))
    if not rows:
        return None
    return Table(
        "registration",
        "Our registration of CT to emission",
        ("map", "scans", "heart off before, mm", "heart off after, mm", "farthest after, mm", "turned by, degrees",
         "outlines' agreement before", "after"),
        tuple(rows),
        "How far the heart of the map lies from that of the emission, its breath included: the CT is taken in another "
        "breath, which moves heart and diaphragm against the trunk, and no rigid motion puts all of them right.",
    )  # fmt: skip
