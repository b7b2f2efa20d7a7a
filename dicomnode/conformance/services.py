"""Which services the node uses and provides, read from the contexts that it proposes and accepts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dicomnode.network.presentation import (
    FETCHED,
    FIND,
    MOVE,
    STORAGE_COMMITMENT,
    UNCOMPRESSED,
    VERIFICATION,
    accepted_contexts,
    fetching_contexts,
    proposed_contexts,
)
from dicomnode.objects.examples import created_objects


@dataclass(frozen=True)
class Service:
    """One SOP Class with its Transfer Syntaxes, by the way in which we support it; none: not at all."""

    name: str
    uid: str
    used: tuple[str, ...]  # as SCU
    provided: tuple[str, ...]  # as SCP, on Associations that a peer opens
    fetched: tuple[str, ...]  # as SCP, on Associations that we open (C-GET)


def services() -> tuple[Service, ...]:
    """Return all services of the node, those that it provides first."""
    provided, used = _by_class(accepted_contexts()), _by_class(_used())
    fetched = _by_class(context for context in fetching_contexts() if context.abstract_syntax in FETCHED)
    return tuple(
        Service(uid.name, str(uid), used.get(uid, ()), provided.get(uid, ()), fetched.get(uid, ()))
        for uid in dict.fromkeys((*provided, *used, *fetched))
    )


def _used() -> Iterable[Any]:
    """Yield the Presentation Contexts that the node may propose as SCU."""
    kinds = [*(one.sop_class_uid for one in created_objects()), VERIFICATION, STORAGE_COMMITMENT, FIND, MOVE]
    yield from proposed_contexts((uid, UNCOMPRESSED[0]) for uid in kinds)
    yield from (context for context in fetching_contexts() if context.abstract_syntax not in FETCHED)


def _by_class(contexts: Iterable[Any]) -> dict[Any, tuple[str, ...]]:
    found: dict[Any, dict[str, None]] = {}
    for context in contexts:
        found.setdefault(context.abstract_syntax, {}).update((uid.name, None) for uid in context.transfer_syntax)
    return {uid: tuple(names) for uid, names in found.items()}
