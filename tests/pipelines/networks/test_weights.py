"""Weights are used only with the card that describes them; whatever is wrong is said in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pipelines.networks.weights import ModelCard, WeightsError, read_card, read_model, write_model, write_whole
from tests.pipelines.networks.shared import a_denoiser


def a_card(**changes: object) -> ModelCard:
    """Return a card of two members."""
    stated: dict[str, object] = {
        "name": "small", "version": "1.0.0", "architecture": "Denoiser", "settings": {"width": 4},
        "domain": {"studies": 3}, "seeds": (0, 1), "figures": {"deviance": 1.0}, "evidence": "none",
    }  # fmt: skip
    return ModelCard(**{**stated, **changes})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path, a_card(), [a_denoiser(seed).state_dict() for seed in (0, 1)])
    return tmp_path


def test_weights_come_back_in_half_precision_with_their_card(folder: Path) -> None:
    model = read_model("small", folder)
    assert model.card == a_card(sha256=model.card.sha256)
    network = a_denoiser(7)
    model.fill(1, network)
    for name, value in a_denoiser(1).state_dict().items():
        assert torch.equal(network.state_dict()[name], value.half().float())


def test_the_same_weights_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    write_model(again, a_card(), [a_denoiser(seed).state_dict() for seed in (0, 1)])
    assert (again / "small.safetensors").read_bytes() == (folder / "small.safetensors").read_bytes()
    assert (again / "small.json").read_bytes() == (folder / "small.json").read_bytes()


def test_a_file_is_replaced_as_a_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, b"a long content")
    write_whole(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(path.parent.iterdir()) == [path]


def test_changed_weights_are_refused(folder: Path) -> None:
    path = folder / "small.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        read_model("small", folder)


def test_weights_of_another_card_are_refused(folder: Path) -> None:
    write_model(folder, a_card(name="other", seeds=(3,)), [a_denoiser(3).state_dict()])
    (folder / "other.safetensors").replace(folder / "small.safetensors")
    with pytest.raises(WeightsError, match="belong to another card"):
        read_model("small", folder)


def test_missing_files_are_named(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"nothing\.json.*models in this folder: small"):
        read_model("nothing", folder)
    (folder / "small.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"small\.safetensors.*missing"):
        read_model("small", folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "small"}'])
def test_what_is_no_card_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "small.json").write_text(text)
    with pytest.raises(WeightsError, match="no model card"):
        read_card(tmp_path / "small.json")


def test_what_is_no_safetensors_is_refused_though_the_hash_fits(folder: Path) -> None:
    from hashlib import sha256

    (folder / "small.safetensors").write_bytes(b"something else")
    card = json.loads((folder / "small.json").read_text())
    card["sha256"] = sha256(b"something else").hexdigest()
    (folder / "small.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="safetensors format"):
        read_model("small", folder)


def test_weights_that_do_not_fit_the_network_are_refused(folder: Path) -> None:
    with pytest.raises(WeightsError, match="don't fit"):
        read_model("small", folder).fill(0, a_denoiser(width=8))


@pytest.mark.parametrize("settings", [{}, {"width": "wide"}, {"width": 0}])
def test_a_card_written_by_hand_that_states_no_width_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(WeightsError, match=r"settings\.width is .* expected a number of filters"):
        _ = a_card(settings=settings).width


def test_weights_of_more_members_than_the_card_has_are_refused(tmp_path: Path) -> None:
    members = [a_denoiser(seed).state_dict() for seed in (0, 1)]
    write_model(tmp_path, a_card(), members)
    card = json.loads((tmp_path / "small.json").read_text())
    (tmp_path / "small.json").write_text(json.dumps({**card, "seeds": [0]}))
    with pytest.raises(WeightsError, match="no parameter of the 1 members"):
        read_model("small", tmp_path)
