"""Who gets projections with the camera's private elements: the destinations that ask, in place of the plain ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.config import RuleSettings
from dicomnode.stages.operate import requeue
from dicomnode.store.outbox import Outbox
from dicomnode.study import PRIVATE_COPY, SendOutcome
from pipelines.contract import Derived, DerivedKind, PipelineResult, Provenance
from tests.dicomnode.stages.road import Road, a_result
from tests.factories import a_tomo, some_projections

PLAIN = DerivedKind.DENOISED_PROJECTIONS.value
RULE = RuleSettings(name="all", when={"modality": "NM"}, pipeline="denoising", destinations=("pacs", "station"))


def a_denoised_result() -> PipelineResult:
    """Return projections, a volume and a page, as denoising sends them."""
    usual = a_result()
    projections = Derived(DerivedKind.DENOISED_PROJECTIONS, some_projections(), "expected counts")
    return replace(usual, derived=(projections, *usual.derived), provenance=Provenance("denoising", "1.0.0"))


def by_ge(ds: Dataset) -> None:
    """Add GE's private radius."""
    ds.private_block(0x0011, "GEMS_GENIE_1", create=True).add_new(0x19, "FD", 301.0)


def a_road(folder: Path, *asking: str) -> Road:
    """Return a road whose destinations of these names keep private elements."""
    road = Road(folder, [RULE], [a_denoised_result()])
    road.outbox = Outbox(road.journal, road.outbox.spool, lambda: frozenset(asking))
    road.processor = replace(road.processor, outbox=road.outbox)
    return road


def sent_to(road: Road, uid: str) -> dict[str, set[str]]:
    """Return what each destination gets of a study."""
    found: dict[str, set[str]] = {"pacs": set(), "station": set()}
    for delivery in road.outbox.deliveries(uid):
        assert delivery.kind not in found[delivery.destination]
        found[delivery.destination].add(delivery.kind)
    return found


def test_a_destination_that_asks_gets_the_copy_in_place_of_the_plain_projections(tmp_path: Path) -> None:
    road = a_road(tmp_path, "station")
    uid = road.process(a_tomo(change=by_ge))
    assert sent_to(road, uid) == {
        "pacs": {PLAIN, "reconstruction", "report page"},
        "station": {PRIVATE_COPY, "reconstruction", "report page"},
    }


@pytest.mark.parametrize("asking", [(), ("elsewhere",)])
def test_where_no_destination_of_the_study_asks_no_copy_is_made(asking: tuple[str, ...], tmp_path: Path) -> None:
    road = a_road(tmp_path, *asking)
    uid = road.process(a_tomo(change=by_ge))
    everything = {PLAIN, "reconstruction", "report page"}
    assert sent_to(road, uid) == {"pacs": everything, "station": everything}
    assert {row["kind"] for row in road.outbox.derived(uid)} == everything


def test_without_private_elements_everybody_gets_the_plain_projections(tmp_path: Path) -> None:
    road = a_road(tmp_path, "station")
    uid = road.process(a_tomo())
    assert sent_to(road, uid)["station"] == {PLAIN, "reconstruction", "report page"}


def test_who_is_added_and_asks_gets_the_copy_alone_when_the_study_is_requeued(tmp_path: Path) -> None:
    road = a_road(tmp_path, "station")
    road.assembler = replace(road.assembler, rules=[RULE.model_copy(update={"destinations": ("pacs",)})])
    uid = road.process(a_tomo(change=by_ge))
    assert sent_to(road, uid) == {"pacs": {PLAIN, "reconstruction", "report page"}, "station": set()}
    road.deliver(*[SendOutcome.REFUSED] * 3)
    road.answers.append(a_denoised_result())
    requeue(road.journal, [RULE], uid, "a test", road.now)
    road.processor.run_once(road.now)
    assert sent_to(road, uid) == {
        "pacs": {PLAIN, "reconstruction", "report page"},
        "station": {PRIVATE_COPY, "reconstruction", "report page"},
    }
