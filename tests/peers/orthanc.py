"""Orthanc as the PACS of the tests: started in its own folder, asked by REST and over DICOM."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.peers import dcmtk
from tests.peers.process import HOST, PeerProcess, eventually, free_port

AE_TITLE = "ORTHANC"
READER = "READER"


class Orthanc(PeerProcess):
    """An Orthanc server that knows the node (to store) and a reader (to query and retrieve)."""

    def __init__(
        self,
        directory: Path,
        node_ae_title: str = "DICOMNODE",
        env: Mapping[str, str] | None = None,
        node_port: int | None = None,  # where the node listens, for C-MOVE and reports of Storage Commitment
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.dicom_port, self.http_port, self.reader_port = free_port(), free_port(), free_port()
        self.node_port = node_port or free_port()
        settings = directory / "orthanc.json"
        settings.write_text(json.dumps(self._settings(node_ae_title), indent=1))
        super().__init__(["Orthanc", settings], directory / "orthanc.log", env)

    def _settings(self, node_ae_title: str) -> dict[str, Any]:
        services = ("Echo", "Store", "Find", "Get", "Move", "StorageCommitment")
        allowed = {f"Allow{service}": True for service in services}
        return {
            "Name": "tests",
            "StorageDirectory": str(self.directory / "storage"),
            "IndexDirectory": str(self.directory / "storage"),
            "Plugins": [],
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "DicomAet": AE_TITLE,
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "OverwriteInstances": False,
            "StableAge": 3600,
            "DicomModalities": {
                name: {"AET": title, "Host": HOST, "Port": port, **allowed}
                for name, title, port in (
                    ("node", node_ae_title, self.node_port),
                    ("reader", READER, self.reader_port),
                    ("scanner", "SPECT1", free_port()),
                )
            },
        }

    def start(self) -> None:
        """Start Orthanc and wait until both its doors answer."""
        super().start()
        eventually(self._answers, "Orthanc to answer", timeout_s=60)

    def _answers(self) -> bool:
        assert self.alive, f"Orthanc ended at once:\n{self.output()[-2000:]}"
        try:
            self.get("/system")
        except urllib.error.URLError:
            return False
        return dcmtk.echo(self.dicom_port, called=AE_TITLE, calling=READER)

    def get(self, path: str) -> Any:
        """Return what a GET of the REST path answers."""
        with urllib.request.urlopen(f"http://{HOST}:{self.http_port}{path}", timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any) -> Any:
        """Return what a POST of the REST path answers."""
        address = f"http://{HOST}:{self.http_port}{path}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with urllib.request.urlopen(address, data=content, timeout=60) as answer:
            return json.load(answer)

    def add(self, *files: Path) -> None:
        """Store files by REST."""
        for file in files:
            self.post("/instances", file.read_bytes())

    def _find(self, level: str, study_instance_uid: str | None) -> list[Any]:
        """Return the expanded resources of a level (Study, Series, Instance), of one study or of all."""
        query = {} if study_instance_uid is None else {"StudyInstanceUID": study_instance_uid}
        found: list[Any] = self.post("/tools/find", {"Level": level, "Query": query, "Expand": True})
        return found

    def instances(self, study_instance_uid: str | None = None) -> list[str]:
        """Return the SOP Instance UIDs that are stored, of one study or of all, by REST."""
        found = self._find("Instance", study_instance_uid)
        return sorted(row["MainDicomTags"]["SOPInstanceUID"] for row in found)

    def studies(self) -> set[str]:
        """Return the Study Instance UIDs of which something is stored, by REST."""
        return {row["MainDicomTags"]["StudyInstanceUID"] for row in self._find("Study", None)}

    def series(self, study_instance_uid: str | None = None) -> list[str]:
        """Return the Series Instance UIDs that are stored, of one study or of all, by REST."""
        found = self._find("Series", study_instance_uid)
        return sorted(row["MainDicomTags"]["SeriesInstanceUID"] for row in found)

    def count(self) -> int:
        """Return how many instances are stored in all."""
        return int(self.get("/statistics")["CountInstances"])

    def files(self) -> Iterator[bytes]:
        """Yield every file that is stored, by REST."""
        for identifier in self.get("/instances"):
            with urllib.request.urlopen(f"http://{HOST}:{self.http_port}/instances/{identifier}/file") as answer:
                yield answer.read()

    def retrieve(self, study_instance_uid: str, into: Path) -> list[Path]:
        """Read a study back over DICOM (C-GET by DCMTK) and return its files."""
        into.mkdir(parents=True, exist_ok=True)
        return dcmtk.retrieve(self.dicom_port, AE_TITLE, READER, study_instance_uid, into)

    def retrieve_datasets(self, study_instance_uid: str, into: Path) -> list[tuple[Path, Dataset]]:
        """Read a study back over DICOM and return its files with their datasets."""
        return [(path, dcmread(path)) for path in self.retrieve(study_instance_uid, into)]
