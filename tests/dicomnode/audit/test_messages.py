"""Audit messages as PS3.15 A.5 has them, whatever a peer wrote."""

from __future__ import annotations

from xml.etree import ElementTree

from dicomnode.audit.messages import AuditEvent, EventId, EventType, Outcome, Participant, Role, Subject, as_xml
from tests.fakes import NOON

PEER = Participant("SPECT1", "SPECT1", requestor=True, role=Role.SOURCE, address="10.0.0.5")
US = Participant("DICOMNODE", "DICOMNODE", role=Role.DESTINATION)


def test_a_transfer_names_the_event_both_sides_the_study_and_the_patient() -> None:
    event = AuditEvent(
        EventId.INSTANCES_TRANSFERRED, "C", NOON, (PEER, US), subject=Subject("1.2", "PAT-1", (("1.2.840", 3),))
    )  # fmt: skip
    root = ElementTree.fromstring(as_xml(event, "DICOMNODE"))  # noqa: S314 - our own text
    assert [child.tag for child in root] == [
        "EventIdentification", "ActiveParticipant", "ActiveParticipant", "AuditSourceIdentification",
        "ParticipantObjectIdentification", "ParticipantObjectIdentification",
    ]  # fmt: skip
    head, peer, us, source, study, patient = root
    assert head.attrib == {
        "EventActionCode": "C", "EventDateTime": "2026-03-02T12:00:00+00:00", "EventOutcomeIndicator": "0",
    }  # fmt: skip
    assert head[0].attrib == {
        "csd-code": "110104", "codeSystemName": "DCM", "originalText": "DICOM Instances Transferred",
    }  # fmt: skip
    assert (peer.attrib["UserIsRequestor"], peer.attrib["AlternativeUserID"]) == ("true", "AETITLES=SPECT1")
    assert (peer[0].attrib["csd-code"], us[0].attrib["csd-code"]) == ("110153", "110152")
    assert source.attrib == {"AuditSourceID": "DICOMNODE"}
    assert study.attrib["ParticipantObjectID"] == "1.2"
    assert study.find("ParticipantObjectDescription/SOPClass").attrib["NumberOfInstances"] == "3"  # type: ignore[union-attr]
    assert (patient.attrib["ParticipantObjectID"], patient.attrib["ParticipantObjectTypeCode"]) == ("PAT-1", "1")


def test_what_a_peer_writes_can_not_break_the_line_or_the_form() -> None:
    stranger = Participant('<X a="1">\n\x07&', requestor=True)
    event = AuditEvent(
        EventId.SECURITY_ALERT, "E", NOON, (stranger,), Outcome.MINOR_FAILURE, EventType.NODE_AUTHENTICATION, "a\nb"
    )
    text = as_xml(event, "DICOMNODE")
    root = ElementTree.fromstring(text)  # noqa: S314 - our own text
    assert "\n" not in text
    assert root[1].attrib["UserID"].startswith('<X a="1">')
