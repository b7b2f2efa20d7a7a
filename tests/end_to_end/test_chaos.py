"""The short campaign of every test run: a dozen studies, eight kills. The long one is `make chaos`."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.campaign import Campaign, Plan
from tests.conftest import need_isolation, need_programs

PLAN = Plan(studies=12, kills=8, seed=7, pause_s=1.0, between_kills_s=2.0)


def test_nothing_acknowledged_is_lost_and_nothing_derived_is_doubled(tmp_path: Path) -> None:
    need_programs("Orthanc", "echoscu")
    need_isolation()
    print(PLAN)
    result = Campaign(PLAN, tmp_path).run()
    print(result)
    assert result.faults == []
    assert sum(result.kills.values()) == PLAN.kills
    assert result.acknowledged == result.sent == result.in_spool > PLAN.studies
    assert result.derived == result.in_archive >= 2 * result.sent, "each acquisition gives a volume and a page at least"
