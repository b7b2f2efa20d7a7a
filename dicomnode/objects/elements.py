"""DICOM elements one at a time: read tolerantly, written strictly, copied byte for byte.

Cameras write what the standard forbids, and a node that stumbles over it loses a study: reading here never raises for
a value's sake and never prints one (a warning may hold a patient's name). What we write ourselves is checked instead.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from contextlib import suppress
from io import BytesIO

from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filewriter import dcmwrite
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from dicomnode.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

# what pydicom may raise on bytes that are no sound DICOM, at once or when an element is first looked at
PARSE_ERRORS = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, RecursionError, NotImplementedError,
    OSError, struct.error, zlib.error, InvalidDicomError, BytesLengthException,
)  # fmt: skip

_ESCAPE = re.compile(r"\x1b[ -/]+[0-~]")  # of ISO 2022: pydicom leaves those of GB 2312 in the text
_LATIN_9 = ("ISO_IR 203", "ISO 2022 IR 203")  # newer than pydicom 3.0
_LOCALIZED = frozenset({"LO", "SH", "PN", "ST", "LT", "UT", "UC"})  # VRs that Specific Character Set governs
_UNSPLIT = frozenset({"ST", "LT", "UT", "UR"})  # here a backslash is a letter
_TEXT = _LOCALIZED | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}
_BINARY = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q", "AT": "HH"}


def vr_of(tag: int) -> str:
    """Return the value representation of a tag, the one that we write where several are allowed; "UN" if unknown."""
    try:
        vr = str(dictionary_VR(tag))
    except KeyError:
        return "UN"
    return "OW" if vr.startswith("OB or OW") else vr[:2]


def _raw(ds: Dataset, keyword: str) -> tuple[str, bytes, bool]:
    """Return an element's VR, its bytes as they came, and whether they are little endian."""
    tag = tag_for_keyword(keyword)
    try:
        element = None if tag is None else ds.get_item(tag)
    except PARSE_ERRORS:
        element = None
    if element is None:
        return "UN", b"", True
    if isinstance(element, RawDataElement):
        vr = element.VR if element.VR not in (None, "UN") else vr_of(int(tag or 0))
        return str(vr), element.value or b"", bool(element.is_little_endian)
    values = element.value if element.VM > 1 else [element.value]
    text = "" if element.VR == "SQ" or element.value is None else "\\".join(str(value) for value in values)
    return "LO", text.encode("iso8859", "replace"), True


def _encodings(ds: Dataset) -> list[str]:
    names = [name.strip("\0 ") for name in _raw(ds, "SpecificCharacterSet")[1].decode("ascii", "replace").split("\\")]
    if names[0] in _LATIN_9:
        return ["iso8859_15"]
    return list(convert_encodings(names))


def character_sets() -> tuple[str, ...]:
    """Return the terms of Specific Character Set that texts are decoded by (PS3.3 C.12.1.1.2), and some near them."""
    return tuple(sorted({*filter(None, python_encoding), *_LATIN_9}))


def texts(ds: Dataset, keyword: str) -> tuple[str, ...]:
    """Return an element's values as text, without padding; empty if it is absent, empty or a sequence."""
    vr, value, little_endian = _raw(ds, keyword)
    if not value or vr == "SQ":
        return ()
    if vr in _BINARY:
        return tuple(str(number) for number in _unpacked(vr, value, little_endian))
    if vr not in _TEXT:
        return ()
    if vr in _LOCALIZED:
        whole = decode_bytes(value, _encodings(ds), {0x5C, 0x5E, 0x3D} if vr == "PN" else {0x5C, 0x0A, 0x0C, 0x0D})
        whole = _ESCAPE.sub("", whole)
    else:
        whole = value.decode("iso8859")
    parts = [whole] if vr in _UNSPLIT else whole.split("\\")
    stripped = tuple(part.strip("\0 ") for part in parts)
    return stripped if any(stripped) else ()


def _unpacked(vr: str, value: bytes, little_endian: bool) -> tuple[float, ...]:
    letters = _BINARY[vr]
    size = struct.calcsize("=" + letters)
    count = len(value) // size
    unpacked = struct.unpack(("<" if little_endian else ">") + letters * count, value[: count * size])
    if vr != "AT":
        return unpacked
    return tuple(group << 16 | element for group, element in zip(unpacked[::2], unpacked[1::2], strict=True))


def raw_bytes(ds: Dataset, keyword: str) -> bytes:
    """Return an element's value as it came, without padding; empty if it is absent."""
    return _raw(ds, keyword)[1].strip(b"\0 ")


def text(ds: Dataset, keyword: str) -> str:
    """Return an element's first value as text, "" if there is none."""
    return next(iter(texts(ds, keyword)), "")


