"""Where the camera stood at each view: rotation and detector items of an NM TOMO image -> AcquisitionGeometry.

Cameras put the same facts into different items; each rule here is stated where it is applied. A wrong direction or
start angle leaves no trace in the images but a mirrored or turned patient, so those two are never guessed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.collimators import not_parallel
from dicomnode.objects.elements import integer, items, number, numbers, text, texts
from dicomnode.objects.frames import DETECTOR, ROTATION, VIEW, FrameIndex
from dicomnode.objects.pixels import pixel_size_mm
from dicomnode.objects.vendors import ge_radius_mm, ge_radius_offsets_mm
from pipelines.geometry import AcquisitionGeometry, RotationDirection

_DIRECTIONS = {
    "CW": RotationDirection.CLOCKWISE,
    "CC": RotationDirection.COUNTERCLOCKWISE,
    "CCW": RotationDirection.COUNTERCLOCKWISE,
}
_ALONG = 0.9  # cosine from which two directions count as the same
_FAR_MM = 150.0  # no camera's axis lies further from the origin across the patient


@dataclass(frozen=True)
class Arm:
    """One detector during one rotation: the frames that follow each other at equal steps."""

    rotation: int
    detector: int
    views: int
    start_deg: float = 0.0
    step_deg: float = 0.0  # not negative: the direction tells the sense
    direction: RotationDirection = RotationDirection.COUNTERCLOCKWISE

    @property
    def angles_deg(self) -> tuple[float, ...]:
        """Where each view was taken, from 0 to 360."""
        sign = 1 if self.direction is RotationDirection.COUNTERCLOCKWISE else -1
        return tuple((self.start_deg + sign * self.step_deg * view) % 360 for view in range(self.views))


@dataclass(frozen=True)
class Orbit:
    """The geometry of the views and how the stored frames relate to it.

    `view_of[frame]` is the frame's place among the views: by rotation, then detector, then view, as `arms` are
    ordered. Frames whose rows or columns run the other way than AcquisitionGeometry says must be flipped.
    """

    geometry: AcquisitionGeometry
    view_of: NDArray[np.int64]
    flip_rows: bool
    flip_columns: bool
    assumptions: tuple[str, ...]
    arms: tuple[Arm, ...]
    position_known: bool  # False: nothing tells where the axis lies in the patient's coordinates


def read_orbit(ds: Dataset, frames: FrameIndex) -> Orbit:
    """Return the geometry of an NM TOMO image whose `frames` are complete.

    Raises StudyUnsuitable, naming attribute, finding and expectation, where the position of a view isn't known.
    """
    rotations, detectors = items(ds, "RotationInformationSequence"), items(ds, "DetectorInformationSequence")
    if len(rotations) < frames.steps(ROTATION):
        raise StudyUnsuitable(
            f"Rotation Information Sequence has {len(rotations)} items, expected {frames.steps(ROTATION)}"
        )
    if min(integer(ds, "Rows") or 0, integer(ds, "Columns") or 0) < 1:
        raise StudyUnsuitable("Rows and Columns: found no positive numbers")
    notes: list[str] = []
    _check_collimators(detectors, notes)
    arms, view_of = _arms(frames)
    starts = _start_angles(rotations, detectors, arms, notes)
    turned = tuple(_turned(rotations[arm.rotation], arm, starts, notes) for arm in arms)
    angles = [angle for arm in turned for angle in arm.angles_deg]
    radii = _with_offsets(ds, arms, _radii(ds, rotations, detectors, arms, notes), notes)
    head = detectors[0] if detectors else Dataset()
    flip_rows, flip_columns = _flips(head, angles[0], notes)
    isocenter_mm, position_known = _isocenter_mm(ds, head, angles[0], radii[0] if radii else None, notes)
    geometry = AcquisitionGeometry(
        angles_deg=tuple(angles),
        pixel_size_mm=pixel_size_mm(ds),
        rows=integer(ds, "Rows") or 0,
        columns=integer(ds, "Columns") or 0,
        radius_mm=radii,
        isocenter_mm=isocenter_mm,
        center_of_rotation_offset_mm=_rotation_offset_mm(ds, detectors),
    )
    assumptions = tuple(dict.fromkeys(notes))
    return Orbit(geometry, view_of, flip_rows, flip_columns, assumptions, turned, position_known)


def _check_collimators(detectors: tuple[Dataset, ...], notes: list[str]) -> None:
    if reason := not_parallel(detectors):
        raise StudyUnsuitable(reason)
    if any(text(detector, "CollimatorType").upper() != "PARA" for detector in detectors or (Dataset(),)):
        notes.append("Collimator Type is not stated: taken as parallel holes")


def _arms(frames: FrameIndex) -> tuple[list[Arm], NDArray[np.int64]]:
    """Return the arms in stored order and each frame's place among all views."""
    rotation, detector, view = (frames.column(axis) for axis in (ROTATION, DETECTOR, VIEW))
    arms, view_of, offset = [], np.zeros(len(view), dtype=np.int64), 0
    for r in range(frames.steps(ROTATION)):
        for d in range(frames.steps(DETECTOR)):
            here = (rotation == r) & (detector == d)
            arms.append(Arm(r, d, int(view[here].max()) + 1))
            view_of[here] = offset + view[here]
            offset += arms[-1].views
    return arms, view_of


