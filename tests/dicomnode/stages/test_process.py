"""Processing: an attempt counts when it starts, commits once, and a bad study stops nobody else's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dicomnode.config import RuleSettings
from dicomnode.errors import EngineAway, TransientFault
from dicomnode.stages.process import remove_unrecorded
from dicomnode.store.outbox import DeliveryState
from dicomnode.study import StudyState
from pipelines.contract import MapSource, PipelineInput, PipelineResult, Verdict
from pipelines.images import UnsuitableAcquisition
from tests.dicomnode.objects.acquisitions import detector
from tests.dicomnode.objects.spect_ct import acquisition, ct, reconstruction
from tests.dicomnode.stages.road import Road, a_result
from tests.factories import a_tomo, changed, setting
from tests.fakes import FakeEngine, after


def test_a_derived_study_waits_in_the_outbox_for_its_destination(a_road: Road) -> None:
    a_road.answers.append(a_result())
    uid = a_road.process(a_tomo())
    assert a_road.study(uid).state is StudyState.DELIVERING
    deliveries = a_road.outbox.deliveries(uid)
    assert {d.kind for d in deliveries} == {"reconstruction", "report page"}
    assert {d.state for d in deliveries} == {DeliveryState.WAITING}
    assert all(a_road.outbox.spool.path(d.path).is_file() for d in deliveries)


def test_a_passing_fault_is_tried_again_with_back_off_and_set_aside_after_three(a_road: Road) -> None:
    a_road.answers += [TransientFault("the engine's process died")] * 3
    uid = a_road.process(a_tomo())
    assert a_road.study(uid).state is StudyState.ROUTED
    assert not a_road.processor.run_once(after(4))
    assert a_road.processor.run_once(after(6))
    a_road.now = after(6)
    assert a_road.processor.run_once(after(100))
    study = a_road.study(uid)
    assert (study.state, study.attempts) == (StudyState.FAILED, 3)
    assert "set aside after 3 attempts; the last: the engine's process died" in study.reason


def test_a_study_that_takes_the_node_down_is_set_aside_after_three_starts(a_road: Road) -> None:
    uid = a_road.receive(a_tomo())
    a_road.assemble()
    for start in range(3):
        a_road.now = after(1000 * (start + 1))
        assert a_road.journal.claim(a_road.now, 60) is not None  # and here the power goes
        a_road.processor.return_lost_claims(None)
    assert a_road.study(uid).state is StudyState.FAILED


def test_a_stop_of_the_node_is_no_attempt(a_road: Road) -> None:
    a_road.answers.append(TransientFault("the engine is stopped"))
    uid = a_road.receive(a_tomo())
    a_road.assemble()
    claim = a_road.journal.claim(a_road.now, 60)
    assert claim is not None
    a_road.stopping = True
    a_road.processor._failed(claim, "the engine is stopped")
    study = a_road.study(uid)
    assert (study.state, study.attempts) == (StudyState.ROUTED, 0)


def test_an_engine_that_is_away_costs_no_attempt_and_is_asked_again_after_a_pause(a_road: Road) -> None:
    a_road.answers += [EngineAway("no worker is connected")] * 5 + [a_result()]
    uid = a_road.process(a_tomo())
    for number in range(5):
        study = a_road.study(uid)
        assert (study.state, study.attempts, study.reason) == (StudyState.ROUTED, 0, "no worker is connected")
        a_road.now = after(100 * number + 19)
        assert not a_road.processor.run_once(a_road.now), "too soon"
        a_road.now = after(100 * number + 100)
        a_road.processor.run_once(a_road.now)
    assert a_road.study(uid).state is StudyState.DELIVERING


def test_an_engine_that_is_away_because_the_node_stops_is_no_reason_to_wait(a_road: Road) -> None:
    class StoppedMeanwhile(FakeEngine):
        def run(self, pipeline: str, pipeline_input: PipelineInput) -> PipelineResult:
            a_road.stopping = True
            raise EngineAway("the engine is stopped")

    uid = a_road.receive(a_tomo())
    a_road.assemble()
    replace(a_road.processor, engine=StoppedMeanwhile([])).run_once(a_road.now)
    study = a_road.study(uid)
    assert (study.state, study.attempts, study.next_at) == (StudyState.ROUTED, 0, a_road.now)
    assert study.reason == "the node was stopped"


def test_an_unsuitable_study_is_held_with_the_pipelines_sentence(a_road: Road) -> None:
    a_road.answers.append(UnsuitableAcquisition("90 degrees of 180 were acquired"))
    uid = a_road.process(a_tomo())
    study = a_road.study(uid)
    assert (study.state, study.reason) == (StudyState.HELD, "90 degrees of 180 were acquired")


def test_what_other_weights_made_than_its_uids_name_is_made_again(a_road: Road) -> None:
    other = a_result()
    a_road.answers.append(replace(other, provenance=replace(other.provenance, version="1.0.0+newer")))
    uid = a_road.process(a_tomo())
    study = a_road.study(uid)
    assert study.state is StudyState.ROUTED
    assert "version changed from 1.0.0 to 1.0.0+newer" in study.reason
    assert a_road.outbox.derived(uid) == []


def test_what_the_guard_quarantines_is_held_and_nothing_of_it_may_leave(a_road: Road) -> None:
    a_road.answers.append(a_result(Verdict.QUARANTINE, "a view lost half of its counts"))
    uid = a_road.process(a_tomo())
    study = a_road.study(uid)
    assert (study.state, study.reason) == (StudyState.HELD, "a view lost half of its counts")
    assert {d.state for d in a_road.outbox.deliveries(uid)} == {DeliveryState.WITHHELD}
    assert a_road.deliver().sent == []


def test_an_unforeseen_error_fails_the_attempt_and_not_the_node(a_road: Road) -> None:
    a_road.answers += [ZeroDivisionError("a developer's mistake"), a_result()]
    uid = a_road.process(a_tomo())
    assert a_road.study(uid).state is StudyState.ROUTED
    assert "ZeroDivisionError" in a_road.study(uid).reason
    assert a_road.processor.run_once(after(10))
    assert a_road.study(uid).state is StudyState.DELIVERING


def test_a_job_that_ran_twice_makes_no_second_series(a_road: Road) -> None:
    a_road.answers += [a_result(), a_result()]
    uid = a_road.receive(a_tomo())
    a_road.assemble()
    lost = a_road.journal.claim(a_road.now, 60)
    assert lost is not None
    a_road.now = after(1000)
    a_road.processor.return_lost_claims(after(61))
    a_road.processor.run_once(after(1100))
    before = a_road.outbox.derived(uid)
    a_road.processor._attempt(lost)  # the late twin
    assert a_road.outbox.derived(uid) == before
    assert a_road.study(uid).state is StudyState.DELIVERING


def test_a_late_instance_adds_its_own_derived_instances_and_repeats_none(a_road: Road) -> None:
    a_road.answers += [a_result(), a_result()]
    uid = a_road.process(a_tomo())
    a_road.process(a_tomo(change=setting(SOPInstanceUID="1.2.3.99")))
    study = a_road.study(uid)
    assert (study.state, study.version) == (StudyState.DELIVERING, 2)
    assert len(a_road.engine.inputs) == 2
    assert sorted(row["version"] for row in a_road.outbox.derived(uid)) == [1, 1, 2, 2]


def test_an_instance_that_comes_during_an_attempt_does_not_waste_it(a_road: Road) -> None:
    a_road.answers.append(a_result())
    uid = a_road.receive(a_tomo())
    a_road.assemble()
    claim = a_road.journal.claim(a_road.now, 60)
    assert claim is not None
    a_road.receive(a_tomo(change=setting(SOPInstanceUID="1.2.3.99")))
    a_road.processor._attempt(claim)
    assert a_road.study(uid).state is StudyState.RECEIVING
    assert len(a_road.outbox.deliveries(uid)) == 2


CORRECTING = RuleSettings(name="ac", when={"modality": "NM"}, pipeline="attenuation_correction", destinations=("pacs",))


def test_a_ct_of_the_study_goes_into_the_run_and_a_late_one_makes_it_run_again(tmp_path: Path) -> None:
    road = Road(tmp_path, rules=[CORRECTING], answers=[a_result(), a_result()])
    road.receive(acquisition(tmp_path).read_bytes())
    road.now = after(31)
    road.assemble()
    road.processor.run_once(road.now)
    for slice_file in ct(tmp_path):
        uid = road.receive(slice_file.read_bytes())
    road.now = after(70)
    road.assemble()
    road.processor.run_once(road.now)
    without, with_ct = road.engine.inputs
    assert without.maps == ()
    assert [one.source for one in with_ct.maps] == [MapSource.CT]
    assert "the CT of series 2" in with_ct.maps[0].name
    assert sorted(row["version"] for row in road.outbox.derived(uid)) == [1, 1, 2, 2]


def test_the_report_says_why_a_vendors_reconstruction_was_corrected_in_place_of_projections(tmp_path: Path) -> None:
    road = Road(tmp_path, rules=[CORRECTING], answers=[a_result()])
    focused = changed(acquisition(tmp_path).read_bytes(), detector(CollimatorType="CONE"))
    road.receive(focused)
    uid = road.receive(reconstruction(tmp_path).read_bytes())
    road.associations.closed("a1")
    road.now = after(31)
    road.assembler.run_once(road.now)
    road.processor.run_once(road.now)
    assert road.study(uid).state is StudyState.DELIVERING
    (given,) = road.engine.inputs
    assert given.acquisition.reconstruction is not None
    assert "Collimator Type: found CONE, expected PARA" in given.findings[0].text
    assert given.findings[0].text.endswith("the vendor's reconstruction is used instead")


def test_a_plain_reconstruction_never_looks_at_the_ct_and_runs_once(a_road: Road, tmp_path: Path) -> None:
    road = a_road
    road.answers.append(a_result())
    road.process(acquisition(tmp_path).read_bytes())
    for slice_file in ct(tmp_path):
        uid = road.receive(slice_file.read_bytes())
    road.now = after(31)
    road.assemble()
    road.processor.run_once(road.now)
    assert [given.maps for given in road.engine.inputs] == [()]
    assert road.study(uid).state is StudyState.DELIVERING


def test_files_of_an_attempt_that_never_committed_are_removed_at_the_start(a_road: Road) -> None:
    a_road.answers.append(a_result())
    a_road.process(a_tomo())
    whole = set(a_road.outbox.spool.stored())
    a_road.outbox.spool.store("1", "2", "3", b"lost", "e" * 64)
    assert remove_unrecorded(a_road.outbox) == 1
    assert set(a_road.outbox.spool.stored()) == whole


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.WARN])
def test_a_warning_does_not_keep_a_study_from_leaving(a_road: Road, verdict: Verdict) -> None:
    a_road.answers.append(a_result(verdict))
    assert a_road.study(a_road.process(a_tomo())).state is StudyState.DELIVERING
