"""What cameras write into private elements that a reconstruction needs, and that stands nowhere else.

Each is used only where the standard's own element is silent, except GE's offsets, which are added to it; whoever uses
one says so among the assumptions. As PyTomography and STIR read these elements.
"""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from dicomnode.objects.elements import PARSE_ERRORS

_GE, _SIEMENS = "GEMS_GENIE_1", "SIEMENS MED NM"
_MOST_OFFSET_MM = 150.0  # no detector is moved further from its stated radius


def _numbers(ds: Dataset, group: int, creator: str, element: int) -> tuple[float, ...]:
    """Return the values of a private element, none if it is absent, no number or not finite."""
    try:
        value = ds.private_block(group, creator)[element].value
        values = tuple(map(float, value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]))
    except PARSE_ERRORS:
        return ()
    return values if all(map(math.isfinite, values)) else ()


def siemens_stored_per_mu(ds: Dataset) -> float | None:
    """Return by what the stored values of a Siemens attenuation map are divided to get 1/cm (Pixel Scale Factor)."""
    factor = next(iter(_numbers(ds, 0x0033, _SIEMENS, 0x38)), 0.0)
    return factor if factor > 0 else None


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
