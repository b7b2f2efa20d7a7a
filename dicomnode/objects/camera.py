"""Virtual acquisitions as DICOM, written as a camera would: NM images of PS3.3 A.5.

Projections (TOMO, GATED TOMO), and what stations make of them: a reconstruction, a transmission map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.objects.elements import code, dataset, file_bytes, put
from dicomnode.objects.frames import (
    DETECTOR,
    NM_IMAGE_STORAGE,
    ROTATION,
    RR_INTERVAL,
    TIME_SLOT,
    VIEW,
    WINDOW,
    Axis,
)
from dicomnode.objects.modules import energy_windows, frame_vectors, merge, nm_pixels, patient_state
from dicomnode.objects.rotation import radial_position, rotation_of
from dicomnode.objects.virtual_study import SeriesIdentity, VirtualStudy, patient_and_study, series_and_equipment
from dicomnode.objects.volume_image import Placement, volume_image
from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import Projections, Unit, Volume

_HIGHEST = 65535


@dataclass(frozen=True)
class Camera:
    """How the virtual camera writes: its number of heads, and what it says of itself."""

    detectors: int = 1  # 1: views merged, as GE does; 2: the first half of the views by head 1, the rest by head 2
    collimator: str = "LEHR"
    corrected: tuple[str, ...] = ("UNIF", "COR")
    model: str = "Virtual camera"


def write_tomo(projections: Projections, study: VirtualStudy, now: datetime, camera: Camera | None = None) -> bytes:
    """Return projections as a DICOM file: NM TOMO, or GATED TOMO if there are several gates.

    Frames stand in the standard's order (energy window, detector, rotation, R-R interval, time slot, view). Counts
    must be whole numbers from 0 to 65535, and each head's views must follow each other at equal steps; else
    ValueError. Image Position (Patient) is the corner of a cube about the axis, as GE writes it.
    """
    camera = camera or Camera()
    stored, columns = _frames(projections, camera.detectors)
    ds = nm_pixels(stored)
    merge(ds, _patient_and_series(study, now, camera, stored.tobytes()))
    merge(ds, frame_vectors(columns))
    merge(ds, energy_windows(projections.windows))
    merge(ds, patient_state(study.state))
    merge(ds, _patient_on_table(study))
    merge(ds, _how_acquired(projections, camera, int(stored.sum(dtype=np.int64))))
    gated = projections.gates > 1
    put(ds, ImageType=["ORIGINAL", "PRIMARY", "GATED TOMO" if gated else "TOMO", "EMISSION"])
    if gated:
        merge(ds, _gating(projections))
    return file_bytes(ds)


def write_reconstruction(
    volume: Volume, projections: Projections, study: VirtualStudy, now: datetime, camera: Camera | None = None
) -> bytes:
    """Return a volume as the NM RECON TOMO image that a camera's own software would make of `projections`.

    The first frame is nearest the head, as GE and Mediso write. Raises StudyUnsuitable if the volume's axes aren't
    perpendicular.
    """
    return file_bytes(_stack(volume, projections, study, now, camera or Camera(), "EMISSION"))


def write_transmission(
    mu_map: Volume, projections: Projections, study: VirtualStudy, now: datetime, camera: Camera | None = None
) -> bytes:
    """Return mu (1/cm) as an NM RECON TOMO TRANSMISSION image: what a scan with transmission sources ends in.

    `projections` are those of the emission that the map belongs to. Raises ValueError if the volume isn't in 1/cm,
    StudyUnsuitable if its axes aren't perpendicular.
    """
    if mu_map.unit is not Unit.PER_CM:
        raise ValueError(f"an attenuation map is in 1/cm, not in {mu_map.unit.value}")
    ds = _stack(mu_map, projections, study, now, camera or Camera(), "TRANSMISSION")
    put(ds.RotationInformationSequence[0], DistanceSourceToDetector=None)  # Type 2C of a transmission image
    return file_bytes(ds)


def _stack(
    volume: Volume, projections: Projections, study: VirtualStudy, now: datetime, camera: Camera, shown: str
) -> Dataset:
    """Return a reconstruction in the coordinates of its projections (PS3.3 C.8.4.15)."""
    volume = _head_first(volume)
    placement = Placement.of(volume.grid)
    ds = volume_image(volume)
    merge(ds, _patient_and_series(study, now, camera, ds.PixelData))
    merge(ds, energy_windows((projections.windows[projections.photopeak],)))
    merge(ds, patient_state(study.state))
    merge(ds, _patient_on_table(study))
    put(
        ds,
        ImageType=["ORIGINAL", "PRIMARY", "RECON TOMO", shown],
        CorrectedImage=list(camera.corrected) or None,
        CountsAccumulated=None,
        DetectorInformationSequence=[
            dataset(
                CollimatorGridName=camera.collimator,
                CollimatorType="PARA",
                FocalDistance=0,
                ImagePositionPatient=placement.position_mm,
                ImageOrientationPatient=placement.orientation,
            )
        ],
        RotationInformationSequence=[rotation_of(projections) or _rotation(projections, camera)],
    )
    return ds


def _head_first(volume: Volume) -> Volume:
    """Return the same volume with the slice nearest the head first."""
    affine = volume.grid.matrix
    if affine[2, 2] <= 0:
        return volume
    affine[:3, 3] += (len(volume.values) - 1) * affine[:3, 2]
    affine[:3, 2] *= -1
    rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in affine)
    return Volume(np.ascontiguousarray(volume.values[::-1]), VoxelGrid(volume.grid.shape, rows), volume.unit)


def _patient_and_series(study: VirtualStudy, now: datetime, camera: Camera, pixels: bytes) -> Dataset:
    identity = SeriesIdentity.of(study, camera, pixels)
    ds = patient_and_study(study, now)
    merge(ds, series_and_equipment(identity, "NM", camera.model, now))
    put(ds, SOPClassUID=NM_IMAGE_STORAGE, SOPInstanceUID=identity.sop_instance_uid(), InstanceNumber=1)
    return ds


def _frames(projections: Projections, detectors: int) -> tuple[NDArray[np.uint16], dict[Axis, NDArray[np.int64]]]:
    """Return the frames in stored order and their places along each axis."""
    counts = projections.counts
    whole = np.rint(counts)
    if np.any(whole != counts) or counts.min() < 0 or counts.max() > _HIGHEST:
        raise ValueError(f"counts must be whole numbers from 0 to {_HIGHEST}, as a camera stores them")
    windows, gates, views, rows, columns = counts.shape
    if views % detectors:
        raise ValueError(f"{views} views can't be shared out to {detectors} detectors")
    each = views // detectors
    apart = whole.reshape(windows, gates, detectors, each, rows, columns).transpose(0, 2, 1, 3, 4, 5)
    window, detector, slot, view = np.indices(apart.shape[:4]).reshape(4, -1)
    axes = {WINDOW: window, DETECTOR: detector, ROTATION: np.zeros_like(view)}
    if gates > 1:
        axes |= {RR_INTERVAL: np.zeros_like(view), TIME_SLOT: slot}
    return apart.reshape(-1, rows, columns).astype(np.uint16), axes | {VIEW: view}


def _how_acquired(projections: Projections, camera: Camera, total: int) -> Dataset:
    """Return detectors and the one rotation."""
    geometry = projections.geometry
    uncorrected = {"COR"} if geometry.center_of_rotation_offset_mm else set()
    starts = [arm[0] for arm in _arms(geometry, camera)]
    return dataset(
        CorrectedImage=[term for term in camera.corrected if term not in uncorrected] or None,
        CountsAccumulated=total if total < 2**31 else None,
        PixelSpacing=list(geometry.pixel_size_mm),
        TypeOfDetectorMotion="STEP AND SHOOT",
        DetectorInformationSequence=[_detector(geometry, camera, k, start) for k, start in enumerate(starts)],
        RotationInformationSequence=[_rotation(projections, camera)],
    )


def _arms(geometry: AcquisitionGeometry, camera: Camera) -> list[tuple[float, ...]]:
    """Return the angles of each head."""
    each = geometry.views // camera.detectors
    return [geometry.angles_deg[k * each :][:each] for k in range(camera.detectors)]


def _rotation(projections: Projections, camera: Camera) -> Dataset:
    """Return the rotation of the first head, which the others follow. Raises ValueError if they don't."""
    geometry = projections.geometry
    arms = _arms(geometry, camera)
    each = len(arms[0])
    steps = [_equal_step(arm) for arm in arms]
    if max(steps) - min(steps) > 1e-6:
        raise ValueError(f"the heads turn at different steps: {steps}")
    step = steps[0]
    rotation = dataset(
        StartAngle=arms[0][0],
        AngularStep=abs(step),
        RotationDirection="CC" if step > 0 else "CW",
        ScanArc=abs(step) * each,
        ActualFrameDuration=round((projections.view_time_s or 0) * 1000),
        NumberOfFramesInRotation=each,
    )
    if camera.detectors == 1 and geometry.radius_mm is not None:
        put(rotation, RadialPosition=radial_position(geometry.radius_mm))
    return rotation


