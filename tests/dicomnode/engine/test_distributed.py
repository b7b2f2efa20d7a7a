"""The distributed engine with a real scheduler and real workers: what comes back, and what is lost with whom."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicomnode.config import EngineSettings, TlsSettings
from dicomnode.engine.distributed import DistributedEngine
from dicomnode.errors import EngineAway, TransientFault
from dicomnode.node import node_version
from pipelines import catalog
from pipelines.cardiac.limits_library import OURS
from pipelines.contract import Acquisition, PipelineInput, PipelineResult
from pipelines.images import UnsuitableAcquisition
from tests.conftest import need_programs
from tests.dicomnode.network.helpers import certificates
from tests.factories import some_projections
from tests.peers.cluster import Cluster, Worker, engine_table
from tests.peers.process import eventually
from tests.pipelines.denoising_cases import a_model, an_acquisition

THEIR_LIMITS = "women_stress_not_corrected.json"
LONG = 100_000  # iterations: minutes, were they left alone


@pytest.fixture(scope="module")
def circle(tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    """The CA of the cluster and a certificate of it."""
    need_programs("openssl")
    return certificates(tmp_path_factory.mktemp("circle"))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, circle: TlsSettings) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), circle, workers=2)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(started: Cluster) -> Cluster:
    """A cluster with two workers, all of it well."""
    for member in (started.scheduler, *started.workers):
        if not member.alive:
            member.start()
    started.wait_until_ready()
    return started


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[DistributedEngine]:
    made = engine_for(cluster)
    eventually(lambda: made.room() == len(cluster.workers), "the workers to be seen")
    yield made
    made.stop()


def engine_for(cluster: Cluster, release: str | None = None, **changes: object) -> DistributedEngine:
    return DistributedEngine(EngineSettings.model_validate({**cluster.table, **changes}), release or node_version())


def an_input(**options: int | str) -> PipelineInput:
    projections = some_projections(views=30, rows=16, columns=16)
    return PipelineInput(Acquisition("1.2.3", projections=projections), options=options)


def pixels(result: PipelineResult) -> list[bytes]:
    arrays = [one.data.values if hasattr(one.data, "values") else one.data.counts for one in result.derived]
    return [np.ascontiguousarray(array).tobytes() for array in (*arrays, result.page)]


@pytest.fixture(scope="module")
def of_the_site(tmp_path_factory: pytest.TempPathFactory) -> PipelineInput:
    """A study to denoise by networks, and to read against limits, that lie in folders of the node's machine."""
    models, limits = a_model(tmp_path_factory.mktemp("models")), tmp_path_factory.mktemp("limits")
    shutil.copy(OURS / THEIR_LIMITS, limits)
    return PipelineInput(an_acquisition(), options={"models": str(models), "normal_limits": str(limits)})


def test_a_worker_makes_what_this_machine_would_make_also_with_files_that_it_has_to_be_sent(
    cluster: Cluster, engine: DistributedEngine, of_the_site: PipelineInput
) -> None:
    expected = catalog.run("denoising", of_the_site, "cpu")
    result = engine.run("denoising", of_the_site)
    assert pixels(result) == pixels(expected)
    assert result.provenance == expected.provenance
    assert result.hearts[-1].limits == expected.hearts[-1].limits != ""
    assert result.provenance.version == engine.version("denoising", of_the_site.options)
    sent = [file for folder in ("models", "normal_limits") for file in Path(str(of_the_site.options[folder])).iterdir()]
    assert files_kept(cluster) == {hashlib.sha256(path.read_bytes()).hexdigest() for path in sent}


def files_kept(cluster: Cluster) -> set[str]:
    return {path.name for worker in cluster.workers for path in worker.cache.glob("files/*")}


def test_a_file_that_was_changed_on_a_worker_is_never_used_but_sent_anew(
    cluster: Cluster, engine: DistributedEngine, of_the_site: PipelineInput
) -> None:
    weights = Path(str(of_the_site.options["models"])) / "denoiser.safetensors"
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    changed = [worker.cache / "files" / sha256 for worker in cluster.workers if worker.alive]
    for kept in changed:
        kept.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(UnsuitableAcquisition):
        engine.run("denoising", replace(of_the_site, acquisition=Acquisition("1.2.3")))
    assert weights.read_bytes() in [kept.read_bytes() for kept in changed]


