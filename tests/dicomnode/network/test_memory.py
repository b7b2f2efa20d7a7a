"""Several peers send large instances at once: memory stays within its budget, and nobody is refused without need."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from dicomnode.config import NodeSettings
from dicomnode.network import memory as memory_module
from dicomnode.network.memory import FREE, STEP, ReceivingMemory, receiving_memory
from dicomnode.network.upper_layer import DrivenAssociation
from tests.dicomnode.network.helpers import Inbox, eventually, in_background, listening, raw_association, read_pdu
from tests.peers.messages import c_store, data_pdu

MIB = 1 << 20
LARGE, BUDGET = 32 * MIB, 48 * MIB
ZEROS, MORE, LAST = bytes(MIB // 16), b"\0", b"\2"
STATUS = b"\0\0\0\x09\2\0\0\0"  # tag (0000,0900) and length


@dataclass
class Peer:
    """A peer that sends one large instance and keeps its last byte back."""

    sock: socket.socket
    status: int | None = None

    def send_most(self, length: int = LARGE) -> None:
        """Send the command and all of the dataset but its end."""
        self.sock.sendall(c_store("1.2.3", b"")[: -len(data_pdu(LAST))])
        for _ in range(length // len(ZEROS)):
            self.sock.sendall(data_pdu(MORE + ZEROS))

    def finish(self) -> int:
        """Send the end and return the status that is answered."""
        self.sock.sendall(data_pdu(LAST + b"\0\0"))
        answer = read_pdu(self.sock)
        at = answer.index(STATUS) + len(STATUS)
        self.status = int.from_bytes(answer[at : at + 2], "little")
        return self.status


@contextmanager
def a_peer(port: int) -> Iterator[Peer]:
    with raw_association(port) as sock:
        yield Peer(sock)


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Trace memory; what is yielded returns the highest amount so far, in bytes."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_six_peers_send_at_once_stays_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "WAIT_S", 0.3)
    memory, sizes = ReceivingMemory(BUDGET), []
    with listening(Inbox(), lambda one: sizes.append(len(one.file_bytes)), memory=memory) as listener, traced() as peak:
        all_sent = threading.Barrier(6, timeout=30)
        answers: list[int] = []
        with a_peer(listener.port) as first:
            first.send_most()
            others = [in_background(lambda: answers.append(_one_of_many(listener.port, all_sent))) for _ in range(5)]
            all_sent.wait()
            assert first.finish() == 0x0000
            for other in others:
                other.join(30)
        assert answers == [0xA700] * 5
        # six times LARGE, and as much again for the files, if nothing bounded it
        assert peak() < 1.2 * (BUDGET + 6 * FREE) < 3 * LARGE
        assert len(sizes) == 1
        assert eventually(lambda: memory.taken == 0)


def _one_of_many(port: int, all_sent: threading.Barrier) -> int:
    with a_peer(port) as peer:
        peer.send_most()
        all_sent.wait()
        return peer.finish()


def test_a_peer_waits_for_room_while_another_finishes_and_is_not_refused() -> None:
    memory, sizes = ReceivingMemory(BUDGET), []
    with listening(Inbox(), lambda one: sizes.append(len(one.file_bytes)), memory=memory) as listener:
        with a_peer(listener.port) as first, a_peer(listener.port) as second:
            first.send_most()
            assert eventually(lambda: memory.taken == LARGE)
            sending = in_background(second.send_most)
            assert eventually(lambda: memory.taken == BUDGET)
            assert first.finish() == 0x0000
            sending.join(30)
            assert second.finish() == 0x0000
        assert eventually(lambda: memory.taken == 0)
    assert len(sizes) == 2


def test_an_instance_is_held_once_and_gone_before_the_next_comes() -> None:
    sizes: list[int] = []
    with listening(Inbox(), lambda one: sizes.append(len(one.file_bytes))) as listener, traced() as peak:
        with a_peer(listener.port) as peer:
            for _ in range(3):
                peer.send_most()
                assert peer.finish() == 0x0000
        assert len(set(sizes)) == 1
        assert sizes[0] > LARGE
        assert peak() < 1.3 * LARGE


def test_an_instance_beyond_the_whole_budget_is_refused_at_once_and_smaller_ones_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_module, "WAIT_S", 3600.0)
    sizes: list[int] = []
    memory = ReceivingMemory(2 * STEP)
    receive = listening(Inbox(), lambda one: sizes.append(len(one.file_bytes)), memory=memory)
    with receive as listener, a_peer(listener.port) as peer:
        peer.send_most()
        assert peer.finish() == 0xA700
        peer.send_most(length=STEP)
        assert peer.finish() == 0x0000
    assert len(sizes) == 1


def test_what_a_peer_leaves_behind_that_goes_away_is_free_again() -> None:
    memory = ReceivingMemory(BUDGET)
    with listening(Inbox(), memory=memory) as listener:
        with a_peer(listener.port) as peer:
            peer.send_most()
            assert eventually(lambda: memory.taken == LARGE)
        assert eventually(lambda: memory.taken == 0)


def test_who_waits_for_room_is_not_taken_for_silent_and_ends_when_the_node_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_module, "WAIT_S", 3600.0)
    memory = ReceivingMemory(BUDGET)
    with (
        listening(Inbox(), memory=memory, max_associations=2) as listener,
        a_peer(listener.port) as first,
        a_peer(listener.port) as second,
    ):
        first.send_most()
        assert eventually(lambda: memory.taken == LARGE)
        in_background(lambda: _until_cut(second))
        assert eventually(lambda: any(_waits(one) for one in listener._slots._open))
        listener.stop(drain_s=0)
        assert eventually(lambda: memory.taken == 0)


def _waits(assoc: DrivenAssociation) -> bool:
    return bool(assoc.dimse.share.is_waiting) and assoc.silent_s == 0.0


def _until_cut(peer: Peer) -> None:
    try:
        peer.send_most()
    except OSError:
        return


def test_the_budget_is_what_is_configured_or_a_share_of_the_machine() -> None:
    assert receiving_memory(NodeSettings(receive_memory_gb=2.0)).limit == 2_000_000_000
    assert receiving_memory(NodeSettings()).limit > 100 * MIB
