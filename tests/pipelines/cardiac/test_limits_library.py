"""A patient is read against limits of their own sex and state, ours or the site's; never against others in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.cardiac.limits_library import KEYS, OURS, LimitsKey, LimitsSex, LimitsState, limits_for, write_limits
from pipelines.cardiac.quantification import NormalLimits
from pipelines.cardiac.segments import ANGLES, RINGS

WOMEN_AT_STRESS = LimitsKey(LimitsSex.WOMEN, LimitsState.STRESS, corrected=False)


def some_limits(population: str) -> NormalLimits:
    shape = (RINGS, ANGLES)
    return NormalLimits(population, 12, np.full(shape, 100.0), np.full(shape, 6.0), "our own way")


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.file_name)
def test_we_bring_limits_for_each_sex_state_and_correction(key: LimitsKey) -> None:
    limits = limits_for(key.sex.value, key.state.value, key.corrected)
    assert limits is not None
    assert limits.number >= 40
    assert limits.population.startswith(key.words)
    assert "OSEM 8 x 2" in limits.reconstruction
    assert 60.0 < float(limits.mean[6:18].min()) < 100.0 < float(limits.mean.max()) < 140.0
    assert 0.04 <= float(np.median(limits.sd / limits.mean)) < 0.08


def test_correction_makes_the_normal_wall_more_even() -> None:
    corrected, plain = (limits_for("M", "stress", done) for done in (True, False))
    assert corrected is not None
    assert plain is not None
    middle = slice(8, 18)  # neither the tip, where the wall thickens by blur, nor the base
    assert corrected.mean[middle].std() < 0.8 * plain.mean[middle].std()


def test_an_unknown_state_is_read_against_stress_and_the_limits_say_so() -> None:
    limits = limits_for("F", "unknown", corrected=True)
    assert limits is not None
    assert limits.population.startswith("women, stress")


@pytest.mark.parametrize("sex", ["", "O", "female"])
def test_an_unknown_sex_has_no_limits(sex: str) -> None:
    assert limits_for(sex, "stress", corrected=True) is None


def test_a_sites_own_limits_replace_ours_even_where_one_is_missing(tmp_path: Path) -> None:
    write_limits(WOMEN_AT_STRESS, some_limits("women of this town"), tmp_path / "limits")
    own = limits_for("F", "stress", corrected=False, folder=tmp_path / "limits")
    assert own is not None
    assert (own.population, own.number, own.reconstruction) == ("women of this town", 12, "our own way")
    assert limits_for("F", "rest", corrected=False, folder=tmp_path / "limits") is None


def test_damaged_limits_are_refused_by_the_name_of_their_file(tmp_path: Path) -> None:
    path = write_limits(WOMEN_AT_STRESS, some_limits("women"), tmp_path)
    path.write_text(path.read_text().replace("100.0", "101.0", 1))
    with pytest.raises(ValueError, match=r"women_stress_not_corrected\.json.*they were changed"):
        limits_for("F", "stress", corrected=False, folder=tmp_path)


def test_our_files_are_small() -> None:
    assert sum(path.stat().st_size for path in OURS.glob("*.json")) < 300_000
