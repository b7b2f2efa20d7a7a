"""Whatever bytes a peer sends, and wherever it stops, the listener ends with it and serves the next one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.network.listener import Listener
from tests.dicomnode.network.helpers import Inbox, connection, dataset_bytes, eventually, listening, nm_file
from tests.peers.handmade import EXPLICIT, RELEASE, association_request, store
from tests.peers.messages import c_echo, c_store

SOUND = dataset_bytes(nm_file(frames=1))
CONVERSATION = association_request(EXPLICIT) + c_echo() + c_store("1.2.3.4", SOUND[:600], most=200) + RELEASE

quickly = settings(max_examples=120, deadline=None, derandomize=True, database=None)


@dataclass
class Desk:
    """A listener, what came in, and how many sound instances should have."""

    listener: Listener
    inbox: Inbox
    sound: list[str] = field(default_factory=list)

    def hear(self, data: bytes) -> None:
        """Let a peer send these bytes and hang up; return when the listener has ended with it."""
        with connection(self.listener.port, data) as sock, suppress(ConnectionError):
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65_536):
                pass

    def check(self) -> None:
        """Assert that nothing is left of the last peer, and that the next one is served."""
        assert eventually(lambda: self.listener.open_associations == 0)
        uid = f"1.2.3.{len(self.sound) + 10}"
        assert store(self.listener.port, SOUND, uid) == 0
        self.sound.append(uid)
        assert self.inbox.received[-1].sop_instance_uid == uid
        assert SOUND in self.inbox.received[-1].file_bytes
        assert {one.calling_ae_title for one in self.inbox.received} == {"SPECT1"}


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """One listener for all examples."""
    inbox = Inbox()
    with listening(inbox) as listener:
        yield Desk(listener, inbox)


@quickly
@given(st.binary(max_size=300))
def test_any_bytes_end_their_own_connection_alone(desk: Desk, data: bytes) -> None:
    desk.hear(data)
    desk.check()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a sound conversation with some bytes replaced, taken out or put in, and perhaps its end cut off."""
    data = bytearray(CONVERSATION)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        gone = draw(st.integers(0, 6))
        data[at : at + gone] = draw(st.binary(max_size=6))
    return bytes(data[: draw(st.integers(1, len(data))) if draw(st.booleans()) else None])


@quickly
@given(damaged())
def test_a_damaged_conversation_ends_itself_alone(desk: Desk, data: bytes) -> None:
    desk.hear(data)
    desk.check()


def test_the_conversation_that_is_damaged_is_a_sound_one(desk: Desk) -> None:
    before = len(desk.inbox.received)
    desk.hear(CONVERSATION)
    assert [one.sop_instance_uid for one in desk.inbox.received[before:]] == ["1.2.3.4"]
    desk.check()
