"""Which pipelines there are; runs one by its name. Importing this is cheap: a pipeline is loaded when it first runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipelines.contract import NotNow, OptionValue, PipelineInput, PipelineResult
from pipelines.networks.model_card import WeightsError, read_card


@dataclass(frozen=True)
class Pipeline:
    """Where a pipeline lives (a module with `run(pipeline_input, device)`), its options (a class), its version.

    The version names the numbers that come out: it changes with every change that alters them.
    """

    module: str
    options: str  # module:class, cheap to import; `of` checks what a rule says
    version: str


@dataclass(frozen=True)
class Model:
    """A network as its card names it; `sha256` is that of its weights."""

    name: str
    version: str
    sha256: str


PIPELINES: Mapping[str, Pipeline] = MappingProxyType(
    {
        "reconstruction": Pipeline("pipelines.reconstruction_pipeline", "pipelines.perfusion.options:Options", "1.3.0"),
        "denoising": Pipeline("pipelines.denoising", "pipelines.perfusion.options:DenoisingOptions", "1.1.0"),
        "attenuation_correction": Pipeline(
            "pipelines.attenuation_correction", "pipelines.perfusion.options:AttenuationOptions", "1.4.0"
        ),
    }
)


def run(name: str, pipeline_input: PipelineInput, device: str = "auto") -> PipelineResult:
    """Run the pipeline of this name on a device ("auto", "cpu", "cuda", "cuda:0") and draw its report page.

    Raises ValueError on an unknown pipeline, option or device, UnsuitableAcquisition when the images can't be used,
    NotNow when the device has too little memory left or a model's files are away.
    """
    pipeline = _find(name)
    options = _options(name, pipeline_input.options)
    result = _run(pipeline, pipeline_input, _resolve_device(device))
    from pipelines.report.page import draw_page  # matplotlib, which the node's own process never loads

    version = _version(pipeline, options)
    findings = (*pipeline_input.findings, *result.findings)
    named = replace(result, findings=findings, provenance=replace(result.provenance, pipeline=name, version=version))
    return replace(named, page=draw_page(pipeline_input, named))


def version_of(name: str, options: Mapping[str, OptionValue] | None = None) -> str:
    """Return the version of the pipeline of this name: its code's and, after a +, that of the weights it uses.

    Raises ValueError when there is no such pipeline or option, NotNow when its weights are away.
    """
    return _version(_find(name), _options(name, options or {}))


def check_options(name: str, options: Mapping[str, OptionValue]) -> None:
    """Raise ValueError, with a sentence, if there is no such pipeline, it has no such options, or lacks their files."""
    _options(name, options).check_files()


def files_of(name: str, options: Mapping[str, OptionValue]) -> Mapping[str, tuple[Path, ...]]:
    """Return the files that a run reads besides the program's own, by the option that names their folder.

    A machine that lacks them can lay them out in a folder of its own under the same names, and name that instead.
    Raises ValueError when there is no such pipeline or option.
    """
    files: Mapping[str, tuple[Path, ...]] = _options(name, options).files()
    return files


def model_of(name: str, options: Mapping[str, OptionValue]) -> Model | None:
    """Return which model the pipeline of this name asks under these options; None if none.

    Raises ValueError when there is no such pipeline or option, NotNow when the model's card is away.
    """
    files = files_of(name, options).get("models")
    try:
        card = read_card(files[0]) if files else None
    except WeightsError as error:
        raise NotNow(str(error)) from None
    return Model(card.name, card.version, card.sha256) if card else None


def warm_up(device: str = "auto", threads: int | None = None) -> str:
    """Load torch and the pipelines, so that the first study doesn't wait; use at most `threads` CPU threads.

    Returns the torch device that pipelines will run on; raises ValueError when it can't be had.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    found = _resolve_device(device)
    for module in ("pipelines.report.page", *(pipeline.module for pipeline in PIPELINES.values())):
        import_module(module)
    return found


def _run(pipeline: Pipeline, pipeline_input: PipelineInput, device: str) -> PipelineResult:
    """Run a pipeline; what it leaves on a GPU is given back to others."""
    import torch

    try:
        result: PipelineResult = import_module(pipeline.module).run(pipeline_input, device)
    except torch.cuda.OutOfMemoryError:
        raise NotNow(f"the memory of {device} was not enough; something else may be using it") from None
    except WeightsError as error:
        raise NotNow(str(error)) from None
    finally:
        if device != "cpu":
            torch.cuda.empty_cache()
    return result


def _find(name: str) -> Pipeline:
    try:
        return PIPELINES[name]
    except KeyError:
        raise ValueError(f"there is no pipeline {name!r}; there are {', '.join(sorted(PIPELINES))}") from None


def _options(name: str, given: Mapping[str, OptionValue]) -> Any:
    module, _, kind = _find(name).options.partition(":")
    return getattr(import_module(module), kind).of(given)


def _version(pipeline: Pipeline, options: Any) -> str:
    try:
        return "+".join(part for part in (pipeline.version, options.fingerprint()) if part)
    except WeightsError as error:
        raise NotNow(str(error)) from None


def _resolve_device(device: str) -> str:
    """Return the torch device to use; raises ValueError when it can't be had."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"there is no device {device!r}; there are auto, cpu, cuda, cuda:0, ...")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"the device {device!r} was asked for, but torch finds no CUDA here")
    return device
