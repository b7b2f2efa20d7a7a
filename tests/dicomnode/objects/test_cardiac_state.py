"""Stress or rest: from the Acquisition Context, else from what a person wrote, else unknown."""

from __future__ import annotations

import pytest

from dicomnode.objects.header import read_header
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import CardiacState
from tests.factories import REAL_DATA, a_tomo, as_file, quick_dataset, setting, without


def state_of(file: bytes) -> tuple[str, ...]:
    return read_header(file).attributes["CardiacState"]


@pytest.mark.parametrize("state", [CardiacState.STRESS, CardiacState.REST])
def test_the_acquisition_context_says_it(state: CardiacState) -> None:
    study = VirtualStudy(state=state, series_description="neither stress nor rest says this")
    assert state_of(a_tomo(study=study)) == (state.value,)


@pytest.mark.parametrize(
    ("description", "expected"), [("MPI STRESS", "stress"), ("Rest gated", "rest"), ("stress/rest", "unknown")]
)
def test_without_it_the_description_says_it_if_it_is_clear(description: str, expected: str) -> None:
    file = a_tomo(change=setting(SeriesDescription=description, ImageID="", ProtocolName=""))
    assert state_of(file) == (expected,)


def test_the_real_stress_study_is_a_stress_study() -> None:
    path = REAL_DATA / "ge_xeleris_tomo_stress.dcm"
    if not path.exists():
        pytest.skip("needs the real camera files beside the checkout")
    assert read_header(path).attributes["CardiacState"] == ("stress",)


def test_what_is_no_perfusion_image_has_no_state() -> None:
    assert "CardiacState" not in read_header(as_file(quick_dataset())).attributes
    assert state_of(a_tomo(change=without("SeriesDescription"))) == ("unknown",)
