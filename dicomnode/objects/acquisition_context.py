"""The conditions of an acquisition as its camera stated them, mended where it wrote them wrong (PS3.3 C.7.6.14).

Only what the source states as a code is written as one: what a person's words let us guess is not.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from dicomnode.objects.elements import copied, copied_item, dataset, first_item, items, put, text
from dicomnode.objects.elements import without_empty_sequences as whole
from dicomnode.objects.modules import STATE_CODES, Code, is_code, merge, translated
from pipelines.contract import CardiacState

# codes of retired schemes for the state of the heart (PS3.16 CID 3101)
_STATES: dict[str, Code] = {
    "F-05019": STATE_CODES[CardiacState.STRESS],
    "F-01602": STATE_CODES[CardiacState.REST],
}
# where a content item keeps its value tells its type, which GE leaves out (PS3.3 10.2)
_VALUE_OF = {
    "CODE": "ConceptCodeSequence", "NUMERIC": "NumericValue", "TEXT": "TextValue", "DATETIME": "DateTime",
    "DATE": "Date", "TIME": "Time", "PNAME": "PersonName", "UIDREF": "UID",
}  # fmt: skip


def acquisition_context(source: Dataset) -> Dataset:
    """Return the source's Acquisition Context without what can't be mended; nothing if it states none."""
    kept = [item for stated in items(source, "AcquisitionContextSequence") if (item := _mended(stated)) is not None]
    described = text(source, "AcquisitionContextDescription")
    if not kept and not described:
        return Dataset()
    ds = dataset(AcquisitionContextSequence=kept)
    if described:
        merge(ds, copied(source, "AcquisitionContextDescription"))
    return ds


def _mended(stated: Dataset) -> Dataset | None:
    """Return a content item with its type and a current code, None if it says nothing of anything."""
    item = whole(copied_item(stated))
    held = [kind for kind, keyword in _VALUE_OF.items() if text(item, keyword) or items(item, keyword)]
    value_type = text(item, "ValueType") or next(iter(held), "")
    if not is_code(first_item(item, "ConceptNameCodeSequence")) or value_type not in held:
        return None
    if value_type == "NUMERIC" and not is_code(first_item(item, "MeasurementUnitsCodeSequence")):
        return None
    if value_type == "CODE":
        value = first_item(item, "ConceptCodeSequence")
        current = translated(value, _STATES)
        if current is None and not is_code(value):
            return None
        put(item, ConceptCodeSequence=[current or value])
    put(item, ValueType=value_type)
    return item
