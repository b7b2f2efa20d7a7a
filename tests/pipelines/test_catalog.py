"""The catalog finds pipelines by name, stays cheap to import, and says clearly what it does not have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipelines import catalog, reconstruction_pipeline
from pipelines.contract import Acquisition, NotNow, PipelineInput
from tests.pipelines.denoising_cases import a_model

NOTHING = PipelineInput(Acquisition("a"))


def test_an_unknown_pipeline_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no pipeline 'sharpening'; there are .*reconstruction"):
        catalog.run("sharpening", NOTHING)
    with pytest.raises(ValueError, match="no pipeline"):
        catalog.version_of("sharpening")


def test_the_version_of_denoising_tells_its_weights(tmp_path: Path) -> None:
    one, other = a_model(tmp_path / "one"), a_model(tmp_path / "other", flat=True)
    first, second = (catalog.version_of("denoising", {"models": str(folder)}) for folder in (one, other))
    assert first != second
    assert first.partition("+")[0] == second.partition("+")[0] == catalog.PIPELINES["denoising"].version


@pytest.mark.parametrize("spoil", ["missing card", "missing weights", "changed weights", "another network"])
def test_a_model_that_can_not_be_used_is_told_when_the_options_are_checked(tmp_path: Path, spoil: str) -> None:
    options = {"models": str(a_model(tmp_path))}
    catalog.check_options("denoising", options)
    card, weights = tmp_path / "denoiser.json", tmp_path / "denoiser.safetensors"
    if spoil == "missing card":
        card.unlink()
    elif spoil == "missing weights":
        weights.unlink()
    elif spoil == "changed weights":
        weights.write_bytes(weights.read_bytes()[:-1])
    else:
        card.write_text(card.read_text().replace("denoiser.Denoiser", "adversarial.Generator"))
    remedy = {"missing card": "Copy card and weights", "missing weights": "copy them there",
              "changed weights": "copy both files again", "another network": "name another model"}  # fmt: skip
    with pytest.raises(ValueError, match=remedy[spoil]):
        catalog.check_options("denoising", options)


def test_checking_a_model_loads_no_torch(tmp_path: Path) -> None:
    options = {"models": str(a_model(tmp_path))}
    code = (
        f"import sys, pipelines.catalog as catalog; catalog.check_options('denoising', {options!r});"
        f"catalog.version_of('denoising', {options!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_gpu_that_runs_out_of_memory_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(pipeline_input: PipelineInput, device: str) -> None:
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(reconstruction_pipeline, "run", out_of_memory)
    with pytest.raises(NotNow, match="the memory of cpu was not enough"):
        catalog.run("reconstruction", NOTHING, "cpu")


@pytest.mark.parametrize(("device", "message"), [("tpu", "no device 'tpu'"), ("cuda:99", "cuda")])
def test_a_device_that_cannot_be_had_is_refused(device: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        catalog.run("reconstruction", NOTHING, device=device)


def test_importing_the_catalog_loads_no_torch() -> None:
    code = "import sys, pipelines.catalog, pipelines.contract; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_warming_up_loads_torch_and_limits_its_threads() -> None:
    code = (
        "import sys, pipelines.catalog as catalog; catalog.warm_up('cpu', threads=1);"
        "sys.exit(sys.modules['torch'].get_num_threads() != 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_files_that_a_run_reads_are_told_by_the_option_that_names_their_folder(tmp_path: Path) -> None:
    (tmp_path / "women_rest_corrected.json").touch()
    (tmp_path / "notes.json").touch()
    limits = {"normal_limits": str(tmp_path)}
    assert catalog.files_of("reconstruction", {}) == {}
    assert catalog.files_of("reconstruction", limits) == {"normal_limits": (tmp_path / "women_rest_corrected.json",)}
    shipped = catalog.files_of("denoising", {})["models"]
    assert [path.name for path in shipped if path.is_file()] == ["denoiser.json", "denoiser.safetensors"]
    own = {"models": str(tmp_path), "model": "ours", **limits}
    card, weights = tmp_path / "ours.json", tmp_path / "ours.safetensors"
    assert catalog.files_of("denoising", own).keys() == {"models", "normal_limits"}
    assert catalog.files_of("attenuation_correction", own)["models"] == (card, weights)
    assert catalog.files_of("attenuation_correction", {**own, "map": "ct"}).keys() == {"normal_limits"}


def test_a_model_is_the_same_from_another_folder(tmp_path: Path) -> None:
    a_model(tmp_path / "here")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    options = {"models": str(tmp_path / "here")}
    for path in catalog.files_of("denoising", options)["models"]:
        (elsewhere / path.name).symlink_to(path)
    assert catalog.version_of("denoising", options) == catalog.version_of("denoising", {"models": str(elsewhere)})
