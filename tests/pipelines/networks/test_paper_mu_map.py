"""The attenuation paper's networks have the layers that are printed."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from pipelines.networks.paper_mu_map import (
    DROP_OUT,
    FIVE_LEVELS,
    FOUR_LEVELS,
    MapGenerator,
    PairClassifier,
    PairPatches,
)

TINY = (4, 8, 16, 32)


@pytest.mark.parametrize(("filters", "millions"), [(FOUR_LEVELS, 22.40), (FIVE_LEVELS, 22.58)])
def test_the_generators_are_as_large_as_the_printed_filters_make_them(
    filters: tuple[int, ...], millions: float
) -> None:
    with torch.device("meta"):
        generator = MapGenerator(filters)
    assert sum(p.numel() for p in generator.parameters()) / 1e6 == pytest.approx(millions, abs=0.02)


def test_each_convolution_is_normalized_and_the_bottleneck_alone_drops_out() -> None:
    generator = MapGenerator(TINY)
    layers = list(generator.modules())
    followers = [after for before, after in pairwise(layers) if _is_3x3x3(before)]
    assert len(followers) == 2 * (4 + 3)
    assert all(isinstance(layer, nn.BatchNorm3d) for layer in followers)
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [DROP_OUT] == [0.15]


def _is_3x3x3(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv3d) and layer.kernel_size == (3, 3, 3)


def test_a_map_is_as_large_as_its_image_and_never_negative_once_trained() -> None:
    generator = MapGenerator(TINY).eval()
    nn.init.constant_(torch.as_tensor(generator.mu.bias), -0.01)
    mu = generator(torch.rand(2, 1, 8, 16, 24)).detach()
    assert mu.shape == (2, 1, 8, 16, 24)
    assert float(mu.min()) == 0.0
    assert (
        float(generator.train()(torch.rand(2, 1, 8, 16, 24)).detach().min()) < 0.0
    )  # or nothing could be learned there


def test_the_classifier_judges_whole_patches_with_the_printed_layers() -> None:
    with torch.device("meta"):
        classifier = PairClassifier((32, 64, 64))
    widths = [layer.out_features for layer in classifier.modules() if isinstance(layer, nn.Linear)]
    filters = [layer.out_channels for layer in classifier.modules() if isinstance(layer, nn.Conv3d)]
    assert (filters, widths) == ([64, 128, 256], [512, 128, 1])
    assert sum(p.numel() for p in classifier.parameters()) / 1e6 == pytest.approx(34.7, abs=0.1)


def test_discriminators_judge_pairs() -> None:
    image, one, other = torch.rand(3, 2, 1, 16, 16, 16)
    for judge, shape in (
        (PairClassifier((16, 16, 16), (4, 8), (16, 8)), (2, 1)),
        (PairPatches((4, 8)), (2, 1, 4, 4, 4)),
    ):
        assert judge(image, one).shape == shape
        assert not torch.equal(judge(image, one), judge(image, other))
        assert not torch.equal(judge(image, one), judge(other, one))
