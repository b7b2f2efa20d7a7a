"""The pipeline `attenuation_correction`, run by its name: where the map comes from, both images, what holds them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipelines import catalog
from pipelines.attenuation_correction import figures_in
from pipelines.contract import (
    Acquisition,
    DerivedKind,
    MapCandidate,
    MapSource,
    OptionValue,
    PipelineInput,
    PipelineResult,
    Verdict,
)
from pipelines.geometry import VoxelGrid
from pipelines.images import EnergyWindow, Unit, UnsuitableAcquisition, Volume
from pipelines.networks.model_card import read_card
from pipelines.networks.weights import read_model, write_model
from pipelines.quality.map_guard import CHECKS
from pipelines.reconstruction.emission_images import emission_images
from pipelines.resampling import resample
from tests.pipelines.cardiac.hearts import Heart
from tests.pipelines.chests import a_ct, a_mu_map, an_acquisition, projections, tissues
from tests.pipelines.mu_map_models import a_mu_map_model

HEART = Heart()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_mu_map_model(tmp_path_factory.mktemp("models"))


def run(
    acquisition: Acquisition,
    models: Path,
    ct: Volume | None = None,
    mu_map: Volume | None = None,
    next_ct: Volume | None = None,
    **options: OptionValue,
) -> PipelineResult:
    held = ((MapSource.CT, ct), (MapSource.CT, next_ct), (MapSource.VENDOR, mu_map))
    maps = tuple(
        MapCandidate(source, volume, f"candidate {number}", assumptions=(f"of {number}",), key=f"key {number}")
        for number, (source, volume) in enumerate(held)
        if volume is not None
    )
    given = PipelineInput(acquisition, maps, {"models": str(models), **options})
    return catalog.run("attenuation_correction", given, "cpu")


@cache
def with_ct(models: Path) -> PipelineResult:
    return run(an_acquisition(), models, a_ct((6.0, 0.0, 8.0)), a_mu_map())


@cache
def by_network(models: Path) -> PipelineResult:
    return run(an_acquisition(), models)


def volume_of(result: PipelineResult, kind: DerivedKind) -> Volume:
    (found,) = (one.data for one in result.derived if one.kind is kind)
    assert isinstance(found, Volume)
    return found


def vendors(acquisition: Acquisition) -> Acquisition:
    """Return an acquisition of which only the vendor's reconstruction is left."""
    assert acquisition.projections is not None
    volume = emission_images(acquisition.projections).levels[1]
    return replace(acquisition, projections=None, reconstruction=volume)


def ending_below_the_heart(volume: Volume, below_mm: float = 0.0) -> Volume:
    """Return a volume whose slices end so far below the heart's middle."""
    first = round((HEART.middle[2] - below_mm - float(volume.grid.position_mm(0, 0, 0)[2])) / volume.grid.voxel_mm[0])
    matrix = volume.grid.matrix
    matrix[2, 3] += first * volume.grid.voxel_mm[0]
    rows = tuple(tuple(float(value) for value in row) for row in matrix)
    values = np.ascontiguousarray(volume.values[first:])
    return Volume(values, VoxelGrid(values.shape, rows), volume.unit)


def a_lenient_model(folder: Path, members: int) -> Path:
    """Write a model whose own limits nothing exceeds."""
    model = read_model("mu-map", a_mu_map_model(folder, members=members))
    checks = CHECKS if members > 1 else CHECKS[:-1]
    limits = {f"{check.figure}.{level}": 1e9 for check in checks for level in ("warn", "quarantine")}
    write_model(folder, replace(model.card, thresholds=limits), list(model.members))
    return folder


def no_ct() -> Volume:
    """Return a CT of air alone."""
    return replace(a_ct(), values=np.full_like(a_ct().values, -1000.0))


def said(result: PipelineResult, verdict: Verdict) -> str:
    return "; ".join(finding.text for finding in result.findings if finding.verdict is verdict)


def held_by(result: PipelineResult) -> str:
    return said(result, Verdict.QUARANTINE)


def test_both_images_the_map_and_both_short_axes_come_back_and_the_corrected_heart_is_read_last(models: Path) -> None:
    result = with_ct(models)
    assert [one.kind for one in result.derived] == [
        DerivedKind.RECONSTRUCTION,
        DerivedKind.CORRECTED_RECONSTRUCTION,
        DerivedKind.MU_MAP,
        DerivedKind.SHORT_AXIS,
        DerivedKind.CORRECTED_SHORT_AXIS,
    ]
    assert [heart.label for heart in result.hearts] == ["not corrected", "corrected (CTAC)"]
    assert "not corrected" in result.hearts[0].limits
    assert "corrected" in result.hearts[1].limits
    assert "not corrected" not in result.hearts[1].limits
    assert result.page is not None