def _patient_on_table(study: VirtualStudy) -> Dataset:
    """Return how the patient lies, and the tracer."""
    recumbent = code("102538003", "SCT", "recumbent")
    posture = code("1240000", "SCT", "prone") if study.prone else code("40199007", "SCT", "supine")
    put(recumbent, PatientOrientationModifierCodeSequence=[posture])
    tracer = dataset(
        Radiopharmaceutical="Tc-99m sestamibi",
        RadionuclideCodeSequence=[code("72454006", "SCT", "^99m^Technetium")],
        RadiopharmaceuticalCodeSequence=[code("424299003", "SCT", "Technetium Tc^99m^ sestamibi")],
    )
    if study.injected_mbq is not None:
        put(tracer, RadionuclideTotalDose=round(study.injected_mbq, 1))  # MBq in NM images (PS3.3 C.8.4.10)
    return dataset(
        PatientOrientationCodeSequence=[recumbent],
        PatientGantryRelationshipCodeSequence=[code("102541007", "SCT", "feet-first")],
        RadiopharmaceuticalInformationSequence=[tracer],
    )


def _detector(geometry: AcquisitionGeometry, camera: Camera, head: int, angle_deg: float) -> Dataset:
    sine, cosine = math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))
    down = (geometry.rows - 1) / 2 * geometry.pixel_size_mm[0]
    across = (geometry.columns - 1) / 2 * geometry.pixel_size_mm[1]
    x, y, z = geometry.isocenter_mm
    item = dataset(
        CollimatorGridName=camera.collimator,
        CollimatorType="PARA",
        FocalDistance=0,
        CenterOfRotationOffset=geometry.center_of_rotation_offset_mm,
        ZoomFactor=[1.0, 1.0],
        ImagePositionPatient=[x - across, y - across, z + down],
        ImageOrientationPatient=[-cosine, sine, 0.0, 0.0, 0.0, -1.0],
    )
    if camera.detectors > 1:
        put(item, StartAngle=angle_deg)
        if geometry.radius_mm is not None:
            each = geometry.views // camera.detectors
            put(item, RadialPosition=radial_position(geometry.radius_mm[head * each :][:each]))
    return item


def _equal_step(angles_deg: tuple[float, ...]) -> float:
    """Return the signed step between views. Raises ValueError if the steps differ."""
    changes = [(later - before + 180) % 360 - 180 for before, later in pairwise(angles_deg)]
    if not changes:
        return 0.0
    if max(changes) - min(changes) > 1e-6:
        raise ValueError(
            f"the views must follow each other at equal steps, found {min(changes)} to {max(changes)} degrees"
        )
    return changes[0]


def _gating(projections: Projections) -> Dataset:
    """Return the one R-R interval and its time slots (PS3.3 C.8.4.14); a heart that beats 60 times a minute."""
    slot_ms = round(1000 / projections.gates)
    slots = [dataset(TimeSlotTime=round((projections.view_time_s or 0) * 1000)) for _ in range(projections.gates)]
    interval = dataset(FrameTime=float(slot_ms), NominalInterval=1000, TimeSlotInformationSequence=slots)
    return dataset(GatedInformationSequence=[dataset(CardiacFramingType="FORW", DataInformationSequence=[interval])])
