"""The road that the stages' tests walk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dicomnode.stages.road import Road


@pytest.fixture
def a_road(tmp_path: Path) -> Iterator[Road]:
    road = Road(tmp_path)
    yield road
    road.journal.close()
