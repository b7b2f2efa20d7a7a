"""200 studies with an identity in every attribute of the patient: none of it where it must not be.

`make privacy` runs this. The studies pass through, are ignored, held, refused and sent to a destination that quotes the
patient's name in its answers, and an operator decides on some. Then everything that the node told about itself is
searched for every value that was sent: log, metrics, audit trail, notices, page, commands, names of files.
"""

from __future__ import annotations

import itertools
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt

from tests.conftest import StartNode
from tests.peers import dcmtk
from tests.peers.mailbox import webhook
from tests.peers.node import Node, Settings, destination
from tests.peers.process import HOST, eventually, free_port
from tests.peers.studies import StudyUids, small_tomo, static_image, write

STUDIES = 200
PASSING = 6  # through the whole road, which takes seconds each
REFUSED = 0xA900

# attributes of the Patient and Patient Study Modules, and of the study, that tell who somebody is (PS3.3 C.7.1, C.7.2)
NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ResponsiblePerson",
         "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName")  # fmt: skip
TEXTS = ("PatientID", "OtherPatientIDs", "IssuerOfPatientID", "AccessionNumber", "PatientAddress",
         "PatientTelephoneNumbers", "PatientComments", "AdditionalPatientHistory", "Occupation", "MilitaryRank",
         "BranchOfService", "CountryOfResidence", "RegionOfResidence", "PatientReligiousPreference", "EthnicGroup",
         "MedicalRecordLocator", "ResponsibleOrganization", "InsurancePlanIdentification", "StudyID",
         "AdmissionID", "Allergies", "MedicalAlerts")  # fmt: skip


def identify(made: Dataset, number: int) -> list[str]:
    """Give a study an identity that nobody else has; return all its values."""
    values = []
    for place, keyword in enumerate(NAMES):
        values += [f"Zwick{number}q{place}", f"Xenia{number}q{place}"]
        setattr(made, keyword, "^".join(values[-2:]))
    for place, keyword in enumerate(TEXTS):
        values.append(f"QJ{number}w{place}x")
        setattr(made, keyword, values[-1])
    made.PatientBirthDate = f"{1800 + number % 90}0{1 + number % 9}17"
    made.PatientBirthTime = f"0{number % 9}1733"
    return [*values, made.PatientBirthDate]


def studies(folder: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Yield the UID, the file and the identity of each study: good ones, static images, and broken ones."""
    for number in range(STUDIES):
        uids = StudyUids.from_seed("privacy", number)
        made = small_tomo(uids, number) if number < PASSING else static_image(uids)
        values = identify(made, number)
        if number % 5 == 4:
            made.PatientBirthDate = f"{values[-1]}-and-more"  # a value that its VR does not allow
        if number % 7 == 5:
            made.NumberOfFrames = 99  # pixels are not what the header says: refused
        yield uids.study, write(made, folder / f"{number}.dcm"), values


class QuotingArchive:
    """A destination that refuses everything, and quotes the patient's name in its answer."""

    def __init__(self) -> None:
        self.port = free_port()
        self.asked = 0
        ae = AE("QUOTER")
        ae.supported_contexts = AllStoragePresentationContexts
        self._server = ae.start_server((HOST, self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._refuse)])

    def _refuse(self, event: evt.Event) -> Dataset:
        self.asked += 1
        answer = Dataset()
        answer.Status = REFUSED
        answer.ErrorComment = f"{event.dataset.PatientName} {event.dataset.PatientID}"[:64]
        return answer

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()


@pytest.fixture
def archive() -> Iterator[QuotingArchive]:
    server = QuotingArchive()
    yield server
    server.stop()


@pytest.fixture
def read(tmp_path: Path) -> Callable[[int, str], str]:
    def get(port: int, path: str) -> str:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    return get


def all_pages(get: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    for number in itertools.count(1):
        page = get(f"/?page={number}")
        yield f"page {number}", page
        if f"page={number + 1}" not in page:
            return


def test_no_value_of_any_patient_is_found_where_it_must_not_be(
    start_node: StartNode, archive: QuotingArchive, read: Callable[[int, str], str], tmp_path: Path
) -> None:
    web_port, audit = free_port(), tmp_path / "audit.log"
    with webhook() as (hook_port, notices):
        node = start_node(
            Settings(
                destinations=[destination(archive.port, "QUOTER", "quoter")],
                rules=[
                    {
                        "name": "by name",
                        "when": {"patient_name": "Nobody*"},
                        "pipeline": "reconstruction",
                        "destinations": ["quoter"],
                    },
                    {
                        "name": "any tomo",
                        "when": {"image_type": "TOMO"},
                        "pipeline": "reconstruction",
                        "destinations": ["quoter"],
                    },
                ],
                web={"port": web_port},
                audit={"file": str(audit)},
                notify={"webhook": f"http://{HOST}:{hook_port}/", "disk_low_gb": 0},
            )
        )
        sent = list(studies(tmp_path / "sent"))
        for some in _twenties([file for _, file, _ in sent]):
            dcmtk.store(node.port, some, options=["--no-halt"])
        passed = [uid for uid, _, _ in sent[:PASSING]]
        kept = eventually(lambda: _ended(node), "all studies to end", timeout_s=400, every_s=2)
        eventually(lambda: len(notices) > 0, "a notice", timeout_s=60)
        failed = [uid for uid in passed if kept.get(uid) == "FAILED"]
        assert failed, "some went the whole road and were refused by the archive"
        assert node.command_run("reject", failed[0]).returncode == 0
        told = _everything_told(node, web_port, read, list(kept))
        told |= {"notices": str(notices)}
        assert node.stop() == 0
    told |= {"log": node.output(), "audit": audit.read_text(), "files": _names(node.data_dir)}
    assert archive.asked
    values = [value for _, _, identity in sent for value in identity]
    found = {where: [value for value in values if value in text][:3] for where, text in told.items()}
    assert {where: some for where, some in found.items() if some} == {}
    assert len(kept) > STUDIES * 0.8
    print(f"{len(sent)} studies, {len(values)} values, {sum(map(len, told.values()))} letters searched, none found")


def _twenties(files: list[Path]) -> Iterator[list[Path]]:
    for start in range(0, len(files), 20):
        yield files[start : start + 20]


def _ended(node: Node) -> dict[str, str]:
    states = {uid: row["state"] for uid, row in node.studies().items()}
    return states if states and not set(states.values()) - {"IGNORED", "HELD", "FAILED", "DELIVERED"} else {}


def _everything_told(
    node: Node, web_port: int, read: Callable[[int, str], str], studies_kept: list[str]
) -> dict[str, str]:
    told = {name: node.command_run(*name.split()).stdout for name in ("studies", "studies --json", "status --json")}
    told |= dict(all_pages(lambda path: read(web_port, path)))
    told |= {f"the page of {uid}": read(web_port, f"/studies/{uid}") for uid in studies_kept}
    told |= {f"show {uid}": node.command_run("show", uid, "--json").stdout for uid in studies_kept[-8:]}
    told["metrics"] = read(web_port, "/metrics")
    told["health"] = read(web_port, "/health/ready")
    return told


def _names(folder: Path) -> str:
    return "\n".join(str(path) for path in folder.rglob("*"))
