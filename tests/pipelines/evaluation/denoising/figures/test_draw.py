"""The denoising paper's figures, from records."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipelines.agreement.statistics import bland_altman
from pipelines.evaluation.denoising.arrays import FULL_DOSE, Kind, image_name
from pipelines.evaluation.denoising.figures.agreement import draw_agreement, draw_deficit_against_truth
from pipelines.evaluation.denoising.figures.draw import LEFT_OUT, NAMES, draw, draw_all
from pipelines.evaluation.denoising.figures.material import Material, Missing
from pipelines.evaluation.denoising.figures.methods import METHOD_COLORS
from pipelines.evaluation.denoising.figures.projections import draw_gates, draw_projections
from pipelines.evaluation.denoising.figures.quality import draw_nearness_to_ceiling, draw_voxel_correlation
from pipelines.evaluation.denoising.figures.reader import draw_reader
from pipelines.evaluation.denoising.figures.slices import draw_slices, worst_outlier
from pipelines.evaluation.denoising.record import Dose, Method, PatientRecord
from pipelines.evaluation.page import new_page, save
from tests.pipelines.evaluation.denoising.figure_records import (
    UNTRAINED,
    a_cohort,
    a_record,
    write_some_arrays,
)

NOWHERE = Path("/nonexistent")


def _written(figure: Figure) -> str:
    texts = [text.get_text() for text in figure.texts]
    texts += [text.get_text() for axes in figure.axes for text in axes.texts]
    return "\n".join(texts)


def _small_print(figure: Figure) -> str:
    return re.sub(r"\s+", " ", _written(figure))


def _titled(figure: Figure, title: str) -> Axes:
    (found,) = [axes for axes in figure.axes if axes.get_title(loc="left") == title]
    return found


def _with_score(record: PatientRecord, full: float, low: float, predicted: float) -> PatientRecord:
    """Return a record whose summed scores are these, at every dose."""
    assert record.full_dose is not None
    indices = replace(record.full_dose, summed_score=full)
    scores = {method.value: predicted for method in Method} | {Method.LOW_DOSE.value: low}
    methods = {
        dose: {name: replace(one, indices=replace(indices, summed_score=scores[name])) for name, one in of_dose.items()}
        for dose, of_dose in record.methods.items()
    }
    return replace(record, full_dose=indices, methods=methods)


def test_every_figure_of_the_paper_has_a_name() -> None:
    paper = [f"fig_{number:02}" for number in range(1, 10)] + [f"suppl_{number:02}" for number in range(1, 17)]
    assert all(any(name.startswith(figure) for name in NAMES) for figure in paper)


def test_figures_are_written_and_those_that_lack_images_are_named(tmp_path: Path) -> None:
    wanted = ("fig_02_discriminator", "fig_03_projections", "fig_06_summed_score")
    drawn, left_out = draw(a_cohort(UNTRAINED)[:4], NOWHERE, tmp_path, wanted)
    assert [path.name for path in drawn] == ["fig_02_discriminator.png", "fig_06_summed_score.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    assert [(one.name, one.reason) for one in left_out] == [
        ("fig_03_projections", "there are no images of any patient")
    ]


def test_a_figure_of_an_earlier_run_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "fig_03_projections.png").write_bytes(b"old")
    draw((), NOWHERE, tmp_path, ("fig_03_projections",))
    assert list(tmp_path.iterdir()) == []


def test_without_patients_the_networks_alone_are_drawn_and_the_rest_is_noted(tmp_path: Path) -> None:
    left_out = draw_all((), NOWHERE, tmp_path)
    drawn = {path.stem for path in tmp_path.glob("*.png")}
    assert drawn == {"fig_01_generator", "fig_02_discriminator", "suppl_01_training", "beyond_3_our_network"}
    assert {one.name for one in left_out} == set(NAMES) - drawn
    assert (tmp_path / LEFT_OUT).read_text().splitlines() == [f"{one.name}: {one.reason}" for one in left_out]


def test_a_figure_says_what_it_shows_and_that_it_is_no_evidence() -> None:
    figure = draw_agreement(Material(a_cohort(), NOWHERE), "tpd_percent", "Fig. 7")
    said = _small_print(figure)
    assert "After Aghakhan Olia et al. 2022, Fig. 7. n = 35 virtual patients - not clinical evidence." in said


def test_what_the_paper_does_not_have_is_not_called_the_papers() -> None:
    said = _small_print(draw_deficit_against_truth(Material(a_cohort(), NOWHERE)))
    assert "Not in the paper" in said
    assert "After" not in said


def test_bias_and_limits_stand_over_each_panel() -> None:
    records = a_cohort()
    figure = draw_agreement(Material(records, NOWHERE), "tpd_percent", "Fig. 7")
    pairs = []
    for record in records:
        read = record.methods["quarter"][Method.FOR_IMAGES.value].indices
        assert read is not None
        assert record.full_dose is not None
        pairs.append((read.tpd_percent, record.full_dose.tpd_percent))
    found = bland_altman(*np.array(pairs).T)
    axes = _titled(figure, "quarter dose: ours, for images")
    said = [text.get_text() for text in axes.texts]
    assert any(f"{found.bias:+.2f} ({found.low:+.2f} to {found.high:+.2f})" in words for words in said)
    assert any("[0.98]" in words for words in said)  # the paper's r of predicted TPD at quarter dose


def test_patients_at_one_place_are_one_larger_mark() -> None:
    records = [_with_score(a_record(number), 4.0, 4.0, 6.0) for number in range(3)]
    records.append(_with_score(a_record(9), 10.0, 12.0, 10.0))
    figure = draw_agreement(Material(tuple(records), NOWHERE), "summed_score", "Fig. 6")
    low_dose, _ = _titled(figure, "half dose: ours, for images").collections
    assert isinstance(low_dose, PathCollection)
    assert sorted(low_dose.get_sizes().tolist()) == pytest.approx([13.0, 39.0])


def test_an_untrained_network_gets_no_row_and_one_dose_alone_is_said() -> None:
    untrained = a_cohort(UNTRAINED)
    titles = {a.get_title(loc="left") for a in draw_reader(Material(untrained, NOWHERE), "Fig. 8").axes}
    assert not any("paper's network" in title for title in titles)
    half = [
        replace(record, methods={**of.methods, Dose.HALF.value: record.methods[Dose.HALF.value]})
        for record, of in zip(a_cohort(), untrained, strict=True)
    ]
    figure = draw_reader(Material(tuple(half), NOWHERE), "Fig. 8")
    said = [text.get_text() for text in _titled(figure, "eighth dose: paper's network").texts]
    assert "not trained for this dose" in said


def test_the_readers_bars_count_patients_and_hatch_the_acceptable() -> None:
    scores = [(4.0, 4.0, 4.0), (4.0, 12.0, 6.0), (4.0, 8.0, 0.0), (10.0, 2.0, 10.0)]
    records = tuple(_with_score(a_record(number), *score) for number, score in enumerate(scores))
    axes = _titled(draw_reader(Material(records, NOWHERE), "Fig. 8"), "half dose: ours, for images")
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    hatched = sorted(round(bar.get_x() + 0.19) for bar in bars if bar.get_hatch())
    solid = {
        (round(bar.get_x() + 0.19), METHOD_COLORS[method], bar.get_height())
        for bar in bars
        for method in (Method.LOW_DOSE, Method.FOR_IMAGES)
        if not bar.get_hatch() and np.allclose(bar.get_facecolor()[:3], _rgb(METHOD_COLORS[method]))
    }
    blue, red = METHOD_COLORS[Method.LOW_DOSE], METHOD_COLORS[Method.FOR_IMAGES]
    assert solid == {(0, blue, 1), (3, blue, 1), (2, blue, 1), (-3, blue, 1), (0, red, 2), (1, red, 1), (-2, red, 1)}
    assert hatched == [0, 0, 1]
    assert "acceptable: 75 % [100 %]" in [text.get_text() for text in axes.texts]


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))


def test_women_alone_are_women_alone() -> None:
    women = sum(record.sex == "F" for record in a_cohort())
    said = _small_print(draw_reader(Material(a_cohort(), NOWHERE), "Suppl. Fig. 14", sex="F"))
    assert f"n = {women} virtual patients" in said
    assert women < 35


def test_the_error_is_drawn_over_the_ceilings() -> None:
    figure = draw_nearness_to_ceiling(Material(a_cohort(), NOWHERE))
    medians = [float(words) for words in re.findall(r"^\d\.\d\d$", _written(figure), re.MULTILINE)]
    assert medians[:2] == pytest.approx([2.4, 1.9], abs=0.06)  # low dose and Gaussian at half dose, as they were made
    assert min(medians) == pytest.approx(1.06, abs=0.03)


def test_two_patients_have_no_spread() -> None:
    with pytest.raises(Missing, match="2 are too few"):
        draw_voxel_correlation(Material(a_cohort()[:2], NOWHERE))


def test_projections_show_each_dose_and_their_distance_from_full_dose(tmp_path: Path) -> None:
    records = (a_record(1, methods=UNTRAINED),)
    write_some_arrays(tmp_path, records, (Method.LOW_DOSE, Method.FULL))
    figure = draw_projections(Material(records, tmp_path))
    rows = 2 + 3 * 2  # full dose, noise-free, two methods at three doses
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == rows * 4 + (rows - 1) * 4 + 2  # all but full dose besides as differences; two color bars
    assert f"RMSE {records[0].methods['half']['low dose'].projection.rmse:.2f}" in _written(figure)


def test_gates_stand_side_by_side(tmp_path: Path) -> None:
    records = (a_record(1, methods=UNTRAINED),)
    write_some_arrays(tmp_path, records, (Method.LOW_DOSE,))
    figure = draw_gates(Material(records, tmp_path))
    assert len([axes for axes in figure.axes if axes.images]) == 3 * 8 + 1
    assert "true EF 61 %" in _written(figure)


def test_slices_are_over_the_highest_count_of_their_own_ventricle(tmp_path: Path) -> None:
    records = (a_record(1, risk="severe"), a_record(2, risk="low"))
    write_some_arrays(tmp_path, records, (Method.LOW_DOSE,))
    figure = draw_slices(Material(records, tmp_path), "severe", "Fig. 4")
    arrays = Material(records, tmp_path).arrays(records[0])
    polar = arrays.get(Kind.POLAR_MAP, image_name(Dose.EIGHTH, Method.LOW_DOSE))
    short_axis = arrays.get(Kind.SHORT_AXIS, image_name(Dose.EIGHTH, Method.LOW_DOSE))
    assert polar is not None
    assert short_axis is not None
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    first = shown[4 * 6]  # of the fifth row: two references, half, quarter, eighth; six slices each
    expected = short_axis * (100.0 / float(polar.max()))
    assert any(np.allclose(first, whole[3:-3, 3:-3], atol=0.2) for whole in expected)
    scales = [axes.images[0].get_clim() for axes in figure.axes if axes.images]
    assert set(scales[:-1]) == {(0, 100)}  # the last one is the color bar


def test_a_group_without_images_is_said(tmp_path: Path) -> None:
    records = (a_record(1, risk="low"),)
    write_some_arrays(tmp_path, records, (Method.LOW_DOSE,))
    with pytest.raises(Missing, match="severe"):
        draw_slices(Material(records, tmp_path), "severe", "Fig. 4")


def test_the_worst_outlier_is_the_one_farthest_from_full_dose_in_either_direction() -> None:
    records = list(a_cohort()[:5])
    eighth = records[3].methods[Dose.EIGHTH.value]
    one, full = eighth[Method.FOR_IMAGES.value], records[3].full_dose
    assert one.indices is not None
    assert full is not None
    far = replace(one, indices=replace(one.indices, tpd_percent=full.tpd_percent - 40.0))
    methods = {**records[3].methods, Dose.EIGHTH.value: {**eighth, Method.FOR_IMAGES.value: far}}
    records[3] = replace(records[3], methods=methods)
    records[4] = replace(records[4], full_dose=None)
    assert worst_outlier(records).patient == records[3].patient


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        page = new_page((3.0, 1.0), "title", source="After nobody", patients=1)
        page.figure.subplots().plot([0, 1])
        save(page.figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert FULL_DOSE not in {path.name for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) == 2
