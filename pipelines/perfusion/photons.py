"""Which photons were imaged, as far as a study says: their energy, and whether they are technetium's."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.contract import Acquisition, Finding, Verdict
from pipelines.images import EnergyWindow
from pipelines.physics.attenuation import TECHNETIUM_KEV, photon_energy_kev

TECHNETIUM = "Tc-99m"
# the line that is imaged, in keV; of thallium-201 the K X-rays of its daughter, mercury
_LINES_KEV = {TECHNETIUM: TECHNETIUM_KEV, "Tl-201": 71.0, "I-123": 159.0}


@dataclass(frozen=True)
class Photons:
    """The energy of the photons that were imaged, and what led to it."""

    energy_kev: float
    window: EnergyWindow | None  # as stated
    radionuclide: str  # as stated, "" if it isn't

    @classmethod
    def of(cls, acquisition: Acquisition) -> Photons:
        """Return what a study says of them: the radionuclide's line if the window holds it, else what the window holds.

        What is not stated is taken as technetium's.
        """
        window = _stated_window(acquisition)
        line_kev = _LINES_KEV.get(acquisition.radionuclide, TECHNETIUM_KEV)
        if window is not None and not window.holds(line_kev):
            line_kev = photon_energy_kev(window)
        return cls(line_kev, window, acquisition.radionuclide)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What had to be assumed, in words for the report."""
        if self.window is not None or self.radionuclide in _LINES_KEV:
            return ()
        return (f"{self._unsaid}: assumed {TECHNETIUM_KEV} keV (Tc-99m)",)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is to be remarked on: an assumed energy, or a window that the stated radionuclide does not fit."""
        if self.assumptions:
            words = f"{self.assumptions[0]}; another tracer would be corrected wrongly"
            return (Finding(Verdict.WARN, words),)
        line_kev = _LINES_KEV.get(self.radionuclide)
        if self.window is None or line_kev is None or self.window.holds(line_kev):
            return ()
        words = f"{_named(self.window)} does not hold {self.radionuclide}'s {line_kev:g} keV"
        return (Finding(Verdict.WARN, f"{words}: taken as {self.energy_kev:g} keV"),)

    @property
    def against_network(self) -> tuple[Finding, ...]:
        """What speaks against a network's map: another tracer than technetium, the only one that it has learned."""
        if self.window is not None and not self.window.holds(TECHNETIUM_KEV):
            said = f"{_named(self.window)} does not hold technetium's {TECHNETIUM_KEV} keV"
        elif self.radionuclide not in ("", TECHNETIUM) and (self.window is None or self.radionuclide in _LINES_KEV):
            said = f"the radionuclide is {self.radionuclide}, not technetium-99m"
        else:
            return ()
        return (Finding(Verdict.QUARANTINE, f"{said}: the network knows no other tracer"),)

    @property
    def _unsaid(self) -> str:
        if self.radionuclide:
            return f"no energy window is stated, and the lines of {self.radionuclide} are not known here"
        return "neither an energy window nor a radionuclide is stated"


def _named(window: EnergyWindow) -> str:
    return f"the photopeak window {window.lower_kev:g}-{window.upper_kev:g} keV"


def _stated_window(acquisition: Acquisition) -> EnergyWindow | None:
    projections, window = acquisition.projections, acquisition.window
    if projections is not None:
        window = projections.windows[projections.photopeak]
    return window if window is not None and window.stated and window.upper_kev > 0 else None
