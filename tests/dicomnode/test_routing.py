"""Routing: which rule a study follows, and what it is told while it waits."""

from __future__ import annotations

import pytest

from dicomnode.config import RuleSettings
from dicomnode.routing import (
    Arrival,
    Decision,
    Hold,
    Ignore,
    Route,
    Wait,
    assess,
    companion,
    force_route,
    instead_of_projections,
)
from dicomnode.study import VENDOR_ONLY, Instance, InstanceContent
from tests.fakes import after, an_instance

QUIET_S = 30
TOMO = ("ORIGINAL", "PRIMARY", "TOMO", "EMISSION")


RECON = ("ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION")


def a_rule(**changes: object) -> RuleSettings:
    values = {"name": "rule", "pipeline": "reconstruction", "destinations": ["pacs"], "when": {"modality": "NM"}}
    return RuleSettings.model_validate(values | changes)


def projections(uid: str = "1.2.3", **changes: object) -> Instance:
    return an_instance(uid, Modality="NM", ImageType=TOMO, **changes)  # type: ignore[arg-type]


def a_ct(uid: str = "1.2.9", **changes: object) -> Instance:
    return an_instance(uid, content=InstanceContent.CT, Modality="CT", **changes)  # type: ignore[arg-type]


def decide(
    *instances: Instance, rules: list[RuleSettings] | None = None, at: float = 0, sent: bool = False, version: int = 1
) -> Decision:
    arrival = Arrival(instances, max(i.received_at for i in instances), sent, version)
    return assess([a_rule()] if rules is None else rules, arrival, after(at), QUIET_S)


def test_projections_that_are_whole_wait_for_the_end_of_the_association_but_no_longer_than_for_quiet() -> None:
    waiting = decide(projections(), sent=True, at=29)
    assert isinstance(waiting, Wait)
    assert waiting.whole
    assert "a peer is still sending" in waiting.reason
    assert isinstance(decide(projections(), sent=True, at=30), Route)


def test_projections_that_are_whole_are_routed_at_once_when_nobody_sends() -> None:
    route = decide(projections())
    assert isinstance(route, Route)
    assert route.sources == ("1.2.3",)
    assert route.destinations == ("pacs",)


def test_a_study_that_no_rule_wants_is_ignored_only_once_it_is_quiet() -> None:
    assert isinstance(decide(a_ct(), at=29), Wait)
    assert isinstance(decide(a_ct(), at=31, sent=True), Wait)
    decision = decide(a_ct(), at=31)
    assert isinstance(decision, Ignore)
    assert "reconstruction needs projections, found CT" in decision.reason


def test_what_this_node_derived_never_goes_round_again() -> None:
    ours = projections("1.2.4", Manufacturer="dicomnode", ManufacturerModelName="dicomnode")
    decision = decide(ours, at=31)
    assert isinstance(decision, Ignore)
    assert "reconstruction needs projections, found what this node derived" in decision.reason
    route = decide(projections(), ours, at=31)
    assert isinstance(route, Route)
    assert route.sources == ("1.2.3",)


def test_the_reason_for_ignoring_says_which_condition_failed_and_what_was_found() -> None:
    rules = [a_rule(when={"series_description": "*HALF*"})]
    decision = decide(projections(SeriesDescription="Stress FULL"), rules=rules, at=31)
    assert isinstance(decision, Ignore)
    assert "series_description is Stress FULL, wanted *HALF*" in decision.reason


def test_the_reason_never_tells_who_the_patient_is() -> None:
    rules = [a_rule(when={"patient_name": "Test*"})]
    decision = decide(projections(PatientName="Musterfrau^Erika"), rules=rules, at=31)
    assert isinstance(decision, Ignore)
    assert "Musterfrau" not in decision.reason


def test_a_missing_ct_is_waited_for_with_a_reason_a_person_can_read() -> None:
    rules = [a_rule(needs=["projections", "ct"], wait_s=3600)]
    waiting = decide(projections(), rules=rules, at=100)
    assert isinstance(waiting, Wait)
    assert waiting.until == after(3600)
    assert "have projections, waiting for CT until " in waiting.reason


def test_a_ct_that_never_came_holds_the_study() -> None:
    rules = [a_rule(needs=["projections", "ct"], wait_s=3600)]
    decision = decide(projections(), rules=rules, at=3601)
    assert isinstance(decision, Hold)
    assert "CT did not come" in decision.reason


