"""From the snake_case names that rules use to DICOM keywords."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from pydicom.datadict import DicomDictionary

from dicomnode.config import RuleSettings
from dicomnode.errors import ConfigurationError

_OURS = ("callingaetitle", "cardiacstate")  # what a rule may ask for besides DICOM's attributes


@cache
def _keywords() -> dict[str, str]:
    return {entry[4].lower(): entry[4] for entry in DicomDictionary.values() if entry[4]}


def rule_keywords(rules: Iterable[RuleSettings]) -> frozenset[str]:
    """Return the DICOM keywords that the rules look at.

    Raises ConfigurationError for a name that the DICOM dictionary does not know.
    """
    found = set()
    for index, rule in enumerate(rules):
        for name in rule.when:
            plain = name.replace("_", "").lower()
            if plain in _OURS:
                continue
            if plain not in _keywords():
                raise ConfigurationError(
                    f"rules.{index}.when.{name}: no DICOM attribute has this keyword; {_hint(plain)}"
                )
            found.add(_keywords()[plain])
    return frozenset(found)


def _hint(plain: str) -> str:
    close = get_close_matches(plain, _keywords(), n=1)
    if close:
        return f"did you mean {_keywords()[close[0]]}?"
    return "write a keyword of the DICOM dictionary in small letters, such as series_description"
