"""The random search: journalled, resumable, discards what did not converge, and says which choices do better."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.evaluation.page import save
from pipelines.evaluation.run_folder import OtherRun
from pipelines.evaluation.search.factors import FACTORS, comparisons, groups_of
from pipelines.evaluation.search.figure import draw_choices
from pipelines.evaluation.search.journal import JOURNAL, TrainingRecord, append, read_journal
from pipelines.evaluation.search.run import (
    BEST,
    SearchSettings,
    map_spread,
    search,
    why_discarded,
    with_scatter_correction,
)
from pipelines.evaluation.search.tables import tables_of, write_tables
from pipelines.images import UnsuitableAcquisition
from pipelines.networks.weights import read_model
from pipelines.training.mu_map_batches import LoadedPair
from pipelines.training.mu_map_data import MapCohort
from pipelines.training.paper_mu_map_settings import PaperMapSettings, draw_paper_settings, reduced
from pipelines.training.progress import Checked
from tests.pipelines.training.maps import a_map_cohort, a_pair

TINY = SearchSettings(seed=1, epochs=0.1, width_share=0.02)


def a_cohort() -> MapCohort:
    whole = a_map_cohort()
    return MapCohort(whole.train[:1], whole.validation, whole.test)


def some_records(number: int = 60) -> tuple[TrainingRecord, ...]:
    """Trainings in which a classifier does better than PatchGAN, and every tenth did not converge."""
    rng = np.random.default_rng(5)
    made = []
    for index in range(number):
        drawn = draw_paper_settings(np.random.default_rng(index), index)
        worse = 0.006 if drawn.discriminator.value == "PatchGAN" else 0.0
        lost = index % 10 == 0
        nmae = None if lost else 0.02 + worse + 0.001 * float(rng.normal())
        made.append(TrainingRecord(index, drawn.stated(), nmae, 0.9, 100.0, 60.0, "ran away" if lost else "", 7.0))
    return tuple(made)


def test_a_search_goes_on_from_its_journal_and_keeps_the_best_model(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    told: list[tuple[int, Checked]] = []

    def report(number: int, checked: Checked) -> None:
        told.append((number, checked))

    first = list(search(a_cohort(), TINY, 2, tmp_path, evidence="virtual", report=report))
    assert {number for number, _ in told} == {0, 1}
    assert [checked.spent for number, checked in told if number == 1][-1] == 1.0
    lines = (tmp_path / JOURNAL).read_text()
    assert [one.number for one in first] == [0, 1]
    assert [one.settings for one in first] == [TINY.drawn(0), TINY.drawn(1)]
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"number": 2, "sta')  # interrupted while it was writing
    again = list(search(a_cohort(), TINY, 3, tmp_path, evidence="virtual"))
    assert again[:2] == first
    assert (tmp_path / JOURNAL).read_text().startswith(lines)
    assert len(read_journal(tmp_path)) == 3
    assert not (tmp_path / "running").exists()
    converged = [one for one in again if not one.discarded]
    if converged:
        assert read_model(BEST, tmp_path).card.settings["seed"] in {one.stated["seed"] for one in converged}


def test_another_search_is_refused(tmp_path: Path) -> None:
    list(search(a_cohort(), TINY, 0, tmp_path, evidence=""))
    with pytest.raises(OtherRun, match="seed differs"):
        list(search(a_cohort(), replace(TINY, seed=2), 0, tmp_path, evidence=""))


def test_a_broken_line_of_the_journal_is_named(tmp_path: Path) -> None:
    append(tmp_path, some_records(1)[0])
    with (tmp_path / JOURNAL).open("a") as file:
        file.write("{}\n")
    with pytest.raises(ValueError, match="line 2: no record of a training"):
        read_journal(tmp_path)


def test_pairs_without_a_scatter_window_are_left_out_of_a_search() -> None:
    whole = a_map_cohort()
    without = replace(a_pair(9, "train"), corrected=None)
    assert with_scatter_correction(replace(whole, train=(*whole.train, without))) == whole
    with pytest.raises(UnsuitableAcquisition, match="0, 1, 1 pairs"):
        with_scatter_correction(replace(whole, train=(without,)))


def test_a_map_without_a_body_or_far_off_is_discarded() -> None:
    assert why_discarded(0.03, 0.9) == ""
    assert "0.05" in why_discarded(0.06, 0.9)
    assert "without a body" in why_discarded(0.03, 0.1)
    assert "ran away" in why_discarded(None, None)


def test_an_even_map_has_no_spread() -> None:
    settings = PaperMapSettings(filters=(4, 8), patch=(16, 16, 16), voxel_mm=16.0)
    generator = settings.generator()
    with torch.no_grad():
        generator.mu.weight.zero_()
        generator.mu.bias = torch.nn.Parameter(torch.full((1,), 0.1))
    assert map_spread(generator, LoadedPair(a_pair(0)), settings) == pytest.approx(0.0, abs=1e-6)


def test_settings_come_back_from_what_they_state() -> None:
    for seed in range(12):
        drawn = draw_paper_settings(np.random.default_rng(seed), seed)
        assert PaperMapSettings.of_stated(drawn.stated()) == drawn
        small = reduced(drawn, 0.25)
        assert PaperMapSettings.of_stated(small.stated()) == small
        assert (small.patch[1] == small.patch[0]) == (drawn.patch[1] == drawn.patch[0])
        assert small.batch == drawn.batch // 8
    with pytest.raises(ValueError, match="share of the filters"):
        reduced(PaperMapSettings(), 0.0)


def test_every_training_belongs_to_one_choice_of_each_factor() -> None:
    records = some_records()
    for factor in FACTORS:
        groups = groups_of(records, factor)
        assert sum(group.drawn for group in groups) == 60
        assert sum(group.discarded for group in groups) == 6
        assert len(groups) > 1


def test_the_better_choice_is_found_and_chance_is_not() -> None:
    found = {(one.first.choice, one.second.choice): one for one in comparisons(some_records())}
    told = found["CNN classifier", "PatchGAN"]
    assert told.corrected < 1e-6
    assert told.found.mean_difference == pytest.approx(0.006, abs=0.001)
    assert found["with", "without"].corrected > 0.05


def test_tables_and_figure_are_written_with_the_papers_numbers(tmp_path: Path) -> None:
    records = some_records()
    document = write_tables(records, "virtual", tmp_path, "scaled for a CPU: 3 scans")
    assert (document["trainings"], document["discarded"], document["scaled"]) == (60, 6, "scaled for a CPU: 3 scans")
    assert json.loads((tmp_path / "tables.json").read_text())["trainings"] == 60
    words = (tmp_path / "tables.md").read_text()
    assert "| discriminator | PatchGAN |" in words
    assert "**virtual.** Scaled for a CPU: 3 scans. 60 trainings" in words
    assert "0.026 ± 0.006" in words
    (best,) = [table for table in tables_of(records) if table.key == "best"]
    assert len(best.rows) == 10
    save(draw_choices(records, "virtual patients"), tmp_path / "fig.png")
    assert (tmp_path / "fig.png").stat().st_size > 10_000


def test_a_search_of_which_nothing_converged_still_has_tables(tmp_path: Path) -> None:
    lost = [replace(one, nmae=None, discarded="ran away") for one in some_records(3)]
    assert write_tables(lost, "virtual", tmp_path)["discarded"] == 3
    save(draw_choices(lost, "virtual"), tmp_path / "fig.png")