def test_a_ct_never_says_how_many_slices_it_has_so_only_quiet_ends_it() -> None:
    rules = [a_rule(needs=["projections", "ct"])]
    study = (projections(), a_ct(received_at=after(10)))
    assert isinstance(decide(*study, rules=rules, at=39), Wait)
    assert isinstance(decide(*study, rules=rules, at=41), Route)
    assert isinstance(decide(*study, rules=rules, at=41, sent=True), Wait)


def a_reconstruction(uid: str = "1.2.5", **changes: object) -> Instance:
    content = InstanceContent.RECONSTRUCTION
    return an_instance(uid, content=content, Modality="NM", ImageType=RECON, **changes)  # type: ignore[arg-type]


def test_attenuation_correction_waits_for_quiet_since_a_ct_may_follow_the_projections() -> None:
    rules = [a_rule(pipeline="attenuation_correction", when={"modality": "NM", "image_type": "*TOMO"})]
    assert isinstance(decide(projections(), rules=rules, at=29), Wait)
    assert isinstance(decide(projections(), rules=rules, at=31, sent=True), Wait)
    for study in ((projections(),), (projections(), a_ct()), (a_ct(), projections())):
        route = decide(*study, rules=rules, at=31)
        assert isinstance(route, Route)
        assert route.sources == ("1.2.3",)


def test_a_reconstruction_is_corrected_only_where_no_projections_came() -> None:
    rules = [a_rule(pipeline="attenuation_correction")]
    alone = decide(a_reconstruction(), rules=rules, at=31)
    assert isinstance(alone, Route)
    assert alone.sources == ("1.2.5",)
    both = decide(a_reconstruction(), projections(), rules=rules, at=31)
    assert isinstance(both, Route)
    assert both.sources == ("1.2.3",)


FOCUSED = "Collimator Type: found CONE, expected PARA (parallel holes)"


def focused(uid: str = "1.2.3") -> Instance:
    """Projections that only their vendor can reconstruct."""
    return projections(uid, flaw=FOCUSED, **{VENDOR_ONLY: FOCUSED})


def test_a_vendors_reconstruction_stands_in_for_projections_that_only_the_vendor_can_reconstruct() -> None:
    rules = [a_rule(pipeline="attenuation_correction")]
    study = (focused(), a_reconstruction())
    route = decide(*study, rules=rules, at=31)
    assert isinstance(route, Route)
    assert route.sources == ("1.2.5",)
    assert f"only the vendor can reconstruct the projections that are here ({FOCUSED})" in route.reason
    headers = [one.header for one in study]
    said = instead_of_projections("attenuation_correction", study[1].header, headers)
    assert said.endswith("(parallel holes)): the vendor's reconstruction is used instead")
    assert not instead_of_projections("attenuation_correction", study[1].header, headers[1:])
    assert not instead_of_projections("attenuation_correction", headers[0], headers)


@pytest.mark.parametrize(
    ("changes", "study"),
    [
        ({}, (focused(),)),
        ({}, (focused(), projections("1.2.4"), a_reconstruction())),
        ({"needs": ["projections"]}, (focused(), a_reconstruction())),
        ({"pipeline": "reconstruction"}, (focused(), a_reconstruction())),
        ({}, (focused(), a_reconstruction(CorrectedImage=("UNIF", "ATTN")))),
    ],
    ids=["no reconstruction", "others beside them", "asked for", "another pipeline", "corrected already"],
)
def test_where_nothing_can_stand_in_for_them_the_study_is_held_with_the_reason(
    changes: dict[str, object], study: tuple[Instance, ...]
) -> None:
    decision = decide(*study, rules=[a_rule(**{"pipeline": "attenuation_correction", **changes})], at=31)
    assert isinstance(decision, Hold)
    assert FOCUSED in decision.reason


def test_what_is_corrected_for_attenuation_already_is_not_corrected_again() -> None:
    rules = [a_rule(pipeline="attenuation_correction")]
    corrected = a_reconstruction("1.2.6", CorrectedImage=("UNIF", "ATTN"))
    route = decide(a_reconstruction(CorrectedImage="UNIF"), corrected, rules=rules, at=31)
    assert isinstance(route, Route)
    assert route.sources == ("1.2.5",)
    decision = decide(corrected, rules=rules, at=31)
    assert isinstance(decision, Ignore)
    assert "found reconstruction that is corrected for attenuation" in decision.reason


