"""Processing times as derived instances bear them: local ones, on the clock of the source's own times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomnode.objects.times import Moment
from tests.dicomnode.objects.results import CONTEXT, dataset, derive
from tests.factories import NOON, a_tomo, changed, quick_dataset, setting

AFTERNOON = datetime(2026, 3, 2, 13, 10, 11, tzinfo=UTC)
TIMES = (
    ("SeriesDate", "SeriesTime"), ("ContentDate", "ContentTime"), ("InstanceCreationDate", "InstanceCreationTime"),
    ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def wall_clock() -> Iterator[Callable[[str], None]]:
    """A node whose wall clock is eight hours behind UTC, and how to move it to another zone."""
    with pytest.MonkeyPatch.context() as patch:

        def move(zone: str) -> None:
            patch.setenv("TZ", zone)
            time.tzset()

        move("America/Los_Angeles")
        yield move
    time.tzset()


@pytest.mark.parametrize(
    ("stated", "told", "zone"),
    [(None, "20260302051011", "-0800"), ("+0100", "20260302141011", "+0100"), ("+1400", "20260303031011", "+1400")],
)
def test_all_times_are_on_the_clock_of_the_source_and_that_is_the_nodes_where_none_is_stated(
    stated: str | None, told: str, zone: str, tmp_path: Path
) -> None:
    source = a_tomo() if stated is None else changed(a_tomo(), setting(TimezoneOffsetFromUTC=stated))
    for kind, instance in derive(tmp_path, source, context=replace(CONTEXT, now=AFTERNOON)).items():
        ds = dataset(instance)
        assert ds.get("TimezoneOffsetFromUTC") == stated, kind
        borne = {ds[day].value + ds[hour].value for day, hour in TIMES if day in ds}
        assert borne == {told}, kind
        ours = ds.ContributingEquipmentSequence[-1]
        assert ours.ContributionDateTime == told + zone, kind


@pytest.mark.parametrize("stated", ["", "08:00", "-1500", "+0160", "+9999"])
def test_a_zone_that_can_not_be_is_not_copied_and_the_nodes_own_is_used(stated: str) -> None:
    source = quick_dataset(TimezoneOffsetFromUTC=stated)
    assert Moment.of(AFTERNOON, source).time == "051011"


def test_a_false_zone_is_left_behind(tmp_path: Path) -> None:
    source = changed(a_tomo(), setting(TimezoneOffsetFromUTC="-1500"))
    for instance in derive(tmp_path, source).values():
        assert "TimezoneOffsetFromUTC" not in dataset(instance)


def test_a_time_without_a_zone_stays_as_it_is() -> None:
    source = quick_dataset(TimezoneOffsetFromUTC="+0100")
    assert Moment.of(NOON, source) == Moment("20260302", "120000", "20260302120000")


def test_the_wall_clock_changes_neither_uids_nor_pixels(tmp_path: Path, wall_clock: Callable[[str], None]) -> None:
    context = replace(CONTEXT, now=AFTERNOON)
    here = derive(tmp_path, context=context)
    wall_clock("Asia/Tokyo")
    there = derive(tmp_path, context=context)
    assert dataset(there["reconstruction"]).SeriesTime == "221011"
    for kind, instance in here.items():
        assert instance.sop_instance_uid == there[kind].sop_instance_uid
        content = "ContentSequence" if kind == "structured report" else "PixelData"
        assert dataset(instance)[content] == dataset(there[kind])[content], kind
