"""Tables of the guard's trial: which damage was noticed, and what was said of studies that nothing was wrong with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from pipelines.contract import Verdict
from pipelines.evaluation.guard.damage import KINDS
from pipelines.evaluation.guard.trial import REFUSED, SOUND, Outcome, Record
from pipelines.training.model_card import VIRTUAL

HELD_BACK = (Verdict.QUARANTINE.value, REFUSED)
# Remarks on what a study is, not on whether it can be trusted: few counts, a heart that is small or shines faintly.
_OF_THE_STUDY = (
    "million counts in all gates",
    "counts in the photopeak; expected more",
    "gates are too few",
    "the last gate holds",
    "wall is faint",
    "cavity is so small",
)


class Named(Protocol):
    """What a kind of damage is called, and which outcome without damage it is compared with."""

    @property
    def name(self) -> str: ...

    @property
    def words(self) -> str: ...

    @property
    def against(self) -> str: ...


@dataclass(frozen=True)
class Catch:
    """How often a kind of damage was noticed: something was said that the sound study doesn't get."""

    kind: Named
    studies: int
    noticed: int  # WARN or graver
    held_back: int  # QUARANTINE, or refused
    missed: tuple[str, ...]  # camera and dose
    commonest: str  # new remark


def catches(records: Sequence[Record], kinds: Sequence[Named] = KINDS) -> tuple[Catch, ...]:
    """Return the catches of each kind of damage over the studies that were damaged."""
    return tuple(
        _catch(kind, tried) for kind in kinds if (tried := [one for one in records if kind.name in one.outcomes])
    )


def _catch(kind: Named, tried: Sequence[Record]) -> Catch:
    new = [_new_remarks(record.outcomes[kind.against], record.outcomes[kind.name]) for record in tried]
    said = Counter(words for remarks in new for words in sorted({words for _, words in remarks}))  # ties fall alike
    return Catch(
        kind,
        len(tried),
        noticed=sum(bool(remarks) for remarks in new),
        held_back=sum(any(verdict in HELD_BACK for verdict, _ in remarks) for remarks in new),
        missed=tuple(_named(record) for record, remarks in zip(tried, new, strict=True) if not remarks),
        commonest=said.most_common(1)[0][0] if said else "",
    )


def _new_remarks(sound: Outcome, damaged: Outcome) -> set[tuple[str, str]]:
    """Return the remarks of a damaged study, without their numbers, that the sound one doesn't get as gravely."""
    return _without_numbers(damaged) - _without_numbers(sound)


def _without_numbers(outcome: Outcome) -> set[tuple[str, str]]:
    """Return remarks that compare equal over studies."""
    return {(verdict, re.sub(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", "#", words)) for verdict, words in outcome.remarks}


def _named(record: Record) -> str:
    return f"{record.camera} {record.dose_fraction:g}{' gated' if record.gated else ''}"


def false_alarms(records: Sequence[Record], sound: str = SOUND) -> tuple[tuple[str, str, int], ...]:
    """Return verdict, remark and how many sound studies got it, the commonest first."""
    said = Counter(remark for record in records for remark in sorted(_without_numbers(record.outcomes[sound])))
    return tuple((verdict, words, number) for (verdict, words), number in said.most_common())


def alarmed(records: Sequence[Record], verdicts: Sequence[str], sound: str = SOUND) -> int:
    """Return how many sound studies got such a remark, other than on few counts or a small or faint heart."""
    return sum(
        any(verdict in verdicts and not any(part in words for part in _OF_THE_STUDY) for verdict, words in one.remarks)
        for one in (record.outcomes[sound] for record in records)
    )


def as_markdown(records: Sequence[Record]) -> str:
    """Return both tables with what must be known to read them."""
    number = len(records)
    doses = ", ".join(f"{dose:g}" for dose in sorted({record.dose_fraction for record in records}, reverse=True))
    warned, held = alarmed(records, (Verdict.WARN.value, *HELD_BACK)), alarmed(records, HELD_BACK)
    lines = [
        f"{number} sound studies of virtual patients (no clinical evidence) that no network was trained on; cameras "
        f"{', '.join(sorted({record.camera for record in records}))}; doses {doses}; "
        f"{sum(record.gated for record in records)} gated.",
        "",
        f"Sound studies held back: {held} of {number} ({100 * held / number:.1f} %). With a warning or held back: "
        f"{warned} of {number} ({100 * warned / number:.1f} %), remarks on few counts or a small or faint heart left "
        "out.",
        "",
        "| damage | noticed | held back | missed in | usual remark |",
        "|---|---|---|---|---|",
        *map(catch_line, catches(records)),
        "",
        "Noticed: a warning or graver that the same study doesn't get undamaged. Held back: QUARANTINE, or refused.",
        "",
        "| said of sound studies | verdict | studies |",
        "|---|---|---|",
        *(f"| {words} | {verdict} | {times} |" for verdict, words, times in false_alarms(records)),
    ]
    return "\n".join(lines) + "\n"


def catch_line(one: Catch) -> str:
    """Return a row of the table of damages."""
    missed = ", ".join(f"{times} x {where}" if times > 1 else where for where, times in Counter(one.missed).items())
    return (
        f"| {one.kind.words} | {one.noticed} of {one.studies} | {one.held_back} of {one.studies} | {missed or '-'} "
        f"| {one.commonest or '-'} |"
    )


def as_json(records: Sequence[Record]) -> dict[str, object]:
    """Return tables and records as values that JSON can hold."""
    return {
        "evidence": VIRTUAL,
        "sound": {
            "studies": len(records),
            "warned_or_held_back": alarmed(records, (Verdict.WARN.value, *HELD_BACK)),
            "held_back": alarmed(records, HELD_BACK),
            "remarks": [
                {"verdict": verdict, "remark": words, "studies": times}
                for verdict, words, times in false_alarms(records)
            ],
        },
        "damage": [catch_as_json(one) for one in catches(records)],
        "records": [asdict(record) for record in records],
    }


def catch_as_json(one: Catch) -> dict[str, object]:
    """Return a catch as values that JSON can hold."""
    return {
        "kind": one.kind.name,
        "words": one.kind.words,
        "studies": one.studies,
        "noticed": one.noticed,
        "held_back": one.held_back,
        "missed": list(one.missed),
        "remark": one.commonest,
    }