Starts = dict[tuple[int, int], float]


def _start_angles(
    rotations: tuple[Dataset, ...], detectors: tuple[Dataset, ...], arms: list[Arm], notes: list[str]
) -> Starts:
    """Return the start angle per (rotation, detector).

    The standard's place is the rotation item. Several heads share that item, so each must state its own angle in its
    detector item (or by its orientation); giving all heads the rotation's angle would put them on top of each other.
    """
    heads = max(arm.detector for arm in arms) + 1
    first = number(rotations[0], "StartAngle")
    of_heads = [number(detector, "StartAngle") for detector in detectors[:heads]]
    if heads > 1:
        known = _head_angles(of_heads, detectors[:heads], heads, notes)
    elif first is not None:
        known = [first]
    elif of_heads and of_heads[0] is not None:
        notes.append("Start Angle is given for the detector, not for the rotation: the detector's was used")
        known = [of_heads[0]]
    else:
        raise StudyUnsuitable("Start Angle: found none, expected an angle in the Rotation Information Sequence")
    starts = {}
    for arm in arms:
        later = number(rotations[arm.rotation], "StartAngle")
        if arm.rotation and (later is None or first is None):
            raise StudyUnsuitable(f"Start Angle of rotation {arm.rotation + 1}: found none, expected an angle")
        turned = (later - first) if arm.rotation and later is not None and first is not None else 0.0
        starts[arm.rotation, arm.detector] = known[arm.detector] + turned
    return starts


def _head_angles(
    stated: list[float | None], detectors: tuple[Dataset, ...], heads: int, notes: list[str]
) -> list[float]:
    angles = [angle for angle in stated if angle is not None]
    if len(angles) != heads or len({angle % 360 for angle in angles}) != heads:
        angles = [angle for angle in map(_angle_of_orientation, detectors) if angle is not None]
        notes.append("Start Angle does not tell the heads apart: taken from Image Orientation (Patient) of each")
    if len(angles) != heads or len({round(angle) % 360 for angle in angles}) != heads:
        raise StudyUnsuitable(
            f"Start Angle: found {len(set(stated) - {None})} for {heads} detectors, "
            "expected one per item of the Detector Information Sequence"
        )
    return angles


def _angle_of_orientation(detector: Dataset) -> float | None:
    """Return the angle at which a head with this Image Orientation (Patient) stands, None if it isn't upright."""
    orientation = numbers(detector, "ImageOrientationPatient")
    if len(orientation) != 6 or orientation[5] > -_ALONG:
        return None
    return math.degrees(math.atan2(orientation[1], -orientation[0])) % 360


def read_direction(rotation: Dataset) -> RotationDirection | None:
    """Return the direction that a rotation item states, None if it states none."""
    return _DIRECTIONS.get(text(rotation, "RotationDirection").upper())


def _turned(rotation: Dataset, arm: Arm, starts: Starts, notes: list[str]) -> Arm:
    """Return an arm with the angles that its rotation gives it."""
    found, direction = text(rotation, "RotationDirection").upper(), read_direction(rotation)
    if direction is None:
        raise StudyUnsuitable(f"Rotation Direction: found {found or 'nothing'}, expected CW or CC")
    if found == "CCW":
        notes.append("Rotation Direction CCW was read as CC")
    step = number(rotation, "AngularStep") or 0.0
    if step < 0:
        notes.append(f"Angular Step {step:g} is negative: its size was used, Rotation Direction gives the sense")
    if not step and arm.views > 1:
        arc = number(rotation, "ScanArc") or 0.0
        if not arc:
            raise StudyUnsuitable("Angular Step: found none, nor a Scan Arc to divide, expected degrees between views")
        step = arc / arm.views
        notes.append(f"Angular Step is not stated: Scan Arc {arc:g} divided by {arm.views} views was used")
    return replace(arm, start_deg=starts[arm.rotation, arm.detector], step_deg=abs(step), direction=direction)


