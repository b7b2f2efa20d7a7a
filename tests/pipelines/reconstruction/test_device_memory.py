"""The memory that a study takes on a GPU is foretold from its shape, and a study that finds no room waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.contract import NotNow
from pipelines.networks.denoise import LARGEST_BATCH, batch_in, denoiser_bytes
from pipelines.reconstruction.device_memory import check_room, free_bytes, reconstruction_bytes
from tests.factories import some_projections

GEOMETRY = some_projections(views=64, rows=64, columns=64).geometry
MIB = 1 << 20


def test_a_usual_study_takes_some_hundred_megabytes() -> None:
    assert 50 * MIB < reconstruction_bytes(GEOMETRY, 8, 2) < 500 * MIB
    assert 50 * MIB < denoiser_bytes(LARGEST_BATCH, 64, 64, 16, 3) < 500 * MIB


def test_more_gates_blur_attenuation_and_larger_subsets_take_more() -> None:
    plain = reconstruction_bytes(GEOMETRY, 1, 2)
    assert plain < reconstruction_bytes(GEOMETRY, 8, 2)
    assert plain < reconstruction_bytes(GEOMETRY, 1, 2, blurred=True)
    assert plain < reconstruction_bytes(GEOMETRY, 1, 2, attenuated=True)
    assert plain < reconstruction_bytes(GEOMETRY, 1, 1)
    assert plain < reconstruction_bytes(replace(GEOMETRY, columns=128), 1, 2)


@pytest.mark.parametrize("free", [10 * MIB, 100 * MIB, 1000 * MIB, 80_000 * MIB])
def test_the_denoiser_takes_at_most_half_of_what_is_free(free: int) -> None:
    batch = batch_in(free, 64, 64, 16, 3)
    assert 1 <= batch <= LARGEST_BATCH
    assert batch == 1 or denoiser_bytes(batch, 64, 64, 16, 3) <= free // 2


def test_a_study_that_finds_no_room_waits_and_says_how_much_it_needs() -> None:
    check_room(500 * MIB, 2000 * MIB, "cuda")
    with pytest.raises(NotNow, match=r"cuda has 0\.5 GB free, this study needs about 0\.8 GB"):
        check_room(500 * MIB, 500 * MIB, "cuda")


def test_on_a_cpu_nobody_asks() -> None:
    assert free_bytes("cpu") is None
    check_room(1 << 60, None, "cpu")
