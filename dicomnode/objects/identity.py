"""Whether two files hold the same instance, and from whom a file of ours came."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info

from dicomnode.objects.elements import PARSE_ERRORS


def same_content(file_bytes: bytes, other: Path) -> bool:
    """Tell whether two DICOM files hold the same elements with the same values, whatever their Transfer Syntax.

    Compressed pixels are compared as they are, so the same picture compressed in two ways counts as different.
    """
    try:
        one, two = dcmread(BytesIO(file_bytes)), dcmread(other)
        return bool(one == two)
    except PARSE_ERRORS:
        return False


def origin(file: Path) -> tuple[str, str]:
    """Return the Transfer Syntax UID of a file of the spool and the AE title that sent it ("" if not recorded)."""
    meta = read_file_meta_info(str(file))
    return str(meta.TransferSyntaxUID), str(meta.get("SourceApplicationEntityTitle", ""))
