"""What is fuzzed: functions that take a peer's bytes, and may end in one of our own errors and in nothing else."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.config import NodeSettings, PeerSettings
from dicomnode.errors import InstanceRejected, StudyUnsuitable
from dicomnode.network import upper_layer
from dicomnode.network.listener import Listener
from dicomnode.objects.decoding import Decoder
from dicomnode.objects.header import read_header
from dicomnode.objects.previews import preview_png
from dicomnode.objects.reader import read_acquisition
from dicomnode.study import ReceivedInstance
from tests.dicomnode.network.helpers import association_request, free_port, nm_file
from tests.factories import a_tomo, as_file, quick_dataset
from tests.peers.messages import c_echo, c_store, data_pdu

Target = Callable[[bytes], None]

_PEER = "SPECT1"


def header(data: bytes) -> None:
    """Read what the node reads of an instance on its arrival."""
    with suppress(InstanceRejected):
        read_header(data)


def reader(data: bytes) -> None:
    """Read a file as a pipeline's input, whether or not the listener would have taken it.

    Compressed pixels aren't decoded: that happens in a child process, which is slow to start and may die.
    """
    path = _scratch() / "input.dcm"
    path.write_bytes(data)
    with suppress(StudyUnsuitable), patch("dicomnode.objects.pixels.Decoder", _NoDecoder):
        acquisition = read_acquisition(path)
        assert (acquisition.projections is None) != (acquisition.reconstruction is None)


def picture(data: bytes) -> None:
    """Draw a file for the web page, whether or not the listener would have taken it; compressed ones as above."""
    path = _scratch() / "input.dcm"
    path.write_bytes(data)
    with suppress(StudyUnsuitable), patch("dicomnode.objects.previews.Decoder", _NoDecoder):
        assert preview_png(path, identity=data[:1] == b"\0").startswith(b"\x89PNG")


def listener(data: bytes) -> None:
    """Serve one connection that sends these bytes and hangs up.

    The first byte tells what comes in front of the rest, so that deep code is reached too: nothing, an Association
    request, or an Association request and the command of a C-STORE whose dataset the rest is.
    """
    kind, rest = data[:1], data[1:]
    if kind == b"\1":
        rest = association_request(_PEER) + rest
    elif kind == b"\2":
        rest = association_request(_PEER) + c_store("1.2.3", rest)
    _Served.whole().serve(rest)


class _NoDecoder(Decoder):
    """Stands in for the child process that decodes."""

    def decode(self, ds: Dataset, pixels: int) -> NDArray[np.generic]:
        """Refuse whatever comes."""
        raise StudyUnsuitable(f"{pixels} compressed pixels of {len(ds)} elements are not decoded here")


class _Served:
    """A listener whose connections are served on the caller's thread, so that nothing can die unseen."""

    def __init__(self) -> None:
        upper_layer.QUICK_ACK = None  # no option of the socket pairs that stand in for TCP
        settings = NodeSettings.model_validate({"port": free_port()})
        peers = (PeerSettings(name="scanner", ae_title=_PEER),)
        self.opened = self.closed = 0
        self.listener = Listener(settings, peers, None, self._receive, self._ended)
        self.listener.start()

    @staticmethod
    @cache
    def whole() -> _Served:
        """Return the one listener of this process."""
        return _Served()

    def _receive(self, instance: ReceivedInstance) -> None:
        assert instance.calling_ae_title == _PEER
        read_header(instance.file_bytes)

    def _ended(self, _association: str) -> None:
        self.closed += 1

    def serve(self, data: bytes) -> None:
        """Serve one connection to its end, and check that it left nothing behind."""
        server = self.listener._server
        assert server is not None
        peer, ours = socket.socketpair()
        with peer, ours:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            assoc = server._association(ours, ("127.0.0.1", 104))
            self.listener._serve(assoc, "127.0.0.1", lambda: None)
        assert self.listener.open_associations == 0
        assert assoc.dul.socket.socket is None


@cache
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="dicomnode-fuzz-"))


TARGETS: Mapping[str, Target] = {"header": header, "reader": reader, "picture": picture, "listener": listener}


def seeds(name: str) -> list[bytes]:
    """Return sound inputs of a target, from which damage starts."""
    files = [
        a_tomo(views=2, rows=2, columns=2),
        a_tomo(views=4, rows=2, columns=2, gates=2, windows=2, detectors=2),
        as_file(quick_dataset()),
        as_file(quick_dataset(SpecificCharacterSet="ISO 2022 IR 87", PatientName="Yamada"), "1.2.840.10008.1.2"),
    ]
    if name == "picture":
        color = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
        small = {"Rows": 2, "Columns": 3, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
        files.append(as_file(quick_dataset(**small, **color, PixelData=bytes(range(18)))))
        files.append(as_file(quick_dataset(Modality="CT", **small, RescaleIntercept=-1000, PixelData=bytes(range(6)))))
    if name != "listener":
        return files
    dataset = nm_file()[:2000]
    return [
        b"\0" + association_request(_PEER),
        b"\1" + c_echo() + b"\x05\0\0\0\0\4\0\0\0\0",
        b"\1" + c_store("1.2.3", dataset),
        b"\1" + data_pdu(b"\1\3" + b"\0" * 20) + b"\x07\0\0\0\0\4\0\0\0\0",
        *(b"\2" + file[400:] for file in files),
    ]
