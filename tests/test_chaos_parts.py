"""What a campaign is made of does what it says: a frozen process, a cut line to a database, an audit of the pixels."""

from __future__ import annotations

import random
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import NuclearMedicineImageStorage, SecondaryCaptureImageStorage

from dicomnode.errors import TransientFault
from dicomnode.store.journal import Journal
from dicomnode.store.schema import open_database
from tests.chaos.pixels import mixed_up, signatures
from tests.chaos.troubles import NotNow, frozen
from tests.conftest import need_isolation
from tests.fakes import NOON, an_instance
from tests.peers.postgres import Postgres, as_other_user, program
from tests.peers.process import PeerProcess, eventually
from tests.peers.relay import Relay
from tests.peers.studies import StudyUids, give_uids, small_tomo

UIDS = [StudyUids.from_seed("chaos parts", number) for number in range(4)]
HEARTS = {uids.instance: number % 2 for number, uids in enumerate(UIDS)}  # 0 and 2 hold the same heart, 1 and 3


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_frozen_process_does_nothing_until_the_trouble_is_over(tmp_path: Path) -> None:
    process = PeerProcess(["sleep", "100"], tmp_path / "log")
    process.start()
    with frozen(lambda _: [process.pid], random.Random(0)):
        eventually(lambda: state_of(process.pid) == "T", "it to be frozen")
    eventually(lambda: state_of(process.pid) == "S", "it to go on")
    with frozen(lambda _: [process.pid], random.Random(0)):
        process.kill()  # meanwhile, as another trouble may
    with pytest.raises(NotNow), frozen(lambda _: [], random.Random(0)):
        pass


def test_a_journal_whose_line_to_the_database_is_cut_says_so_and_goes_on_when_it_is_back() -> None:
    if program("initdb") is None or as_other_user() is None:
        pytest.skip("PostgreSQL can't be run here")
    need_isolation()
    server = Postgres(over_tcp=True)
    relay = Relay(server.port)
    try:
        server.start()
        relay.start()
        journal = Journal(open_database(server.address(relay.port)))
        with relay.cut(), pytest.raises(TransientFault):
            journal.record_instance(an_instance("1.1", "1"), NOON)
        journal.record_instance(an_instance("1.2", "1"), NOON)
        assert [one.header.sop_instance_uid for one in journal.instances("1")] == ["1.2"]
        journal.close()
    finally:
        relay.stop()
        server.remove()


def made_of(uids: StudyUids, heart: int) -> list[bytes]:
    """Return the files of a volume and a page of this heart that name this acquisition as their source."""
    files = []
    for sop_class in (NuclearMedicineImageStorage, SecondaryCaptureImageStorage):
        ds = give_uids(small_tomo(uids, seed=heart, views=4, matrix=4), uids.in_study(sop_class))
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
        ds.SourceImageSequence = Sequence([Dataset()])
        ds.SourceImageSequence[0].ReferencedSOPInstanceUID = uids.instance
        content = BytesIO()
        ds.save_as(content, enforce_file_format=True)
        files.append(content.getvalue())
    return files


def found(hearts: list[int]) -> list[str]:
    """Return what the audit says where these hearts were made of the acquisitions."""
    files = [file for uids, heart in zip(UIDS, hearts, strict=True) for file in made_of(uids, heart)]
    return mixed_up(signatures(files), HEARTS)


def test_pixels_of_the_same_heart_are_the_same_and_of_another_heart_others() -> None:
    assert found([0, 1, 0, 1]) == []


def test_results_that_were_mixed_up_between_two_studies_are_found() -> None:
    told = found([1, 0, 0, 1])
    assert len(told) >= 2
    assert any("are not the pixels of heart" in one or "gave the same pixels" in one for one in told)


def test_a_result_of_no_heart_at_all_and_one_result_for_all_are_found() -> None:
    assert found([0, 1, 0, 7])
    assert found([0, 0, 0, 0]) == ["hearts 0 and 1 gave the same pixels"]
