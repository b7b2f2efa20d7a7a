"""The audit trail: who sent, took, decided and deleted what; complete over faults, and silent about patients."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from xml.etree import ElementTree

import pytest

from dicomnode.errors import TransientFault
from dicomnode.stages.audit import Auditor
from dicomnode.stages.operate import reject, release
from dicomnode.stages.purge import Purger
from dicomnode.store.trail import Trail
from dicomnode.study import SendOutcome
from pipelines.contract import Verdict
from tests.dicomnode.stages.promising import Promising
from tests.dicomnode.stages.road import PACS, Road, a_result
from tests.factories import a_tomo, setting
from tests.fakes import after

OK, REFUSED = SendOutcome.DELIVERED, SendOutcome.REFUSED
OTHER_CLASS = 0x0119
SECRET_NAME, SECRET_ID = "Musterfrau^Erika", "PAT-4711"
A_TOMO = a_tomo(change=setting(PatientName=SECRET_NAME, PatientID=SECRET_ID))

Messages = list[str]


def auditor(road: Road, write: Callable[[str, datetime], None], identity: bool = False) -> Auditor:
    trail = Trail(road.journal, "audit")
    return Auditor(road.journal, road.outbox, trail, write, "DICOMNODE", {"pacs": PACS}, identity)


def collecting(messages: Messages) -> Callable[[str, datetime], None]:
    return lambda message, _at: messages.append(message)


def told(message: str) -> tuple[str, str, str, tuple[str, ...]]:
    """Return event, action, outcome and who took part."""
    root = ElementTree.fromstring(message)  # noqa: S314 - our own text
    head = root.find("EventIdentification")
    assert head is not None
    event = head.find("EventID")
    assert event is not None
    users = tuple(p.attrib["UserID"] for p in root.iter("ActiveParticipant"))
    return (
        event.attrib["originalText"],
        head.attrib["EventActionCode"],
        head.attrib["EventOutcomeIndicator"],
        users,
    )


def test_a_study_that_passes_through_leaves_who_sent_it_who_took_it_and_when_it_was_deleted(a_road: Road) -> None:
    messages: Messages = []
    stage = auditor(a_road, collecting(messages))
    a_road.answers.append(a_result())
    a_road.process(A_TOMO)
    a_road.deliver(OK, OK)
    Purger(a_road.journal, a_road.spool, a_road.outbox, 0, 0).run_once(after(10))
    stage.run_once(after(20))
    assert [told(message) for message in messages] == [
        ("DICOM Instances Transferred", "C", "0", ("SPECT1", "DICOMNODE")),
        ("DICOM Instances Transferred", "C", "0", ("DICOMNODE", "ORTHANC")),
        ("DICOM Study Deleted", "D", "0", ("DICOMNODE",)),
    ]
    assert 'NumberOfInstances="1"' in messages[0]


def test_what_a_destination_refused_is_told_as_a_failure(a_road: Road) -> None:
    messages: Messages = []
    stage = auditor(a_road, collecting(messages))
    a_road.answers.append(a_result())
    a_road.process(A_TOMO)
    a_road.deliver(REFUSED, REFUSED)
    stage.run_once(after(20))
    assert told(messages[-1])[2] == "8"
    assert "2 instance(s) not taken: 0xA700" in messages[-1]


@pytest.mark.parametrize("promised", [True, False])
def test_what_a_destination_took_is_told_and_whether_it_would_not_promise_to_keep_it(
    a_road: Road, promised: bool
) -> None:
    messages: Messages = []
    stage = auditor(a_road, collecting(messages))
    study = Promising(a_road)
    study.step(0)
    study.step(3)
    failed = [] if promised else [(lost, OTHER_CLASS) for lost in study.requests[0].references]
    study.report(study.requests[0], failed)
    stage.run_once(after(20))
    assert told(messages[-1])[2] == ("0" if promised else "8")
    assert messages[-1].count('NumberOfInstances="1"') == 2, "one image and one page, promised or not"
    assert ("2 instance(s) taken, but not promised to be kept" in messages[-1]) is not promised


def test_an_operators_decisions_are_told_with_the_name_whoever_made_them_and_wherever(a_road: Road) -> None:
    messages: Messages = []
    stage = auditor(a_road, collecting(messages))
    a_road.answers += [a_result(Verdict.QUARANTINE), a_result(Verdict.QUARANTINE)]
    released = a_road.process(A_TOMO)
    rejected = a_road.process(a_tomo(change=setting(StudyInstanceUID="1.2.9", SOPInstanceUID="1.2.9.1")))
    release(a_road.journal, a_road.outbox, released, "anna", after(10))
    reject(a_road.journal, a_road.outbox, rejected, "bert", after(11))
    stage.run_once(after(20))
    assert [told(message) for message in messages[2:]] == [
        ("DICOM Instances Accessed", "U", "0", ("anna", "DICOMNODE")),
        ("DICOM Instances Accessed", "D", "0", ("bert", "DICOMNODE")),
    ]


def test_nothing_is_left_out_when_a_message_could_not_be_written(a_road: Road) -> None:
    def failing(_message: str, _at: datetime) -> None:
        raise TransientFault("the disk is full")

    stage = auditor(a_road, failing)
    a_road.answers.append(a_result())
    a_road.process(A_TOMO)
    with pytest.raises(TransientFault):
        stage.run_once(after(20))
    messages: Messages = []
    auditor(a_road, collecting(messages)).run_once(after(30))
    assert len(messages) == 1


def test_a_message_is_not_written_again_after_a_restart(a_road: Road) -> None:
    messages: Messages = []
    stage = auditor(a_road, collecting(messages))
    a_road.answers.append(a_result())
    a_road.process(A_TOMO)
    stage.run_once(after(20))
    auditor(a_road, collecting(messages)).run_once(after(30))
    assert len(messages) == 1


@pytest.mark.parametrize(("identity", "shown"), [(False, "withheld"), (True, SECRET_ID)])
def test_the_patient_is_named_only_where_that_is_switched_on(a_road: Road, identity: bool, shown: str) -> None:
    messages: Messages = []
    stage = auditor(a_road, collecting(messages), identity)
    a_road.answers.append(a_result())
    a_road.process(A_TOMO)
    stage.run_once(after(20))
    assert f'ParticipantObjectID="{shown}"' in messages[0]
    assert (SECRET_ID in messages[0]) is identity
    assert SECRET_NAME not in messages[0]
