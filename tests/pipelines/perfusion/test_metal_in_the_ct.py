"""Where a correction's map comes from when the CT holds metal, or numbers that are no Hounsfield units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import MapSource, PipelineInput, Verdict
from pipelines.images import EnergyWindow, Unit, Volume
from pipelines.perfusion.attenuation_map import AttenuationMap, attenuation_map
from pipelines.perfusion.options import AttenuationOptions
from pipelines.reconstruction.emission_images import EmissionImages
from tests.pipelines.chests import a_ct, a_mu_map, an_acquisition, measured, projections

OPTIONS = AttenuationOptions.of({"registration": False})
TECHNETIUM, THALLIUM = EnergyWindow(126.45, 154.55, "Tc99m"), EnergyWindow(64.0, 78.0, "Tl201")


def with_metal(voxels: int, hounsfield: float = 20000.0) -> Volume:
    """A CT with a wire of so many voxels through the body."""
    ct = a_ct()
    values = ct.values.copy()
    inside = np.argwhere(values > -100.0)
    values[tuple(inside[:voxels].T)] = hounsfield
    return replace(ct, values=values)


def map_from(ct: Volume, window: EnergyWindow = TECHNETIUM, mu_map: Volume | None = None) -> AttenuationMap:
    acquisition = replace(an_acquisition(), projections=replace(projections(), windows=(window,)))
    image = Volume(np.ones_like(a_mu_map().values), a_mu_map().grid, Unit.PROPORTIONAL_COUNTS)
    given = PipelineInput(acquisition, measured(ct, mu_map))
    return attenuation_map(given, EmissionImages((image,)), image, OPTIONS, "cpu")


@pytest.mark.parametrize("window", [TECHNETIUM, THALLIUM])
def test_a_ct_with_a_pacemakers_wire_is_used_and_the_report_says_what_became_of_it(window: EnergyWindow) -> None:
    ct = with_metal(40)
    found = map_from(ct, window)
    assert found.source is MapSource.CT
    (told,) = [finding for finding in found.findings if "denser than bone" in finding.text]
    assert told.verdict is Verdict.PASS
    assert "metal, which counts as the densest bone" in told.text


@pytest.mark.parametrize("window", [TECHNETIUM, THALLIUM])
def test_dense_bone_is_no_metal(window: EnergyWindow) -> None:
    found = map_from(with_metal(40, 1290.0), window)
    assert found.source is MapSource.CT
    assert not any("metal" in finding.text for finding in found.findings)


def test_numbers_that_are_no_hounsfield_units_are_refused() -> None:
    ct = a_ct()
    scaled = replace(ct, values=ct.values + 3000.0)
    found = map_from(scaled, mu_map=a_mu_map())
    assert found.source is MapSource.VENDOR
    assert "these are no Hounsfield units" in found.findings[0].text
