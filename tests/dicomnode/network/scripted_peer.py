"""A PACS for tests that answers as it is told: any status, silence, an abort, a closed connection, a rejection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import NuclearMedicineImageStorage, Verification

from dicomnode.config import DestinationSettings


class Misbehavior(Enum):
    """What the peer does instead of answering."""

    ABORT = "aborts the Association"
    CLOSE = "closes the connection"
    SILENCE = "says nothing"


Answer = int | tuple[int, str] | Misbehavior


@dataclass
class ScriptedPeer:
    """Runs while it is entered. Gives the scripted answers in turn, then 0x0000; keeps what it was sent."""

    script: Iterable[Answer] = ()
    transfer_syntaxes: tuple[UID, ...] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    sop_classes: tuple[UID, ...] = (Verification, NuclearMedicineImageStorage)
    ae_title: str = "PACS"
    callers: tuple[str, ...] = ()
    max_pdu: int = 16_384  # 0: any length
    associations: int = 0
    datasets: list[bytes] = field(default_factory=list)
    received_in: list[str] = field(default_factory=list)  # Transfer Syntaxes
    proposed: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def __enter__(self) -> ScriptedPeer:
        ae = AE(self.ae_title)
        ae.require_called_aet = True
        ae.maximum_pdu_size = self.max_pdu
        ae.require_calling_aet = list(self.callers)
        for sop_class in self.sop_classes:
            ae.add_supported_context(sop_class, list(self.transfer_syntaxes))
        self._answers = iter(self.script)
        self._over = threading.Event()
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)]
        self._server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()

    @property
    def destination(self) -> DestinationSettings:
        """Where to send to."""
        port = self._server.server_address[1]
        return DestinationSettings(name="pacs", ae_title=self.ae_title, host="127.0.0.1", port=port)

    def _accepted(self, event: Any) -> None:
        self.associations += 1
        contexts = event.assoc.requestor.primitive.presentation_context_definition_list
        self.proposed = [(str(cx.abstract_syntax), tuple(map(str, cx.transfer_syntax))) for cx in contexts]

    def _store(self, event: Any) -> Dataset | int:
        self.datasets.append(event.encoded_dataset(include_meta=False))
        self.received_in.append(str(event.context.transfer_syntax))
        answer = next(self._answers, 0x0000)
        if isinstance(answer, Misbehavior):
            return self._misbehave(answer, event.assoc)
        if isinstance(answer, int):
            return answer
        status = Dataset()
        status.Status, status.ErrorComment = answer
        return status

    def _misbehave(self, how: Misbehavior, assoc: Any) -> int:
        if how is Misbehavior.ABORT:
            assoc.abort()
        elif how is Misbehavior.CLOSE:
            assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        else:
            self._over.wait(60)
        return 0x0000
