"""Audit trail messages in the form of DICOM PS3.15 A.5, as text of one line of XML each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from xml.etree.ElementTree import Element, SubElement, tostring

WITHHELD = "withheld"
_NOT_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")  # a peer may write anything; and a message is one line


@dataclass(frozen=True)
class Code:
    """A coded word of DCM, or of RFC 3881."""

    value: str
    meaning: str
    scheme: str = "DCM"


class EventId(Enum):
    """What happened (PS3.15 A.5.3, CID 400)."""

    APPLICATION_ACTIVITY = Code("110100", "Application Activity")
    INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
    INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
    STUDY_DELETED = Code("110105", "DICOM Study Deleted")
    SECURITY_ALERT = Code("110113", "Security Alert")
    USER_AUTHENTICATION = Code("110114", "User Authentication")


class EventType(Enum):
    """What kind of it (CID 401)."""

    START = Code("110120", "Application Start")
    STOP = Code("110121", "Application Stop")
    LOGIN = Code("110122", "Login")
    LOGOUT = Code("110123", "Logout")
    NODE_AUTHENTICATION = Code("110126", "Node Authentication")
    SOFTWARE_CONFIGURATION = Code("110131", "Software Configuration")


class Role(Enum):
    """What a participant was in it (CID 402)."""

    APPLICATION = Code("110150", "Application")
    DESTINATION = Code("110152", "Destination Role ID")
    SOURCE = Code("110153", "Source Role ID")


class Outcome(Enum):
    """How it ended (PS3.15 A.5.2)."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"


@dataclass(frozen=True)
class Participant:
    """A person or a program that took part."""

    user: str
    ae_title: str = ""
    requestor: bool = False
    role: Role | None = None
    address: str = ""


@dataclass(frozen=True)
class Subject:
    """The study that it was about; `patient_id` as it may be told. `contents`: instances per SOP Class."""

    study_instance_uid: str
    patient_id: str = WITHHELD
    contents: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class AuditEvent:
    """One audit message before it is written."""

    event: EventId
    action: str  # C, R, U, D or E
    at: datetime
    participants: Sequence[Participant]
    outcome: Outcome = Outcome.SUCCESS
    kind: EventType | None = None
    description: str = ""
    subject: Subject | None = None


def as_xml(event: AuditEvent, source: str) -> str:
    """Return the message of the audit source `source` (our AE title)."""
    root = Element("AuditMessage")
    head = SubElement(
        root, "EventIdentification", EventActionCode=event.action, EventDateTime=event.at.isoformat(),
        EventOutcomeIndicator=event.outcome.value,
    )  # fmt: skip
    _add_code(head, "EventID", event.event.value)
    if event.kind is not None:
        _add_code(head, "EventTypeCode", event.kind.value)
    if event.description:
        SubElement(head, "EventOutcomeDescription").text = event.description
    for participant in event.participants:
        _add_participant(root, participant)
    SubElement(root, "AuditSourceIdentification", AuditSourceID=source)
    if event.subject is not None:
        _add_subject(root, event.subject)
    return _NOT_XML.sub(" ", tostring(root, encoding="unicode"))


def _add_code(parent: Element, name: str, code: Code) -> None:
    SubElement(parent, name, {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning})


def _add_participant(root: Element, participant: Participant) -> None:
    attributes = {"UserID": participant.user, "UserIsRequestor": str(participant.requestor).lower()}
    if participant.ae_title:
        attributes["AlternativeUserID"] = f"AETITLES={participant.ae_title}"
    if participant.address:
        attributes |= {"NetworkAccessPointID": participant.address, "NetworkAccessPointTypeCode": "2"}
    element = SubElement(root, "ActiveParticipant", attributes)
    if participant.role is not None:
        _add_code(element, "RoleIDCode", participant.role.value)


def _add_subject(root: Element, subject: Subject) -> None:
    study = _add_object(root, subject.study_instance_uid, "2", "3", Code("110180", "Study Instance UID"))
    if subject.contents:
        description = SubElement(study, "ParticipantObjectDescription")
        for sop_class_uid, number in subject.contents:
            SubElement(description, "SOPClass", UID=sop_class_uid, NumberOfInstances=str(number))
    _add_object(root, subject.patient_id, "1", "1", Code("2", "Patient Number", "RFC-3881"))


def _add_object(root: Element, identifier: str, kind: str, role: str, code: Code) -> Element:
    element = SubElement(
        root, "ParticipantObjectIdentification", ParticipantObjectID=identifier, ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )  # fmt: skip
    _add_code(element, "ParticipantObjectIDTypeCode", code)
    return element
