"""A measured map and the emission: what may be laid over what, when nobody knows where the acquisition lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.contract import MapSource, OptionValue, PipelineInput, Verdict
from pipelines.images import UnsuitableAcquisition, Volume
from pipelines.perfusion.attenuation_map import AttenuationMap, attenuation_map
from pipelines.perfusion.options import AttenuationOptions
from pipelines.reconstruction.emission_images import EmissionImages, emission_images
from tests.pipelines.chests import a_ct, a_mu_map, an_acquisition, measured
from tests.pipelines.mu_map_models import a_mu_map_model


@pytest.fixture(scope="module")
def images() -> EmissionImages:
    projections = an_acquisition().projections
    assert projections is not None
    return emission_images(projections)


def laid_over(
    images: EmissionImages, ct: Volume, mu_map: Volume | None = None, **options: OptionValue
) -> AttenuationMap:
    """Return the map that is used of an acquisition of which nobody knows where it lies."""
    given = PipelineInput(replace(an_acquisition(), position_known=False), measured(ct, mu_map))
    return attenuation_map(given, images, images.levels[-1], AttenuationOptions.of(options), "cpu")


def test_without_a_known_place_the_registration_decides_however_far_it_moves(images: EmissionImages) -> None:
    _, finding = laid_over(images, a_ct((0.0, 28.0, 0.0))).findings  # with a known place this is held
    assert finding.verdict is Verdict.WARN
    assert "no frame of reference tells how they lie" in finding.text


def test_without_a_known_place_a_vendors_map_is_registered_as_well(images: EmissionImages) -> None:
    assert laid_over(images, a_ct(), a_mu_map(), map="vendor").registration is not None


@pytest.mark.parametrize("source", ["ct", "vendor"])
def test_without_place_and_registration_a_map_is_refused_and_the_reason_names_both(
    source: str, images: EmissionImages
) -> None:
    with pytest.raises(UnsuitableAcquisition, match=r"Image Position \(Patient\): found none .*registration = false"):
        laid_over(images, a_ct(), a_mu_map(), map=source, registration=False)


def test_where_the_rule_leaves_the_choice_the_networks_take_over_and_it_is_told(
    images: EmissionImages, tmp_path: Path
) -> None:
    found = laid_over(images, a_ct(), registration=False, models=str(a_mu_map_model(tmp_path)))
    assert found.source is MapSource.NETWORK
    assert "the study's own CT is not used: Image Position (Patient)" in found.findings[0].text
