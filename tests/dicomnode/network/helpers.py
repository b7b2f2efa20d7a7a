"""What the network tests share: small instances, a listener that keeps what it receives, clients, certificates."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context

from dicomnode.config import NodeSettings, PeerSettings, TlsSettings
from dicomnode.network.commitment import CommitmentService
from dicomnode.network.listener import AssociationRejected, Listener
from dicomnode.network.memory import ReceivingMemory
from dicomnode.study import ReceivedInstance
from tests.peers.turns import steady

NM = "1.2.840.10008.5.1.4.1.1.20"
SCANNER = PeerSettings(name="scanner", ae_title="SPECT1")


def nm_file(transfer_syntax_uid: UID = ExplicitVRLittleEndian, frames: int = 2, sop_class_uid: str = NM) -> bytes:
    """Return a small NM instance as a DICOM file in an uncompressed Transfer Syntax or RLE."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = (
        ExplicitVRLittleEndian if transfer_syntax_uid.is_compressed else transfer_syntax_uid
    )
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.Modality, ds.PatientName, ds.PatientID = "NM", "Test^Virtual", "V1"
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.SamplesPerPixel = 64, 64, frames, 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = bytes(i % 251 for i in range(64 * 64 * 2)) * frames
    ds["PixelData"].VR = "OW"
    if transfer_syntax_uid.is_compressed:
        ds.compress(transfer_syntax_uid, generate_instance_uid=False)
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


def dataset_bytes(file_bytes: bytes) -> bytes:
    """Return what follows the File Meta Information."""
    return file_bytes[144 + int.from_bytes(file_bytes[140:144], "little") :]


def sop_instance_uid(file_bytes: bytes) -> str:
    """Return the instance's UID."""
    return str(dcmread(BytesIO(file_bytes)).SOPInstanceUID)


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Wait until a condition holds; False if it doesn't within a generous time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@dataclass
class Inbox:
    """Keeps what a listener hands over."""

    received: list[ReceivedInstance] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def receive(self, instance: ReceivedInstance) -> None:
        """Keep an instance."""
        self.received.append(instance)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def listening(
    inbox: Inbox,
    receive: Callable[[ReceivedInstance], None] | None = None,
    peers: tuple[PeerSettings, ...] = (SCANNER,),
    tls: TlsSettings | None = None,
    commitment: CommitmentService | None = None,
    rejected: AssociationRejected | None = None,
    memory: ReceivingMemory | None = None,
    **node: object,
) -> Iterator[Listener]:
    """Run a listener on a free port."""
    settings = NodeSettings.model_validate({"port": free_port(), **node})
    listener = Listener(
        settings, peers, tls, receive or inbox.receive, inbox.closed.append, commitment, rejected, memory
    )
    listener.start()
    try:
        yield listener
    finally:
        listener.stop(drain_s=0)


@contextmanager
def associated(
    port: int, ae_title: str = "SPECT1", called: str = "DICOMNODE", **contexts: UID
) -> Iterator[Association]:
    """Open an Association as a scanner would, with NM in Explicit VR or in the `transfer_syntax` given."""
    transfer_syntax = contexts.get("transfer_syntax", ExplicitVRLittleEndian)
    contexts_of_nm = [build_context(NM, transfer_syntax)]
    assoc = steady(AE(ae_title).associate("127.0.0.1", port, contexts=contexts_of_nm, ae_title=called))
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def store(assoc: Association, file_bytes: bytes, **command: str) -> C_STORE | None:
    """Send the dataset exactly as it is in the file, and return the response; `command` overrides its elements."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID = command.get("sop_class_uid", NM)
    request.AffectedSOPInstanceUID = command.get("sop_instance_uid") or sop_instance_uid(file_bytes)
    request.DataSet = BytesIO(dataset_bytes(file_bytes)) if file_bytes else None
    assoc._reactor_checkpoint.clear()
    assoc.dimse.send_msg(request, assoc.accepted_contexts[0].context_id)
    response = assoc.dimse.get_msg(block=True)[1]
    assoc._reactor_checkpoint.set()
    return response


def storescu(port: int, *files: Path | str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Send files with DCMTK as SPECT1."""
    return subprocess.run(
        ["storescu", "-v", "-aet", "SPECT1", "-aec", "DICOMNODE", *options, "127.0.0.1", str(port), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def in_background(action: Callable[[], object]) -> threading.Thread:
    """Run an action on a thread."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def certificates(folder: Path) -> TlsSettings:
    """Make a CA and one certificate signed by it; the node and its peers share them."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    folder.mkdir(parents=True, exist_ok=True)
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA"
    )
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=node")
    openssl(
        "x509", "-req", "-in", "node.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "node.pem"
    )
    return TlsSettings(certificate=folder / "node.pem", key=folder / "node.key", ca=folder / "ca.pem")


def association_request(ae_title: str = "SPECT1", called: str = "DICOMNODE") -> bytes:
    """Return an A-ASSOCIATE-RQ PDU for NM in Implicit VR."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = ae_title, called
    context = build_context(NM, "1.2.840.10008.1.2")
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 16_384, "1.2.3.4"
    primitive.user_information = [length, implementation]
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


@contextmanager
def connection(port: int, first: bytes = b"") -> Iterator[socket.socket]:
    """Connect, send some bytes, and stay."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(first)
        yield sock


@contextmanager
def raw_association(port: int) -> Iterator[socket.socket]:
    """Open an Association by hand, to misbehave in it."""
    with connection(port, association_request()) as sock:
        assert read_pdu(sock)[0] == 0x02
        yield sock


def read_pdu(sock: socket.socket) -> bytes:
    """Read one PDU; empty once the peer has closed."""
    header = b""
    while len(header) < 6:
        more = sock.recv(6 - len(header))
        if not more:
            return b""
        header += more
    body = b""
    while len(body) < int.from_bytes(header[2:]):
        body += sock.recv(65_536)
    return header + body
