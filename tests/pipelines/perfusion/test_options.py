"""What a rule may set: refused with a sentence where it makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.contract import OptionValue
from pipelines.networks.model_card import read_card
from pipelines.perfusion.options import AttenuationOptions, Options
from tests.pipelines.mu_map_models import a_mu_map_model


def test_the_hearts_places_are_read() -> None:
    guidance = Options.of({"heart_near_mm": "40, -30.5, 10"}).guidance()
    assert guidance.near_mm == (40.0, -30.5, 10.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"heart_near_mm": "40, 30"}, "a place is"),
        ({"heart_near_mm": "40, nan, 3"}, "finite"),
        ({"heart_near_mm": 3.0}, "a place is"),
        ({"heart_apex_mm": "1, 2, 3"}, "together"),
        ({"heart_apex_mm": "1, 2, 3", "heart_base_mm": "1, 2, 9"}, "a heart is longer"),
        ({"hart_near_mm": "1, 2, 3"}, "no option hart_near_mm"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, OptionValue], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Options.of(options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"map": "mri"}, "map is auto, ct, vendor or network, not 'mri'"),
        ({"registration": 1}, "registration and register_vendor_map are true or false"),
        ({"register_vendor_map": "yes"}, "registration and register_vendor_map are true or false"),
        ({"map_shift_mm": "3 mm", "map": "ct"}, 'a place is "x, y, z" in mm'),
        ({"map_shift_mm": "1, 2, 3"}, "map_shift_mm moves one map: say which by map = ct or vendor"),
        ({"model": "../mu-map"}, "a name of letters"),
        ({"dose_fraction": 0.5}, "no option dose_fraction"),
    ],
)
def test_a_wrong_option_of_the_attenuation_correction_is_refused(options: dict[str, OptionValue], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AttenuationOptions.of(options)


def test_a_networks_files_must_be_there_only_where_it_may_be_asked(tmp_path: Path) -> None:
    for chosen in ("auto", "network"):
        with pytest.raises(ValueError, match="there is no such model card"):
            AttenuationOptions.of({"map": chosen, "models": str(tmp_path)}).check_files()
    measured = AttenuationOptions.of({"map": "ct", "models": str(tmp_path)})
    measured.check_files()
    assert measured.fingerprint() == ""
    a_mu_map_model(tmp_path)
    predicted = AttenuationOptions.of({"models": str(tmp_path)})
    predicted.check_files()
    assert predicted.fingerprint() == read_card(tmp_path / "mu-map.json").sha256[:12]
