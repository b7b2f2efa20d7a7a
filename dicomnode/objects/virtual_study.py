"""Who a virtual patient is and how the study is filed: what all instances of a virtual study have in common.

Every instance says of itself that no real patient stands behind it (Synthetic Data, PS3.3 C.12.1), and so does the
patient's name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

from pydicom.dataset import Dataset

from dicomnode.objects.derivation import INSTANCE_CREATOR_UID, derived_uid
from dicomnode.objects.elements import dataset, put
from pipelines.contract import CardiacState


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
    prone: bool = False
    age_years: int | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    injected_mbq: float | None = None
    started: datetime | None = None  # when the study began; None: with the series that is written

    @property
    def study_instance_uid(self) -> str:
        """The UID of this virtual study."""
        return derived_uid(f"{self.patient_id}/{self.study}", "virtual study")

    @property
    def frame_of_reference_uid(self) -> str:
        """The UID of this virtual patient's coordinates during this study."""
        return derived_uid(f"{self.patient_id}/{self.study}/{self.frame_of_reference}", "virtual frame of reference")


@dataclass(frozen=True)
class SeriesIdentity:
    """The UIDs of a virtual series; another dose or seed under the same names is another series."""

    study: VirtualStudy
    key: str

    @classmethod
    def of(cls, study: VirtualStudy, maker: object, pixels: bytes) -> SeriesIdentity:
        """Return the identity of a series with these pixels; `maker` is what else tells it from others."""
        return cls(study, f"{study}/{maker}/{hashlib.sha256(pixels).hexdigest()}")

    @property
    def series_instance_uid(self) -> str:
        """The UID of the series."""
        return derived_uid(self.key, "virtual series")

    def sop_instance_uid(self, number: int = 1) -> str:
        """Return the UID of one of its instances, counted from 1."""
        return derived_uid(self.key if number == 1 else f"{self.key}/{number}", "virtual instance")


def patient_and_study(study: VirtualStudy, now: datetime) -> Dataset:
    """Return the Patient, General Study and Patient Study modules."""
    began = study.started or now
    ds = dataset(
        SpecificCharacterSet="ISO_IR 192",
        PatientName=study.patient_name,
        PatientID=study.patient_id,
        PatientBirthDate=study.birth_date.strftime("%Y%m%d") if study.birth_date else None,
        PatientSex=study.patient_sex,
        StudyInstanceUID=study.study_instance_uid,
        StudyDate=began.strftime("%Y%m%d"),
        StudyTime=began.strftime("%H%M%S"),
        ReferringPhysicianName=None,
        StudyID=study.study[:16],
        AccessionNumber=study.accession_number,
        StudyDescription=study.study_description,
        SyntheticData="YES",
    )
    if study.age_years is not None:
        put(ds, PatientAge=f"{study.age_years:03d}Y")
    if study.height_m is not None:
        put(ds, PatientSize=round(study.height_m, 2))
    if study.weight_kg is not None:
        put(ds, PatientWeight=round(study.weight_kg, 1))
    return ds


def series_and_equipment(identity: SeriesIdentity, modality: str, model: str, now: datetime) -> Dataset:
    """Return the modules of series, equipment and frame of reference, and the times of the acquisition."""
    study = identity.study
    day, hour = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    return dataset(
        Modality=modality,
        SeriesInstanceUID=identity.series_instance_uid,
        SeriesNumber=study.series_number,
        SeriesDescription=study.series_description,
        SeriesDate=day,
        SeriesTime=hour,
        AcquisitionDate=day,
        AcquisitionTime=hour,
        ContentDate=day,
        ContentTime=hour,
        InstanceCreatorUID=INSTANCE_CREATOR_UID,
        BodyPartExamined="HEART",
        FrameOfReferenceUID=study.frame_of_reference_uid,
        PositionReferenceIndicator=None,
        Manufacturer="dicomnode",
        ManufacturerModelName=model,
        StationName="VIRTUAL",
        ContentQualification="RESEARCH",
        LossyImageCompression="00",
        BurnedInAnnotation="NO",
    )
