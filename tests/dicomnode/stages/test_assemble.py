"""Assembling: a whole study moves on at once, an incomplete one says what it waits for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.uid import CTImageStorage

from dicomnode.config import RuleSettings
from dicomnode.objects.header import read_header
from dicomnode.stages.assemble import refresh_headers
from dicomnode.study import Instance, StudyState
from tests.dicomnode.stages.road import RULE, Road
from tests.factories import a_tomo, as_file, quick_dataset, setting
from tests.fakes import after


def test_projections_are_routed_at_once_when_their_association_has_ended(a_road: Road) -> None:
    uid = a_road.receive(a_tomo())
    assert a_road.assembler.run_once(a_road.now) == 0
    assert "a peer is still sending" in a_road.study(uid).reason
    before = a_road.woken
    a_road.associations.closed("a1")
    assert a_road.woken == before + 1
    assert a_road.assembler.run_once(a_road.now) == 1
    study = a_road.study(uid)
    assert (study.state, study.pipeline, study.destinations) == (StudyState.ROUTED, "reconstruction", ("pacs",))


def test_two_acquisitions_over_one_association_are_routed_together(a_road: Road) -> None:
    uid = a_road.receive(a_tomo())
    a_road.assembler.run_once(a_road.now)
    a_road.now = after(5)
    a_road.receive(a_tomo(change=setting(SOPInstanceUID="1.2.3.99")))
    a_road.assembler.run_once(a_road.now)
    a_road.associations.closed("a1")
    assert a_road.assembler.run_once(after(6)) == 1
    assert len(a_road.journal.due(StudyState.ROUTED, after(6))) == 1
    claim = a_road.journal.claim(after(6), 60)
    assert claim is not None
    assert len(claim.sources) == 2
    assert a_road.events(uid) == ["FIRST_INSTANCE", "WHOLE", "CLAIMED"]


def test_an_association_that_is_left_open_keeps_whole_projections_no_longer_than_the_quiet_time(a_road: Road) -> None:
    uid = a_road.receive(a_tomo())
    assert a_road.assembler.run_once(after(29)) == 0
    assert a_road.assembler.run_once(after(30)) == 1
    assert a_road.study(uid).state is StudyState.ROUTED


def test_nobody_is_woken_by_the_end_of_an_association_that_no_study_waited_for(a_road: Road) -> None:
    a_road.receive(as_file(quick_dataset()))
    before = a_road.woken
    a_road.associations.closed("a1")
    assert a_road.woken == before


def test_what_no_rule_wants_waits_for_quiet_and_is_then_ignored(a_road: Road) -> None:
    uid = a_road.receive(as_file(quick_dataset()))
    a_road.associations.closed("a1")
    assert a_road.assembler.run_once(after(1)) == 0
    assert "waiting for quiet" in a_road.study(uid).reason
    assert a_road.assembler.run_once(after(31)) == 1
    assert a_road.study(uid).state is StudyState.IGNORED


def test_a_start_in_an_hour_that_was_taken_back_keeps_no_study_from_being_quiet(a_road: Road) -> None:
    uid = a_road.receive(as_file(quick_dataset()))
    a_road.associations.closed("a1")
    assembler = replace(a_road.assembler, started_at=after(3600))
    assert assembler.run_once(after(31)) == 1
    assert a_road.study(uid).state is StudyState.IGNORED


def test_an_open_association_keeps_a_study_from_being_quiet(a_road: Road) -> None:
    uid = a_road.receive(as_file(quick_dataset()))
    assert a_road.assembler.run_once(after(3600)) == 0
    assert "a peer is still sending" in a_road.study(uid).reason
    a_road.associations.closed("a1")
    assert a_road.assembler.run_once(after(3602)) == 1


def test_a_study_that_grows_is_not_read_at_every_look_and_is_judged_when_it_is_quiet(
    a_road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    instances = a_road.journal.instances

    def counted(uid: str) -> list[Instance]:
        read.append(uid)
        return instances(uid)

    monkeypatch.setattr(a_road.journal, "instances", counted)
    for second in range(50):
        a_road.now = after(second)
        uid = a_road.receive(as_file(quick_dataset(SOPInstanceUID=f"1.2.3.{second}")))
        assert a_road.assembler.run_once(a_road.now) == 0
    assert len(read) == 1
    a_road.associations.closed("a1")
    assert a_road.assembler.run_once(after(49 + 29)) == 0
    assert a_road.assembler.run_once(after(49 + 30)) == 1
    assert a_road.study(uid).state is StudyState.IGNORED


def test_projections_in_the_middle_of_other_instances_are_routed_at_the_end_of_the_association(a_road: Road) -> None:
    whole = a_tomo()
    uid = read_header(whole).study_instance_uid
    for second in range(3):
        a_road.now = after(second)
        a_road.receive(as_file(quick_dataset(StudyInstanceUID=uid, SOPInstanceUID=f"1.2.3.{second}")))
        assert a_road.assembler.run_once(a_road.now) == 0
    a_road.receive(whole)
    assert a_road.assembler.run_once(a_road.now) == 0
    a_road.associations.closed("a1")
    assert a_road.assembler.run_once(a_road.now) == 1
    assert a_road.study(uid).state is StudyState.ROUTED


def test_what_a_study_waits_for_is_said_anew_when_the_first_slice_of_its_ct_came(a_road: Road) -> None:
    rule = RuleSettings.model_validate({**RULE.model_dump(), "needs": ("projections", "ct")})
    assembler = replace(a_road.assembler, rules=[rule])
    uid = a_road.receive(a_tomo())
    assembler.run_once(a_road.now)
    assert "waiting for CT" in a_road.study(uid).reason
    a_road.now = after(5)
    a_road.receive(as_file(quick_dataset(StudyInstanceUID=uid, SOPClassUID=CTImageStorage, Modality="CT")))
    assembler.run_once(a_road.now)
    assert "have CT and projections" in a_road.study(uid).reason


def test_quiet_is_counted_anew_after_a_restart(a_road: Road) -> None:
    uid = a_road.receive(as_file(quick_dataset()))
    a_road.associations.closed("a1")
    restarted = replace(a_road.assembler, started_at=after(1000))
    restarted.run_once(after(1001))
    assert a_road.study(uid).state is StudyState.RECEIVING
    restarted.run_once(after(1031))
    assert a_road.study(uid).state is StudyState.IGNORED


def test_projections_that_can_not_be_whole_hold_the_study_with_the_reason(a_road: Road) -> None:
    uid = a_road.receive(a_tomo(change=setting(NumberOfDetectors=2)))
    a_road.associations.closed("a1")
    a_road.assembler.run_once(after(31))
    study = a_road.study(uid)
    assert study.state is StudyState.HELD
    assert "etector" in study.reason
    assert (study.rule, study.pipeline) == ("all", "reconstruction")


def test_rules_that_changed_over_a_restart_see_the_headers_anew(a_road: Road) -> None:
    uid = a_road.receive(a_tomo(change=setting(OperatorsName="Night^Shift")))
    rule = RuleSettings.model_validate({**RULE.model_dump(), "when": {"operators_name": "night*"}})
    changed = replace(a_road.assembler, rules=[rule])
    assert changed.run_once(after(1)) == 0
    refresh_headers(a_road.journal, a_road.spool, frozenset({"OperatorsName"}))
    assert changed.run_once(after(31)) == 1
    assert a_road.study(uid).state is StudyState.ROUTED
