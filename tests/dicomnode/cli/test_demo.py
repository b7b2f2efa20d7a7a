"""The demo asks for what is there: with networks it corrects without a CT first, without them it waits for the CT."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.cli import demo
from dicomnode.config_file import cross_mistakes
from dicomnode.engine.local import check_rules
from pipelines.networks.model_card import SHIPPED


def test_it_knows_whether_networks_for_attenuation_maps_are_shipped() -> None:
    assert demo._have_networks() == (SHIPPED / "mu-map.json").is_file()


@pytest.mark.parametrize("source", ["ct", "auto"])
def test_its_configuration_is_one_that_a_node_accepts(source: str, tmp_path: Path) -> None:
    if source == "auto" and not demo._have_networks():
        pytest.skip("no networks for attenuation maps are shipped")
    config = demo._demo_config(4242, tmp_path, source)
    assert cross_mistakes(config) == []
    check_rules(config.rules)
    assert [rule.pipeline for rule in config.rules] == ["denoising", "attenuation_correction"]
