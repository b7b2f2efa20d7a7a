"""Listener here, workers there: a cluster that was away, a worker killed in the middle of a job, a cable pulled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.conftest import need_isolation, need_programs
from tests.dicomnode.network.helpers import certificates
from tests.peers import dcmtk
from tests.peers.cluster import Scheduler, Worker, engine_table
from tests.peers.machines import Machine, TwoMachines, two_machines
from tests.peers.node import DICOMNODE, Node, Settings, destination
from tests.peers.process import PeerProcess, eventually, free_port
from tests.peers.studies import StudyUids, small_tomo, write

CUT_S = 3.0  # much less than the time after which a silent machine is taken for gone


class Archive(dcmtk.StoreSCP):
    """A PACS on one of two machines."""

    def __init__(self, directory: Path, machine: Machine) -> None:
        super().__init__(directory)
        self.command = [*machine.prefix, *self.command]
        self._machine = machine

    def start(self) -> None:
        """Start it and wait until it answers."""
        PeerProcess.start(self)
        echo = ["echoscu", "-aec", "STORESCP", "127.0.0.1", str(self.port)]
        eventually(lambda: self._machine.run(echo).returncode == 0, "the archive to answer")


class Layout:
    """Scanner, node, scheduler and archive on one machine, two workers on another."""

    def __init__(self, folder: Path, machines: TwoMachines) -> None:
        self.machines = machines
        here, there = machines.here, machines.there
        table = engine_table(free_port(), certificates(folder / "circle"), here.address)
        self.archive = Archive(folder / "archive", here)
        self.scheduler = Scheduler(folder / "scheduler", table, here.prefix)
        self.workers = [
            Worker(folder / f"worker{number}", table, there.prefix, ["--host", there.address]) for number in (0, 1)
        ]
        settings = Settings(destinations=[destination(self.archive.port, "STORESCP")], engine=table)
        self.node = Node(folder / "node", settings, here.prefix)
        self.started: list[PeerProcess] = []

    def start(self, *processes: PeerProcess) -> None:
        """Start some of it."""
        for process in processes:
            self.started.append(process)
            process.start()

    def stop(self) -> None:
        """End all."""
        for process in reversed(self.started):
            process.kill()

    def send(self, file: Path) -> None:
        """Send a file from the scanner."""
        sent = self.machines.here.run(dcmtk.store_command(self.node.port, [file]))
        assert sent.returncode == 0, sent.stderr

    def trouble(self) -> str:
        """What `status` says of the engine."""
        return str(self.node.ask("status")["engine"]["trouble"])

    def pixels_delivered(self, study: str) -> dict[str, bytes]:
        """Return the pixels of a study's instances in the archive by SOP Instance UID."""
        found = (dcmread(path) for path in self.archive.received.iterdir())
        return {ds.SOPInstanceUID: ds.PixelData for ds in found if ds.StudyInstanceUID == study}


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    need_programs("openssl", "storescu", "storescp", "unshare", "nsenter", "ip")
    need_isolation()
    with two_machines(tmp_path) as machines:
        made = Layout(tmp_path, machines)
        try:
            yield made
        finally:
            made.stop()


def test_a_study_that_waited_for_a_cluster_and_lost_its_worker_is_delivered_once_and_as_this_machine_would_make_it(
    layout: Layout, tmp_path: Path
) -> None:
    node, workers = layout.node, layout.workers
    uids = StudyUids.from_seed("distributed", 1)
    file = write(small_tomo(uids), tmp_path / "a.dcm")
    layout.start(layout.archive, node)
    layout.send(file)
    eventually(lambda: "can't be reached" in layout.trouble(), "the node to tell why studies wait")
    assert node.wait_for(uids.study, "ROUTED")["attempts"] == 0

    layout.start(layout.scheduler, *workers)
    victim = eventually(lambda: [one for one in workers if one.works], "a worker with the job", every_s=0.02)[0]
    victim.kill()
    victim.start()
    eventually(lambda: any(one.works for one in workers), "a worker with the job again", every_s=0.02)
    if layout.machines.joined:  # seconds without a cable cost no attempt: what was on its way comes later
        layout.machines.cut()
        assert all(worker.alive for worker in workers)
        time.sleep(CUT_S)
        layout.machines.mend()
    assert node.wait_for(uids.study, "DELIVERED")["attempts"] == 2
    assert layout.trouble() == ""
    story = node.show(uids.study)
    assert any(f"the worker {victim.directory.name} was lost with the job" in move["reason"] for move in story["moves"])
    assert {one["attempts"] for one in story["deliveries"]} == {1}
    delivered = layout.pixels_delivered(uids.study)
    assert sorted(delivered) == node.derived(uids.study) != []

    made = tmp_path / "made here"
    run = Machine("").run([DICOMNODE, "run", "reconstruction", file, "--out", made, "--config", node.config])
    assert run.returncode == 0, run.stderr
    assert delivered == {ds.SOPInstanceUID: ds.PixelData for ds in map(dcmread, made.glob("*.dcm"))}
    assert node.stop() == 0
