"""Processes that work side by side, each on one core."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

T = TypeVar("T")
R = TypeVar("R")

JobsOption = Annotated[int, typer.Option(min=1, max=256, help="How many processes work at the same time.")]


def use_one_thread() -> None:
    """Keep a process to one core: there are as many processes as were asked for."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))  # read when torch is imported


def in_processes(work: Callable[[T], R], orders: Sequence[T], jobs: int, words: str) -> Iterator[R]:
    """Yield what `work` makes of each order, in order, with a progress bar on a terminal."""
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        yield from progress.track(_results(work, orders, jobs), total=len(orders), description=words)


def _results(work: Callable[[T], R], orders: Sequence[T], jobs: int) -> Iterator[R]:
    if jobs == 1:
        yield from map(work, orders)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=use_one_thread) as pool:
        yield from pool.map(work, orders)