@pytest.mark.parametrize(
    ("pipeline", "options", "looked_at"),
    [
        ("attenuation_correction", {}, {"ct", "map"}),
        ("attenuation_correction", {"map": "auto"}, {"ct", "map"}),
        ("attenuation_correction", {"map": "ct"}, {"ct"}),
        ("attenuation_correction", {"map": "vendor"}, {"map"}),
        ("attenuation_correction", {"map": "network"}, set()),
        ("reconstruction", {}, set()),
    ],
)
def test_a_run_looks_at_the_maps_that_its_rule_lets_it_use(
    pipeline: str, options: dict[str, str], looked_at: set[str]
) -> None:
    study = {"ct": a_ct(), "map": an_instance(content=InstanceContent.MU_MAP), "tomo": projections()}
    assert {name for name, one in study.items() if companion(pipeline, options, one.header)} == looked_at
    ours = an_instance(content=InstanceContent.MU_MAP, Manufacturer="dicomnode", ManufacturerModelName="dicomnode")
    assert not companion(pipeline, options, ours.header)


@pytest.mark.parametrize(("have", "missing"), [("stress", "the rest study"), ("rest", "the stress study")])
def test_the_other_of_stress_and_rest_is_waited_for(have: str, missing: str) -> None:
    rules = [a_rule(needs=["stress", "rest"])]
    waiting = decide(projections(CardiacState=have), rules=rules)
    assert isinstance(waiting, Wait)
    assert f"waiting for {missing}" in waiting.reason
    both = (projections(CardiacState="stress"), projections("1.2.4", CardiacState="rest"))
    assert isinstance(decide(*both, rules=rules), Route)


def test_flawed_projections_hold_the_study_with_the_flaw_as_reason() -> None:
    flawed = projections(flaw="64 frames, expected 2 detectors x 60 views")
    assert isinstance(decide(flawed, at=1), Wait)
    decision = decide(flawed, at=31)
    assert isinstance(decision, Hold)
    assert "expected 2 detectors" in decision.reason


def test_the_first_rule_that_matches_wins() -> None:
    rules = [a_rule(name="ct", when={"modality": "CT"}), a_rule(name="first"), a_rule(name="second")]
    route = decide(projections(), rules=rules)
    assert isinstance(route, Route)
    assert route.rule == "first"


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"image_type": "TOMO"}, True),
        ({"image_type": "tomo"}, True),
        ({"image_type": "GATED TOMO"}, False),
        ({"image_type": ["GATED TOMO", "TOMO"]}, True),
        ({"calling_ae_title": "spect?"}, True),
        ({"calling_ae_title": "SPECT2"}, False),
        ({"series_description": "*half*"}, True),
        ({"SeriesDescription": "*HALF*"}, True),
        ({"series_description": "*half*", "calling_ae_title": "OTHER"}, False),
        ({"station_name": "*"}, True),
        ({"station_name": "?*"}, False),
        ({}, True),
    ],
)
def test_conditions_are_wildcards_without_regard_to_case_and_lists_mean_any_of(
    when: dict[str, object], holds: bool
) -> None:
    decision = decide(projections(SeriesDescription="Stress HALF dose"), rules=[a_rule(when=when)])
    assert isinstance(decision, Route) is holds


def test_a_late_source_makes_a_grown_study_routed_at_once_but_other_late_instances_wait_for_quiet() -> None:
    old = projections()
    late_source = projections("1.2.4", received_at=after(100), version=2)
    late_ct = a_ct(received_at=after(100), version=2)
    route = decide(old, late_source, at=100, version=2)
    assert isinstance(route, Route)
    assert route.sources == ("1.2.3", "1.2.4")
    assert isinstance(decide(old, late_ct, at=101, version=2), Wait)
    assert isinstance(decide(old, late_ct, at=131, version=2), Route)


def test_only_instances_that_match_are_sources() -> None:
    rules = [a_rule(when={"series_description": "stress*"})]
    study = (projections(SeriesDescription="Stress"), projections("1.2.4", SeriesDescription="Rest"))
    route = decide(*study, rules=rules)
    assert isinstance(route, Route)
    assert route.sources == ("1.2.3",)


def test_an_operator_may_route_a_study_without_what_it_waits_for() -> None:
    rules = [a_rule(needs=["projections", "ct"])]
    route = force_route(rules, [projections()])
    assert route is not None
    assert route.sources == ("1.2.3",)
    assert force_route(rules, [a_ct()]) is None
