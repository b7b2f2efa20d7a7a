"""What is refused before a reconstruction, and what is only remarked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import Verdict
from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections, UnsuitableAcquisition
from pipelines.reconstruction.input_checks import angular_coverage_deg, suitable

TC99M = EnergyWindow(126.0, 154.0)


def acquisition(
    angles: tuple[float, ...] | None = None, window: EnergyWindow = TC99M, level: float = 200.0
) -> Projections:
    angles = angles or tuple(225.0 - 6 * view for view in range(30))
    geometry = AcquisitionGeometry(
        angles, (6.4, 6.4), 8, 8, radius_mm=tuple(200.0 + view for view in range(len(angles)))
    )
    counts = np.full((1, 1, len(angles), 8, 8), level, np.float32)
    return Projections(counts, geometry, (window,))


def with_view(projections: Projections, view: int, factor: float) -> Projections:
    counts = projections.counts.copy()
    counts[:, :, view] *= factor
    return replace(projections, counts=counts)


def test_a_sound_acquisition_passes_without_remark() -> None:
    projections, findings = suitable(acquisition())
    assert findings == ()
    assert projections.geometry.views == 30


@pytest.mark.parametrize(
    ("projections", "message"),
    [
        (acquisition(level=0.0), "no counts at all"),
        (acquisition(window=EnergyWindow(100.0, 120.0)), "no photopeak: the window 100-120 keV"),
        (acquisition(tuple(225.0 - 6 * view for view in range(20))), "cover 120°; a reconstruction needs 180°"),
        (acquisition(tuple(225.0 - 6 * view for view in range(28))), "cover 168°"),
        (acquisition((0.0, 90.0, 180.0, 270.0)), "4 views, 90.0° apart, are too few"),
        (acquisition((0.0,) * 20), "too few"),
    ],
    ids=["no counts", "scatter window", "short arc", "two views short", "four views", "one angle"],
)
def test_what_cannot_be_reconstructed_is_refused_in_words(projections: Projections, message: str) -> None:
    with pytest.raises(UnsuitableAcquisition, match=message):
        suitable(projections)


@pytest.mark.parametrize("window", [EnergyWindow(68.0, 82.0), EnergyWindow(143.0, 175.0), EnergyWindow(0.0, 0.0)])
def test_the_other_tracers_of_the_heart_and_an_unknown_window_pass(window: EnergyWindow) -> None:
    assert suitable(acquisition(window=window))[1] == ()


def test_a_view_without_counts_is_left_out_with_its_radius() -> None:
    projections, findings = suitable(with_view(acquisition(), 7, 0.0))
    assert projections.geometry.views == projections.counts.shape[2] == 29
    assert 207.0 not in (projections.geometry.radius_mm or ())
    assert [finding.verdict for finding in findings] == [Verdict.WARN, Verdict.WARN]
    assert "views without counts were left out: 8 (183.0°)" in findings[0].text
    assert "gap of 12.0°" in findings[1].text


def test_a_weak_view_is_remarked_and_kept() -> None:
    projections, findings = suitable(with_view(acquisition(), 7, 0.3))
    assert projections.geometry.views == 30
    assert "less than half the counts" in findings[0].text


def test_one_view_short_of_half_a_turn_is_remarked() -> None:
    assert "174° instead of 180°" in suitable(acquisition(tuple(225.0 - 6 * view for view in range(29))))[1][0].text


def test_negative_counts_become_zero_with_a_remark() -> None:
    projections = acquisition()
    projections.counts[0, 0, 3, 2, 1] = -5
    cleaned, findings = suitable(projections)
    assert cleaned.counts.min() == 0
    assert "1 pixels hold negative counts" in findings[0].text
    assert projections.counts.min() == -5


def test_a_nearly_empty_study_is_remarked() -> None:
    assert "only 19,200 counts" in suitable(acquisition(level=10.0))[1][0].text


@pytest.mark.parametrize(
    ("angles", "covered"),
    [
        (tuple(225.44 - 6 * view for view in range(30)), 180.0),
        (tuple(3.0 * view for view in range(120)), 360.0),
        (tuple(300.0 + 2 * view for view in range(104)), 208.0),
        (tuple(45.0 - 3 * view for view in range(30)) + tuple(135.0 - 3 * view for view in range(30)), 180.0),
        ((10.0,), 0.0),
    ],
)
def test_the_arc_counts_one_step_per_view(angles: tuple[float, ...], covered: float) -> None:
    assert angular_coverage_deg(angles)[0] == pytest.approx(covered)
