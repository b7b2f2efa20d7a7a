"""Virtual acquisitions as DICOM, written as a camera would: NM TOMO and GATED TOMO images (PS3.3 A.5).

Every instance says of itself that no real patient stands behind it (Synthetic Data, PS3.3 C.12.1), and so does the
patient's name.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.objects.derivation import INSTANCE_CREATOR_UID, derived_uid
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
from pipelines.contract import CardiacState
from pipelines.geometry import AcquisitionGeometry
from pipelines.images import Projections

_HIGHEST = 65535


@dataclass(frozen=True)
class VirtualStudy:
    """Who the virtual patient is and how the acquisition is filed. UIDs follow from `study` if none is given."""

    patient_id: str = "VIRTUAL-0001"
    patient_name: str = "Virtual^Patient 0001"
    patient_sex: str = "O"
    birth_date: date | None = None
    study: str = "1"  # names the study among this patient's studies
    study_description: str = "Myocardial perfusion (virtual patient)"
    series_description: str = "TOMO"
    series_number: int = 1
    state: CardiacState = CardiacState.UNKNOWN
    accession_number: str = ""
    frame_of_reference: str = "1"  # images that share it are registered to each other

    @property
    def study_instance_uid(self) -> str:
        """The UID of this virtual study."""
        return derived_uid(f"{self.patient_id}/{self.study}", "virtual study")

    @property
    def frame_of_reference_uid(self) -> str:
        """The UID of this virtual patient's coordinates during this study."""
        return derived_uid(f"{self.patient_id}/{self.study}/{self.frame_of_reference}", "virtual frame of reference")


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
    ds = _patient_and_study(study, now)
    merge(ds, _series_and_instance(study, now, camera, stored))
    merge(ds, nm_pixels(stored))
    merge(ds, frame_vectors(columns))
    merge(ds, energy_windows(projections.windows))
    merge(ds, patient_state(study.state))
    merge(ds, _how_acquired(projections, camera, int(stored.sum(dtype=np.int64))))
    gated = projections.gates > 1
    put(ds, ImageType=["ORIGINAL", "PRIMARY", "GATED TOMO" if gated else "TOMO", "EMISSION"])
    if gated:
        merge(ds, _gating(projections))
    return file_bytes(ds)


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


def _patient_and_study(study: VirtualStudy, now: datetime) -> Dataset:
    return dataset(
        SpecificCharacterSet="ISO_IR 192",
        PatientName=study.patient_name,
        PatientID=study.patient_id,
        PatientBirthDate=study.birth_date.strftime("%Y%m%d") if study.birth_date else None,
        PatientSex=study.patient_sex,
        StudyInstanceUID=study.study_instance_uid,
        StudyDate=now.strftime("%Y%m%d"),
        StudyTime=now.strftime("%H%M%S"),
        ReferringPhysicianName=None,
        StudyID=study.study[:16],
        AccessionNumber=study.accession_number,
        StudyDescription=study.study_description,
        SyntheticData="YES",
    )


def _series_and_instance(study: VirtualStudy, now: datetime, camera: Camera, stored: NDArray[np.uint16]) -> Dataset:
    day, hour = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    # another dose or seed under the same names is another instance
    content = hashlib.sha256(stored.tobytes()).hexdigest()
    key = f"{study}/{camera}/{content}"
    return dataset(
        Modality="NM",
        SOPClassUID=NM_IMAGE_STORAGE,
        SOPInstanceUID=derived_uid(key, "virtual instance"),
        SeriesInstanceUID=derived_uid(key, "virtual series"),
        SeriesNumber=study.series_number,
        SeriesDescription=study.series_description,
        SeriesDate=day,
        SeriesTime=hour,
        AcquisitionDate=day,
        AcquisitionTime=hour,
        ContentDate=day,
        ContentTime=hour,
        InstanceCreatorUID=INSTANCE_CREATOR_UID,
        InstanceNumber=1,
        BodyPartExamined="HEART",
        FrameOfReferenceUID=study.frame_of_reference_uid,
        PositionReferenceIndicator=None,
        Manufacturer="dicomnode",
        ManufacturerModelName=camera.model,
        StationName="VIRTUAL",
        ContentQualification="RESEARCH",
        LossyImageCompression="00",
        BurnedInAnnotation="NO",
    )


def _how_acquired(projections: Projections, camera: Camera, total: int) -> Dataset:
    """Return detectors, the one rotation, patient orientation and tracer."""
    geometry = projections.geometry
    each = geometry.views // camera.detectors
    arms = [geometry.angles_deg[k * each :][:each] for k in range(camera.detectors)]
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
        put(rotation, RadialPosition=_radii(geometry.radius_mm))
    recumbent = code("102538003", "SCT", "recumbent")
    put(recumbent, PatientOrientationModifierCodeSequence=[code("40199007", "SCT", "supine")])
    uncorrected = {"COR"} if geometry.center_of_rotation_offset_mm else set()
    return dataset(
        CorrectedImage=[term for term in camera.corrected if term not in uncorrected] or None,
        CountsAccumulated=total if total < 2**31 else None,
        PixelSpacing=list(geometry.pixel_size_mm),
        TypeOfDetectorMotion="STEP AND SHOOT",
        DetectorInformationSequence=[_detector(geometry, camera, k, arm[0]) for k, arm in enumerate(arms)],
        RotationInformationSequence=[rotation],
        PatientOrientationCodeSequence=[recumbent],
        PatientGantryRelationshipCodeSequence=[code("102541007", "SCT", "feet-first")],
        RadiopharmaceuticalInformationSequence=[
            dataset(
                Radiopharmaceutical="Tc-99m sestamibi",
                RadionuclideCodeSequence=[code("72454006", "SCT", "^99m^Technetium")],
                RadiopharmaceuticalCodeSequence=[code("424299003", "SCT", "Technetium Tc^99m^ sestamibi")],
            )
        ],
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
            put(item, RadialPosition=_radii(geometry.radius_mm[head * each :][:each]))
    return item


def _radii(radii_mm: tuple[float, ...]) -> list[float]:
    """Return one radius for a circle, else one per view."""
    return [radii_mm[0]] if len(set(radii_mm)) == 1 else list(radii_mm)


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
