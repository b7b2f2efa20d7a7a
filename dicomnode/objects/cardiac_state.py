"""Whether an acquisition was made under stress or at rest, as its header tells."""

from __future__ import annotations

from pydicom.dataset import Dataset

from dicomnode.objects.elements import first_item, items, text
from pipelines.contract import CardiacState

_PATIENT_STATE = "109054"
_STATES = {
    "109091": CardiacState.STRESS, "432655005": CardiacState.STRESS, "F-05019": CardiacState.STRESS,
    "109095": CardiacState.STRESS, "434161005": CardiacState.STRESS,
    "128975004": CardiacState.REST, "F-01602": CardiacState.REST,
}  # fmt: skip


def stated_state(ds: Dataset) -> CardiacState:
    """Return stress or rest where the Acquisition Context says so by a code."""
    for item in items(ds, "AcquisitionContextSequence"):
        if text(first_item(item, "ConceptNameCodeSequence"), "CodeValue") == _PATIENT_STATE:
            value = text(first_item(item, "ConceptCodeSequence"), "CodeValue")
            if value in _STATES:
                return _STATES[value]
    return CardiacState.UNKNOWN


def cardiac_state(ds: Dataset) -> tuple[CardiacState, tuple[str, ...]]:
    """Return stress or rest: from the Acquisition Context, else from what a person wrote."""
    stated = stated_state(ds)
    if stated is not CardiacState.UNKNOWN:
        return stated, ()
    for keyword in ("SeriesDescription", "ImageID", "ProtocolName"):
        written = text(ds, keyword).lower()
        stress, rest = "stress" in written, "rest" in written
        if stress != rest:
            state = CardiacState.STRESS if stress else CardiacState.REST
            return state, (f"taken as {state.value} because of {keyword}",)
    return CardiacState.UNKNOWN, ("nothing says whether this is stress or rest",)
