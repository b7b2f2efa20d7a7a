"""How the methods of the attenuation evaluation look in figures, and what figures lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pipelines.evaluation.attenuation.material import Material
from pipelines.evaluation.attenuation.paper import SOURCE
from pipelines.evaluation.attenuation.record import Method, Road, ScanRecord
from pipelines.evaluation.page import after_figure, beyond_paper
from pipelines.report.colors import BLUE, GREEN, RED

METHOD_COLORS: Mapping[Method, str] = MappingProxyType(
    {
        Method.NONE: BLUE,
        Method.UNIFORM: "#8390a2",
        Method.CHANG: "#515f73",
        Method.PAPER: "#7c3aed",
        Method.OURS: RED,
        Method.OURS_PEAK: "#d97706",
        Method.OURS_BARE: "#fbbf24",
        Method.CT_BY_HAND: "#0f766e",
        Method.CT_REGISTERED: "#5eead4",
        Method.CTAC_REGISTERED: "#a7f3d0",
        Method.CTAC: GREEN,
    }
)
FEATURED = (Method.OURS, Method.OURS_PEAK, Method.PAPER)  # what stands where the paper has its DLAC, the first there is


class Missing(ValueError):
    """A figure can't be drawn; the message says what it lacks."""


def after(figure: str) -> str:
    """Return which figure of the paper ours follows."""
    return after_figure(SOURCE, figure)


def beyond() -> str:
    """Return that the paper has no such figure."""
    return beyond_paper(SOURCE)


def networks(material: Material) -> tuple[Method, ...]:
    """Return the networks that were tried on the main camera."""
    present = {name for record in material.main for name in record.maps}
    return tuple(method for method in FEATURED if method.value in present)


def roads(material: Material) -> tuple[Road, ...]:
    """Return the roads that were tried on the main camera."""
    return tuple(road for road in Road if any(road.value in record.hearts for record in material.main))


def middle_scan(records: Sequence[ScanRecord], values: Sequence[float]) -> ScanRecord:
    """Return the scan with the median value (the lower one of two)."""
    ordered = sorted(zip(values, records, strict=True), key=lambda pair: (pair[0], pair[1].name))
    return ordered[(len(ordered) - 1) // 2][1]


def who(record: ScanRecord) -> str:
    """Return a scan's patient in words."""
    sex = {"F": "Woman", "M": "Man"}.get(record.patient.sex, record.patient.sex)
    mass = record.patient.weight_kg / record.patient.height_m**2
    return f"{sex}, BMI {mass:.0f}, at {record.state}, true TPD {record.patient.true_tpd_percent:.1f} %"
