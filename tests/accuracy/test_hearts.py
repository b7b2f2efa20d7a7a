"""The judge of the left ventricle's numbers: its cases, its truth on a polar map, and its figures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipelines.cardiac.segments import ANGLES, RINGS, segment_means
from pipelines.simulation.anatomy import Sex
from pipelines.simulation.cohort import Risk
from pipelines.simulation.left_ventricle import Shape
from pipelines.simulation.uptake import Defect, WallUptake
from pipelines.simulation.virtual_patient import draw_body
from tests.accuracy.heart_cases import FAILING, plan_cases, sample_places
from tests.accuracy.heart_tables import auc, quantiles
from tests.accuracy.hearts import BEGIN, END, normal_uptake, write_between


def test_the_cases_hold_the_papers_strata_and_all_that_stands_in_the_way() -> None:
    cases = plan_cases(500, 60)
    assert Counter(case.risk for case in cases) == {
        Risk.HEALTHY: 14, Risk.LOW: 28, Risk.INTERMEDIATE: 10, Risk.SEVERE: 8,
    }  # fmt: skip
    assert Counter(case.sex for case in cases) == {Sex.MALE: 30, Sex.FEMALE: 30}
    assert len({case.seed for case in cases}) == 60
    for special in ("scar", "low_dose", "large_matrix", "hot", "heartless"):
        assert sum(getattr(case, special) for case in cases) >= 3, special
    assert plan_cases(500, 6) == plan_cases(500, 6)


def test_some_cases_have_failing_hearts_whatever_the_seeds_bring() -> None:
    sought = [case for case in plan_cases(500, 24) if case.seed >= 600]
    assert len(sought) == 2
    for case in sought:
        assert draw_body(case.seed, case.sex, case.position).anatomy.cycle.ejection_fraction < FAILING


def test_a_defect_of_the_wall_lies_in_its_segment_of_the_true_map() -> None:
    places = sample_places(Shape(20.0, 43.0, 0.64, 11.0))
    np.testing.assert_allclose(np.linalg.norm(places, axis=-1), 1.0)
    mid_inferior = WallUptake(1.0, 1.0, (), (Defect((0.1, 0.0, -0.995), 20.0, 20.0, 0.8, 0.0),))
    left = segment_means(mid_inferior.at(places, 0.5, at_rest=False), np.ones((RINGS, ANGLES)))
    assert int(np.argmin(left)) + 1 == 10
    assert left[6] == pytest.approx(1.0)


def test_the_normal_uptake_is_fainter_at_the_septum_and_the_tip() -> None:
    normal = np.array(segment_means(normal_uptake(), np.ones((RINGS, ANGLES))))
    lateral, septal = normal[[10, 11]].mean(), normal[[7, 8]].mean()
    assert 0.92 < septal / lateral < 0.99
    assert normal[16] < normal[11]


@pytest.mark.parametrize(("ill", "well", "chance"), [((2, 3), (0, 1), 1.0), ((0, 1), (0, 1), 0.5), ((0,), (1, 2), 0.0)])
def test_the_auc_is_the_chance_that_the_ill_have_more(ill: tuple[int], well: tuple[int], chance: float) -> None:
    assert auc(ill, well) == pytest.approx(chance)


def test_quantiles_are_median_95th_and_largest() -> None:
    assert quantiles(np.arange(101.0)) == "50.0, 95.0, 100.0"


def test_a_document_keeps_all_but_what_stands_between_the_marks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between(path, "new\n")
    assert path.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    path.write_text("no marks")
    with pytest.raises(ValueError, match="lacks the marks"):
        write_between(path, "new\n")
