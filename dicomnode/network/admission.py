"""Who may associate, and how many at a time, so that silent or strange peers can't keep a scanner out."""

from __future__ import annotations

import hmac
import ipaddress
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from dicomnode.config import NodeSettings, PeerSettings
from dicomnode.network.upper_layer import DrivenAssociation, end_reading

HALF_OPEN_PER_HOST = 16
HALF_OPEN = 128
REJECTIONS_EVERY_S = 60.0
REJECTED_REMEMBERED = 1000
SILENT_S = 1.0  # an Association that says nothing for so long may be ended to make room
BETWEEN_IMAGES_S = 30.0  # one that has stored something: a camera may pause between its images
ROOM_S = 1.5  # how long a newcomer waits for room


class Rejection(Enum):
    """Why an Association is rejected: result, source, diagnostic (PS3.8 Table 9-21)."""

    USER_IDENTITY_NOT_ACCEPTED = (1, 1, 1)  # the standard has no reason of its own for this
    CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
    CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 1, 7)
    TEMPORARY_CONGESTION = (2, 3, 1)
    LOCAL_LIMIT_EXCEEDED = (2, 3, 2)


def printable(text: str) -> str:
    """Return what a peer wrote with control characters escaped, fit for a log."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@dataclass(frozen=True)
class Guest:
    """The peer of an Association as it introduced itself."""

    calling_ae_title: str
    called_ae_title: str
    host: str
    user: str = ""
    password: str = field(default="", repr=False)


def rejection(guest: Guest, node: NodeSettings, peers: Sequence[PeerSettings]) -> Rejection | None:
    """Return why this guest may not associate; None if it may. AE titles are compared case-sensitively.

    A peer that is configured with a user must say who it is, whatever else is required of peers; the user identity of
    any other is ignored.
    """
    if guest.called_ae_title != node.ae_title:
        return Rejection.CALLED_AE_TITLE_NOT_RECOGNIZED
    same = [peer for peer in peers if is_peer(guest, peer)]
    if not same and (node.require_known_peers or any(p.ae_title == guest.calling_ae_title and p.user for p in peers)):
        return Rejection.CALLING_AE_TITLE_NOT_RECOGNIZED
    if same and not any(_is_identified(guest, peer) for peer in same):
        return Rejection.USER_IDENTITY_NOT_ACCEPTED
    return None


def _is_identified(guest: Guest, peer: PeerSettings) -> bool:
    if peer.user is None:
        return True
    password = "" if peer.password is None else peer.password.get_secret_value()
    found, wanted = f"{guest.user}\0{guest.password}", f"{peer.user}\0{password}"
    return hmac.compare_digest(found.encode(), wanted.encode())


def is_verified(guest: Guest, peers: Sequence[PeerSettings]) -> bool:
    """Tell whether this guest, who may associate, had to say who it is: then that was found to be right."""
    same = [peer for peer in peers if is_peer(guest, peer)]
    return any(peer.user is not None and _is_identified(guest, peer) for peer in same)


def is_peer(guest: Guest, peer: PeerSettings) -> bool:
    """Tell whether a guest is this peer: its AE title, and its address where one is configured."""
    if guest.calling_ae_title != peer.ae_title:
        return False
    return peer.host is None or plain_address(guest.host) in _addresses(peer.host)


def plain_address(host: str) -> str:
    """Return an address in its one canonical form; IPv4 seen through an IPv6 socket as IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _addresses(host: str) -> set[str]:
    """Return the addresses of a configured host; none if its name can't be resolved."""
    try:
        return {plain_address(host)}
    except ValueError:
        pass
    try:
        return {plain_address(str(entry[4][0])) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


class RejectionLog:
    """Lets a peer that is rejected again and again into the log once a minute, with the number of times."""

    def __init__(self, every_s: float = REJECTIONS_EVERY_S) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._seen: dict[tuple[Guest, Rejection], tuple[float, int]] = {}  # when last told, how many since

    def times(self, guest: Guest, reason: Rejection, now_s: float) -> int:
        """Count a rejection; return how many there were since it was last told, 0 if it isn't time to tell."""
        with self._lock:
            told_s, count = self._seen.pop((guest, reason), (now_s - self._every_s, 0))
            due = now_s >= told_s + self._every_s
            self._seen[guest, reason] = (now_s, 0) if due else (told_s, count + 1)
            while len(self._seen) > REJECTED_REMEMBERED:
                del self._seen[next(iter(self._seen))]
            return count + 1 if due else 0


class HalfOpenConnections:
    """Connections that haven't asked for an Association yet.

    A scanner asks in the moment it has connected; so when there are too many, the one that has been silent longest
    goes, and the newcomer stays.
    """

    def __init__(self, per_host: int = HALF_OPEN_PER_HOST, total: int = HALF_OPEN) -> None:
        self._per_host, self._total = per_host, total
        self._lock = threading.Lock()
        self._hosts: dict[socket.socket, str] = {}  # oldest first

    def enter(self, sock: socket.socket, host: str) -> None:
        """Count a new connection; too many: the oldest of its host, or of the host with the most, is ended."""
        with self._lock:
            count = Counter(self._hosts.values())
            if count[host] >= self._per_host:
                self._drop_oldest(host)
            elif len(self._hosts) >= self._total:
                self._drop_oldest(count.most_common(1)[0][0])
            self._hosts[sock] = host

    def leave(self, sock: socket.socket) -> None:
        """Stop counting a connection: it associates, or has ended."""
        with self._lock:
            self._hosts.pop(sock, None)

    def drop_all(self) -> None:
        """End every half-open connection."""
        with self._lock:
            for host in set(self._hosts.values()):
                while host in self._hosts.values():
                    self._drop_oldest(host)

    def _drop_oldest(self, host: str) -> None:
        oldest = next(sock for sock, its_host in self._hosts.items() if its_host == host)
        del self._hosts[oldest]
        end_reading(oldest)


class Slots:
    """The Associations that are open, at most `limit`.

    When all slots are taken, the Association that has been silent longest makes room, first among those of the peer
    that holds the most; one that is sending is never cut, and one that has stored something not in a pause between two
    images. If none is silent, the newcomer is rejected after a wait.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._open: dict[DrivenAssociation, Guest] = {}
        self._busy: set[DrivenAssociation] = set()
        self._stored: set[DrivenAssociation] = set()

    def __len__(self) -> int:
        with self._changed:
            return len(self._open)

    def enter(self, assoc: DrivenAssociation, guest: Guest) -> bool:
        """Take a slot; False if there is none."""
        deadline = time.monotonic() + ROOM_S
        with self._changed:
            while len(self._open) >= self._limit:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0:
                    return False
                self._make_room()
                self._changed.wait(min(remaining_s, 0.1))
            self._open[assoc] = guest
            return True

    def leave(self, assoc: DrivenAssociation) -> None:
        """Give the slot back."""
        with self._changed:
            self._open.pop(assoc, None)
            self._busy.discard(assoc)
            self._stored.discard(assoc)
            self._changed.notify_all()

    def set_busy(self, assoc: DrivenAssociation, busy: bool) -> None:
        """Note whether we are at work on a request of this Association: then the silence is ours, not the peer's."""
        with self._changed:
            (self._busy.add if busy else self._busy.discard)(assoc)

    def set_stored(self, assoc: DrivenAssociation) -> None:
        """Note that the peer stored an instance over this Association."""
        with self._changed:
            self._stored.add(assoc)

    def drain(self, patience_s: float) -> None:
        """Wait until every Association has ended; silent ones are ended at once, all others after `patience_s`."""
        deadline = time.monotonic() + patience_s
        with self._changed:
            while self._open and (remaining_s := deadline - time.monotonic()) > 0:
                for assoc in self._silent():
                    assoc.interrupt("the node stops")
                self._changed.wait(min(remaining_s, 0.1))
            for assoc in self._open:
                assoc.interrupt("the node stops")
            self._changed.wait_for(lambda: not self._open, timeout=1.0)

    def _silent(self) -> list[DrivenAssociation]:
        return [
            assoc
            for assoc in self._open
            if assoc not in self._busy and not assoc.interrupted and assoc.silent_s >= SILENT_S
        ]

    def _make_room(self) -> None:
        if any(assoc.interrupted for assoc in self._open):
            return  # one is on its way out
        held = Counter((guest.calling_ae_title, guest.host) for guest in self._open.values())

        def claim(assoc: DrivenAssociation) -> tuple[int, float]:
            guest = self._open[assoc]
            return held[guest.calling_ae_title, guest.host], assoc.silent_s

        silent = [assoc for assoc in self._silent() if assoc not in self._stored or assoc.silent_s >= BETWEEN_IMAGES_S]
        if silent:
            max(silent, key=claim).interrupt("silent, and others need its place")
