"""What a rule may set for the pipeline `reconstruction`; checked when the configuration is read, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.contract import OptionValue
from pipelines.physics.collimator import LEHR, Collimator

SCATTER = ("none", "windows")


@dataclass(frozen=True)
class Options:
    """What a rule may set, with the defaults of the denoising paper (Aghakhan Olia et al. 2022).

    `cdr` models the collimator's blur: either `collimator` names a maker of the table, or the three lengths are given.
    """

    iterations: int = 8
    subsets: int = 2
    cutoff: float = 0.45  # of the Nyquist frequency
    order: float = 10.0
    cdr: bool = False
    collimator: str = ""  # a key of LEHR
    hole_mm: float = 0.0
    hole_length_mm: float = 0.0
    intrinsic_fwhm_mm: float = 3.8
    scatter: str = "none"  # or "windows": TEW, DEW
    motion_correction: bool = False

    @classmethod
    def of(cls, given: Mapping[str, OptionValue]) -> Options:
        """Return the options; raises ValueError on an unknown name or a value that makes no sense."""
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise ValueError(f"the reconstruction has no option {', '.join(unknown)}; it has {known}")
        chosen = cls(**given)  # type: ignore[arg-type]
        whole = (chosen.iterations, chosen.subsets)
        if any(isinstance(value, bool) or not isinstance(value, int) or value < 1 for value in whole):
            raise ValueError(f"iterations and subsets must be whole and positive, not {whole}")
        if not _is_number(chosen.cutoff) or not 0 < chosen.cutoff <= 1:
            raise ValueError(f"the cut-off is a fraction of the Nyquist frequency in (0, 1], not {chosen.cutoff!r}")
        if not _is_number(chosen.order) or not 0 < chosen.order <= 50:
            raise ValueError(f"the filter's order must lie in (0, 50], not {chosen.order!r}")
        if not isinstance(chosen.cdr, bool) or not isinstance(chosen.motion_correction, bool):
            raise ValueError("cdr and motion_correction are true or false")
        if chosen.scatter not in SCATTER:
            raise ValueError(f"scatter is {' or '.join(SCATTER)}, not {chosen.scatter!r}")
        chosen.camera_collimator()
        return chosen

    def camera_collimator(self) -> Collimator | None:
        """Return the collimator whose blur is to be modelled, if any; raises ValueError when it is not described."""
        if not self.cdr:
            return None
        if self.collimator:
            if self.collimator not in LEHR:
                raise ValueError(f"no collimator {self.collimator!r} is known; there are {', '.join(LEHR)}")
            return LEHR[self.collimator]
        lengths = (self.hole_mm, self.hole_length_mm, self.intrinsic_fwhm_mm)
        if not all(_is_number(length) for length in lengths) or min(self.hole_mm, self.hole_length_mm) <= 0:
            raise ValueError(
                f"cdr needs the collimator: collimator = one of {', '.join(LEHR)}, or hole_mm, hole_length_mm and "
                "intrinsic_fwhm_mm"
            )
        return Collimator("collimator as configured", *lengths)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
