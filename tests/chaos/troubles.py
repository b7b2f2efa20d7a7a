"""The troubles of a campaign, each with a name and a way to happen: it begins, lasts for a while, and is over."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from tests.chaos.scene import MARK_MB, Scene
from tests.peers.clock import Clock
from tests.peers.cluster import Cluster
from tests.peers.disk import Disk
from tests.peers.intruders import EACH, intruders
from tests.peers.process import PeerProcess, is_running
from tests.peers.relay import Relay

HOUR_S = 3600
TRICKLE = 20_000  # bytes per second
FROZEN_S = (35, 80)  # longer than DICOM time-outs and than a cluster waits for a worker; some, than a pipeline may take

Happen = Callable[[random.Random], AbstractContextManager[None]]


class NotNow(Exception):
    """There is nothing at the moment that this could harm."""


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble; it lasts for a time between the two of `lasts_s`."""

    name: str
    words: str
    lasts_s: tuple[float, float]
    happen: Happen


def kills(scene: Scene) -> list[Trouble]:
    """Return whom SIGKILL may end, to be started again after a while."""
    ways: dict[str, Happen] = {name: partial(_killed, process) for name, process in scene.processes.items()}
    ways["child"] = partial(_child_killed, scene)
    if scene.cluster is not None:
        ways["scheduler"] = partial(_scheduler_killed, scene.cluster)
        ways["worker"] = partial(_worker_killed, scene.cluster)
    return [Trouble(name, "", (0, 2), happen) for name, happen in ways.items()]


def others(scene: Scene) -> list[Trouble]:
    """Return all other troubles that this plan and this machine allow."""
    found = [
        *_of_line("scanner and node", scene.to_node),
        _half_open("scanner and node", scene.to_node),
        *_of_line("node and PACS", scene.to_pacs),
        _half_open("node and PACS", scene.to_pacs),
        *_frozen_ones(scene),
    ]
    # never half-open: these two find out by keep-alives of TCP, which a relay would answer
    if scene.to_database is not None:
        found += _of_line("node and database", scene.to_database)
    if scene.cluster is not None and scene.cluster.relay is not None:
        found += _of_line("the cluster and its scheduler", scene.cluster.relay)
    words = (
        "peers that say nothing, that stall in an instance (within a PDU, between two), that abort and that hang up in "
        f"one; {EACH} of each at once"
    )
    found.append(Trouble("intruders", words, (2, 12), partial(_intruded, scene)))
    if (database := scene.database) is not None:
        words = "PostgreSQL ends at once, whoever is connected, and comes back"
        found.append(Trouble("database away", words, (0, 6), lambda _: database.away()))
    if scene.disk is not None:
        words = "the disk of the data folder has less room than the node wants, or none at all"
        found.append(Trouble("disk full", words, (3, 10), partial(_full, scene.disk)))
    if scene.clock is not None:
        words = "for node and child it is an hour earlier, and after a while as late as before"
        found.append(Trouble("clock set back", words, (3, 20), partial(_set_off, scene.clock, -HOUR_S)))
        words = "for node and child it is an hour later, and after a while as late as before"
        found.append(Trouble("clock set ahead", words, (3, 20), partial(_set_off, scene.clock, HOUR_S)))
    return found


def left_out(scene: Scene) -> list[str]:
    """Return which troubles can't be made here, and why."""
    reasons = {
        "disk full": None if scene.disk else "only an administrator may mount a file system that lies in a file",
        "clock set back, clock set ahead": None
        if scene.clock
        else "there is no C compiler (gcc and libc6-dev) to make a clock with",
    }
    return [f"{name}: {reason}" for name, reason in reasons.items() if reason is not None]


def of_kinds(found: Sequence[Trouble], kinds: Sequence[str]) -> list[Trouble]:
    """Return the troubles whose names begin with one of these words; no words: all."""
    return [trouble for trouble in found if not kinds or trouble.name.startswith(tuple(kinds))]


