"""Studies for the tests: small NM TOMO acquisitions made here, and the real camera files with new UIDs.

Written by pydicom alone, so that a mistake in the product's own objects can't hide in its test data.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.uid import NuclearMedicineImageStorage as NM_IMAGE

REAL_FILES = Path(__file__).resolve().parents[3] / "shared" / "realdata"
GE_STRESS = "ge_xeleris_tomo_stress.dcm"
VIEWS, MATRIX, PIXEL_MM = 30, 32, 12.8
HEART_LPS_MM = (50.0, -40.0, 30.0)  # left, in front, toward the head: no mirror image looks the same


def real_file(name: str) -> Path:
    """Return the path of a public camera file; skips the test where the files are not at hand."""
    path = REAL_FILES / name
    if not path.exists():
        pytest.skip(f"the public camera file {name} is not in {REAL_FILES}")
    return path


@dataclass(frozen=True)
class StudyUids:
    """The UIDs of one acquisition, all from one seed, so that a run can be repeated."""

    study: str
    series: str
    instance: str
    frame_of_reference: str

    @classmethod
    def from_seed(cls, *seed: object) -> StudyUids:
        """Return UIDs that are a function of the seed."""
        return cls(
            *(generate_uid(entropy_srcs=[name, *map(str, seed)]) for name in ("study", "series", "sop", "frame"))
        )

    def in_study(self, *seed: object) -> StudyUids:
        """Return UIDs of another acquisition in the same study."""
        other = StudyUids.from_seed(self.study, *seed)
        return StudyUids(self.study, other.series, other.instance, self.frame_of_reference)


def give_uids(dataset: Dataset, uids: StudyUids) -> Dataset:
    """Return a copy of an acquisition under other UIDs."""
    made = copy.deepcopy(dataset)
    made.StudyInstanceUID, made.SeriesInstanceUID = uids.study, uids.series
    made.SOPInstanceUID, made.FrameOfReferenceUID = uids.instance, uids.frame_of_reference
    made.file_meta.MediaStorageSOPInstanceUID = uids.instance
    return made


def ge_stress(uids: StudyUids) -> Dataset:
    """Return the real GE stress acquisition under other UIDs."""
    return give_uids(dcmread(real_file(GE_STRESS)), uids)


def small_tomo(
    uids: StudyUids, seed: int = 0, clockwise: bool = True, views: int = VIEWS, matrix: int = MATRIX
) -> Dataset:
    """Return a TOMO acquisition of a hollow heart at HEART_LPS_MM in a faint body, with Poisson noise.

    180 degrees between right anterior and left posterior, as a cardiac camera turns, in either direction.
    """
    start = 225.0 if clockwise else 45.0
    counts = _projections(
        np.random.default_rng(seed), start + (-180 if clockwise else 180) / views * np.arange(views), matrix
    )
    made = _patient_and_study(uids, seed)
    _add_acquisition(made, views, start, "CW" if clockwise else "CC")
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.NumberOfFrames, made.Rows, made.Columns = views, matrix, matrix
    made.PixelSpacing = [PIXEL_MM * MATRIX / matrix] * 2
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.CountsAccumulated = int(counts.sum())
    made.PixelData = counts.astype("<u2").tobytes()
    return made


def _projections(rng: np.random.Generator, angles_deg: NDArray[np.floating], matrix: int) -> NDArray[np.int64]:
    """Project points of a hollow heart and of a body into [view, row, column] counts (parallel, no attenuation)."""
    half = MATRIX * PIXEL_MM / 2
    heart = rng.normal(size=(4000, 3))
    heart *= np.array([35, 35, 45]) / np.linalg.norm(heart, axis=1, keepdims=True)
    body = rng.uniform(-1, 1, size=(4000, 3)) * np.array([150, 100, 120])
    points = np.vstack([heart + HEART_LPS_MM, body])
    weights = np.repeat([1.0, 0.25], [len(heart), len(body)])
    frames = []
    for angle in np.deg2rad(angles_deg):
        across = -points[:, 0] * np.cos(angle) + points[:, 1] * np.sin(angle)
        image, _, _ = np.histogram2d(-points[:, 2], across, bins=matrix, range=[[-half, half]] * 2, weights=weights)
        frames.append(image)
    expected = np.asarray(frames)
    return np.asarray(rng.poisson(expected / expected.max() * 60))


def _patient_and_study(uids: StudyUids, seed: int) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = NM_IMAGE
    made.file_meta.MediaStorageSOPInstanceUID = uids.instance
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SpecificCharacterSet = "ISO_IR 100"
    made.ImageType = ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]
    made.SOPClassUID, made.SOPInstanceUID = NM_IMAGE, uids.instance
    made.StudyInstanceUID, made.SeriesInstanceUID = uids.study, uids.series
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = uids.frame_of_reference, ""
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = made.ContentDate = "20260102"
    made.StudyTime = made.SeriesTime = made.AcquisitionTime = made.ContentTime = "101112"
    made.Modality, made.Manufacturer, made.SeriesDescription = "NM", "Tests", "STRESS TOMO"
    made.PatientName, made.PatientID = f"Test^Patient{seed}", f"T{seed:05d}"
    made.PatientBirthDate, made.PatientSex, made.AccessionNumber, made.StudyID = "19600101", "O", "", "1"
    made.ReferringPhysicianName, made.BodyPartExamined = "", "HEART"
    made.SeriesNumber, made.InstanceNumber = 1, 1
    return made


def _add_acquisition(made: Dataset, views: int, start_deg: float, direction: str) -> None:
    made.FrameIncrementPointer = [0x00540010, 0x00540020, 0x00540050, 0x00540090]
    made.EnergyWindowVector = made.DetectorVector = made.RotationVector = [1] * views
    made.AngularViewVector = list(range(1, views + 1))
    made.NumberOfEnergyWindows = made.NumberOfDetectors = made.NumberOfRotations = 1
    limits = _item(EnergyWindowLowerLimit=126.5, EnergyWindowUpperLimit=154.5)
    made.EnergyWindowInformationSequence = [_item(EnergyWindowRangeSequence=[limits], EnergyWindowName="Tc99m")]
    made.RadiopharmaceuticalInformationSequence = [_item(RadionuclideCodeSequence=[_code("C-163A8", "Technetium^99m")])]
    made.DetectorInformationSequence = [
        _item(
            CollimatorType="PARA",
            CollimatorGridName="LEHR",
            FocalDistance=0,
            ImagePositionPatient=None,
            ImageOrientationPatient=None,
        )
    ]
    made.RotationInformationSequence = [
        _item(
            StartAngle=start_deg, AngularStep=180 / views, RotationDirection=direction, ScanArc=180, RadialPosition=250,
            ActualFrameDuration=20000, NumberOfFramesInRotation=views,
        )
    ]  # fmt: skip
    made.TypeOfDetectorMotion = "STEP AND SHOOT"
    made.PatientOrientationCodeSequence = [
        _item(
            **_code_elements("F-10450", "recumbent"),
            PatientOrientationModifierCodeSequence=[_code("F-10340", "supine")],
        )
    ]
    made.PatientGantryRelationshipCodeSequence = [_code("F-10470", "headfirst")]


def _item(**elements: object) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, Sequence(value) if isinstance(value, list) else value)
    return made


def _code_elements(value: str, meaning: str) -> dict[str, str]:
    return {"CodeValue": value, "CodingSchemeDesignator": "SRT", "CodeMeaning": meaning}


def _code(value: str, meaning: str) -> Dataset:
    return _item(**_code_elements(value, meaning))


def static_image(uids: StudyUids) -> Dataset:
    """Return a planar NM acquisition, which no pipeline takes."""
    made = _patient_and_study(uids, seed=0)
    made.ImageType = ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]
    made.FrameIncrementPointer = [0x00540010, 0x00540020]
    made.EnergyWindowVector = made.DetectorVector = [1]
    made.NumberOfEnergyWindows = made.NumberOfDetectors = 1
    made.SamplesPerPixel, made.PhotometricInterpretation, made.NumberOfFrames = 1, "MONOCHROME2", 1
    made.Rows = made.Columns = MATRIX
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.PixelData = bytes(2 * MATRIX * MATRIX)
    return made


def write(dataset: Dataset, path: Path) -> Path:
    """Write the dataset as a DICOM file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def dataset_bytes(path: Path) -> bytes:
    """Return the bytes of a DICOM file behind its File Meta Information: what travels in a C-STORE.

    The meta group's length element (0002,0000) stands right behind preamble and prefix (PS3.10 7.1).
    """
    content = path.read_bytes()
    assert content[128:132] == b"DICM", f"{path} is no DICOM file"
    group_length = int.from_bytes(content[140:144], "little")
    return content[144 + group_length :]


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of the dataset's bytes as they travel."""
    return hashlib.sha256(dataset_bytes(path)).hexdigest()


def spool_fingerprints(data_dir: Path) -> list[str]:
    """Return the fingerprints of all DICOM files that lie anywhere in a node's spool."""
    return sorted(fingerprint(path) for path in data_dir.joinpath("spool").rglob("*.dcm"))
