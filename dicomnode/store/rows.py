"""Rows of the journal as frozen values, and back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import RowMapping

from dicomnode.study import Instance, InstanceContent, InstanceHeader, Study, StudyState


class Arrival(Enum):
    """What a received instance turned out to be."""

    NEW = "new"
    DUPLICATE = "duplicate"  # the same content is here already
    CONFLICT = "conflict"  # its UID is taken by other content


@dataclass(frozen=True)
class Copy:
    """What came under a SOP Instance UID: the copy that is kept, or one of other content."""

    path: str
    sha256: str
    kept: bool
    purged_at: datetime | None  # when its file went, for good


@dataclass(frozen=True)
class Move:
    """One step of a study, with its reason."""

    at: datetime
    version: int
    event: str
    from_state: str | None
    to_state: str
    reason: str
    actor: str


@dataclass(frozen=True)
class Claim:
    """One attempt at a study; `token` is the fence without which nothing of it is committed."""

    study: Study
    token: str
    sources: tuple[str, ...]


def instance_row(new: Instance) -> dict[str, Any]:
    header = new.header
    return {
        "sop_instance_uid": header.sop_instance_uid, "sha256": new.sha256,
        "study_instance_uid": header.study_instance_uid, "series_instance_uid": header.series_instance_uid,
        "sop_class_uid": header.sop_class_uid, "transfer_syntax_uid": new.transfer_syntax_uid,
        "content": header.content.name, "flaw": header.flaw,
        "attributes": {keyword: list(values) for keyword, values in header.attributes.items()},
        "path": new.path, "size_bytes": new.size_bytes, "calling_ae_title": new.calling_ae_title,
        "received_at": new.received_at,
    }  # fmt: skip


def study_of(row: RowMapping) -> Study:
    plain = {name: row[name] for name in Study.__dataclass_fields__ if name not in ("state", "destinations")}
    return Study(**plain, state=StudyState(row["state"]), destinations=tuple(row["destinations"]))


def claim_of(row: RowMapping) -> Claim:
    return Claim(study_of(row), row["claim"], tuple(row["sources"]))


def instance_of(row: RowMapping) -> Instance:
    attributes = {keyword: tuple(values) for keyword, values in row["attributes"].items()}
    header = InstanceHeader(
        row["study_instance_uid"], row["series_instance_uid"], row["sop_instance_uid"], row["sop_class_uid"],
        InstanceContent[row["content"]], attributes, row["flaw"],
    )  # fmt: skip
    return Instance(
        header, row["transfer_syntax_uid"], row["path"], row["sha256"], row["size_bytes"], row["received_at"],
        row["calling_ae_title"], row["version"],
    )  # fmt: skip
