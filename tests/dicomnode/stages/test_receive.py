"""Receiving: an instance is safe before the peer is told so, and only then."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from dicomnode.errors import InstanceRejected, StoreStatus, TransientFault
from dicomnode.stages.receive import register_orphans
from dicomnode.study import StudyState
from tests.dicomnode.stages.road import Road, received
from tests.factories import a_tomo, as_file, quick_dataset, setting


def test_a_received_instance_lies_in_the_spool_byte_for_byte_and_in_the_journal(a_road: Road) -> None:
    file_bytes = a_tomo()
    uid = a_road.receive(file_bytes)
    (instance,) = a_road.journal.instances(uid)
    assert a_road.spool.path(instance.path).read_bytes() == file_bytes
    assert a_road.study(uid).state is StudyState.RECEIVING
    assert a_road.woken == 1


def test_the_same_instance_again_is_success_without_a_second_copy(a_road: Road) -> None:
    uid = a_road.receive(a_tomo())
    a_road.receive(a_tomo(), association="a2")
    assert len(list(a_road.spool.stored())) == 1
    assert a_road.events(uid) == ["FIRST_INSTANCE"]


def test_the_same_instance_in_another_transfer_syntax_is_the_same_instance(a_road: Road) -> None:
    ds = quick_dataset()
    uid = a_road.receive(as_file(ds))
    a_road.receive(as_file(ds, ImplicitVRLittleEndian))
    assert len(list(a_road.spool.stored())) == 1
    assert a_road.study(uid).state is StudyState.RECEIVING


def test_other_content_under_the_same_uid_is_kept_apart_and_holds_the_study(a_road: Road) -> None:
    first, second = a_tomo(), a_tomo(change=setting(PatientComments="other"))
    uid = a_road.receive(first)
    a_road.receive(second)
    (kept,), (apart,) = a_road.journal.instances(uid), a_road.journal.instances(uid, kept=False)
    assert a_road.spool.path(kept.path).read_bytes() == first
    assert a_road.spool.path(apart.path).read_bytes() == second
    assert a_road.study(uid).state is StudyState.HELD


def test_without_room_the_peer_is_told_to_come_again_and_nothing_is_kept(a_road: Road) -> None:
    crowded = replace(a_road.receiver, min_free_gb=1e9)
    with pytest.raises(InstanceRejected) as refused:
        crowded.receive(received(a_tomo()), a_road.now)
    assert refused.value.status is StoreStatus.OUT_OF_RESOURCES
    assert list(a_road.spool.stored()) == []


def test_a_disk_that_fails_in_the_middle_is_no_success(a_road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(InstanceRejected) as refused:
        a_road.receive(a_tomo())
    assert refused.value.status is StoreStatus.OUT_OF_RESOURCES
    assert a_road.journal.studies() == []


def test_a_journal_that_is_busy_is_no_success(a_road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise TransientFault("database is locked")

    monkeypatch.setattr(a_road.journal, "record_instance", busy)
    with pytest.raises(InstanceRejected) as refused:
        a_road.receive(a_tomo())
    assert refused.value.status is StoreStatus.OUT_OF_RESOURCES


def test_an_instance_that_is_not_what_the_command_says_is_refused(a_road: Road) -> None:
    liar = replace(received(a_tomo()), sop_class_uid="1.2.840.10008.5.1.4.1.1.2")
    with pytest.raises(InstanceRejected) as refused:
        a_road.receiver.receive(liar, a_road.now)
    assert refused.value.status is StoreStatus.DOES_NOT_MATCH_SOP_CLASS


def test_a_file_that_a_crash_left_without_a_row_is_registered_at_the_start(a_road: Road) -> None:
    file_bytes = a_tomo()
    request = received(file_bytes)
    a_road.spool.store("1.2", "1.2.3", request.sop_instance_uid, file_bytes, "f" * 64)
    assert register_orphans(a_road.receiver, a_road.now) == 1
    assert register_orphans(a_road.receiver, a_road.now) == 0
    (study,) = a_road.journal.studies()
    assert study.instances == 1


def test_rubbish_in_the_spool_is_reported_and_left_alone(a_road: Road) -> None:
    rubbish = a_road.spool.root / "rubbish.dcm"
    rubbish.write_bytes(b"no DICOM")
    register_orphans(a_road.receiver, a_road.now)
    assert rubbish.exists()
    assert a_road.journal.studies() == []


def test_a_study_is_being_sent_while_any_association_that_brought_it_is_open(a_road: Road) -> None:
    uid = a_road.receive(a_tomo(), association="a1")
    a_road.receive(a_tomo(change=setting(SOPInstanceUID="1.2.3.99")), association="a2")
    assert a_road.associations.is_sending(uid)
    a_road.associations.closed("a1")
    assert a_road.associations.is_sending(uid)
    a_road.associations.closed("a2")
    assert not a_road.associations.is_sending(uid)
