"""The CT of a virtual study as DICOM: the low-dose series that a SPECT/CT takes for attenuation correction.

CT images of PS3.3 A.3, one instance per slice, in the camera's Frame of Reference: where both say the same place, they
mean the same place, as far as the patient lay still between them.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from dicomnode.objects.elements import dataset, file_bytes, put
from dicomnode.objects.modules import merge
from dicomnode.objects.virtual_study import SeriesIdentity, VirtualStudy, patient_and_study, series_and_equipment
from dicomnode.objects.volume_image import Placement
from pipelines.images import Unit, Volume

_INTERCEPT = -1024
_HIGHEST = 4095  # 12 bits, as scanners store them
_SOFT_TISSUE = (40, 400)  # window center and width
_TUBE_KV, _TUBE_MA, _EXPOSURE_MS = 130, 20, 800  # low dose, for attenuation correction alone


def write_ct(ct: Volume, study: VirtualStudy, now: datetime, model: str = "Virtual CT") -> tuple[bytes, ...]:
    """Return a CT as DICOM files, the slice nearest the head first, values exact.

    Raises ValueError unless the values are whole Hounsfield units from -1024 to 3071, StudyUnsuitable if the volume's
    axes aren't perpendicular.
    """
    stored = _stored(ct)
    placement = Placement.of(ct.grid)
    identity = SeriesIdentity.of(study, (model, ct.grid), stored.tobytes())
    common = patient_and_study(study, now)
    merge(common, series_and_equipment(identity, "CT", model, now))
    merge(common, _scanned(ct, study, placement))
    through = ct.grid.matrix[:3, 2]
    order = range(len(stored)) if through[2] < 0 else range(len(stored) - 1, -1, -1)
    files = []
    for number, k in enumerate(order, start=1):
        position = np.asarray(placement.position_mm) + k * through
        ds = _slice(stored[k], [float(value) for value in position])
        merge(ds, common)
        put(ds, SOPInstanceUID=identity.sop_instance_uid(number), InstanceNumber=number)
        files.append(file_bytes(ds))
    return tuple(files)


def _stored(ct: Volume) -> NDArray[np.uint16]:
    if ct.unit is not Unit.HOUNSFIELD:
        raise ValueError(f"a CT is in Hounsfield units, not in {ct.unit.value}")
    raised = ct.values.astype(np.float64) - _INTERCEPT
    if np.any(raised != np.rint(raised)) or raised.min() < 0 or raised.max() > _HIGHEST:
        raise ValueError(f"a CT holds whole numbers from {_INTERCEPT} to {_HIGHEST + _INTERCEPT}")
    return raised.astype(np.uint16)


def _scanned(ct: Volume, study: VirtualStudy, placement: Placement) -> Dataset:
    """Return what all slices share: how they were scanned and reconstructed (PS3.3 C.8.2.1)."""
    thickness, row_mm, column_mm = ct.grid.voxel_mm
    diameter = round(max(ct.grid.shape[1] * row_mm, ct.grid.shape[2] * column_mm), 1)
    return dataset(
        SOPClassUID=CTImageStorage,
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        AcquisitionNumber=1,
        PatientPosition="FFP" if study.prone else "FFS",
        ScanOptions="HELICAL MODE",
        KVP=_TUBE_KV,
        XRayTubeCurrent=_TUBE_MA,
        ExposureTime=_EXPOSURE_MS,
        Exposure=_TUBE_MA * _EXPOSURE_MS // 1000,
        ConvolutionKernel="SOFT",
        DataCollectionDiameter=diameter,
        ReconstructionDiameter=diameter,
        GantryDetectorTilt=0,
        RotationDirection="CW",
        SliceThickness=thickness,
        SpacingBetweenSlices=thickness,
        PixelSpacing=[row_mm, column_mm],
        ImageOrientationPatient=placement.orientation,
        RescaleIntercept=_INTERCEPT,
        RescaleSlope=1,
        RescaleType="HU",
        WindowCenter=_SOFT_TISSUE[0],
        WindowWidth=_SOFT_TISSUE[1],
    )


def _slice(stored: NDArray[np.uint16], position_mm: list[float]) -> Dataset:
    rows, columns = stored.shape
    return dataset(
        ImagePositionPatient=position_mm,
        SliceLocation=position_mm[2],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=rows,
        Columns=columns,
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        PixelData=stored.astype("<u2").tobytes(),
    )
