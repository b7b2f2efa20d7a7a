"""Answers to C-STORE: their bytes, and requests in a Presentation Context that is none for instances."""

from __future__ import annotations

from io import BytesIO

import pytest
from pynetdicom import AE
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification

from dicomnode.errors import StoreStatus
from dicomnode.network.storage import _response
from tests.dicomnode.network.helpers import NM, Inbox, associated, eventually, listening, nm_file, store
from tests.peers.turns import steady


def a_request(sop_class_uid: str | None = NM, sop_instance_uid: str | None = "1.2.3") -> C_STORE:
    request = C_STORE()
    request.MessageID, request.Priority = 0xABCD, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class_uid, sop_instance_uid
    request.DataSet = BytesIO(b"\0" * 1000)
    return request


@pytest.mark.parametrize(
    ("request_", "status", "comment"),
    [
        (a_request(), StoreStatus.SUCCESS, ""),
        (a_request(sop_instance_uid="1.2.34"), StoreStatus.OUT_OF_RESOURCES, "no room"),
        (a_request(), StoreStatus.DOES_NOT_MATCH_SOP_CLASS, "x" * 64),
        (a_request(sop_class_uid=None, sop_instance_uid=None), StoreStatus.CANNOT_UNDERSTAND, "odd"),
    ],
)
def test_a_response_has_the_bytes_that_pynetdicom_would_write(
    request_: C_STORE, status: StoreStatus, comment: str
) -> None:
    expected = C_STORE()
    expected.MessageIDBeingRespondedTo, expected.Status = request_.MessageID, int(status)
    expected.AffectedSOPClassUID = request_.AffectedSOPClassUID
    expected.AffectedSOPInstanceUID = request_.AffectedSOPInstanceUID
    expected.ErrorComment = comment or None
    message = C_STORE_RSP()
    message.primitive_to_message(expected)
    assert _response(request_, status, comment) == encode(message.command_set, True, True)


def test_an_instance_in_a_context_of_verification_is_refused() -> None:
    inbox = Inbox()
    with listening(inbox) as listener:
        contexts = [build_context(Verification)]
        assoc = steady(AE("SPECT1").associate("127.0.0.1", listener.port, contexts=contexts, ae_title="DICOMNODE"))
        assert store(assoc, nm_file(sop_class_uid=Verification), sop_class_uid=Verification).Status == 0xA900
        assoc.release()
    assert inbox.received == []


def test_an_instance_in_a_context_that_was_not_accepted_ends_the_association() -> None:
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as assoc:
        assoc.dimse.send_msg(a_request(), 77)
        assert eventually(lambda: assoc.is_aborted)
    assert inbox.received == []
    assert len(inbox.closed) == 1
