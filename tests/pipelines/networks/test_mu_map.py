"""The mu-map network can't paint what no tissue is, whatever it is shown, and sees what it should alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipelines.networks.mu_map import TISSUES, WIDTHS, MuMapNetwork, body_level, leveled

SMALL = (4, 8, 8, 8)


def some_images(seed: int = 0, side: int = 16) -> Tensor:
    torch.manual_seed(seed)
    return torch.rand(1, 4, side, side, side)


def shaken(seed: int = 0) -> MuMapNetwork:
    """Return a network with large random weights, in its last layer too."""
    torch.manual_seed(seed)
    network = MuMapNetwork(SMALL)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=2.0)
    return network.eval()


def test_the_map_lies_on_the_voxels_of_the_images() -> None:
    for finer in (1, 2):
        mu = MuMapNetwork(SMALL, finer)(some_images(), torch.ones(1))
        assert mu.shape == (1, 16, 16, 16)


def test_what_is_folded_into_channels_comes_back_where_it_was() -> None:
    network, images = MuMapNetwork(SMALL, finer=2), some_images()
    assert torch.equal(network._parts(network._folded(images)), images)


def test_whatever_the_weights_mu_is_that_of_some_tissue() -> None:
    highest = max(tissue.mu_per_cm + tissue.range_per_cm for tissue in TISSUES)
    mu = shaken()(100.0 * some_images(), torch.ones(1)).detach()
    assert float(mu.min()) >= 0.0
    assert float(mu.max()) <= highest + 1e-6
    assert float(mu.std()) > 0.01  # it does paint something


def test_parts_of_a_voxel_lie_where_the_voxel_lies() -> None:
    told = torch.arange(2.0 * 3 * 4)[None, None].reshape(1, 1, 2, 3, 4).expand(1, 8, 2, 3, 4)
    parts = MuMapNetwork(SMALL, finer=2)._parts(told)
    assert torch.equal(parts[0, 0, ::2, ::2, ::2], told[0, 0])
    assert torch.equal(parts[0, 0, 1::2, 1::2, 1::2], told[0, 0])


def test_without_the_flag_the_scatter_window_is_not_seen_and_with_it_it_is() -> None:
    network, images = shaken(), some_images()
    other = images.clone()
    other[:, -1] = 0.0
    assert torch.equal(network(images, torch.zeros(1)), network(other, torch.zeros(1)))
    assert not torch.equal(network(images, torch.ones(1)), network(other, torch.ones(1)))


def test_the_scale_of_the_activity_does_not_matter() -> None:
    images = some_images()[0]
    assert torch.allclose(leveled(1000.0 * images), leveled(images), rtol=1e-5)


def test_a_hot_organ_moves_the_level_little() -> None:
    body = torch.zeros(20, 20, 20)
    body[4:16, 4:16, 4:16] = 1.0 + 0.2 * torch.rand(12, 12, 12)
    hot = body.clone()
    hot[5:8, 5:8, 5:8] = 100.0
    assert float(body_level(hot)) == pytest.approx(float(body_level(body)), rel=0.03)


def test_an_empty_scatter_window_stays_empty() -> None:
    images = some_images()[0]
    images[-1] = 0.0
    assert not leveled(images)[-1].any()
    assert torch.isfinite(leveled(images)).all()


def test_two_networks_of_the_usual_size_fit_into_six_megabytes_of_half_precision() -> None:
    assert 2 * 2 * sum(parameter.numel() for parameter in MuMapNetwork(WIDTHS).parameters()) <= 6_000_000
