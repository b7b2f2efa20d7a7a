"""Whether two files hold the same instance, and from whom a file of ours came."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from threading import Lock

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info

from dicomnode.errors import InstanceRejected
from dicomnode.objects.elements import PARSE_ERRORS
from dicomnode.objects.header import PatientStream

PIXEL_DATA = 0x7FE00010
_MOST_BESIDES_PIXELS = 8 << 20  # bytes; a header takes some thousands, and each of its elements a hundred times itself


_ONE_AT_A_TIME = Lock()  # a comparison takes twice the memory of the files


def same_content(file_bytes: bytes, other: Path) -> bool:
    """Tell whether two DICOM files hold the same elements with the same values, whatever their Transfer Syntax.

    Compressed pixels are compared as they are, so the same picture compressed in two ways counts as different; so do
    files with more elements or larger ones than an image has, for this runs while a peer waits.
    """
    with _ONE_AT_A_TIME:
        try:
            return _same_elements(file_bytes, other)
        except (*PARSE_ERRORS, InstanceRejected):
            return False


def _same_elements(file_bytes: bytes, other: Path) -> bool:
    with other.open("rb") as stream:
        one, two = dcmread(PatientStream(BytesIO(file_bytes))), dcmread(PatientStream(stream))
    if max(map(_besides_pixels, (one, two))) > _MOST_BESIDES_PIXELS:
        return False
    return bool(one == two)


def _besides_pixels(ds: Dataset) -> int:
    """Return how many bytes the elements hold that are not parsed yet, without the pixels."""
    elements = (ds.get_item(tag) for tag in ds.keys() if tag != PIXEL_DATA)  # noqa: SIM118 - it iterates over elements
    return sum(len(element.value or b"") for element in elements if isinstance(element, RawDataElement))


def origin(file: Path) -> tuple[str, str]:
    """Return the Transfer Syntax UID of a file of the spool and the AE title that sent it ("" if not recorded)."""
    meta = read_file_meta_info(str(file))
    return str(meta.TransferSyntaxUID), str(meta.get("SourceApplicationEntityTitle", ""))
