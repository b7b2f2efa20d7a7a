"""Requests for an Association that came before: a peer sends the same bytes each time.

They may hold hundreds of UIDs (DCMTK's storescu proposes 128 Presentation Contexts), and to check each of them takes
longer than to receive some instances.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE

ASSOCIATE_RQ = 0x01
KNOWN = 16  # requests that are remembered
LONGEST_KNOWN = 16_384  # bytes of one; decoded it takes 1 MB at the most


class KnownRequest(A_ASSOCIATE_RQ):  # type: ignore[misc]
    """An A-ASSOCIATE-RQ that is taken apart once. Associations share it, and none of them changes it."""

    pdu_type = ASSOCIATE_RQ  # pynetdicom looks for it by the class

    def to_primitive(self) -> A_ASSOCIATE:
        """Return what is asked for."""
        return self._primitive

    @cached_property
    def _primitive(self) -> A_ASSOCIATE:
        return super().to_primitive()


@lru_cache(maxsize=KNOWN)
def known_request(pdu: bytes) -> KnownRequest:
    """Return the request that these bytes are. Raises whatever pynetdicom does where they are none."""
    request = KnownRequest()
    request.decode(pdu)
    return request
