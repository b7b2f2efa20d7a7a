"""Answers one C-STORE: the dataset as a DICOM file, byte for byte as it came, and the DIMSE status for the peer."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import create_file_meta, encode_file_meta

from dicomnode.errors import InstanceRejected, StoreStatus, TransientFault
from dicomnode.network.admission import Guest
from dicomnode.network.presentation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomnode.network.upper_layer import LARGEST_DATASET, Overflow
from dicomnode.study import ReceivedInstance

log = structlog.get_logger(__name__)

UID_FORM = re.compile(r"[0-9.]{1,64}")
PREAMBLE = b"\0" * 128 + b"DICM"

Receive = Callable[[ReceivedInstance], None]


def answer_store(request: C_STORE, context: Any, guest: Guest, association: str, receive: Receive) -> Dataset:
    """Hand the instance to `receive` and return the response's status elements; success only if `receive` returned.

    `context` is the Presentation Context that the request came in.
    """
    try:
        receive(_received(request, context, guest, association))
    except InstanceRejected as rejected:
        status, comment = rejected.status, rejected.comment
    except (OSError, TransientFault) as error:
        log.error("instance not kept", association=association, error=type(error).__name__, where=_origin(error))
        status, comment = StoreStatus.OUT_OF_RESOURCES, "the instance could not be kept; try again"
    except Exception as error:  # noqa: BLE001  outer wall: whatever went wrong, the peer must not believe in success
        log.error("instance not kept", association=association, error=type(error).__name__, where=_origin(error))
        status, comment = StoreStatus.CANNOT_UNDERSTAND, "internal error"
    else:
        return _status(StoreStatus.SUCCESS)
    log.warning(
        "instance refused",
        association=association,
        sop_instance=request.AffectedSOPInstanceUID,
        status=f"0x{status:04X}",
        reason=comment,
    )
    return _status(status, comment)


def _received(request: C_STORE, context: Any, guest: Guest, association: str) -> ReceivedInstance:
    """Return the instance as it came. Raises InstanceRejected if the command is no C-STORE that can be kept."""
    if isinstance(request.DataSet, Overflow):
        raise InstanceRejected(StoreStatus.OUT_OF_RESOURCES, f"larger than {LARGEST_DATASET >> 20} MiB")
    if request.DataSet is None or not request.DataSet.getbuffer().nbytes:
        raise InstanceRejected(StoreStatus.CANNOT_UNDERSTAND, "no dataset")
    sop_class_uid, sop_instance_uid = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
    if sop_class_uid != context.abstract_syntax:
        raise InstanceRejected(
            StoreStatus.DOES_NOT_MATCH_SOP_CLASS, "SOP Class is not that of the Presentation Context"
        )
    if not UID_FORM.fullmatch(sop_instance_uid):
        raise InstanceRejected(StoreStatus.CANNOT_UNDERSTAND, "Affected SOP Instance UID is not a UID")
    return ReceivedInstance(
        calling_ae_title=guest.calling_ae_title,
        peer_host=guest.host,
        association=association,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=str(context.transfer_syntax),
        file_bytes=b"".join(
            (_file_start(sop_class_uid, sop_instance_uid, context, guest), request.DataSet.getbuffer())
        ),
    )


def _file_start(sop_class_uid: str, sop_instance_uid: str, context: Any, guest: Guest) -> bytes:
    """Return preamble and File Meta Information (PS3.10 7.1); who sent the instance is part of it."""
    meta = create_file_meta(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax=context.transfer_syntax,
        implementation_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION_NAME,
    )
    meta.SourceApplicationEntityTitle = guest.calling_ae_title
    meta.SendingApplicationEntityTitle = guest.calling_ae_title
    meta.ReceivingApplicationEntityTitle = guest.called_ae_title
    return PREAMBLE + bytes(encode_file_meta(meta))


def _status(status: StoreStatus, comment: str = "") -> Dataset:
    elements = Dataset()
    elements.Status = int(status)
    if comment:
        elements.ErrorComment = comment.encode("ascii", "replace").decode("ascii")[:64]
    return elements


def _origin(error: BaseException) -> str:
    """Return file and line that an error came from; its text stays out of the log, it may hold a patient's data."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
