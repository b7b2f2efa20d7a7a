"""The pipeline `reconstruction`, run by its name as the node runs it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from pipelines import catalog
from pipelines.contract import (
    Acquisition,
    DerivedKind,
    OptionValue,
    PipelineInput,
    PipelineResult,
    Verdict,
)
from pipelines.geometry import AcquisitionGeometry
from pipelines.images import Array, EnergyWindow, Projections, UnsuitableAcquisition, Volume
from pipelines.reconstruction.motion import shifted_toward_head
from tests.accuracy.analytic import Ellipsoid, project

ANGLES = tuple(225.0 - 6 * view for view in range(30))
GEOMETRY = AcquisitionGeometry(ANGLES, (6.4, 6.4), 20, 32, isocenter_mm=(3.0, -150.0, 40.0))


@pytest.fixture(scope="module")
def acquired() -> Projections:
    body = [
        Ellipsoid((3.0, -150.0, 40.0), (80.0, 60.0, 50.0), 0.002),
        Ellipsoid((33.0, -180.0, 50.0), (20.0,) * 3, 0.01),
    ]
    expected = project(body, GEOMETRY, 2)[None, None]
    counts = np.random.default_rng(7).poisson(expected * 1e6 / expected.sum()).astype(np.float32)
    return Projections(counts, GEOMETRY, (EnergyWindow(126.0, 154.0),))


def run(projections: Projections | None, options: Mapping[str, OptionValue] | None = None) -> PipelineResult:
    acquisition = Acquisition("stress", projections, assumptions=("isocenter assumed",))
    return catalog.run("reconstruction", PipelineInput(acquisition, options=options or {}), device="cpu")


@pytest.fixture(scope="module")
def plain(acquired: Projections) -> PipelineResult:
    """What comes of it without any option."""
    return run(acquired)


def values(result: PipelineResult) -> Array:
    volume = result.derived[0].data
    assert isinstance(volume, Volume)
    return volume.values


def test_one_volume_comes_back_with_the_settings_that_made_it(plain: PipelineResult) -> None:
    result = plain
    (derived,) = result.derived
    assert derived.kind is DerivedKind.RECONSTRUCTION
    assert isinstance(derived.data, Volume)
    assert derived.data.values.dtype == np.float32
    np.testing.assert_allclose(derived.data.grid.position_mm(9.5, 15.5, 15.5), GEOMETRY.isocenter_mm)
    (finding,) = result.findings
    assert "no left ventricle found" in finding.text  # two balls are no heart
    assert result.provenance.version == catalog.version_of("reconstruction")
    assert result.provenance.assumptions == ("isocenter assumed",)
    settings = dict(result.provenance.settings)
    assert settings["Algorithm"] == "OSEM, 8 iterations x 2 subsets"
    assert "0.3516 cycles/cm" in settings["Post-filter"]
    assert "0.45 of Nyquist" in settings["Post-filter"]


def test_the_volume_explains_the_counts(acquired: Projections, plain: PipelineResult) -> None:
    assert values(plain).sum() * 30 == pytest.approx(acquired.counts.sum(), rel=0.05)  # negative values cut off


def test_the_same_input_gives_the_same_bits(acquired: Projections, plain: PipelineResult) -> None:
    again = run(pickle.loads(pickle.dumps(acquired)))  # noqa: S301
    np.testing.assert_array_equal(values(again), values(plain))


def test_gates_are_summed_and_that_is_said(acquired: Projections, plain: PipelineResult) -> None:
    shares = np.array([0.5, 0.25, 0.25], np.float32)[None, :, None, None, None]
    gated = run(replace(acquired, counts=acquired.counts * shares))
    assert "sum of 3 gates" in dict(gated.provenance.settings)["Projections"]
    np.testing.assert_array_equal(values(gated), values(plain))


def test_options_change_the_image_and_are_recorded(acquired: Projections, plain: PipelineResult) -> None:
    result = run(acquired, {"iterations": 2, "subsets": 5, "cutoff": 0.9, "order": 5})
    assert dict(result.provenance.settings)["Algorithm"] == "OSEM, 2 iterations x 5 subsets"
    assert not np.array_equal(values(result), values(plain))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iteration": 8}, "no option iteration; there are iterations"),
        ({"iterations": 0}, "whole and positive"),
        ({"iterations": 2.5}, "whole and positive"),
        ({"cutoff": 45}, "fraction of the Nyquist"),
        ({"cutoff": "high"}, "fraction of the Nyquist"),
        ({"order": -1}, "order"),
    ],
)
def test_wrong_options_are_refused(acquired: Projections, options: dict[str, OptionValue], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(acquired, options)


def test_an_acquisition_without_projections_is_unsuitable() -> None:
    with pytest.raises(UnsuitableAcquisition, match="needs projections"):
        run(None)


def test_findings_of_the_input_reach_the_result(acquired: Projections) -> None:
    counts = acquired.counts.copy()
    counts[:, :, 4] = 0
    result = run(replace(acquired, counts=counts))
    assert result.verdict is Verdict.WARN
    assert "left out: 5 (201.0°)" in result.findings[0].text


def test_the_collimators_blur_is_modelled_on_request_and_said(acquired: Projections) -> None:
    with_radius = replace(acquired, geometry=replace(GEOMETRY, radius_mm=(250.0,) * 30))
    quick: dict[str, OptionValue] = {"cdr": True, "iterations": 1}  # the blur takes its time in each
    result = run(with_radius, {**quick, "collimator": "GE"})
    said = dict(result.provenance.settings)["Corrections"]
    assert "GE LEHR" in said
    assert "radius of rotation 250 mm, as the acquisition states it in Radial Position" in said
    own = run(with_radius, {**quick, "hole_mm": 1.5, "hole_length_mm": 35.0, "intrinsic_fwhm_mm": 3.8})
    np.testing.assert_array_equal(values(own), values(result))
    with pytest.raises(UnsuitableAcquisition, match="radius of rotation is not known"):
        run(acquired, {"cdr": True, "collimator": "GE"})


def test_scatter_from_windows_becomes_a_stated_correction(acquired: Projections, plain: PipelineResult) -> None:
    counts = np.concatenate([acquired.counts, 0.2 * acquired.counts])
    study = replace(acquired, counts=counts, windows=(EnergyWindow(126.0, 154.0), EnergyWindow(112.0, 126.0)))
    result = run(study, {"scatter": "windows"})
    assert result.provenance.corrections == ("SCAT",)
    assert values(result).sum() < values(plain).sum()


def test_motion_is_warned_of_and_corrected_on_request_only(acquired: Projections) -> None:
    rows = np.where(np.arange(30) >= 17, 3.0, 0.0)
    shaken = replace(acquired, counts=shifted_toward_head(acquired.counts[0, 0], rows)[None, None])
    warned = run(shaken)
    assert warned.verdict is Verdict.WARN
    assert any("moved by" in finding.text for finding in warned.findings)
    assert warned.provenance.corrections == ()
    asked: dict[str, OptionValue] = {"motion_correction": True, "iterations": 1}
    assert run(shaken, asked).provenance.corrections == ("MOTN",)
    assert run(acquired, asked).provenance.corrections == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cdr": True}, "cdr needs the collimator"),
        ({"cdr": True, "collimator": "ACME"}, "no collimator 'ACME' is known; there are GE"),
        ({"cdr": "yes"}, "true or false"),
        ({"scatter": "guess"}, "scatter is none or windows"),
    ],
)
def test_wrong_corrections_are_refused_when_the_options_are_read(options: dict[str, OptionValue], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        catalog.check_options("reconstruction", options)
