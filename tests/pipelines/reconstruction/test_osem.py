"""MLEM and OSEM, on a small matrix that knows nothing of cameras."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from pipelines.reconstruction.osem import Subset, log_likelihood, ordered_subsets, osem


class Dense:
    """A plain matrix as operator."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def forward_project(self, activity: Tensor) -> Tensor:
        return self.matrix @ activity

    def back_project(self, projections: Tensor) -> Tensor:
        return self.matrix.T @ projections


@pytest.fixture
def camera() -> Dense:
    return Dense(torch.rand(60, 20, generator=torch.Generator().manual_seed(3)) ** 4)


@pytest.fixture
def truth() -> Tensor:
    return 50 * torch.rand(20, generator=torch.Generator().manual_seed(4))


def noisy(expected: Tensor) -> Tensor:
    return torch.poisson(expected, generator=torch.Generator().manual_seed(5))


def thirds(camera: Dense, measured: Tensor) -> list[Subset]:
    return [Subset(Dense(camera.matrix[first::3]), measured[first::3]) for first in range(3)]


def test_the_likelihood_of_mlem_never_falls(camera: Dense, truth: Tensor) -> None:
    data = [Subset(camera, noisy(camera.forward_project(truth)), torch.full((60,), 0.5))]
    likelihoods: list[float] = []

    def watch(_: int, activity: Tensor) -> bool:
        likelihoods.append(log_likelihood(data, activity))
        return False

    osem(data, torch.ones(20), 60, watch)
    assert all(later > earlier for earlier, later in itertools.pairwise(likelihoods))


def test_mlem_explains_as_many_counts_as_were_measured(camera: Dense, truth: Tensor) -> None:
    measured = noisy(camera.forward_project(truth))
    found = osem([Subset(camera, measured)], torch.ones(20), 3)
    assert float(camera.forward_project(found).sum()) == pytest.approx(float(measured.sum()), rel=1e-6)


def test_osem_finds_the_truth_in_perfect_data(camera: Dense, truth: Tensor) -> None:
    found = osem(thirds(camera, camera.forward_project(truth)), torch.ones(20), 2000)
    torch.testing.assert_close(found, truth, rtol=0.02, atol=0.1)


def test_an_additive_term_is_told_from_activity(camera: Dense, truth: Tensor) -> None:
    scatter = torch.full((60,), 30.0)
    measured = camera.forward_project(truth) + scatter
    found = osem([Subset(camera, measured, scatter)], torch.ones(20), 4000)
    torch.testing.assert_close(found, truth, rtol=0.03, atol=0.3)


def test_what_no_view_sees_stays_empty(camera: Dense, truth: Tensor) -> None:
    blind = Dense(torch.cat([camera.matrix, torch.zeros(60, 1)], dim=1))
    found = osem([Subset(blind, camera.forward_project(truth))], torch.ones(21), 5)
    assert found[-1] == 0
    assert bool(torch.isfinite(found).all())


def test_bins_without_counts_make_neither_nan_nor_negative_values(camera: Dense) -> None:
    measured = torch.zeros(60)
    measured[:5] = 7
    found = osem(thirds(camera, measured), torch.ones(20), 200)
    assert bool(torch.isfinite(found).all())
    assert float(found.min()) >= 0


def test_an_observer_can_stop_it(camera: Dense, truth: Tensor) -> None:
    seen: list[int] = []
    measured = camera.forward_project(truth)

    def stop_after_three(done: int, _: Tensor) -> bool:
        seen.append(done)
        return done == 3

    stopped = osem([Subset(camera, measured)], torch.ones(20), 10, stop_after_three)
    assert seen == [1, 2, 3]
    assert torch.equal(stopped, osem([Subset(camera, measured)], torch.ones(20), 3))


@pytest.mark.parametrize(
    ("subsets", "iterations", "start"),
    [(0, 5, 1.0), (1, 0, 1.0), (1, 5, -1.0)],
)
def test_what_makes_no_sense_is_refused(camera: Dense, subsets: int, iterations: int, start: float) -> None:
    data = [Subset(camera, torch.ones(60))] * subsets
    with pytest.raises(ValueError, match="OSEM needs"):
        osem(data, torch.full((20,), start), iterations)


def test_negative_counts_are_refused(camera: Dense) -> None:
    with pytest.raises(ValueError, match="not negative"):
        osem([Subset(camera, torch.full((60,), -1.0))], torch.ones(20), 1)


@pytest.mark.parametrize("subsets", [1, 2, 3, 5, 6, 8])
def test_subsets_share_out_all_views_evenly_over_the_orbit(subsets: int) -> None:
    two_heads = [225.0 - 3 * view for view in range(30)] + [135.0 - 3 * view for view in range(30)]
    chosen = ordered_subsets(two_heads, subsets)
    assert sorted(itertools.chain(*chosen)) == list(range(60))
    for views in chosen:
        angles = sorted(two_heads[view] for view in views)
        steps = [later - earlier for earlier, later in itertools.pairwise(angles)]
        assert max(steps) <= 3 * subsets + 1e-9


def test_consecutive_subsets_lie_far_apart() -> None:
    views = ordered_subsets([6.0 * view for view in range(60)], 6)
    first = [subset[0] for subset in views]
    assert min(min(abs(a - b), 6 - abs(a - b)) for a, b in itertools.pairwise(first)) >= 2


def test_more_subsets_than_views_are_refused() -> None:
    with pytest.raises(ValueError, match="can't make 7 subsets"):
        ordered_subsets([0.0, 1.0, 2.0], 7)
