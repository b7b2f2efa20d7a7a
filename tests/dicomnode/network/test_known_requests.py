"""A request for an Association that comes again is not taken apart again, and Associations that share it don't mix."""

from __future__ import annotations

import tracemalloc

from pynetdicom.pdu import A_ASSOCIATE_RQ

from dicomnode.network.known_requests import LONGEST_KNOWN, known_request
from tests.dicomnode.network.helpers import Inbox, associated, association_request, listening, nm_file, store


def test_two_associations_by_the_same_request_are_served_side_by_side() -> None:
    known_request.cache_clear()
    inbox = Inbox()
    with listening(inbox) as listener:
        for _ in range(2):
            with associated(listener.port) as one, associated(listener.port) as other:
                assert [store(assoc, nm_file()).Status for assoc in (one, other, one)] == [0, 0, 0]
                assert one.accepted_contexts[0].transfer_syntax == other.accepted_contexts[0].transfer_syntax
    assert len(inbox.received) == 6
    assert known_request.cache_info().misses <= 2  # both of the first pair may have come before either was known


def test_what_is_asked_for_is_what_pynetdicom_reads() -> None:
    pdu = bytes(association_request())
    expected = A_ASSOCIATE_RQ()
    expected.decode(pdu)
    assert expected == known_request(pdu)
    read, known = expected.to_primitive(), known_request(pdu).to_primitive()
    assert known.calling_ae_title == read.calling_ae_title
    assert known.presentation_context_definition_list == read.presentation_context_definition_list


def test_a_stranger_s_longest_request_takes_little_memory() -> None:
    pdu = _as_many_uids_as_fit("STRANGER")
    known_request.cache_clear()
    tracemalloc.start()
    known_request(pdu).to_primitive()
    held_mb = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    assert LONGEST_KNOWN - 5 < len(pdu) <= LONGEST_KNOWN
    assert held_mb < 1


def _as_many_uids_as_fit(calling_ae_title: str) -> bytes:
    """Return the longest request that is remembered, all of it Transfer Syntaxes of one letter (PS3.8 Table 9-13)."""
    start, transfer_syntax = association_request(calling_ae_title), b"\x40\0\0\x011"
    content = b"\x03\0\0\0" + b"\x30\0\0\x031.2"
    content += transfer_syntax * ((LONGEST_KNOWN - len(start) - 4 - len(content)) // len(transfer_syntax))
    pdu = start + b"\x20\0" + len(content).to_bytes(2) + content
    return pdu[:2] + (len(pdu) - 6).to_bytes(4) + pdu[6:]