def test_the_ct_is_chosen_before_the_vendors_map_registered_and_said_so(models: Path) -> None:
    result = with_ct(models)
    assert result.provenance.map_source is MapSource.CT
    assert "ATTN" not in result.provenance.corrections
    settings = dict(result.provenance.settings)
    assert "from CT, at 140.5 keV, rigidly registered" in settings["Attenuation map"]
    assert "the study holds a CT" in settings["Attenuation map"]
    told = {one.name: one.value for one in result.measurements}
    assert told["Map moved by"] == pytest.approx(10.0, abs=3.0)
    assert told["Outlines agree after registration"] > told["Outlines agree before registration"]
    assert any(finding.text.startswith("the attenuation map was moved by") for finding in result.findings)
    assert "the study holds a CT: candidate 0 is used" in said(result, Verdict.PASS)
    assert "candidate 2" not in " ".join(finding.text for finding in result.findings)
    assert told["Left ventricle beyond the map's end"] == 0.0
    assert (result.provenance.map_key, result.provenance.assumptions) == ("key 0", ("of 0",))
    assert held_by(result) == ""


def test_the_map_lies_on_the_grid_of_the_reconstruction_where_the_patient_lay(models: Path) -> None:
    mu_map = volume_of(with_ct(models), DerivedKind.MU_MAP)
    assert mu_map.unit is Unit.PER_CM
    assert mu_map.grid == volume_of(with_ct(models), DerivedKind.RECONSTRUCTION).grid
    truth = tissues(mu_map.grid)[0]
    assert np.abs(mu_map.values[8:32] - truth[8:32]).mean() < 0.012


def test_the_correction_makes_the_wall_even(models: Path) -> None:
    before, after = (heart.segments_of_highest_percent for heart in with_ct(models).hearts)
    assert np.std(after) < 0.7 * np.std(before)


def test_without_ct_the_vendors_map_is_taken_and_else_the_network(models: Path) -> None:
    by_vendor = run(an_acquisition(), models, mu_map=a_mu_map(), registration=False)
    assert by_vendor.provenance.map_source is MapSource.VENDOR
    assert by_vendor.hearts[-1].label == "corrected (vendor map)"
    assert "not registered to the emission" in "; ".join(finding.text for finding in by_vendor.findings)
    assert by_network(models).provenance.map_source is MapSource.NETWORK
    assert by_network(models).hearts[-1].label == "corrected (DLAC)"


def test_a_vendors_map_is_used_where_it_came_and_compared_with_the_emission(models: Path) -> None:
    aside = a_mu_map((18.0, 0.0, 0.0))
    result = run(an_acquisition(), models, mu_map=aside)
    mu_map = volume_of(result, DerivedKind.MU_MAP)
    assert np.array_equal(mu_map.values, resample(aside, mu_map.grid).values)
    assert "the vendor's own, used where it came" in dict(result.provenance.settings)["Attenuation map"]
    told = next(finding for finding in result.findings if "left where it came" in finding.text)
    assert told.verdict is Verdict.WARN
    assert "a registration would move it by 1" in told.text
    assert "no CT that can be used: candidate 2 is used" in said(result, Verdict.PASS)
    assert result.provenance.assumptions == ("of 2", "the attenuation map is taken as one for 140.5 keV")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"register_vendor_map": True}, "rigidly registered"),
        ({"map_shift_mm": "-18, 0, 0"}, "the vendor's own, moved by hand"),
    ],
)
def test_a_rule_may_have_a_vendors_map_registered_or_moved_by_hand(
    option: dict[str, OptionValue], words: str, models: Path
) -> None:
    result = run(an_acquisition(), models, mu_map=a_mu_map((18.0, 0.0, 0.0)), map="vendor", **option)
    assert words in dict(result.provenance.settings)["Attenuation map"]
    mu_map = volume_of(result, DerivedKind.MU_MAP)
    assert np.abs(mu_map.values[8:32] - tissues(mu_map.grid)[0][8:32]).mean() < 0.012
    moved = next(one.value for one in result.measurements if one.name == "Map moved by")
    assert moved == pytest.approx(18.0, abs=3.0)


