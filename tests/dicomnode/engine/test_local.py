"""The local engine with its real child process: whatever happens in there, the node gets an answer and lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dicomnode.config import RuleSettings
from dicomnode.engine.local import LocalEngine, check_rules
from dicomnode.errors import ConfigurationError, TransientFault
from pipelines.contract import Acquisition, DerivedKind, PipelineInput, PipelineResult
from pipelines.images import Array, UnsuitableAcquisition, Volume
from tests.factories import some_projections
from tests.peers.process import children_of, eventually, is_running


@pytest.fixture(scope="module")
def an_engine() -> Iterator[LocalEngine]:
    engine = LocalEngine("cpu", timeout_s=120)
    yield engine
    engine.stop()


def an_input(**options: int) -> PipelineInput:
    projections = some_projections(views=30, rows=16, columns=16)
    return PipelineInput(Acquisition("1.2.3", projections=projections), options=options)


def result_of(engine: LocalEngine) -> PipelineResult | None:
    """Return what a pipeline makes; None if it doesn't run through: the first attempt after a child's death may not."""
    try:
        return engine.run("reconstruction", an_input())
    except TransientFault:
        return None


def pixels(result: PipelineResult) -> Array:
    volume = result.derived[0].data
    assert isinstance(volume, Volume)
    return volume.values


def child_of_this_process() -> int:
    def python_children() -> list[int]:
        return [pid for pid in children_of(os.getpid()) if b"spawn_main" in _command(pid)]

    return eventually(python_children, "the engine's child")[0]


def _command(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


def test_a_pipeline_runs_in_the_child_and_its_arrays_come_back(an_engine: LocalEngine) -> None:
    result = an_engine.run("reconstruction", an_input())
    volume = result.derived[0]
    assert volume.kind is DerivedKind.RECONSTRUCTION
    assert result.provenance.version == an_engine.version("reconstruction", {})


def test_the_child_is_used_again(an_engine: LocalEngine) -> None:
    an_engine.run("reconstruction", an_input())
    pid = child_of_this_process()
    an_engine.run("reconstruction", an_input())
    assert child_of_this_process() == pid


def test_the_childs_threads_do_not_spin_while_they_wait(an_engine: LocalEngine) -> None:
    an_engine.run("reconstruction", an_input())
    with open(f"/proc/{child_of_this_process()}/environ", "rb") as file:
        assert b"OMP_WAIT_POLICY=PASSIVE" in file.read().split(b"\0")


def test_what_the_pipeline_says_of_unsuitable_images_comes_through(an_engine: LocalEngine) -> None:
    with pytest.raises(UnsuitableAcquisition):
        an_engine.run("reconstruction", PipelineInput(Acquisition("1.2.3")))


def test_a_child_that_is_killed_fails_one_attempt_and_the_next_one_runs(an_engine: LocalEngine) -> None:
    an_engine.run("reconstruction", an_input())
    pid = child_of_this_process()
    killer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(TransientFault):
        an_engine.run("reconstruction", an_input(iterations=20000))  # minutes, were it left alone
    killer.join()
    assert eventually(lambda: result_of(an_engine), "another child")


def test_a_child_that_is_killed_while_idle_is_replaced_by_one_that_makes_the_same_pixels(
    an_engine: LocalEngine,
) -> None:
    first = an_engine.run("reconstruction", an_input())
    pid = child_of_this_process()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_running(pid), "the child's end")
    second = eventually(lambda: result_of(an_engine), "another child")
    assert child_of_this_process() != pid
    assert second is not None
    assert np.array_equal(pixels(first), pixels(second))


def test_a_pipeline_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LocalEngine("cpu", timeout_s=0.01)
    try:
        with pytest.raises(TransientFault, match=r"took longer than engine.timeout_s = 0\.01 s"):
            engine.run("reconstruction", an_input(iterations=400))
    finally:
        engine.stop()


def test_a_stopped_engine_says_so() -> None:
    engine = LocalEngine("cpu", timeout_s=10)
    engine.stop()
    with pytest.raises(TransientFault, match="stopped"):
        engine.run("reconstruction", an_input())


def test_the_child_never_outlives_its_node() -> None:
    program = (
        "import os, time\n"
        "from dicomnode.engine.local import LocalEngine\n"
        "if __name__ == '__main__':\n"
        "    engine = LocalEngine('cpu', 60)\n"
        "    engine.start()\n"
        "    print('up', flush=True)\n"
        "    time.sleep(60)\n"
    )
    node = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert node.stdout is not None
    node.stdout.readline()
    (child,) = eventually(lambda: [p for p in children_of(node.pid) if b"spawn_main" in _command(p)], "the child")
    node.kill()
    node.wait()
    eventually(lambda: not is_running(child), "the end of the child", timeout_s=10)


def a_rule(**changes: object) -> RuleSettings:
    values = {"name": "all", "pipeline": "reconstruction", "destinations": ["pacs"]}
    return RuleSettings.model_validate(values | changes)


def test_a_rule_that_asks_for_an_option_the_pipeline_lacks_is_refused_before_the_node_starts() -> None:
    check_rules([a_rule(options={"iterations": 4})])
    with pytest.raises(ConfigurationError, match=r"rules\.0\.options: there is no option turns"):
        check_rules([a_rule(options={"turns": 4})])
    with pytest.raises(ConfigurationError, match="must be whole and positive"):
        check_rules([a_rule(options={"subsets": 0})])


def test_a_correction_by_ct_alone_asks_for_no_networks(tmp_path: Path) -> None:
    nowhere = {"models": str(tmp_path)}
    check_rules([a_rule(pipeline="attenuation_correction", options={**nowhere, "map": "ct"})])
    with pytest.raises(ConfigurationError, match=r"mu-map\.json: there is no such model card"):
        check_rules([a_rule(pipeline="attenuation_correction", options=nowhere)])


def test_a_rule_that_asks_for_a_model_that_is_not_there_is_refused_before_the_node_starts(tmp_path: Path) -> None:
    rule = a_rule(pipeline="denoising", options={"models": str(tmp_path)})
    with pytest.raises(ConfigurationError, match=r"rules\.0\.options: .*denoiser\.json: there is no such model card"):
        check_rules([rule])


def test_weights_that_went_away_fail_one_attempt_and_are_named(tmp_path: Path, an_engine: LocalEngine) -> None:
    with pytest.raises(TransientFault, match="there is no such model card"):
        an_engine.version("denoising", {"models": str(tmp_path)})
    projections = some_projections(views=30, rows=16, columns=16)
    lost = PipelineInput(Acquisition("1.2.3", projections=projections), options={"models": str(tmp_path)})
    with pytest.raises(TransientFault, match="there is no such model card"):
        an_engine.run("denoising", lost)


def test_a_pipeline_that_was_given_up_before_it_began_is_ended_at_once(an_engine: LocalEngine) -> None:
    with pytest.raises(TransientFault, match="told to abandon"):
        an_engine.run("reconstruction", an_input(iterations=100_000), given_up=lambda: True)
