"""`studies`, `show`, `requeue`, `release`, `reject`: what became of each study, and an operator's decisions."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicomnode.cli.app import ConfigOption, JsonOption, app, load_config
from dicomnode.config import Config
from dicomnode.errors import StudyUnsuitable
from dicomnode.study import Study, StudyState

if TYPE_CHECKING:  # the module behind it loads the database
    from dicomnode.store.opened import Stores
    from dicomnode.store.outbox import Delivery

UidArgument = Annotated[str, typer.Argument(help="The Study Instance UID.")]


@app.command("studies")
def list_studies(
    state: Annotated[str | None, typer.Option(help="Only studies in this state.")] = None,
    identity: Annotated[bool, typer.Option("--identity", help="Show the patient's name and ID, too.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print one row per study."""
    wanted = _state(state)
    with _stores(load_config(config)) as stores:
        rows = []
        for study in stores.journal.studies(wanted) if stores else []:
            rows.append(_row(study) | (_identity(stores, study) if identity and stores else {}))
    if as_json:
        print(json.dumps(rows))
        return
    _print_table(rows, ["study_instance_uid", "state", "instances", "pipeline", "updated_at", "reason"], identity)


@app.command()
def show(
    study_uid: UidArgument,
    identity: Annotated[
        bool, typer.Option("--identity", help="Show a destination's own words, too: they may name the patient.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print a study's whole story: every move with its reason, the derived instances, each delivery."""
    with _stores(load_config(config)) as stores:
        study = stores.journal.study(study_uid) if stores else None
        if stores is None or study is None:
            raise StudyUnsuitable(f"there is no study {study_uid}")
        story = _row(study) | {
            "version": study.version,
            "moves": [_plain(vars(move)) for move in stores.journal.moves(study_uid)],
            "received": [_received(i) for i in stores.journal.instances(study_uid)],
            "conflicts": [_received(i) for i in stores.journal.instances(study_uid, kept=False)],
            "derived": [_plain(row) for row in stores.outbox.derived(study_uid)],
            "deliveries": [_delivery(d, identity) for d in stores.outbox.deliveries(study_uid)],
        }
    if as_json:
        print(json.dumps(story))
    else:
        _print_story(story)


@app.command()
def requeue(study_uid: UidArgument, config: ConfigOption = None) -> None:
    """Send a HELD or FAILED study through its pipeline again."""
    settings = load_config(config)
    from dicomnode.stages import operate

    with _stores(settings) as opened:
        stores = _require(opened, study_uid)
        print(operate.requeue(stores.journal, settings.rules, study_uid, _operator(), _now()))


@app.command()
def release(study_uid: UidArgument, config: ConfigOption = None) -> None:
    """Send what the guard withheld of a HELD study."""
    from dicomnode.stages import operate

    with _stores(load_config(config)) as opened:
        stores = _require(opened, study_uid)
        print(operate.release(stores.journal, stores.outbox, study_uid, _operator(), _now()))


@app.command()
def reject(study_uid: UidArgument, config: ConfigOption = None) -> None:
    """Close a HELD or FAILED study; nothing more of it is sent."""
    from dicomnode.stages import operate

    with _stores(load_config(config)) as opened:
        stores = _require(opened, study_uid)
        print(operate.reject(stores.journal, stores.outbox, study_uid, _operator(), _now()))


@contextmanager
def _stores(settings: Config) -> Iterator[Stores | None]:
    from dicomnode.store.folder import DataFolder
    from dicomnode.store.opened import existing

    with existing(DataFolder.of(settings.node)) as stores:
        yield stores


def _require(stores: Stores | None, study_uid: str) -> Stores:
    if stores is None:
        raise StudyUnsuitable(f"there is no study {study_uid}: no node has run on this data folder yet")
    return stores


def _state(name: str | None) -> StudyState | None:
    if name is None:
        return None
    try:
        return StudyState[name.upper()]
    except KeyError:
        known = ", ".join(state.value for state in StudyState)
        raise typer.BadParameter(f"{name!r} is no state; there are {known}", param_hint="--state") from None


def _row(study: Study) -> dict[str, Any]:
    return {
        "study_instance_uid": study.study_instance_uid,
        "state": study.state.value,
        "calling_ae_title": study.calling_ae_title,
        "instances": study.instances,
        "pipeline": study.pipeline,
        "rule": study.rule,
        "reason": study.reason,
        "attempts": study.attempts,
        "created_at": study.created_at.isoformat(),
        "updated_at": study.updated_at.isoformat(),
        "last_instance_at": study.last_instance_at.isoformat(),
        "next_at": study.next_at.isoformat() if study.next_at else None,
    }


def _identity(stores: Stores, study: Study) -> dict[str, str]:
    attributes = next((i.header.attributes for i in stores.journal.instances(study.study_instance_uid)), {})
    return {
        "patient_name": "\\".join(attributes.get("PatientName", ())),
        "patient_id": "\\".join(attributes.get("PatientID", ())),
    }


def _received(instance: Any) -> dict[str, Any]:
    header = instance.header
    return {
        "sop_instance_uid": header.sop_instance_uid,
        "series_instance_uid": header.series_instance_uid,
        "sop_class_uid": header.sop_class_uid,
        "content": header.content.value,
        "flaw": header.flaw,
        "path": instance.path,
        "sha256": instance.sha256,
        "size_bytes": instance.size_bytes,
        "calling_ae_title": instance.calling_ae_title,
        "received_at": instance.received_at.isoformat(),
        "version": instance.version,
    }


def _delivery(delivery: Delivery, identity: bool) -> dict[str, Any]:
    from dicomnode.store.outbox import in_our_words

    return _plain(vars(delivery)) | ({} if identity else {"message": in_our_words(delivery.message)})


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        return value.value if isinstance(value, Enum) else value

    return {name: plain(value) for name, value in fields.items()}


def _operator() -> str:
    return getpass.getuser()


def _now() -> datetime:
    return datetime.now(UTC)


def _print_table(rows: list[dict[str, Any]], columns: list[str], identity: bool) -> None:
    if not rows:
        print("no studies")
        return
    columns = [*columns, "patient_name", "patient_id"] if identity else columns
    cells = [columns, *([_printable(str(row[c] if row[c] is not None else "-")) for c in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:  # never cut: a UID is there to be copied
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    """Return a peer's text with control characters escaped: a patient's name must not steer the reader's terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _print_story(story: dict[str, Any]) -> None:
    print(f"{story['study_instance_uid']}: {story['state']} (version {story['version']}) - {story['reason']}")
    for move in story["moves"]:
        print(f"  {move['at'][:23]}  {move['from_state'] or '-':>10} -> {move['to_state']:<10} {move['reason']}")
    for title, key in (("received", "received"), ("conflicting copies", "conflicts")):
        if story[key]:
            print(f"{title}: {len(story[key])} instance(s)")
    for delivery in story["deliveries"]:
        status = "" if delivery["status"] is None else f" 0x{delivery['status']:04X}"
        print(
            f"  {delivery['kind']:<24} -> {delivery['destination']}: {delivery['state']}{status} "
            f"after {delivery['attempts']} attempt(s) {delivery['message']}"
        )
