"""The road from reconstructions to the left ventricle's pictures and numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import Acquisition, CardiacState, DerivedKind, PatientSex, Verdict
from pipelines.images import Unit, Volume
from pipelines.perfusion.hearts import HeartImage, read_hearts
from pipelines.perfusion.options import Options
from tests.pipelines.cardiac.hearts import USUAL_GRID, Heart, angle_deg, ball, seen, without

HEART = Heart()
STUDY = Acquisition("a study", state=CardiacState.STRESS, sex=PatientSex.FEMALE)


@pytest.fixture(scope="module")
def plain() -> Volume:
    return seen(HEART)


def test_a_heart_comes_with_its_slices_its_map_and_a_short_axis_to_send(plain: Volume) -> None:
    reading = read_hearts([HeartImage("not corrected", plain, DerivedKind.SHORT_AXIS)], STUDY, Options())
    (heart,), (derived,) = reading.hearts, reading.derived
    assert angle_deg(heart.ventricle.long_axis, HEART.axis) < 2.0
    assert derived.kind is DerivedKind.SHORT_AXIS
    assert derived.data is heart.short_axis
    assert "45° left of anterior and 25° down" in derived.description
    assert heart.polar.counts.min() > 0
    assert [finding.verdict for finding in reading.findings] == [Verdict.PASS]


def test_two_images_of_one_heart_are_compared_sample_by_sample(plain: Volume) -> None:
    lateral = np.array([0.7, 0.7, 0.0])
    ill = seen(Heart(uptake=without(lateral, 35.0, 0.4)))
    images = [HeartImage("before", ill), HeartImage("after", plain, DerivedKind.CORRECTED_SHORT_AXIS)]
    reading = read_hearts(images, STUDY, Options())
    before, after = reading.hearts
    assert before.ventricle == after.ventricle
    assert [one.kind for one in reading.derived] == [DerivedKind.CORRECTED_SHORT_AXIS]  # the first is shown only
    ratio = before.polar.counts / after.polar.counts
    assert ratio.min() < 0.6
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)


def test_a_heart_that_only_the_comparison_shows_is_used_and_remarked_on(plain: Volume) -> None:
    empty = Volume(ball(USUAL_GRID, (0.0, 0.0, 0.0), 40.0, 100.0).astype(np.float32), USUAL_GRID, Unit.COUNTS)
    reading = read_hearts([HeartImage("before", plain), HeartImage("after", empty)], STUDY, Options())
    assert len(reading.hearts) == 2
    assert any("found only in the image" in finding.text for finding in reading.findings)


def test_where_there_is_no_heart_none_is_invented() -> None:
    images = [HeartImage("not corrected", seen(None), DerivedKind.SHORT_AXIS)]
    reading = read_hearts(images, STUDY, Options())
    assert reading.hearts == ()
    assert reading.derived == ()
    (finding,) = reading.findings
    assert finding.verdict is Verdict.WARN
    assert "no left ventricle found" in finding.text
    assert "no short axis, polar map or score was made" in finding.text


def test_a_person_may_set_apex_and_base(plain: Volume) -> None:
    apex, base = HEART.middle + 48.0 * HEART.axis, HEART.base_mm
    options = Options.of({"heart_apex_mm": ", ".join(map(str, apex)), "heart_base_mm": ", ".join(map(str, base))})
    reading = read_hearts([HeartImage("not corrected", plain)], STUDY, options)
    np.testing.assert_allclose(reading.hearts[0].ventricle.apex_mm, apex, atol=1e-6)
    assert "set by hand" in reading.findings[0].text


@pytest.mark.parametrize(
    ("axes", "words"),
    [((0,), "upside down"), ((2,), "mirrored left to right"), ((0, 2), "feet first")],
)
def test_a_study_that_lies_the_wrong_way_round_is_held(plain: Volume, axes: tuple[int, ...], words: str) -> None:
    turned = Volume(np.ascontiguousarray(np.flip(plain.values, axes)), plain.grid, plain.unit)
    reading = read_hearts([HeartImage("not corrected", turned)], STUDY, Options())
    assert [f.verdict for f in reading.findings if words in f.text] == [Verdict.QUARANTINE]


def test_limits_of_images_made_otherwise_are_remarked_on(plain: Volume) -> None:
    image = HeartImage("not corrected", plain)
    texts = [finding.text for finding in read_hearts([image], STUDY, Options.of({"iterations": 20})).findings]
    assert any("made otherwise" in text and "OSEM 20 x 2" in text for text in texts)


def test_a_study_of_unknown_sex_gets_no_scores(plain: Volume) -> None:
    reading = read_hearts([HeartImage("not corrected", plain)], Acquisition("a study"), Options())
    assert reading.hearts[0].perfusion is None
    assert any("no normal limits fit" in finding.text for finding in reading.findings)


def test_a_study_of_unknown_state_is_read_against_stress_and_says_so(plain: Volume) -> None:
    reading = read_hearts([HeartImage("not corrected", plain)], replace(STUDY, state=CardiacState.UNKNOWN), Options())
    assert "stress" in reading.hearts[0].limits
    assert any("read against normal limits for stress" in finding.text for finding in reading.findings)