def test_a_pipeline_that_takes_too_long_is_ended_on_its_worker(cluster: Cluster) -> None:
    impatient = engine_for(cluster, timeout_s=0.01)
    try:
        with pytest.raises(TransientFault, match=r"took longer than engine.timeout_s = 0\.01 s, on worker[01]"):
            impatient.run("reconstruction", an_input(iterations=LONG))
    finally:
        impatient.stop()


def test_a_job_that_its_node_gives_up_is_ended_on_its_worker(cluster: Cluster) -> None:
    leaving = engine_for(cluster)
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(leaving.run, "reconstruction", an_input(iterations=LONG))
        worker = cluster.busy_worker()
        leaving.stop()
        with pytest.raises(EngineAway, match="the engine is stopped"):
            lost.result(timeout=30)
    eventually(lambda: not worker.works, "the worker to be free")


def test_a_worker_that_is_killed_costs_the_attempt_and_a_scheduler_that_is_killed_does_not(
    cluster: Cluster, engine: DistributedEngine
) -> None:
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(engine.run, "reconstruction", an_input(iterations=LONG))
        first = cluster.busy_worker()
        first.kill()
        with pytest.raises(TransientFault, match=f"the worker {first.directory.name} was lost with the job") as told:
            lost.result(timeout=60)
        assert not isinstance(told.value, EngineAway), "a study that kills its workers must not do so for ever"
        assert engine.room() == 1

        lost = pool.submit(engine.run, "reconstruction", an_input(iterations=LONG))
        second = cluster.busy_worker()
        cluster.scheduler.kill()
        with pytest.raises(EngineAway, match="the scheduler was lost"):
            lost.result(timeout=60)
    assert eventually(lambda: not engine.room(), "the loss to be seen")
    assert "can't be reached" in engine.trouble
    assert second.wait(timeout_s=60) == 69, "systemd starts it again"
    cluster.scheduler.start()
    eventually(lambda: not engine.room() and "no worker is" in engine.trouble, "the scheduler to be seen")
    with pytest.raises(EngineAway, match="no worker is connected"):
        engine.run("reconstruction", an_input())
    second.start()
    eventually(engine.room, "the worker to be seen")
    assert engine.trouble == ""
    with pytest.raises(UnsuitableAcquisition):
        engine.run("reconstruction", PipelineInput(Acquisition("1.2.3")))


def test_a_worker_of_another_release_gets_no_job_and_the_machine_to_update_is_named(cluster: Cluster) -> None:
    for release, remedy in (("0.0.9", "update dicomnode on this node"), ("99.1", "update dicomnode on worker0")):
        other = engine_for(cluster, release)
        try:
            with pytest.raises(EngineAway, match=f"as this node does: .*worker0 has {node_version()}, {remedy}"):
                other.run("reconstruction", an_input())
        finally:
            other.stop()


def test_a_job_that_asks_for_a_gpu_goes_to_no_worker_without_one(cluster: Cluster) -> None:
    asking = engine_for(cluster, device="cuda")
    try:
        assert asking.room() == 0
        assert asking.trouble == 'engine.device = "cuda" asks for a GPU; none of the 2 workers has one'
    finally:
        asking.stop()


def test_nobody_is_let_in_without_a_certificate_of_the_clusters_ca(
    cluster: Cluster, circle: TlsSettings, tmp_path: Path
) -> None:
    stranger = certificates(tmp_path / "stranger")
    trusting = stranger.model_copy(update={"ca": circle.ca})
    port = cluster.port
    for tls in (trusting, stranger, None):
        outside = DistributedEngine(EngineSettings.model_validate(engine_table(port, tls)), node_version())
        try:
            assert outside.room() == 0
            assert "can't be reached" in outside.trouble
        finally:
            outside.stop()
    worker = Worker(tmp_path / "strange", engine_table(port, trusting))
    worker.start()
    try:
        eventually(lambda: "does not let us in yet" in worker.output(), "the worker to be refused")
        assert "strange" not in cluster.scheduler.output()
    finally:
        worker.kill()
