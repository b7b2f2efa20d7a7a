"""The table of states: every move of the manual is there, and no other."""

from __future__ import annotations

import itertools

import pytest

from dicomnode.errors import InvariantBroken
from dicomnode.study import TRANSITIONS, Event, StudyState, next_state


def test_every_pair_of_state_and_event_either_is_in_the_table_or_is_refused() -> None:
    for state, event in itertools.product((None, *StudyState), Event):
        if (state, event) in TRANSITIONS:
            assert next_state(state, event) is TRANSITIONS[state, event]
        else:
            with pytest.raises(InvariantBroken):
                next_state(state, event)


def test_every_state_can_be_reached_from_the_first_instance() -> None:
    reached = {next_state(None, Event.FIRST_INSTANCE)}
    while more := {to for (before, _), to in TRANSITIONS.items() if before in reached} - reached:
        reached |= more
    assert reached == set(StudyState)


def test_a_study_that_waits_for_a_person_leaves_only_by_a_person_or_by_a_newcomer() -> None:
    leaving = {event for (before, event) in TRANSITIONS if before is StudyState.HELD}
    assert leaving == {Event.REQUEUED, Event.RELEASED, Event.REJECTED, Event.LATE_INSTANCE, Event.CONFLICT}


def test_nothing_is_purged_that_is_still_under_way_or_waits_for_a_person() -> None:
    purgeable = {before for (before, event) in TRANSITIONS if event is Event.KEPT_LONG_ENOUGH}
    assert purgeable == {StudyState.DELIVERED, StudyState.IGNORED, StudyState.REJECTED}


def test_a_conflicting_instance_holds_a_study_wherever_it_stands() -> None:
    assert all(next_state(state, Event.CONFLICT) is StudyState.HELD for state in StudyState)
