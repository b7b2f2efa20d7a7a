"""What energy an image's photons have, and what is said where the study leaves it open or contradicts itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import Acquisition, Verdict
from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections
from pipelines.perfusion.photons import Photons

TECHNETIUM, THALLIUM, IODINE = EnergyWindow(126.45, 154.55), EnergyWindow(63.0, 78.0), EnergyWindow(143.0, 175.0)
WIDE = EnergyWindow(135.0, 183.0)  # about iodine's line, and technetium's is in it
GUESSED = replace(TECHNETIUM, stated=False)


def photons(window: EnergyWindow | None, radionuclide: str) -> Photons:
    return Photons.of(Acquisition("1", window=window, radionuclide=radionuclide))


@pytest.mark.parametrize(
    ("window", "radionuclide", "energy_kev"),
    [
        (TECHNETIUM, "", 140.5),
        (TECHNETIUM, "Tc-99m", 140.5),
        (None, "Tc-99m", 140.5),
        (None, "", 140.5),
        (GUESSED, "Tl-201", 71.0),
        (THALLIUM, "", 70.5),
        (THALLIUM, "Tl-201", 71.0),
        (IODINE, "", 159.0),
        (WIDE, "I-123", 159.0),
        (THALLIUM, "Tc-99m", 70.5),  # what was counted is what fell into the window
    ],
)
def test_the_radionuclide_tells_the_energy_where_the_window_holds_its_line(
    window: EnergyWindow | None, radionuclide: str, energy_kev: float
) -> None:
    assert photons(window, radionuclide).energy_kev == energy_kev


@pytest.mark.parametrize(
    ("window", "radionuclide", "words"),
    [
        (TECHNETIUM, "", ""),
        (None, "Tc-99m", ""),
        (TECHNETIUM, "MIBI", ""),  # what can't be read is not held against the window
        (THALLIUM, "", "window 63-78 keV does not hold technetium's 140.5 keV: the network knows no other tracer"),
        (None, "Tl-201", "the radionuclide is Tl-201, not technetium-99m: the network knows no other tracer"),
        (WIDE, "I-123", "the radionuclide is I-123"),
        (None, "^111^Indium", "the radionuclide is ^111^Indium"),
    ],
)
def test_a_network_is_held_with_any_tracer_but_technetium(
    window: EnergyWindow | None, radionuclide: str, words: str
) -> None:
    against = photons(window, radionuclide).against_network
    assert [one.verdict for one in against] == [Verdict.QUARANTINE] * bool(words)
    assert all(words in one.text for one in against)


@pytest.mark.parametrize("window", [None, GUESSED])
def test_what_is_stated_nowhere_is_assumed_aloud(window: EnergyWindow | None) -> None:
    (assumed,), (finding,) = photons(window, "").assumptions, photons(window, "").findings
    assert assumed == "neither an energy window nor a radionuclide is stated: assumed 140.5 keV (Tc-99m)"
    assert finding.verdict is Verdict.WARN
    assert assumed in finding.text
    assert "the lines of ^111^Indium are not known" in photons(window, "^111^Indium").assumptions[0]


def test_what_is_stated_needs_no_words_unless_it_contradicts_itself() -> None:
    for window, radionuclide in ((TECHNETIUM, ""), (None, "Tl-201"), (WIDE, "I-123")):
        assert photons(window, radionuclide).assumptions == ()
        assert photons(window, radionuclide).findings == ()
    (finding,) = photons(THALLIUM, "Tc-99m").findings
    assert finding.verdict is Verdict.WARN
    assert finding.text == "the photopeak window 63-78 keV does not hold Tc-99m's 140.5 keV: taken as 70.5 keV"


def test_of_projections_the_photopeaks_window_counts() -> None:
    geometry = AcquisitionGeometry((0.0, 3.0), (6.4, 6.4), 4, 4, None)
    counts = np.ones((2, 1, 2, 4, 4), dtype=np.float32)
    projections = Projections(counts, geometry, (TECHNETIUM, THALLIUM), photopeak=1)
    assert Photons.of(Acquisition("1", projections, window=TECHNETIUM)).energy_kev == 70.5