def _of_line(ends: str, relay: Relay) -> list[Trouble]:
    trickle = f"not more than {TRICKLE // 1000} KB pass in a second"
    return [
        Trouble(
            f"cut between {ends}", "connections are reset, new ones refused", (1, 6),
            lambda _: relay.cut(),
        ),
        Trouble(
            f"silence between {ends}", "connections and bytes are taken, nothing is passed on", (3, 15),
            lambda _: relay.silent(),
        ),
        Trouble(f"slow between {ends}", trickle, (3, 15), lambda _: relay.slow(TRICKLE)),
    ]  # fmt: skip


def _half_open(ends: str, relay: Relay) -> Trouble:
    words = "the open connections pass nothing any more, not even their end"
    return Trouble(f"half-open between {ends}", words, (0, 0), partial(_forgotten, relay))


def _frozen_ones(scene: Scene) -> list[Trouble]:
    """Return whom SIGSTOP may hold for a while, as a hanging mount or a stopped virtual machine does."""
    victims: dict[str, Callable[[random.Random], Sequence[int]]] = {
        "child": lambda rng: _children(scene, rng),
        "PACS": lambda _: [scene.pacs.pid] if scene.pacs.alive else [],
    }
    if (cluster := scene.cluster) is not None:
        victims["scheduler"] = lambda _: [cluster.scheduler.pid] if cluster.scheduler.alive else []
        victims["worker"] = lambda rng: [one.pid for one in [rng.choice(cluster.workers)] if one.alive]
    words = "does nothing and says nothing (SIGSTOP), then goes on as if no time had passed"
    return [Trouble(f"{name} frozen", words, FROZEN_S, partial(frozen, whom)) for name, whom in victims.items()]


@contextmanager
def frozen(whom: Callable[[random.Random], Sequence[int]], rng: random.Random) -> Iterator[None]:
    """Stop processes, and let them go on at the end: those that are still there."""
    pids = whom(rng)
    if not pids:
        raise NotNow
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        if is_running(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _children(scene: Scene, rng: random.Random) -> list[int]:
    return scene.node.children() if scene.cluster is None else rng.choice(scene.cluster.workers).children()


@contextmanager
def _killed(process: PeerProcess, _rng: random.Random) -> Iterator[None]:
    if not process.alive:
        raise NotNow
    process.kill()
    yield
    PeerProcess.start(process)  # and nobody waits until it is ready


@contextmanager
def _child_killed(scene: Scene, rng: random.Random) -> Iterator[None]:
    children = _children(scene, rng)
    if not children:
        raise NotNow
    for pid in children:
        with suppress(ProcessLookupError):  # it ended in between
            os.kill(pid, signal.SIGKILL)
    yield


@contextmanager
def _scheduler_killed(cluster: Cluster, _rng: random.Random) -> Iterator[None]:
    if not cluster.scheduler.kill_if_alive():
        raise NotNow
    yield


@contextmanager
def _worker_killed(cluster: Cluster, rng: random.Random) -> Iterator[None]:
    if not rng.choice(cluster.workers).kill_if_alive():
        raise NotNow
    yield


@contextmanager
def _forgotten(relay: Relay, _rng: random.Random) -> Iterator[None]:
    if not relay.forget():
        raise NotNow
    yield


@contextmanager
def _intruded(scene: Scene, _rng: random.Random) -> Iterator[None]:
    with ExitStack() as staying:
        try:
            staying.enter_context(intruders(scene.node.port))
        except OSError:  # the node is not there, or has no room for them
            raise NotNow from None
        yield


def _full(disk: Disk, rng: random.Random) -> AbstractContextManager[None]:
    return disk.full(left_mb=rng.choice([0, 1, MARK_MB / 2]))


@contextmanager
def _set_off(clock: Clock, by_s: int, _rng: random.Random) -> Iterator[None]:
    clock.set_off(by_s)
    yield
    clock.set_off(0)