def numbers(ds: Dataset, keyword: str) -> tuple[float, ...]:
    """Return an element's values as numbers; empty if any is not a finite number, as if nothing had been said."""
    vr, value, little_endian = _raw(ds, keyword)
    try:
        values = _unpacked(vr, value, little_endian) if vr in _BINARY else tuple(map(float, texts(ds, keyword)))
    except ValueError:
        return ()
    return values if all(map(math.isfinite, values)) else ()


def number(ds: Dataset, keyword: str) -> float | None:
    """Return an element's first number, None if there is none."""
    return next(iter(numbers(ds, keyword)), None)


def integer(ds: Dataset, keyword: str) -> int | None:
    """Return an element's first value as a whole number, None if it is none."""
    value = number(ds, keyword)
    return int(value) if value is not None and value == int(value) else None


def items(ds: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence, none if it is absent, empty, no sequence or can't be parsed."""
    tag = tag_for_keyword(keyword)
    return _items_at(ds, tag) if tag is not None and vr_of(tag) == "SQ" else ()


def _items_at(ds: Dataset, tag: int) -> tuple[Dataset, ...]:
    try:
        return tuple(item for item in ds[tag].value if isinstance(item, Dataset))
    except PARSE_ERRORS:
        return ()


def first_item(ds: Dataset, keyword: str) -> Dataset:
    """Return the first item of a sequence, an empty dataset if there is none."""
    return next(iter(items(ds, keyword)), Dataset())


def dataset(**elements: object) -> Dataset:
    """Return a dataset of these keywords, each value checked against its VR.

    Floats become decimal strings where DICOM wants those. None makes an empty element.
    Raises ValueError for a value that its VR does not allow.
    """
    ds = Dataset()
    put(ds, **elements)
    return ds


def put(ds: Dataset, **elements: object) -> None:
    """Set these keywords in `ds`, each value checked against its VR (see `dataset`)."""
    for keyword, value in elements.items():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise ValueError(f"DICOM has no keyword {keyword}")
        vr = vr_of(tag)
        ds.add(DataElement(tag, vr, _decimal(value) if vr == "DS" else value, validation_mode=config.RAISE))


def _decimal(value: object) -> object:
    if isinstance(value, float):
        return format_number_as_ds(value)
    return [_decimal(one) for one in value] if isinstance(value, list | tuple) else value


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return one item of a code sequence."""
    return dataset(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def copied(source: Dataset, *keywords: str) -> Dataset:
    """Return the elements of `source` that are there, byte for byte; a text is never decoded nor encoded anew."""
    tags = (tag_for_keyword(keyword) for keyword in keywords)
    return _copied_tags(source, [tag for tag in tags if tag is not None and tag in source])


def copied_item(item: Dataset) -> Dataset:
    """Return a whole sequence item byte for byte, without private elements and group lengths."""
    return _copied_tags(item, [int(t) for t in item.keys() if not t.is_private and t.element != 0])  # noqa: SIM118


def _copied_tags(source: Dataset, tags: list[int]) -> Dataset:
    copy = Dataset()
    for tag in tags:
        if vr_of(tag) == "SQ":
            copy.add(DataElement(tag, "SQ", [copied_item(item) for item in _items_at(source, tag)]))
            continue
        with suppress(*PARSE_ERRORS):  # even to look at an element without converting it may fail
            element = source.get_item(tag)
            if vr_of(tag) in _TEXT and isinstance(element, RawDataElement):
                copy[tag] = _raw_element(tag, element.value or b"")
            else:
                copy.add(source[tag])
    copy.set_original_encoding(False, True, "iso8859")
    return copy


def encoded(keyword: str, value: bytes) -> Dataset:
    """Return a dataset of one text element whose bytes are already in the character set of the instance to be."""
    ds = Dataset()
    tag = int(tag_for_keyword(keyword) or 0)
    ds[tag] = _raw_element(tag, value)
    return ds


def _raw_element(tag: int, value: bytes) -> RawDataElement:
    vr = vr_of(tag)
    value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)


def without_empty_sequences(item: Dataset) -> Dataset:
    """Drop, at every depth, sequences without items and codes without a value: legal nowhere, written by many."""
    for tag in list(item.keys()):
        if vr_of(int(tag)) != "SQ":
            continue
        kept = [child for child in map(without_empty_sequences, item[tag].value) if len(child)]
        if kept:
            item[tag].value = kept
        else:
            del item[tag]
    return item


def file_bytes(ds: Dataset) -> bytes:
    """Return `ds` as a DICOM file (PS3.10), Explicit VR Little Endian; copied elements keep their bytes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    whole = FileDataset(None, ds, preamble=b"\0" * 128, file_meta=meta)
    # as if read in the encoding that we write: otherwise the writer would decode and encode the copied texts
    whole.set_original_encoding(False, True, whole._character_set)
    buffer = BytesIO()
    dcmwrite(buffer, whole, enforce_file_format=True)
    return buffer.getvalue()
