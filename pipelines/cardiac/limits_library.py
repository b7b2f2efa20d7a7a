"""Which normal limits belong to a patient: ours, made of virtual patients, or a site's own from its folder.

Limits differ by sex, by stress and rest, and by whether attenuation was corrected: one file each, named by all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pipelines.cardiac.quantification import NormalLimits

OURS = Path(__file__).parent / "limits"


class LimitsSex(Enum):
    """Whose limits; the value is DICOM's code."""

    WOMEN = "F"
    MEN = "M"


class LimitsState(Enum):
    """Under which condition the tracer was given."""

    STRESS = "stress"
    REST = "rest"


@dataclass(frozen=True)
class LimitsKey:
    """What tells one set of limits from another."""

    sex: LimitsSex
    state: LimitsState
    corrected: bool  # for attenuation

    @property
    def file_name(self) -> str:
        """The file in a folder of limits, for instance `women_stress_not_corrected.json`."""
        return f"{self.sex.name.lower()}_{self.state.value}_{'corrected' if self.corrected else 'not_corrected'}.json"

    @property
    def words(self) -> str:
        """The key as it is printed."""
        corrected = "corrected" if self.corrected else "not corrected"
        return f"{self.sex.name.lower()}, {self.state.value}, {corrected} for attenuation"


KEYS = tuple(LimitsKey(sex, state, done) for sex in LimitsSex for state in LimitsState for done in (False, True))


def limits_for(sex: str, state: str, corrected: bool, folder: Path | None = None) -> NormalLimits | None:
    """Return the limits for a patient of this sex ("F", "M") at "stress" or "rest"; None where none fit.

    An unknown state is read against stress, as the limits' population then says; an unknown sex has no limits. A
    `folder` holds a site's own limits under the same file names: they replace ours, also where one is missing. Raises
    ValueError, with the file's name, if a file is no limits or was changed.
    """
    try:
        whose = LimitsSex(sex)
    except ValueError:
        return None
    when = LimitsState.REST if state == LimitsState.REST.value else LimitsState.STRESS
    return read_limits(LimitsKey(whose, when, corrected), OURS if folder is None else folder)


def read_limits(key: LimitsKey, folder: Path) -> NormalLimits | None:
    """Return the limits of a key in a folder, None if it holds none; raises ValueError as `limits_for` does."""
    path = folder / key.file_name
    try:
        return NormalLimits.from_json(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise ValueError(f"the normal limits in {path} can't be used: {error}") from error


def write_limits(key: LimitsKey, limits: NormalLimits, folder: Path) -> Path:
    """Write limits where `limits_for` finds them, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / key.file_name
    path.write_text(limits.as_json() + "\n")
    return path
