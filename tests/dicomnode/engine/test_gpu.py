"""What the driver says of the GPUs, read as it says it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dicomnode.engine.gpu import Gpu, GpuWatch, read_answer
from tests.fakes import after


def test_the_drivers_answer_is_read() -> None:
    answer = "NVIDIA H200, 1024, 143771, 37\nTesla K20, rev 2, 10, 4742, [N/A]\n"
    assert read_answer(answer) == (
        Gpu("NVIDIA H200", 1024, 143771, 37), Gpu("Tesla K20, rev 2", 10, 4742, None),
    )  # fmt: skip


@pytest.mark.parametrize("answer", ["", "No devices were found\n", "GPU, [N/A], [N/A], [N/A]\n"])
def test_an_answer_without_a_gpu_means_none(answer: str) -> None:
    assert read_answer(answer) == ()


def test_the_driver_is_asked_again_only_after_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho once >> {asked}\necho 'GPU, 1, 2, 3'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    watch = GpuWatch()
    for seconds in (0, 5, 9, 10, 15):
        assert watch.look(after(seconds)) == (Gpu("GPU", 1, 2, 3),)
    assert asked.read_text().count("once") == 2


def test_a_driver_that_fails_means_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert GpuWatch().look(after(0)) == ()
