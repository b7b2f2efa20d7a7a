"""Which share of the full dose an acquisition holds, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.contract import Acquisition
from pipelines.images import UnsuitableAcquisition

LEAST = 1.0 / 64.0  # below it nothing was ever tried


@dataclass(frozen=True)
class Dose:
    """The share of the full dose, in (0, 1], and where it was taken from, in words."""

    fraction: float
    source: str

    @property
    def words(self) -> str:
        """Both, as they are printed."""
        return f"{100 * self.fraction:.3g} % of the full dose ({self.source})"


def dose_of(
    acquisition: Acquisition, stated: float = 0.0, full_dose_mbq: float = 0.0, full_dose_counts: float = 0.0
) -> Dose:
    """Return the dose of an acquisition: as stated, by its activity, by its counts, else full.

    What is 0 is not known. Raises UnsuitableAcquisition for an acquisition that holds less than a 64th.
    """
    dose = _dose(acquisition, stated, full_dose_mbq, full_dose_counts)
    if dose.fraction < LEAST:
        raise UnsuitableAcquisition(
            f"the study holds {dose.fraction:.2g} of the full dose, expected at least {LEAST:.2g}"
        )
    return dose


def _dose(acquisition: Acquisition, stated: float, full_dose_mbq: float, full_dose_counts: float) -> Dose:
    if stated > 0:
        return Dose(stated, "stated by the rule")
    if full_dose_mbq > 0 and acquisition.injected_mbq:
        share = min(acquisition.injected_mbq / full_dose_mbq, 1.0)
        return Dose(share, f"{acquisition.injected_mbq:g} MBq injected of the usual {full_dose_mbq:g} MBq")
    if full_dose_counts > 0 and acquisition.projections is not None:
        counts = float(acquisition.projections.photopeak_counts().sum(dtype="float64"))
        share = min(counts / full_dose_counts, 1.0)
        return Dose(share, f"{counts / 1e6:.2f} million counts of the usual {full_dose_counts / 1e6:.2f} million")
    return Dose(1.0, "not known: taken as the full dose")
