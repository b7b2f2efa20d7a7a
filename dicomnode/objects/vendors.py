"""What cameras write into private elements that a reconstruction needs, and that stands nowhere else.

Each is used only where the standard's own element is silent, except GE's offsets, which are added to it; whoever uses
one says so among the assumptions. As PyTomography and STIR read these elements; those that are
not read, and why, stand in docs/real-files.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.elements import PARSE_ERRORS, texts

_GE, _SIEMENS = "GEMS_GENIE_1", "SIEMENS MED NM"
_MOST_OFFSET_MM = 150.0  # no detector is moved further from its stated radius


@dataclass(frozen=True)
class PrivateScale:
    """What stored values are multiplied by to get real ones, their UCUM unit ("" if there is none), and who says so."""

    slope: float
    unit: str
    words: str


def _numbers(ds: Dataset, group: int, creator: str, element: int) -> tuple[float, ...]:
    """Return the values of a private element, none if it is absent, no number or not finite."""
    try:
        value = ds.private_block(group, creator)[element].value
        values = tuple(map(float, value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]))
    except PARSE_ERRORS:
        return ()
    return values if all(map(math.isfinite, values)) else ()


def private_scale(ds: Dataset) -> PrivateScale | None:
    """Return the scale of an image that only private elements state, None if they state none.

    Values of a GE image are stored x Pixel Scale, those of a Siemens attenuation map stored / Pixel Scale Factor; both
    vendors' maps come out in 1/cm, which whoever corrects with one checks again. Raises StudyUnsuitable if GE states
    several scales for one image or an offset: how those are to be applied isn't known.
    """
    transmission = "TRANSMISSION" in texts(ds, "ImageType")
    factor = next(iter(_numbers(ds, 0x0033, _SIEMENS, 0x38)), 0.0)
    if transmission and factor > 0:
        words = f"stored values were divided by Siemens' private Pixel Scale Factor {factor:g}"
        return PrivateScale(1 / factor, "/cm", words)
    scale = _ge_scale(ds)
    if scale is None:
        return None
    words = f"stored values were multiplied by GE's private Pixel Scale {scale:g}"
    return PrivateScale(scale, "/cm" if transmission else "", words)


def _ge_scale(ds: Dataset) -> float | None:
    """Return GE's Pixel Scale if it says anything: a scale of one or of nothing doesn't."""
    scales = sorted(set(_numbers(ds, 0x0011, _GE, 0x3B)))
    offsets = sorted(set(_numbers(ds, 0x0011, _GE, 0x3C)) - {0.0})
    if len(scales) > 1:
        raise StudyUnsuitable(f"GE's private Pixel Scale: found {_list(scales)}, expected the same for all frames")
    if offsets:
        raise StudyUnsuitable(f"GE's private Pixel Offset: found {_list(offsets)}, expected 0")
    return next((scale for scale in scales if scale > 0 and scale != 1), None)


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def ge_radius_mm(ds: Dataset) -> float | None:
    """Return GE's Radius of Rotation, None if it isn't stated."""
    radius = next(iter(_numbers(ds, 0x0011, _GE, 0x19)), 0.0)
    return radius if radius > 0 else None


def ge_radius_offsets_mm(ds: Dataset, head: int, views: int) -> tuple[float, ...]:
    """Return by how much GE moved a head outward at each view (Tomo View Offset: triplets, the third); empty if not."""
    try:
        heads = list(ds.private_block(0x0055, _GE)[0x22].value)
    except PARSE_ERRORS:
        return ()
    if head >= len(heads) or not isinstance(heads[head], Dataset):
        return ()
    offsets = _numbers(heads[head], 0x0013, _GE, 0x1E)[2::3]
    sound = len(offsets) == views and any(offsets) and max(map(abs, offsets)) <= _MOST_OFFSET_MM
    return offsets if sound else ()