def test_a_ct_that_ends_in_the_heart_falls_to_the_next_ct_and_is_told(models: Path) -> None:
    result = run(an_acquisition(), models, ending_below_the_heart(a_ct()), next_ct=a_ct())
    assert (result.provenance.map_source, result.provenance.map_key) == (MapSource.CT, "key 1")
    assert "candidate 0 is not used: it ends in the heart: " in said(result, Verdict.WARN)
    assert "what comes before it can't be used: candidate 1 is used" in said(result, Verdict.PASS)
    assert "candidate 0 is used" not in said(result, Verdict.PASS)


def test_a_map_that_ends_in_the_heart_falls_to_the_network_and_is_held_where_the_rule_asks_for_it(models: Path) -> None:
    short = a_mu_map()
    short = replace(short, values=np.where(np.arange(50)[:, None, None] < 23, 0.0, short.values).astype(np.float32))
    options = {"registration": False}
    left = run(an_acquisition(), models, mu_map=short, **options)
    assert left.provenance.map_source is MapSource.NETWORK
    assert "candidate 2 is not used: it ends in the heart: " in said(left, Verdict.WARN)
    fixed = run(an_acquisition(), models, no_ct(), next_ct=ending_below_the_heart(a_ct()), map="ct", **options)
    assert fixed.provenance.map_key == "key 1"
    assert "the rule's map can't be used: it ends in the heart: " in held_by(fixed)
    assert "(map = ct): candidate 1 is used" in said(fixed, Verdict.PASS)
    assert "candidate 0 is not used: " in said(fixed, Verdict.WARN)
    assert "candidate 1 is not used" not in said(fixed, Verdict.WARN)
    told = {one.name: one.value for one in fixed.measurements}
    assert 20.0 < told["Left ventricle beyond the map's end"] < 80.0


def test_a_rule_may_ask_for_a_source_and_is_refused_where_the_study_has_none(models: Path) -> None:
    asked = run(an_acquisition(), models, ct=a_ct(), map="network")
    assert asked.provenance.map_source is MapSource.NETWORK
    assert "the rule asks for it (map = network)" in dict(asked.provenance.settings)["Attenuation map"]
    assert "candidate" not in " ".join(finding.text for finding in asked.findings)
    for source, named in (("ct", "CT"), ("vendor", "attenuation map")):
        with pytest.raises(UnsuitableAcquisition, match=f"the study's own {named}"):
            run(an_acquisition(), models, map=source)


def test_a_ct_that_is_none_falls_to_the_next_source_and_is_told_unless_the_rule_asks_for_it(models: Path) -> None:
    empty = no_ct()
    found = run(an_acquisition(), models, ct=empty)
    assert found.provenance.map_source is MapSource.NETWORK
    told = [finding.text for finding in found.findings if finding.verdict is Verdict.WARN]
    assert any(text.startswith("candidate 0 is not used: ") for text in told)
    assert "candidate 0 is used" not in " ".join(finding.text for finding in found.findings)
    with pytest.raises(UnsuitableAcquisition, match="mu-map's values"):
        run(an_acquisition(), models, ct=empty, map="ct")


def test_the_network_is_named_with_its_weights_and_version(models: Path) -> None:
    card = read_card(models / "mu-map.json")
    made = by_network(models).provenance
    assert made.version == f"{catalog.PIPELINES['attenuation_correction'].version}+{card.sha256[:12]}"
    assert card.sha256 in dict(made.settings)["Weights"]
    assert "mean of 2 networks" in made.headline
    assert catalog.version_of("attenuation_correction", {"map": "ct", "models": "/nowhere"}) == "1.4.0"


def test_a_vendors_reconstruction_alone_is_corrected_afterwards_and_the_limits_are_said_to_be_others(
    models: Path,
) -> None:
    acquisition = vendors(an_acquisition())
    result = run(acquisition, models, ct=a_ct())
    assert acquisition.reconstruction is not None
    assert np.array_equal(volume_of(result, DerivedKind.RECONSTRUCTION).values, acquisition.reconstruction.values)
    assert "PRAC" in dict(result.provenance.settings)["Attenuation correction"]
    before, after = (heart.segments_of_highest_percent for heart in result.hearts)
    assert np.std(after) < np.std(before)
    assert any("made otherwise" in finding.text and "vendor" in finding.text for finding in result.findings)
    unstated = "neither an energy window nor a radionuclide is stated: assumed 140.5 keV (Tc-99m)"
    assert unstated in result.provenance.assumptions
    assert unstated in said(result, Verdict.WARN)


@pytest.mark.parametrize("sign", [0.0, -1.0])
def test_a_reconstruction_without_activity_can_not_be_corrected(models: Path, sign: float) -> None:
    acquisition = vendors(an_acquisition())
    assert acquisition.reconstruction is not None
    empty = replace(acquisition.reconstruction, values=sign * acquisition.reconstruction.values)
    with pytest.raises(UnsuitableAcquisition, match="holds no activity at all"):
        run(replace(acquisition, reconstruction=empty), models, ct=a_ct())


