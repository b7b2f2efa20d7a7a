"""A page over a road, ended with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import WebSettings
from tests.dicomnode.stages.road import Road
from tests.dicomnode.web.browsing import Site

OpenSite = Callable[..., Site]


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[OpenSite]:
    """Open a page with these [web] settings."""
    opened: list[Site] = []

    def open_it(**settings: Any) -> Site:
        folder = tmp_path / f"road{len(opened)}"
        folder.mkdir()
        site = Site(Road(folder), WebSettings(port=0, **settings))
        opened.append(site)
        return site

    yield open_it
    for site in opened:
        site.server.stop()
        site.road.journal.close()


@pytest.fixture
def site(open_site: OpenSite) -> Site:
    """A page without log-in."""
    return open_site()
