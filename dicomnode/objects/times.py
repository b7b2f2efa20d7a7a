"""The processing time as a derived instance bears it: on the clock by which its copied times are read.

Dates and times in DICOM are local (PS3.5 6.2); which zone that is may be stated once for all of an instance in
Timezone Offset From UTC (PS3.3 C.12.1). Where the source states it, it is copied, so what we write must be of that
zone as well; where it doesn't, camera and node are taken to stand in one place, and no zone is claimed for the source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom.dataset import Dataset

from dicomnode.objects.elements import text

_OFFSET = re.compile(r"([+-])(\d\d)([0-5]\d)")
_WIDEST = (timedelta(hours=-12), timedelta(hours=14))  # of Timezone Offset From UTC


@dataclass(frozen=True)
class Moment:
    """A moment as DICOM writes it: DA, TM and DT; the last names its zone where that is known."""

    date: str
    time: str
    date_time: str

    @classmethod
    def of(cls, now: datetime, source: Dataset) -> Moment:
        """Return `now` in the zone that the source states, else in that of the node; without a zone as it is."""
        if now.tzinfo is not None:
            now = now.astimezone(stated_zone(source))
        return cls(now.strftime("%Y%m%d"), now.strftime("%H%M%S"), now.strftime("%Y%m%d%H%M%S%z")[:19])


def stated_zone(source: Dataset) -> timezone | None:
    """Return the zone of an instance's times, None if it states none or one that can't be."""
    found = _OFFSET.fullmatch(text(source, "TimezoneOffsetFromUTC"))
    if found is None:
        return None
    size = timedelta(hours=int(found[2]), minutes=int(found[3]))
    offset = -size if found[1] == "-" else size
    return timezone(offset) if _WIDEST[0] <= offset <= _WIDEST[1] else None