def test_gates_are_corrected_too_and_the_ejection_fraction_comes_from_them(models: Path) -> None:
    result = run(an_acquisition(gates=8), models, mu_map=a_mu_map(), registration=False)
    before, after = result.hearts
    assert before.function is not None
    assert after.function is not None
    assert before.function != after.function


def test_figures_are_compared_with_the_cards_thresholds(models: Path, tmp_path: Path) -> None:
    figures = figures_in(by_network(models))
    assert set(figures) == {check.figure for check in CHECKS}
    assert figures["factor_spread_percent"] == pytest.approx(0.0, abs=1e-6), "networks that agree"
    model = read_model("mu-map", models)
    limits = {f"{check.figure}.{level}": 1e9 for check in CHECKS for level in ("warn", "quarantine")}
    for least, verdict in ((1e9, Verdict.PASS), (figures["body_outline"] / 2, Verdict.QUARANTINE)):
        card = replace(model.card, thresholds={**limits, "body_outline.quarantine": least})
        write_model(tmp_path, card, list(model.members))
        result = run(an_acquisition(), tmp_path)
        told = [finding.verdict for finding in result.findings if "body_outline" in finding.text]
        assert told == [verdict]


def test_a_single_network_can_pass_and_the_report_says_what_could_not_be_asked(tmp_path: Path) -> None:
    result = run(an_acquisition(), a_lenient_model(tmp_path, members=1))
    assert not any("factor_spread" in finding.text or "thresholds" in finding.text for finding in result.findings)
    told = [finding for finding in result.findings if "is a single network" in finding.text]
    assert [finding.verdict for finding in told] == [Verdict.PASS]
    assert any("the guard passed 7 checks" in finding.text for finding in result.findings)


def test_a_field_that_ends_near_the_heart_leaves_out_one_check_and_the_report_says_so(tmp_path: Path) -> None:
    models = a_lenient_model(tmp_path, members=2)
    whole = vendors(an_acquisition())
    assert whole.reconstruction is not None
    short = replace(whole, reconstruction=ending_below_the_heart(whole.reconstruction, 85.0))
    for acquisition, checks in ((whole, 8), (short, 7)):
        passed = said(run(acquisition, models), Verdict.PASS)
        assert f"the guard passed {checks} checks" in passed
        assert ("upside down could not be asked" in passed) == (checks == 7)


def test_a_ct_that_lies_far_off_is_held_with_the_reason(models: Path) -> None:
    result = run(an_acquisition(), models, ct=a_ct((0.0, 28.0, 0.0)))
    assert "more than a patient moves between two scans" in held_by(result)
    unregistered = run(an_acquisition(), models, ct=a_ct((60.0, 0.0, 0.0)), registration=False)
    assert "body_outline" in held_by(unregistered)


def test_another_tracer_is_corrected_by_ct_at_its_energy_and_held_with_a_network(models: Path) -> None:
    counted = replace(projections(), windows=(EnergyWindow(143.0, 175.0, "I123"),))
    iodine = replace(an_acquisition(), projections=counted)
    assert "knows no other tracer" in held_by(run(iodine, models))
    map_of = volume_of(run(iodine, models, ct=a_ct(), registration=False), DerivedKind.MU_MAP)
    assert np.median(map_of.values[map_of.values > 0.1]) == pytest.approx(0.152 * 0.961, rel=0.01)


def test_a_vendors_reconstruction_of_another_tracer_is_held_with_a_network_and_judged_at_its_energy_by_ct(
    models: Path,
) -> None:
    thallium = replace(vendors(an_acquisition()), window=EnergyWindow(60.0, 82.0))
    told = run(thallium, models)
    assert "the photopeak window 60-82 keV does not hold technetium's 140.5 keV" in held_by(told)
    by_ct = run(thallium, models, ct=a_ct(), registration=False)
    assert by_ct.provenance.map_energy_kev == 71.0
    assert "from CT, at 71 keV" in dict(by_ct.provenance.settings)["Attenuation map"]
    assert "soft_tissue" not in said(by_ct, Verdict.WARN) + held_by(by_ct)
    assert by_ct.provenance.assumptions == ("of 0",)


def test_neither_projections_nor_a_reconstruction_can_be_corrected(models: Path) -> None:
    with pytest.raises(UnsuitableAcquisition, match="needs projections or a reconstruction"):
        run(replace(an_acquisition(), projections=None), models)
