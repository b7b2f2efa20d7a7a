"""What a rule may set for the pipeline `reconstruction`; checked when the configuration is read, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.contract import OptionValue


@dataclass(frozen=True)
class Options:
    """What a rule may set, with the defaults of the denoising paper (Aghakhan Olia et al. 2022)."""

    iterations: int = 8
    subsets: int = 2
    cutoff: float = 0.45  # of the Nyquist frequency
    order: float = 10.0

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
        if not isinstance(chosen.cutoff, int | float) or not 0 < chosen.cutoff <= 1:
            raise ValueError(f"the cut-off is a fraction of the Nyquist frequency in (0, 1], not {chosen.cutoff!r}")
        if not isinstance(chosen.order, int | float) or not 0 < chosen.order <= 50:
            raise ValueError(f"the filter's order must lie in (0, 50], not {chosen.order!r}")
        return chosen
