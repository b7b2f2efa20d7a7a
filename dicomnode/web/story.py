"""A study's story as a time line: its moves, and between them what was received, derived and sent, with pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from dicomnode.store.looking import Identity, identities
from dicomnode.store.outbox import Delivery, DeliveryState
from dicomnode.store.rows import Move
from dicomnode.study import Event, Instance, InstanceContent, Study, StudyState
from dicomnode.web.access import Viewer
from dicomnode.web.discretion import Discretion
from dicomnode.web.door import Decision, Door

_EVENT_WORDS: Mapping[str, str] = {
    Event.FIRST_INSTANCE.name: "first instance arrived", Event.WHOLE.name: "whole, and a rule holds",
    Event.NO_RULE.name: "no rule holds", Event.INCOMPLETE.name: "incomplete", Event.CLAIMED.name: "attempt began",
    Event.DERIVED.name: "derived", Event.ATTEMPT_FAILED.name: "attempt failed", Event.UNSUITABLE.name: "unsuitable",
    Event.ATTEMPTS_SPENT.name: "attempts spent", Event.ALL_DELIVERED.name: "all delivered",
    Event.REFUSED.name: "not delivered", Event.REQUEUED.name: "requeued", Event.KEPT_LONG_ENOUGH.name: "files deleted",
    Event.LATE_INSTANCE.name: "late instance", Event.QUARANTINED.name: "set aside by a check",
    Event.RELEASED.name: "released", Event.REJECTED.name: "rejected", Event.CONFLICT.name: "conflicting copy",
}  # fmt: skip
_NO_PICTURE = ("structured report",)
# an instance that is nothing to us may show anything, a scanned letter too
_SHOWN_TO_ALL = frozenset(InstanceContent) - {InstanceContent.OTHER}


@dataclass(frozen=True)
class Picture:
    """One instance to look at: `origin` is received or derived; `wide` for a page."""

    origin: str
    sop_instance_uid: str
    words: str
    wide: bool = False


@dataclass(frozen=True)
class Entry:
    """One line of the story; `state` is the state that a move led to, "" for what is no move."""

    at: datetime
    title: str
    text: str
    state: str = ""
    actor: str = ""
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Story:
    """All that a study's page shows."""

    study: Study
    reason: str
    identity: Identity | None
    entries: tuple[Entry, ...]
    deliveries: tuple[tuple[Delivery, str], ...]  # with its message as the viewer may read it
    decisions: tuple[Decision, ...]


def tell(door: Door, uid: str, viewer: Viewer) -> Story | None:
    """Read a study's story as this viewer may see it; None if there is no such study."""
    study = door.journal.study(uid)
    if study is None:
        return None
    identity = identities(door.journal, [uid])[uid]
    discretion = Discretion(identity, viewer.identity)
    deliveries = door.outbox.deliveries(uid)
    entries = [
        *_received_entries(door.journal.instances(uid), discretion, "received"),
        *_received_entries(door.journal.instances(uid, kept=False), discretion, "came again with other content"),
        *_derived_entries(door.outbox.derived(uid)),
        *_offers(deliveries, "sent", "took", lambda delivery: delivery.sent_at),
        *_offers(deliveries, "promised", "promised to keep", lambda delivery: delivery.committed_at),
        *_move_entries(door.journal.moves(uid), discretion),  # last: what was made comes before what it led to
    ]
    return Story(
        study=study,
        reason=discretion.tell(study.reason),
        identity=identity if viewer.identity else None,
        entries=tuple(sorted(entries, key=lambda entry: entry.at)),
        deliveries=tuple((delivery, discretion.tell(delivery.message)) for delivery in deliveries),
        decisions=_decisions(study, deliveries) if viewer.decides else (),
    )


def _decisions(study: Study, deliveries: Iterable[Delivery]) -> tuple[Decision, ...]:
    """Return what an operator can decide on a study as it stands."""
    if study.state not in (StudyState.HELD, StudyState.FAILED):
        return ()
    withheld = any(delivery.state is DeliveryState.WITHHELD for delivery in deliveries)
    release = (Decision.RELEASE,) if study.state is StudyState.HELD and withheld else ()
    return (*release, Decision.REQUEUE, Decision.REJECT)


def _move_entries(moves: Sequence[Move], discretion: Discretion) -> Iterator[Entry]:
    for move in moves:
        title = _EVENT_WORDS.get(move.event, move.event.lower().replace("_", " "))
        actor = "" if move.actor == "node" else move.actor
        yield Entry(move.at, title, discretion.tell(move.reason), move.to_state, actor)


def _received_entries(instances: Sequence[Instance], discretion: Discretion, how: str) -> Iterator[Entry]:
    """Yield one entry per series and version of the study, with the picture of the instance in its middle."""

    def series(instance: Instance) -> tuple[int, str]:
        return instance.version, instance.header.series_instance_uid

    for _, group in groupby(sorted(instances, key=series), series):
        together = sorted(group, key=lambda instance: instance.received_at)
        shown = together[len(together) // 2]
        header = shown.header
        words = f"{header.content.value}: {_count(together)} from {shown.calling_ae_title}, {_what(shown)}"
        if header.flaw:
            words += f"; {header.flaw}"
        visible = discretion.shown or header.content in _SHOWN_TO_ALL
        picture = Picture("received", header.sop_instance_uid, f"{how}: {header.content.value}")
        # a conflicting copy shares its UID with the one that is kept, whose picture is shown already
        pictures = (picture,) if visible and how == "received" else ()
        yield Entry(together[0].received_at, how, discretion.tell(words), pictures=pictures)


def _derived_entries(rows: Sequence[Mapping[str, Any]]) -> Iterator[Entry]:
    for at, group in groupby(rows, lambda row: row["created_at"]):
        together = list(group)
        pictures = tuple(
            Picture("derived", row["sop_instance_uid"], row["kind"], wide=row["kind"] == "report page")
            for row in sorted(together, key=lambda row: row["kind"] != "report page")
            if row["purged_at"] is None and row["kind"] not in _NO_PICTURE
        )
        yield Entry(at, "made", ", ".join(row["kind"] for row in together), pictures=pictures)


def _offers(
    deliveries: Sequence[Delivery], title: str, words: str, when: Callable[[Delivery], datetime | None]
) -> Iterator[Entry]:
    """Yield one entry per destination for what was offered to it together."""
    offers: dict[tuple[str, datetime], list[tuple[datetime, str]]] = {}
    for delivery in deliveries:
        if (at := when(delivery)) is not None:
            offer = offers.setdefault((delivery.destination, delivery.created_at), [])
            offer.append((at, delivery.kind))
    for (destination, _), done in offers.items():
        yield Entry(max(at for at, _ in done), title, f"{destination} {words} {', '.join(kind for _, kind in done)}")


def _count(instances: Sequence[Instance]) -> str:
    megabytes = sum(instance.size_bytes for instance in instances) / 1e6
    return f"{len(instances)} instance{'s' if len(instances) != 1 else ''} ({megabytes:.1f} MB)"


def _what(instance: Instance) -> str:
    """Say what an image is, by attributes that name nobody."""

    def said(keyword: str) -> str:
        return " ".join(instance.header.attributes.get(keyword, ()))[:64]

    kind = " ".join((said("Modality"), *instance.header.attributes.get("ImageType", ())[2:3]))[:64]
    size = f"{said('NumberOfFrames') or '1'} x {said('Rows')} x {said('Columns')}" if said("Rows") else ""
    state = said("CardiacState")
    return ", ".join(words for words in (kind.strip(), size, state if state != "unknown" else "") if words)
