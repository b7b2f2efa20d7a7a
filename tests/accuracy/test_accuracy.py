"""Every figure of the accuracy table meets its tolerance, measured anew."""

from __future__ import annotations

import pytest

from tests.accuracy import peer_check
from tests.accuracy.checks import CORE, Check


@pytest.mark.parametrize("check", CORE, ids=lambda check: check.__name__)
def test_figures_meet_their_tolerances(check: Check) -> None:
    missed = [figure.cells() for figure in check("cpu") if not figure.holds]
    assert not missed, f"outside their tolerance: {missed}"


@pytest.mark.skipif(not peer_check.PEER_PYTHON.exists(), reason=peer_check.NOT_RUN)
def test_images_agree_with_those_of_pytomography() -> None:
    missed = [figure.cells() for figure in peer_check.agreement() if not figure.holds]
    assert not missed, f"outside their tolerance: {missed}"
