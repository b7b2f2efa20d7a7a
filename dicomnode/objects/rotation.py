"""Rotation items: how the views of a reconstruction or of projections were taken (PS3.3 C.8.4.11, NM TOMO Acquisition).

What cameras write beside the standard (CCW, negative steps) is written as it was read, never again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.objects.elements import copied, dataset, integer, number, put, text
from dicomnode.objects.modules import merge
from dicomnode.objects.orbit import Orbit, read_direction
from pipelines.geometry import AcquisitionGeometry, RotationDirection
from pipelines.images import Projections

_UNEVEN = 0.1  # by this share of a step a view may miss its place on the arc
_WORDS = {RotationDirection.CLOCKWISE: "CW", RotationDirection.COUNTERCLOCKWISE: "CC"}


def rotation_of(projections: Projections) -> Dataset | None:
    """Return the one rotation item of a reconstruction: the arc on which the views lie at equal steps.

    Views of several heads are put in the order in which their arms join. None if they lie on no such arc.
    """
    geometry = projections.geometry
    order = _along_an_arc(geometry)
    if order is None:
        return None
    change = _change(geometry.angles_deg[0], geometry.angles_deg[1]) if geometry.views > 1 else 0.0
    item = dataset(
        StartAngle=geometry.angles_deg[order[0]],
        AngularStep=abs(change),
        RotationDirection="CW" if change < 0 else "CC",
        ScanArc=abs(change) * geometry.views,
        ActualFrameDuration=round((projections.view_time_s or 0) * 1000),
        NumberOfFramesInRotation=geometry.views,
    )
    if geometry.radius_mm is not None:
        put(item, RadialPosition=radial_position(tuple(geometry.radius_mm[view] for view in order)))
    return item


def radial_position(radii_mm: tuple[float, ...]) -> list[float]:
    """Return one radius for a circle, else one per view."""
    return [radii_mm[0]] if len(set(radii_mm)) == 1 else list(radii_mm)


def _change(before_deg: float, after_deg: float) -> float:
    return (after_deg - before_deg + 180) % 360 - 180


def _along_an_arc(geometry: AcquisitionGeometry) -> NDArray[np.int64] | None:
    """Return the views in the order of one arc at the step of the first two, None if they don't lie on one."""
    angles = np.asarray(geometry.angles_deg)
    if len(angles) == 1:
        return np.zeros(1, dtype=np.int64)
    step = _change(geometry.angles_deg[0], geometry.angles_deg[1])
    if not step:
        return None
    for start in angles:
        places = np.sign(step) * (angles - start) / abs(step) % (360 / abs(step))
        places[places > 360 / abs(step) - 0.5] = 0.0  # a hair before the start is the start
        order = np.argsort(places)
        if np.abs(places[order] - np.arange(len(angles))).max() < _UNEVEN:
            return order
    return None


def stated_rotation(stated: Dataset, frame_duration_ms: int, geometry: AcquisitionGeometry | None = None) -> Dataset:
    """Return a camera's own rotation item, what is beside the standard mended, for one rotation of a reconstruction.

    What it leaves out although it must be there (Type 1) is written as the views were read, or without views
    (`geometry`) as it is where nothing turned: zero, one frame.
    """
    angles = geometry.angles_deg if geometry is not None else (0.0,)
    item = dataset(
        StartAngle=angles[0],
        AngularStep=abs(_change(*angles[:2])) if len(angles) > 1 else 0.0,
        RotationDirection="CC",
        ScanArc=0.0,
        ActualFrameDuration=frame_duration_ms,
        NumberOfFramesInRotation=1,
    )
    known = ("StartAngle", "ActualFrameDuration", "NumberOfFramesInRotation", "RadialPosition")
    merge(item, copied(stated, *(keyword for keyword in known if text(stated, keyword))))
    for keyword in ("AngularStep", "ScanArc"):
        if (size := number(stated, keyword)) is not None:
            put(item, **{keyword: abs(size)})
    if (direction := read_direction(stated)) is not None:
        put(item, RotationDirection=_WORDS[direction])
    item.set_original_encoding(False, True, "iso8859")
    return item


def mend_rotations(ds: Dataset, orbit: Orbit) -> None:
    """Write start, step and direction in copied rotation and detector items as they were read.

    Of several heads the detector items hold the starts, since their rotation item is shared.
    """
    heads = max(arm.detector for arm in orbit.arms) + 1
    for arm in orbit.arms:
        rotation, start_deg = ds.RotationInformationSequence[arm.rotation], arm.start_deg % 360
        if heads > 1 and arm.rotation == 0:
            put(ds.DetectorInformationSequence[arm.detector], StartAngle=start_deg)
        if arm.detector:
            continue
        if heads == 1 or number(rotation, "StartAngle") is None:
            put(rotation, StartAngle=start_deg)
        put(rotation, AngularStep=arm.step_deg, RotationDirection=_WORDS[arm.direction])
        put(rotation, ScanArc=abs(number(rotation, "ScanArc") or arm.step_deg * arm.views))
        if not integer(rotation, "NumberOfFramesInRotation"):
            put(rotation, NumberOfFramesInRotation=arm.views)
