"""Tables of the trial of attenuation correction's guard: which damage was noticed, what was said of sound studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from pipelines.contract import Verdict
from pipelines.evaluation.guard.map_damage import MAP_KINDS, MEASURED
from pipelines.evaluation.guard.tables import (
    HELD_BACK,
    alarmed,
    catch_as_json,
    catch_line,
    catches,
    false_alarms,
)
from pipelines.evaluation.guard.trial import SOUND, Record
from pipelines.training.model_card import VIRTUAL

SOURCES = {SOUND: "the network's map", MEASURED: "a measured map, misregistered as usual"}
_WARNED = (Verdict.WARN.value, *HELD_BACK)


def as_markdown(records: Sequence[Record]) -> str:
    """Return all tables with what must be known to read them."""
    number = len(records)
    lines = [
        f"{number} sound studies of virtual patients (no clinical evidence) that no network was trained on; cameras "
        f"{', '.join(sorted({record.camera for record in records}))}; full dose.",
        "",
        "| sound studies | held back | with a warning or held back |",
        "|---|---|---|",
    ]
    for sound, words in SOURCES.items():
        held, warned = alarmed(records, HELD_BACK, sound), alarmed(records, _WARNED, sound)
        lines.append(f"| {words} | {_share(held, number)} | {_share(warned, number)} |")
    lines += [
        "",
        "Remarks on few counts or a small or faint heart are left out of these counts.",
        "",
        "| damage | noticed | held back | missed in | usual remark |",
        "|---|---|---|---|---|",
        *map(catch_line, catches(records, MAP_KINDS)),
        "",
        "Noticed: a warning or graver that the same study doesn't get undamaged. Held back: QUARANTINE, or refused.",
    ]
    for sound, words in SOURCES.items():
        lines += ["", f"| said of sound studies with {words} | verdict | studies |", "|---|---|---|"]
        lines += [f"| {said} | {verdict} | {times} |" for verdict, said, times in false_alarms(records, sound)]
    return "\n".join(lines) + "\n"


def _share(some: int, of: int) -> str:
    return f"{some} of {of} ({100 * some / max(of, 1):.1f} %)"


def as_json(records: Sequence[Record]) -> dict[str, object]:
    """Return tables and records as values that JSON can hold."""
    return {
        "evidence": VIRTUAL,
        "sound": {
            words: {
                "studies": len(records),
                "warned_or_held_back": alarmed(records, _WARNED, sound),
                "held_back": alarmed(records, HELD_BACK, sound),
                "remarks": [
                    {"verdict": verdict, "remark": said, "studies": times}
                    for verdict, said, times in false_alarms(records, sound)
                ],
            }
            for sound, words in SOURCES.items()
        },
        "damage": [catch_as_json(one) for one in catches(records, MAP_KINDS)],
        "records": [asdict(record) for record in records],
    }
