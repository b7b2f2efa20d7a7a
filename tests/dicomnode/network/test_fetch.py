"""Query/Retrieve against an archive that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    NuclearMedicineImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicomnode.config import DestinationSettings
from dicomnode.errors import TransientFault
from dicomnode.network.fetch import Archive
from dicomnode.study import FoundSeries, ReceivedInstance, SeriesQuery
from tests.conftest import Start, need_isolation, need_programs
from tests.dicomnode.network.helpers import Inbox, dataset_bytes, nm_file
from tests.peers import dcmtk

QUERY = SeriesQuery("1.2", "NM", "*rest*", True, "P1", "HOSPITAL", "20260302", "20260201-20260401")
SERIES = FoundSeries("1.3", "1.3.1", ("1.3.1.1",))


def a_match(**elements: str) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@dataclass
class QueryPeer:
    """Answers queries per level, and retrieves with one status; `files` go out by C-GET."""

    matches: dict[str, list[Dataset]] = field(default_factory=dict)
    status: int = 0x0000
    files: list[bytes] = field(default_factory=list)
    asked: list[Dataset] = field(default_factory=list)
    moved_to: list[str] = field(default_factory=list)

    @contextmanager
    def running(self, timeout_s: float = 20.0) -> Iterator[Archive]:
        """Run the archive; what is yielded asks it."""
        ae = AE("PACS")
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
        ae.add_supported_context(NuclearMedicineImageStorage, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
        handlers = [(evt.EVT_C_FIND, self._find), (evt.EVT_C_MOVE, self._move), (evt.EVT_C_GET, self._get)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        port = server.server_address[1]
        source = DestinationSettings(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
        try:
            yield Archive(source, "DICOMNODE", None, timeout_s)
        finally:
            server.shutdown()

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        for match in self.matches.get(event.identifier.QueryRetrieveLevel, []):
            yield 0xFF00, match
        if self.status:
            yield self.status, None

    def _move(self, event: Any) -> Iterator[Any]:
        self.moved_to.append(event.move_destination)
        yield None, None  # a destination that is not known

    def _get(self, event: Any) -> Iterator[Any]:
        yield len(self.files)
        for file in self.files:
            yield 0xFF00, dcmread(BytesIO(file))


def a_series(**changes: str) -> Dataset:
    return a_match(**{"SeriesInstanceUID": "1.3.1", "SeriesDescription": "REST TOMO", "Modality": "NM", **changes})


def a_study(uid: str, **changes: str) -> Dataset:
    return a_match(**{"StudyInstanceUID": uid, "PatientID": "P1", "StudyDate": "20260301", **changes})


def test_series_of_a_study_are_found_with_their_instances_by_modality_and_description() -> None:
    series = [
        a_series(),
        a_series(SeriesDescription="STRESS"),
        a_series(Modality="CT"),
        a_series(SeriesInstanceUID="a/b"),
    ]
    peer = QueryPeer({"SERIES": series, "IMAGE": [a_match(SOPInstanceUID="1.3.1.1"), a_match(SOPInstanceUID="../x")]})
    with peer.running() as archive:
        found = archive.find(SeriesQuery("1.3", "NM", "*rest*"))
    assert found == [FoundSeries("1.3", "1.3.1", ("1.3.1.1",))]
    assert {ds.StudyInstanceUID for ds in peer.asked} == {"1.3"}


def test_a_series_of_which_the_archive_tells_no_description_is_not_left_out() -> None:
    untold = a_match(SeriesInstanceUID="1.3.2", Modality="NM")
    series = [a_series(SeriesDescription="STRESS"), a_series(SeriesDescription=""), untold]
    with QueryPeer({"SERIES": series, "IMAGE": [a_match(SOPInstanceUID="1.3.2.1")]}).running() as archive:
        found = archive.find(SeriesQuery("1.3", "NM", "*rest*"))
    assert found == [FoundSeries("1.3", "1.3.2", ("1.3.2.1",))]


def test_dcmtks_archive_tells_no_descriptions_and_its_series_are_found_and_fetched_all_the_same(
    start: Start, tmp_path: Path
) -> None:
    need_programs("dcmqrscp", "storescu", "echoscu")
    need_isolation()
    archive = dcmtk.QueryRetrieveSCP(tmp_path)
    start(archive)
    made = dcmread(BytesIO(nm_file()))
    made.SeriesDescription, made.StudyDate, made.StudyID = "REST TOMO", "20260301", "1"
    made.save_as(tmp_path / "rest.dcm")
    assert dcmtk.store(archive.port, [tmp_path / "rest.dcm"], called=archive.ae_title).accepted
    source = DestinationSettings(name="pacs", ae_title=archive.ae_title, host="127.0.0.1", port=archive.port)
    asking, inbox = Archive(source, archive.reader, None, 20), Inbox()
    (found,) = asking.find(SeriesQuery(made.StudyInstanceUID, "NM", "*rest*"))
    assert found == FoundSeries(made.StudyInstanceUID, made.SeriesInstanceUID, (made.SOPInstanceUID,))
    asking.get(found, "fetch 1", inbox.receive)
    assert [one.sop_instance_uid for one in inbox.received] == [made.SOPInstanceUID]


def test_of_other_studies_the_nearest_of_the_same_patient_is_taken() -> None:
    studies = [
        a_study("1.4", StudyDate="20260201"),
        a_study("1.3"),
        a_study("1.2"),
        a_study("1.5", PatientID="P12", StudyDate="20260302"),
        a_study("1.6", PatientID="p1", StudyDate="20260302"),
        a_study("1.7", IssuerOfPatientID="ANOTHER", StudyDate="20260302"),
    ]
    peer = QueryPeer({"STUDY": studies, "SERIES": [a_series()], "IMAGE": [a_match(SOPInstanceUID="1.3.1.1")]})
    with peer.running() as archive:
        (found,) = archive.find(QUERY)
    assert found.study_instance_uid == "1.3"
    assert peer.asked[0].StudyDate == QUERY.dates


@pytest.mark.parametrize("status", [0xA700, 0xC000, 0x0122])
def test_an_archive_that_refuses_a_query_is_tried_again(status: int) -> None:
    with QueryPeer(status=status).running() as archive, pytest.raises(TransientFault, match=f"0x{status:04X}"):
        archive.find(SeriesQuery("1.3", "CT"))


def test_a_move_to_an_ae_title_that_the_archive_does_not_know_says_what_to_configure() -> None:
    peer = QueryPeer()
    with peer.running() as archive, pytest.raises(TransientFault, match=r"0xA801.*does it know DICOMNODE"):
        archive.move(SERIES)
    assert peer.moved_to == ["DICOMNODE"]


def test_what_comes_by_get_is_received_byte_for_byte() -> None:
    inbox, files = Inbox(), [nm_file(), nm_file()]
    with QueryPeer(files=files).running() as archive:
        archive.get(SERIES, "fetch 1", inbox.receive)
    assert [dataset_bytes(one.file_bytes) for one in inbox.received] == [dataset_bytes(file) for file in files]
    assert {(one.association, one.calling_ae_title) for one in inbox.received} == {("fetch 1", "PACS")}


def test_an_instance_that_could_not_be_kept_is_not_taken_for_fetched() -> None:
    def full(_received: ReceivedInstance) -> None:
        raise OSError(28, "No space left on device")

    with QueryPeer(files=[nm_file()]).running() as archive, pytest.raises(TransientFault, match="0xA702"):
        archive.get(SERIES, "fetch 1", full)


def test_an_archive_that_is_away_is_tried_again() -> None:
    source = DestinationSettings(name="pacs", ae_title="PACS", host="127.0.0.1", port=1)
    with pytest.raises(TransientFault, match="can't be reached"):
        Archive(source, "DICOMNODE", None, 5).find(SeriesQuery("1.3", "CT"))
