"""The report page as a physician gets it: what stands on it, that all of it can be read, and that it never breaks."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import (
    CardiacState,
    Derived,
    DerivedKind,
    Finding,
    MapCandidate,
    MapSource,
    Measurement,
    PipelineInput,
    PipelineResult,
    Verdict,
)
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.report.colors import VERDICT_COLORS, rgb
from pipelines.report.page import compose, draw_page
from pipelines.report.sheet import HEIGHT, WIDTH
from tests.pipelines.report.results import PASS, POPULATION, asked, heart, image, projections, result, written

MU_MAP = Volume(np.full((40, 40, 40), 0.15, np.float32), VoxelGrid.axial((40,) * 3, (8.0,) * 3, (0, 0, 0)), Unit.PER_CM)
MISSED = Finding(Verdict.WARN, "no left ventricle found: the volume holds no hollow structure; no score was made")
LONG = "W" * 400 + " " + "the collimator is not known and " * 40


def corrected(source: MapSource | None = MapSource.CT, *figures: Measurement, why: str = "") -> PipelineResult:
    """Return what attenuation correction makes of a study: the heart before and after it, and the map."""
    made = result(
        replace(heart(lateral_defect=True), label="not corrected"),
        replace(heart(), label=f"corrected ({source.value})" if source else "corrected"),
        more=(
            Derived(DerivedKind.CORRECTED_RECONSTRUCTION, image(), "OSEM with a mu-map"),
            Derived(DerivedKind.MU_MAP, MU_MAP, "CT"),
        ),
    )
    settings = (("Attenuation map", why or "from CT by two straight lines"), *made.provenance.settings)
    return replace(
        made, provenance=replace(made.provenance, settings=settings, map_source=source), measurements=figures
    )


SHIFT = Measurement("Registration: moved by", 6.2538, "mm")
TURN = Measurement("Registration: turned by", 1.1, "deg")
AGREEMENT = Measurement("Registration: outlines agree to", 0.962, "1")
PAGES: dict[str, tuple[PipelineInput, PipelineResult]] = {
    "one heart": (asked(), result(heart(lateral_defect=True))),
    "one heart without limits": (asked(), result(heart(judged=False))),
    "attenuation correction": (asked(), corrected(MapSource.CT, SHIFT, TURN, AGREEMENT)),
    "attenuation correction by networks": (asked(), corrected(MapSource.NETWORK)),
    "attenuation correction of a camera's reconstruction": (
        asked(projections=None, reconstruction=image()), corrected(MapSource.VENDOR, why=LONG)
    ),
    "attenuation correction without a heart": (
        asked(), replace(corrected(MapSource.CT, *(SHIFT, TURN, AGREEMENT) * 9), hearts=(), findings=(MISSED,))
    ),
    "a map of unknown source": (asked(), corrected(None)),
    "denoising": (
        asked(),
        result(
            replace(heart(lateral_defect=True), label="low-count input"), replace(heart(), label="denoised"),
            more=(Derived(DerivedKind.DENOISED_PROJECTIONS, projections(height=0.5), "network"),),
        ),
    ),
    "one heart with a mu-map": (replace(asked(), maps=(MapCandidate(MapSource.VENDOR, MU_MAP),)), result(heart())),
    "one denoised heart": (
        asked(), result(heart(), more=(Derived(DerivedKind.DENOISED_PROJECTIONS, projections(), "network"),))
    ),
    "a camera's reconstruction": (
        asked(projections=None, reconstruction=image()), replace(result(heart()), derived=())
    ),
    "two hearts and no projections": (asked(projections=None), result(heart(), heart())),
    "limits for one heart alone": (asked(), result(heart(judged=False), heart(lateral_defect=True))),
    "no heart": (asked(), result(findings=(MISSED,))),
    "no heart and no projections": (asked(projections=None), result(findings=(MISSED,))),
    "long words": (
        asked(assumptions=(LONG,) * 9),
        result(
            replace(heart(), label=LONG, limits=LONG), replace(heart(), label=LONG, limits=LONG),
            findings=(Finding(Verdict.QUARANTINE, LONG),) * 9,
        ),
    ),
    "long words and no heart": (asked(), result(findings=(replace(MISSED, text=MISSED.text + LONG * 3),) * 3)),
    "letters of other scripts": (
        asked(assumptions=("\u5fc3\u81d3\x00\x1b[31m\n\u202eabc \U0001f600",)),
        result(replace(heart(), label="\u5fc3\n\x07")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_all_words_stand_on_the_page_and_none_on_another(name: str) -> None:
    sheet = compose(*PAGES[name])
    pixels = sheet.pixels()
    assert pixels.shape == (1060, 1600, 3)
    assert pixels.dtype == np.uint8
    boxes = [(text.get_text(), text.get_window_extent()) for text in sheet.figure.texts if text.get_text().strip()]
    for words, box in boxes:
        assert box.x0 >= 0, words
        assert box.y0 >= 0, words
        assert box.x1 <= WIDTH - 8, words
        assert box.y1 <= HEIGHT, words
    assert min(float(text.get_fontsize()) for text in sheet.figure.texts) >= 8.0
    for (one, left), (other, right) in itertools.combinations(boxes, 2):
        across = min(left.x1, right.x1) - max(left.x0, right.x0)
        down = min(left.y1, right.y1) - max(left.y0, right.y0)
        assert across <= 1 or down <= 3, f"{one!r} lies on {other!r}"  # a line's box holds the room of its descenders


@pytest.mark.parametrize("name", ["attenuation correction", "denoising", "no heart"])
def test_the_same_result_gives_the_same_pixels(name: str) -> None:
    np.testing.assert_array_equal(draw_page(*PAGES[name]), draw_page(*PAGES[name]))


@pytest.mark.parametrize("verdict", Verdict)
def test_the_gravest_verdict_colors_the_head_of_the_page(verdict: Verdict) -> None:
    page = draw_page(asked(), result(heart(), findings=(Finding(Verdict.PASS, "fine"), Finding(verdict, "a check"))))
    head = page[8:40, 1200:]
    present = {one: bool((head == rgb(VERDICT_COLORS[one])).all(axis=2).any()) for one in Verdict}
    assert present == {one: one is verdict for one in Verdict}


def test_a_warning_stands_before_what_passed_and_in_its_color() -> None:
    findings = (Finding(Verdict.PASS, "counts suffice"), Finding(Verdict.WARN, "the patient moved"))
    texts = compose(asked(), result(heart(), findings=findings)).figure.texts
    places = {text.get_text(): text for text in texts}
    warning, passed = places["WARN: the patient moved"], places["pass: counts suffice"]
    assert warning.get_position()[1] > passed.get_position()[1]  # from the page's lower edge
    assert warning.get_color() == VERDICT_COLORS[Verdict.WARN]


def test_a_page_with_limits_tells_numbers_and_whose_limits_they_are() -> None:
    ill = heart(lateral_defect=True)
    assert ill.perfusion is not None
    words = written(compose(asked(), result(ill)))
    assert f"Normal limits: {POPULATION}" in words
    assert f"{ill.perfusion.tpd_percent:.1f}" in words
    assert f"{ill.shape.cavity_ml:.0f}" in words
    assert "SSS (of 68)" in words


def test_a_page_without_limits_says_so_and_gives_no_score() -> None:
    words = " ".join(written(compose(asked(), result(heart(judged=False)))))
    assert "No normal limits fit this study" in words
    assert "(TPD)" not in words
    assert "of 68" not in words


def test_where_only_one_image_has_limits_the_page_says_so() -> None:
    words = written(compose(*PAGES["limits for one heart alone"]))
    assert f"Normal limits: {POPULATION}; none for one of the images" in words
    assert "segments: % of normal | % of the highest" in words
    assert "-" in words  # in the table, where the first heart has no number


@pytest.mark.parametrize(("state", "name"), [(CardiacState.STRESS, "SSS"), (CardiacState.REST, "SRS")])
def test_the_summed_score_is_named_by_stress_or_rest(state: CardiacState, name: str) -> None:
    words = written(compose(asked(state), result(heart())))
    assert f"{name} (of 68)" in words
    assert f"{state.value} study" in words


def test_two_hearts_lie_one_above_the_other_in_every_orientation() -> None:
    sheet = compose(*PAGES["attenuation correction"])
    labels = [(text.get_position()[1], text.get_text()) for text in sheet.figure.texts if text.get_rotation() == 90.0]
    order = [words for _, words in sorted(labels, reverse=True) if "corrected" in words]
    assert order == ["not corrected", "corrected"] * 3


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("attenuation correction", "CTAC: the map is made of the study's own CT"),
        ("attenuation correction by networks", "DLAC: the map is made by neural networks from the emission alone"),
        ("attenuation correction of a camera's reconstruction", "The map is the attenuation map that came with the"),
        ("attenuation correction without a heart", "CTAC: the map is made of the study's own CT"),
    ],
)
def test_where_the_map_came_from_stands_above_it(name: str, title: str) -> None:
    words = written(compose(*PAGES[name]))
    (place,) = (number for number, line in enumerate(words) if line.startswith(title))
    assert words[place + 1].startswith("Registration: ")
    assert "transaxial: map" in words
    assert "coronal: map" in words


def test_the_figures_of_the_registration_stand_with_the_map() -> None:
    words = written(compose(*PAGES["attenuation correction"]))
    assert "Registration: moved by 6.25 mm, turned by 1.1 \N{DEGREE SIGN}, outlines agree to 0.962" in words


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.WARN, Verdict.QUARANTINE])
def test_a_check_of_the_registration_stands_with_the_map_in_its_ink(verdict: Verdict) -> None:
    words = "the attenuation map was moved by 27 mm and turned by 2 degrees"
    checked = replace(corrected(MapSource.CT), findings=(PASS, Finding(verdict, words)))
    texts = compose(asked(), checked).figure.texts
    (told,) = (text for text in texts if text.get_text() == f"Registration: {words}")
    assert told.get_color() == VERDICT_COLORS[verdict]


def test_the_emission_is_drawn_in_color_upon_the_gray_map() -> None:
    page = draw_page(*PAGES["attenuation correction"]).astype(int)
    below = page[850:, 60:1090]  # map planes alone
    colored = below[..., 0] > below[..., 2] + 60
    gray = (below[..., 0] == below[..., 2]) & (below[..., 0] > 150) & (below[..., 0] < 240)
    assert colored.sum() > 500
    assert gray.sum() > 5000


def test_without_a_heart_the_page_says_why_in_plain_words() -> None:
    sheet = compose(*PAGES["no heart"])
    words = " ".join(written(sheet))
    assert "No left ventricle is shown" in words
    assert words.count("no left ventricle found: the volume holds no hollow structure") == 1
    assert "Transaxial slices" in words
    assert "Polar maps" not in words


def test_what_has_no_room_is_counted() -> None:
    many = tuple(Measurement(f"measurement {number}", 1.0, "mm") for number in range(80))
    words = written(compose(asked(), replace(result(heart()), measurements=many)))
    (left_out,) = (line for line in words if "more lines" in line)
    shown = sum(line.startswith("measurement") for line in words)
    assert shown + int(left_out.split()[0]) == 80
    assert left_out.endswith("settings and measurements are in the structured report")


def test_a_page_names_settings_and_assumptions() -> None:
    words = written(compose(asked(), result(heart())))
    assert "Reconstruction 1.2.0" in words
    assert "Algorithm: OSEM, 8 iterations x 2 subsets" in words
    assert "the radius was assumed" in words


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 64, 64), (64, 1, 64), (50, 30, 20), (128, 128, 128)])
@pytest.mark.parametrize("height", [0.0, 1.0])
def test_any_volume_can_be_drawn(shape: tuple[int, int, int], height: float) -> None:
    values = height * (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) % 7 + 1)
    volume = Volume(values, VoxelGrid.axial(shape, (3.3, 7.0, 4.8), (10.0, 0.0, -200.0)), Unit.COUNTS)
    drawn = replace(result(), derived=(Derived(DerivedKind.RECONSTRUCTION, volume, "OSEM"),))
    page = draw_page(asked(projections=projections(1, 40, 17, height)), drawn)
    hot = (page[:, :1100, 0].astype(int) > page[:, :1100, 2].astype(int) + 100).any()
    assert hot == (height > 0.0 and values.size > 1)


def test_a_heart_without_counts_can_be_drawn() -> None:
    empty = replace(heart(judged=False), polar=replace(heart().polar, counts=np.zeros_like(heart().polar.counts)))
    assert draw_page(asked(), result(empty)).shape == (1060, 1600, 3)
