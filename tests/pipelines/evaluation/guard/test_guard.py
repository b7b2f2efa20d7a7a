"""The guard's trial: faults reach the networks, damage is what its name says, tables count right, studies are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.evaluation.guard.damage import BY_NAME, KINDS
from pipelines.evaluation.guard.faults import faulty_networks, painted, smoothed
from pipelines.evaluation.guard.studies import CAMERA_NAMES, DOSES, GuardStudy, make, plans
from pipelines.evaluation.guard.tables import as_json, as_markdown, catches
from pipelines.evaluation.guard.trial import SOUND, Order, Outcome, Record, read_record, try_guard
from pipelines.networks.denoise import denoise
from tests.pipelines.networks.shared import a_denoiser
from tests.pipelines.training.studies import a_study


@pytest.fixture(scope="module")
def study() -> GuardStudy:
    """The first study of the trial."""
    torch.set_num_threads(1)
    return make(plans(1)[0])


def test_twelve_studies_have_every_camera_at_every_dose_and_some_are_gated() -> None:
    planned = plans(60)
    assert {(one.camera, one.dose_fraction) for one in planned[:12]} == {(c, d) for c in CAMERA_NAMES for d in DOSES}
    assert sum(one.gated for one in planned) == 12
    assert plans(3) == planned[:3]


def test_a_painted_factor_reaches_each_view_in_every_network() -> None:
    projections = a_study(1, views=40)
    factor = np.ones((40, 24, 24))
    factor[37, 3:9, 5:8] = 0.5
    networks = [a_denoiser(1), a_denoiser(2)]
    plain = denoise(projections, 1.0, networks)
    with faulty_networks(painted(factor), 40):
        painted_on = denoise(projections, 1.0, networks)
    raw, changed = (
        one.expected.counts / one.count_factor[:, None, :, None, None].astype(np.float32) for one in (plain, painted_on)
    )
    assert np.allclose(changed, raw * factor.astype(np.float32), rtol=1e-4)
    assert np.array_equal(denoise(projections, 1.0, networks).expected.counts, plain.expected.counts)


def test_a_smoothing_fault_keeps_what_is_even_and_flattens_a_spike() -> None:
    spike = torch.zeros(1, 9, 9)
    spike[0, 4, 4] = 9.0
    assert float(smoothed(3)(spike, np.zeros(1, np.int64)).max()) == pytest.approx(1.0)
    even = torch.ones(1, 9, 9)
    assert torch.allclose(smoothed(5)(even, np.zeros(1, np.int64)), even)


def test_every_kind_of_damage_changes_what_the_pipeline_gets(study: GuardStudy) -> None:
    assert len(BY_NAME) == len(KINDS) >= 12
    for kind in KINDS:
        shown = kind.damage(study, np.random.default_rng(1))
        projections = shown.acquisition.projections
        assert projections is not None
        same = (
            shown.fault is None
            and shown.dose_fraction == study.dose_fraction
            and projections.windows == study.projections.windows
            and np.array_equal(projections.counts, study.projections.counts)
        )
        assert not same, kind.name
        assert projections.counts.shape == study.projections.counts.shape
        assert projections.counts.dtype == np.float32


def test_a_painted_defect_lies_in_the_heart_and_takes_counts_from_it(study: GuardStudy) -> None:
    fault = BY_NAME["defect invented"].damage(study, np.random.default_rng(1)).fault
    assert fault is not None
    views = np.arange(study.projections.geometry.views)
    expected = torch.from_numpy(study.expected.projections.photopeak_counts()[0].copy())
    lost = expected - fault(expected, views)
    share = float(lost.sum()) / study.expected.truth.ventricle_counts
    assert 0.02 < share < 0.2


def test_the_phantom_has_the_studys_counts_and_no_patient(study: GuardStudy) -> None:
    phantom = BY_NAME["phantom"].damage(study, np.random.default_rng(1)).acquisition.projections
    assert phantom is not None
    assert phantom.counts.sum() == pytest.approx(study.projections.counts.sum(), rel=0.01)
    columns = phantom.counts.sum(axis=(0, 1, 2, 3))
    assert columns[np.arange(64)[:12]].sum() < 0.01 * columns.sum()  # 216 mm of 410


def outcome(*remarks: tuple[str, str]) -> Outcome:
    return Outcome(max((verdict for verdict, _ in remarks), default="pass"), remarks, {})


def records() -> list[Record]:
    usual = ("warn", "only 0.3 million counts in all gates")
    return [
        Record(0, "prospect", 1.0, False, "a", {
            SOUND: outcome(usual),
            "upside down": outcome(("warn", "only 0.2 million counts in all gates"), ("quarantine", "it lies wrong")),
            "hot pixel": outcome(usual),
        }),
        Record(1, "symbia", 0.5, True, "a", {
            SOUND: outcome(("warn", "views 3 and 4 differ")),
            "upside down": outcome(("refused", "nothing there")),
            "hot pixel": outcome(("warn", "views 7 and 9 differ"), ("warn", "a misfit (5.1)")),
        }),
        Record(2, "discovery", 0.5, False, "a", {SOUND: outcome()}),
    ]  # fmt: skip


def test_only_what_the_sound_study_does_not_get_is_a_catch() -> None:
    found = {one.kind.name: one for one in catches(records())}
    assert set(found) == {"upside down", "hot pixel"}
    assert (found["upside down"].noticed, found["upside down"].held_back) == (2, 2)
    assert (found["hot pixel"].noticed, found["hot pixel"].held_back) == (1, 0)
    assert found["hot pixel"].missed == ("prospect 1",)


def test_the_tables_tell_false_alarms_and_that_patients_are_virtual() -> None:
    words, document = as_markdown(records()), as_json(records())
    assert "3 sound studies of virtual patients (no clinical evidence)" in words
    assert "With a warning or held back: 1 of 3 (33.3 %)" in words
    assert "| upside down | 2 of 2 | 2 of 2 | - |" in words
    assert "| a hot pixel in every view | 1 of 2 | 0 of 2 | prospect 1 | a misfit (#) |" in words
    assert "| views # and # differ | warn | 1 |" in words
    read = json.loads(json.dumps(document))
    assert [(one["kind"], one["noticed"], one["held_back"]) for one in read["damage"]] == [
        ("upside down", 2, 2), ("hot pixel", 1, 0),
    ]  # fmt: skip
    assert read["sound"]["warned_or_held_back"] == 1


def test_a_study_that_was_tried_is_kept_and_another_models_record_is_not(tmp_path: Path) -> None:
    order = Order(plans(1)[0], damaged=False, model="denoiser", models=None, folder=tmp_path)
    record = try_guard(order)
    assert set(record.outcomes) == {SOUND}
    written = order.file.stat().st_mtime_ns
    assert try_guard(order) == record
    assert order.file.stat().st_mtime_ns == written
    assert read_record(order.file, "another model") is None
