"""Processes that work side by side, each on one core."""

from __future__ import annotations

import os


def use_one_thread() -> None:
    """Keep a process to one core: there are as many processes as were asked for."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))  # read when torch is imported
