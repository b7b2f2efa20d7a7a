"""Figures know whether they hold, tables show it, and the GPU check says when it did not run."""

from __future__ import annotations

import math

import pytest
import torch

from tests.accuracy import gpu_check
from tests.accuracy.figures import Figure, markdown
from tests.accuracy.table import replace_section


def test_a_figure_holds_within_its_range_only() -> None:
    assert Figure("a", "b", 0.5, 0.4, 0.6).holds
    assert not Figure("a", "b", 0.7, 0.4, 0.6).holds
    assert not Figure("a", "b", math.nan, high=1.0).holds


def test_the_table_marks_what_fails() -> None:
    table = markdown([Figure("group", "good", 1e-9, high=1e-6), Figure("group", "bad", 0.02, high=0.01, percent=True)])
    assert "| group | good | ≤ 1e-06 | 1e-09 |" in table
    assert "|  | bad | ≤ 1 % | 2 % **fails** |" in table


def test_only_the_named_section_of_a_document_is_replaced() -> None:
    text = "before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n"
    assert replace_section(text, "x", "new") == "before\n<!-- x: begin -->\nnew\n<!-- x: end -->\nafter\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here: run make gpu-check")
def test_without_a_gpu_the_check_says_that_it_was_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main() == 0
    assert "NOT RUN" in capsys.readouterr().out
