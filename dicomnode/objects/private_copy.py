"""Denoised projections once more, with what a camera's own station may look for in the camera's private elements.

Kept are numbers and codes that pydicom's dictionary of private elements knows by name, since nobody can tell what the
others hold, and what says how the camera was corrected. Left out is what the network changed (scales and statistics of
pixels, windows, counts), other text, names, UIDs and bulk data: so the copy says no more of the patient than the plain
projections do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from pydicom import config, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from dicomnode.objects.derivation import DerivationContext, Sources, derivation_key, derived_uid
from dicomnode.objects.elements import PARSE_ERRORS, encoded, file_bytes, items, put, raw_bytes, text, texts
from dicomnode.objects.modules import merge
from dicomnode.objects.reader import read_dataset_file
from dicomnode.study import PRIVATE_COPY, DerivedInstance

SERIES_NUMBER = 902
_LABEL = b" + private"
_NUMBERS = ("DS", "FD", "FL", "IS", "SL", "SS", "UL", "US")
_WORDS = ("CS", "LO", "SH")
_TOLD = re.compile(r"correct|calib|nuclide|crystal", re.IGNORECASE)  # what is kept of text, by its element's name
_STALE = re.compile(
    r"pixel|count|overflow|threshold|window inverse|rescale|uniformity mean|modified|altered|\broi\b|curve|icon"
    r"|patient|comment|owner|folder|text relating|uid|unknown|private tag data",
    re.IGNORECASE,
)
_PIXELS, _CURVES = 0x7FE0, 0x5001  # groups: from the first on, and the one
_INSIDE = (
    "EnergyWindowInformationSequence", "DetectorInformationSequence", "RotationInformationSequence",
    "GatedInformationSequence",
)  # fmt: skip
_IDENTITY = (
    "PatientName", "PatientID", "OtherPatientIDs", "PatientBirthDate", "AccessionNumber", "ReferringPhysicianName",
    "OperatorsName", "PerformingPhysicianName", "OtherPatientNames",
)  # fmt: skip
_SHORTEST = 3  # letters of a name that are looked for


def with_private_elements(
    plain: DerivedInstance, source_path: Path, sources: Sources, context: DerivationContext
) -> DerivedInstance | None:
    """Return a copy of derived projections with the private elements of their source; None if it has none to keep.

    The copy is an instance and a series of its own. Raises StudyUnsuitable if the source can't be read.
    """
    source = read_dataset_file(source_path, stop_before_pixels=True)
    ds = dcmread(BytesIO(plain.file_bytes))
    identity = _identity(source)
    kept = _private_part(source, identity)
    found = len(kept)
    merge(ds, kept)
    for keyword in _INSIDE:
        for own, theirs in zip(items(ds, keyword), items(source, keyword), strict=False):
            part = _private_part(theirs, identity)
            found += len(part)
            merge(own, part)
    if not found:
        return None
    key = derivation_key(sources.uids, context, PRIVATE_COPY)
    put(
        ds,
        SOPInstanceUID=derived_uid(key, "instance"),
        SeriesInstanceUID=derived_uid(key, "series"),
        SeriesNumber=SERIES_NUMBER,
        ImageID="denoised private",
        DerivationDescription=f"{text(ds, 'DerivationDescription')}; with private elements of the camera"[:1024],
    )
    described = raw_bytes(ds, "SeriesDescription")
    if len(described + _LABEL) <= 64:
        merge(ds, encoded("SeriesDescription", described + _LABEL))
    return DerivedInstance(
        ds.SOPInstanceUID, ds.SeriesInstanceUID, plain.sop_class_uid, PRIVATE_COPY, file_bytes(ds)
    )  # fmt: skip


def _identity(source: Dataset) -> frozenset[str]:
    """Return the words that would tell who the patient is, in capitals."""
    values = " ".join(value for keyword in _IDENTITY for value in texts(source, keyword))
    return frozenset(word for word in re.split(r"[\s^=,]+", values.upper()) if len(word) >= _SHORTEST)


def _private_part(ds: Dataset, identity: frozenset[str]) -> Dataset:
    """Return the private elements of one dataset, or of one item, that are kept, with their creators."""
    part = Dataset()
    for element in _private_elements(ds):
        value: object = element.value
        if element.VR == "SQ":
            inner = [_private_part(item, identity) for item in element.value if isinstance(item, Dataset)]
            if not any(map(len, inner)):
                continue
            value = inner
        elif not _is_kept(element, identity):
            continue
        block = part.private_block(element.tag.group, str(element.private_creator), create=True)
        tag = block.get_tag(element.tag.element & 0xFF)
        part.add(DataElement(tag, element.VR, value, validation_mode=config.IGNORE))
    return part


def _private_elements(ds: Dataset) -> Iterator[DataElement]:
    """Return the private elements that can be read and whose meaning is known."""
    for tag in map(BaseTag, sorted(ds.keys())):
        if not tag.is_private or tag.element < 0x1000 or tag.group >= _PIXELS or tag.group == _CURVES:
            continue
        try:
            element = ds[tag]
            known = bool(element.private_creator) and (element.VR == "SQ" or not _STALE.search(element.name))
        except PARSE_ERRORS:
            continue
        if known and element.value not in (None, ""):
            yield element


def _is_kept(element: DataElement, identity: frozenset[str]) -> bool:
    if element.VR in _NUMBERS:
        return True
    if element.VR not in _WORDS or (element.VR != "CS" and not _TOLD.search(element.name)):
        return False
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    whole = " ".join(map(str, values)).upper()
    return whole.isascii() and not re.search(r"\d(\.\d+){4}", whole) and not any(word in whole for word in identity)
