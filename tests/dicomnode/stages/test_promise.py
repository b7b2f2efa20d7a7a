"""What we promise to scanners: what is on the disk and in the journal, and only that; and that they are told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from dicomnode.config import PeerSettings
from dicomnode.errors import TransientFault
from dicomnode.objects.header import read_header
from dicomnode.stages.promise import Promiser
from dicomnode.stages.purge import Purger
from dicomnode.store.promises import Promises
from dicomnode.store.spool import Spool
from dicomnode.study import CommitmentReport, CommitmentRequest, Reference, StudyState
from tests.dicomnode.stages.road import Road
from tests.factories import a_tomo
from tests.fakes import after

SCANNER = PeerSettings(name="scanner", ae_title="SPECT1", host="127.0.0.1", port=104)
DAY = 86_400.0


@dataclass
class Camera:
    """A scanner that has sent one instance and asks about it."""

    road: Road
    away: bool = False
    told: list[CommitmentReport] = field(default_factory=list)
    peers: tuple[PeerSettings, ...] = (SCANNER,)

    def __post_init__(self) -> None:
        file = a_tomo()
        self.uid = self.road.receive(file)
        header = read_header(file)
        self.here = Reference(header.sop_class_uid, header.sop_instance_uid)
        self.promises = Promises(self.road.journal, self.road.spool)

    def report(self, _peer: PeerSettings, report: CommitmentReport) -> None:
        """Take a report, as the network would bring it."""
        if self.away:
            raise TransientFault("nobody answers")
        self.told.append(report)

    def promiser(self) -> Promiser:
        """Return the stage."""
        return Promiser(self.promises, self.peers, self.report, lambda: self.road.now, lambda: False)

    def ask(self, *references: Reference, transaction_uid: str = "1.9") -> None:
        """Ask whether these are kept."""
        self.promiser().asked("scanner", CommitmentRequest(transaction_uid, references))

    def run(self, seconds: float) -> int:
        """Answer what is due at this moment after noon."""
        self.road.now = after(seconds)
        return self.promiser().run_once(self.road.now)


def test_a_scanner_is_told_what_is_kept_and_of_the_rest_why_not(a_road: Road) -> None:
    camera = Camera(a_road)
    unknown, other = Reference(camera.here.sop_class_uid, "1.2.3"), Reference("1.2.4", camera.here.sop_instance_uid)
    camera.ask(camera.here, unknown, other)
    assert camera.run(0) == 0, "the answer to the request goes first"
    assert camera.run(1) == 1
    assert camera.told == [CommitmentReport("1.9", (camera.here,), ((unknown, 0x0112), (other, 0x0119)))]
    assert camera.run(2) == 0


def test_a_long_request_is_answered_whole_and_in_order(a_road: Road) -> None:
    camera = Camera(a_road)
    many = [Reference(camera.here.sop_class_uid, f"1.2.3.{number}") for number in range(450)]
    camera.ask(*many, camera.here)
    camera.run(1)
    (report,) = camera.told
    assert report.committed == (camera.here,)
    assert [reference for reference, _ in report.failed] == many


def test_a_file_that_is_gone_or_cut_short_is_not_promised(a_road: Road) -> None:
    camera = Camera(a_road)
    (path,) = [a_road.spool.path(relative) for relative in a_road.spool.stored()]
    path.write_bytes(path.read_bytes()[:-10])
    camera.ask(camera.here)
    camera.run(1)
    path.unlink()
    camera.ask(camera.here, transaction_uid="1.10")
    camera.run(2)
    assert [report.failed for report in camera.told] == [((camera.here, 0x0112),)] * 2


def test_a_scanner_that_is_away_is_told_by_the_schedule_and_given_up_after_three_days(a_road: Road) -> None:
    camera = Camera(a_road, away=True)
    camera.ask(camera.here)
    assert camera.run(1) == 0
    camera.away = False
    assert camera.run(3) == 0
    assert camera.run(7) == 1
    camera.away = True
    camera.ask(camera.here, transaction_uid="1.10")
    camera.run(4 * DAY)
    camera.away = False
    assert camera.run(5 * DAY) == 0


def test_a_request_that_comes_again_is_answered_again(a_road: Road) -> None:
    camera = Camera(a_road)
    camera.ask(camera.here)
    camera.run(1)
    camera.ask(camera.here)
    camera.run(2)
    assert len(camera.told) == 2


def test_a_peer_that_lost_its_address_is_not_told(a_road: Road) -> None:
    camera = Camera(a_road)
    camera.ask(camera.here)
    camera.peers = (PeerSettings(name="scanner", ae_title="SPECT1"),)
    assert camera.run(1) == 0
    camera.peers = (SCANNER,)
    assert camera.run(2) == 0


def ignored_after_a_promise(road: Road) -> Camera:
    """Return a scanner that was promised that its study is kept, which no rule wants."""
    camera = Camera(road)
    road.associations.closed("a1")
    camera.ask(camera.here)
    camera.run(1)
    road.assembler = replace(road.assembler, rules=())
    road.assembler.run_once(after(100))
    assert road.study(camera.uid).state is StudyState.IGNORED
    return camera


def test_however_short_of_room_the_disk_is_what_was_promised_stays(
    a_road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = ignored_after_a_promise(a_road)
    monkeypatch.setattr(Spool, "free_gb", lambda _spool: 0.0)
    purger = Purger(a_road.journal, a_road.spool, a_road.outbox, 7, 7, 365, early_below_gb=10)
    assert purger.make_room(after(100 * DAY)) == 0
    assert a_road.study(camera.uid).state is StudyState.IGNORED
    assert purger.make_room(after(366 * DAY)) == 1


def test_what_was_promised_is_kept_longer_than_what_was_not(a_road: Road) -> None:
    camera = ignored_after_a_promise(a_road)
    purger = Purger(a_road.journal, a_road.spool, a_road.outbox, 7, 7, 365)
    assert purger.run_once(after(100 * DAY)) == 0
    assert a_road.study(camera.uid).state is StudyState.IGNORED
    assert purger.run_once(after(366 * DAY)) == 1
    assert a_road.study(camera.uid).state is StudyState.PURGED
