"""What a rule may set: refused with a sentence where it makes no sense."""

from __future__ import annotations

import pytest

from pipelines.contract import OptionValue
from pipelines.perfusion.options import Options


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
