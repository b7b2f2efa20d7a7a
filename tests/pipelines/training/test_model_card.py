"""A model card says what its network has seen, in the terms in which a new study is compared with it."""

from __future__ import annotations

from dataclasses import replace

from pipelines.training.model_card import domain_of
from tests.pipelines.training.studies import a_training_study


def test_counts_are_those_of_photopeaks_for_a_new_study_is_compared_with_them() -> None:
    peak = a_training_study()
    scatter = replace(peak, counts=peak.counts // 4, photopeak=False)
    assert domain_of([peak, scatter]) == domain_of([peak])


def test_cameras_and_collimators_are_named_once_and_the_unnamed_left_out() -> None:
    study = a_training_study()
    named = replace(study, camera_model="Prospect", collimator="LEHR")
    domain = domain_of([named, study, named])
    assert (domain["camera_models"], domain["collimators"]) == (["Prospect"], ["LEHR"])


def test_patients_are_counted_once() -> None:
    study = a_training_study()
    domain = domain_of([study, study, replace(study, patient="another")])
    assert (domain["studies"], domain["patients"]) == (3, 2)
