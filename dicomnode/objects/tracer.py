"""Which radionuclide an NM image says it was taken of, however its station writes that."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from dicomnode.objects.elements import items, text

_KNOWN = {
    "Tc-99m": re.compile(r"technetium|(?<![a-z])tc\W*99|99m\W*tc"),
    "Tl-201": re.compile(r"thall(?:ium|ous)|(?<![a-z])tl\W*201|201\W*tl(?![a-z])"),
    "I-123": re.compile(r"(?<![a-z])(?:i|iodine|iodide)\W*123(?!\d)|(?<!\d)123\W*(?:i|iodine)(?![a-z])"),
}
_CODES = {"C-163A8": "Tc-99m", "72454006": "Tc-99m"}  # SNOMED's old and new: some stations give no meaning


def radionuclide(ds: Dataset) -> str:
    """Return "Tc-99m", "Tl-201" or "I-123", or what else the image states; empty if nothing, or several.

    Read from Radionuclide Code Sequence, else from the Radiopharmaceutical's name (PS3.3 C.8.4.10).
    """
    stated = {name for item in items(ds, "RadiopharmaceuticalInformationSequence") if (name := _of(item))}
    return stated.pop() if len(stated) == 1 else ""


def _of(item: Dataset) -> str:
    for code in items(item, "RadionuclideCodeSequence"):
        value, meaning = text(code, "CodeValue"), text(code, "CodeMeaning")
        if name := _CODES.get(value) or _known(meaning) or meaning or value:
            return name
    return _known(text(item, "Radiopharmaceutical"))


def _known(words: str) -> str:
    """Return which of the known radionuclides words name: "^99m^Technetium", "99mTc-MIBI", "TL201"."""
    return next((name for name, pattern in _KNOWN.items() if pattern.search(words.lower())), "")