def _radii(
    ds: Dataset, rotations: tuple[Dataset, ...], detectors: tuple[Dataset, ...], arms: list[Arm], notes: list[str]
) -> tuple[float, ...] | None:
    """Return the radius per view: that of the detector item, else of the rotation item, else GE's own."""
    radii: list[float] = []
    heads = max(arm.detector for arm in arms) + 1
    for arm in arms:
        own = numbers(detectors[arm.detector], "RadialPosition") if arm.detector < len(detectors) else ()
        shared = numbers(rotations[arm.rotation], "RadialPosition")
        stated = own or shared
        if len(stated) == arm.views * heads and heads > 1:
            stated = stated[arm.detector * arm.views :][: arm.views]
        if not stated and (of_ge := ge_radius_mm(ds)):
            notes.append("Radial Position is not stated: taken from GE's private Radius of Rotation")
            stated = (of_ge,)
        if len(stated) not in (1, arm.views) or min(stated) <= 0:
            found = f"{len(stated)} values" if len(stated) > 1 else (stated or ("none",))[0]
            notes.append(f"Radial Position: found {found} for {arm.views} views, so the radius of rotation is unknown")
            return None
        radii += stated if len(stated) == arm.views else stated * arm.views
    return tuple(radii)


def _with_offsets(
    ds: Dataset, arms: list[Arm], radii: tuple[float, ...] | None, notes: list[str]
) -> tuple[float, ...] | None:
    """Return the radii with what GE's private Tomo View Offset adds to them."""
    offsets = [ge_radius_offsets_mm(ds, arm.detector, arm.views) for arm in arms]
    if radii is None or not all(offsets):
        return radii
    moved = tuple(radius + offset for radius, offset in zip(radii, chain.from_iterable(offsets), strict=True))
    if min(moved) <= 0:
        return radii
    notes.append("the radius of each view holds GE's private Tomo View Offset")
    return moved


def _flips(head: Dataset, angle_deg: float, notes: list[str]) -> tuple[bool, bool]:
    """Tell whether rows or columns run the other way, judged by Image Orientation (Patient) of the first view."""
    orientation = numbers(head, "ImageOrientationPatient")
    if len(orientation) != 6:
        notes.append("Image Orientation (Patient) is not stated: taken as rows toward the feet, seen from the camera")
        return False, False
    angle = math.radians(angle_deg)
    along_columns = -orientation[0] * math.cos(angle) + orientation[1] * math.sin(angle)
    toward_feet = -orientation[5]
    if min(abs(along_columns), abs(toward_feet)) < _ALONG:
        notes.append("Image Orientation (Patient) doesn't fit Start Angle and was ignored")
        return False, False
    if toward_feet < 0:
        notes.append("rows run toward the head (Image Orientation): turned over")
    if along_columns < 0:
        notes.append("columns run the other way (Image Orientation): turned over")
    return toward_feet < 0, along_columns < 0


def _isocenter_mm(
    ds: Dataset, head: Dataset, angle_deg: float, radius_mm: float | None, notes: list[str]
) -> tuple[tuple[float, float, float], bool]:
    """Return where the axis of rotation meets the middle of the rows, in patient coordinates, and if that is known.

    Image Position (Patient) is either the corner of a cube about the axis (GE) or the first pixel of the first view,
    on the detector's face (the letter of the standard); the reading that puts the axis nearer to the origin is taken.
    """
    position = numbers(head, "ImagePositionPatient")
    spacing = pixel_size_mm(ds)
    half = [(number(ds, keyword) or 1) / 2 - 0.5 for keyword in ("Rows", "Columns")]
    down, across = half[0] * spacing[0], half[1] * spacing[1]
    if len(position) != 3 or not any(position):
        notes.append("Image Position (Patient) is not stated: the axis of rotation was put at the origin")
        return (0.0, 0.0, 0.0), False
    readings = {"the corner of a cube about the axis": (position[0] + across, position[1] + across)}
    if radius_mm is not None:
        sine, cosine = math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))
        x = position[0] - radius_mm * sine - across * cosine
        y = position[1] - radius_mm * cosine + across * sine
        readings["the first pixel of the first view"] = (x, y)
    meaning, (x, y) = min(readings.items(), key=lambda reading: math.hypot(*reading[1]))
    if math.hypot(x, y) > _FAR_MM or not any(position[:2]):  # no first pixel lies on the axis of the table
        notes.append("Image Position (Patient) fits no known meaning: the axis of rotation was put at x = y = 0")
        return (0.0, 0.0, position[2] - down), False
    notes.append(f"Image Position (Patient) was read as {meaning}")
    return (x, y, position[2] - down), True


def _rotation_offset_mm(ds: Dataset, detectors: tuple[Dataset, ...]) -> float:
    """Return the Center of Rotation Offset that is still to be corrected: none if Corrected Image lists COR."""
    if "COR" in texts(ds, "CorrectedImage"):
        return 0.0
    offsets = [number(detector, "CenterOfRotationOffset") or 0.0 for detector in detectors] or [0.0]
    if any(abs(one - other) > 0.01 for one, other in pairwise(offsets)):
        raise StudyUnsuitable(f"Center of Rotation Offset: found {offsets} mm, expected the same for all detectors")
    return offsets[0]
