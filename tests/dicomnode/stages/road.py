"""A road without network and child process: real spool, journal, outbox and objects; engine and PACS as told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import dcmread

from dicomnode.config import DestinationSettings, RuleSettings
from dicomnode.objects.header import read_header
from dicomnode.stages.assemble import Assembler
from dicomnode.stages.deliver import Deliverer
from dicomnode.stages.process import Processor
from dicomnode.stages.receive import OpenAssociations, Receiver
from dicomnode.store.fetches import Fetches
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox
from dicomnode.store.schema import open_database
from dicomnode.store.spool import Spool
from dicomnode.study import ReceivedInstance, SendOutcome, Study
from pipelines.contract import Derived, DerivedKind, Finding, PipelineResult, Provenance, Verdict
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from tests.fakes import NOON, FakeEngine, FakeSender

PACS = DestinationSettings(name="pacs", ae_title="ORTHANC", host="127.0.0.1", port=4242)
RULE = RuleSettings(name="all", when={"modality": "NM"}, pipeline="reconstruction", destinations=("pacs",))


def a_result(verdict: Verdict = Verdict.PASS, text: str = "checked") -> PipelineResult:
    """Return what a pipeline might: one small volume."""
    grid = VoxelGrid.axial((4, 6, 6), (6.4, 6.4, 6.4), (0.0, 0.0, 0.0))
    values = np.arange(144, dtype=np.float32).reshape(grid.shape)
    volume = Derived(DerivedKind.RECONSTRUCTION, Volume(values, grid, Unit.PROPORTIONAL_COUNTS), "made by a test")
    page = np.full((20, 1600, 3), 255, dtype=np.uint8)
    return PipelineResult((volume,), Provenance("reconstruction", "1.0.0"), (Finding(verdict, text),), page=page)


def received(file_bytes: bytes, association: str = "a1", calling_ae_title: str = "SPECT1") -> ReceivedInstance:
    """Return a C-STORE request with this instance."""
    header = read_header(file_bytes)
    return ReceivedInstance(
        calling_ae_title,
        "10.0.0.5",
        association,
        header.sop_class_uid,
        header.sop_instance_uid,
        "1.2.840.10008.1.2.1",
        file_bytes,
    )


@dataclass
class Road:
    """All stages over one folder; `now` is the time that they are given."""

    folder: Path
    rules: Sequence[RuleSettings] = (RULE,)
    answers: list[PipelineResult | Exception] = field(default_factory=list)
    now: datetime = NOON
    stopping: bool = False
    database: str | None = None  # address of a PostgreSQL journal, in place of a file in the folder

    def __post_init__(self) -> None:
        self.journal = Journal(open_database(self.database or self.folder / "journal.sqlite"))
        self.spool = Spool(self.folder / "spool")
        self.outbox = Outbox(self.journal, Spool(self.folder / "derived"))
        self.associations = OpenAssociations(self._wake)
        self.engine = FakeEngine(self.answers)
        self.woken = 0
        self.receiver = Receiver(self.journal, self.spool, self.associations, frozenset(), 0.0, 30, self._wake)
        self.assembler = Assembler(
            self.journal, self.rules, 30, self.associations.is_sending, Fetches(self.journal), NOON
        )
        self.processor = Processor(
            self.journal, self.spool, self.outbox, self.engine, "0.1.0", 3, 60.0,
            lambda: self.stopping, lambda: self.now, self._wake,
        )  # fmt: skip

    def _wake(self) -> None:
        self.woken += 1

    def receive(self, file_bytes: bytes, association: str = "a1") -> str:
        """Receive one instance and return its Study Instance UID."""
        self.receiver.receive(received(file_bytes, association), self.now)
        return read_header(file_bytes).study_instance_uid

    def assemble(self) -> None:
        """End the usual Association and look at the studies that are due."""
        self.associations.closed("a1")
        self.assembler.run_once(self.now)

    def process(self, file_bytes: bytes) -> str:
        """Receive one instance over an Association of its own, assemble its study, and make one attempt."""
        uid = self.receive(file_bytes)
        self.assemble()
        self.processor.run_once(self.now)
        return uid

    def deliver(self, *outcomes: SendOutcome | str, to: DestinationSettings = PACS) -> FakeSender:
        """Send what is due, answered by `outcomes`; return the sender with what it sent."""
        paths = {self.outbox.spool.path(path): "" for path in self.outbox.spool.stored()}
        sender = FakeSender({path: str(dcmread(path).SOPInstanceUID) for path in paths}, list(outcomes))
        Deliverer(self.outbox, to, sender, lambda: self.now, lambda: False).run_once(self.now)
        return sender

    def study(self, uid: str) -> Study:
        """Return a study that must be there."""
        study = self.journal.study(uid)
        assert study is not None
        return study

    def events(self, uid: str) -> list[str]:
        """Return the events of a study's story."""
        return [move.event for move in self.journal.moves(uid)]
