"""How the patient lies, sits or stands, and which way to the gantry (PS3.3 C.8.4.6, NM/PET Patient Orientation).

Cameras still write the codes of retired schemes under several names of theirs, so a code is known by its value alone.
What isn't in these tables is the source's to say: it is copied as it is if it is a code, and never made another.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from dicomnode.objects.elements import copied_item, dataset, first_item, put, without_empty_sequences
from dicomnode.objects.modules import Code, is_code, translated

_ERECT = ("C86043", "NCIt", "erect")
# PS3.16 CID 19; standing is of CID 20, and some write it in the place of erect
_ORIENTATIONS: dict[str, Code] = {
    "F-10450": ("102538003", "SCT", "recumbent"),
    "F-10440": _ERECT,
    "F-10320": _ERECT,
    "10904000": _ERECT,
    "F-10460": ("102539006", "SCT", "semi-erect"),
}
_MODIFIERS: dict[str, Code] = {  # CID 20
    "F-10340": ("40199007", "SCT", "supine"),
    "F-10310": ("1240000", "SCT", "prone"),
    "F-103A0": ("33586001", "SCT", "sitting"),
    "F-10320": ("10904000", "SCT", "standing"),
    "F-10316": ("34026001", "SCT", "semi-prone"),
    "F-10318": ("32185000", "SCT", "lateral decubitus"),
    "F-10317": ("102535000", "SCT", "right lateral decubitus"),
    "F-10319": ("102536004", "SCT", "left lateral decubitus"),
}
_GANTRY: dict[str, Code] = {  # CID 21
    "F-10470": ("102540008", "SCT", "headfirst"),
    "F-10480": ("102541007", "SCT", "feet-first"),
}


def patient_orientation(source: Dataset) -> Dataset:
    """Return the patient's orientation as the source says it, retired codes replaced; empty where it says nothing."""
    stated = first_item(source, "PatientOrientationCodeSequence")
    orientation = _current(stated, _ORIENTATIONS)
    if orientation is not None:
        modifier = _current(first_item(stated, "PatientOrientationModifierCodeSequence"), _MODIFIERS)
        if modifier is not None:
            put(orientation, PatientOrientationModifierCodeSequence=[modifier])
        elif "PatientOrientationModifierCodeSequence" in orientation:
            del orientation.PatientOrientationModifierCodeSequence
    gantry = _current(first_item(source, "PatientGantryRelationshipCodeSequence"), _GANTRY)
    return dataset(
        PatientOrientationCodeSequence=[] if orientation is None else [orientation],
        PatientGantryRelationshipCodeSequence=[] if gantry is None else [gantry],
    )


def _current(item: Dataset, table: dict[str, Code]) -> Dataset | None:
    """Return the current code for an item, the item itself if it is another code, None if it is none."""
    known = translated(item, table)
    if known is not None or not is_code(item):
        return known
    return without_empty_sequences(copied_item(item))
