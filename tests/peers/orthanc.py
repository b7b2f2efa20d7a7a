"""Orthanc as the PACS of the tests: started in its own folder, asked by REST and over DICOM."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
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

    def __init__(self, directory: Path, node_ae_title: str = "DICOMNODE", env: Mapping[str, str] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.dicom_port, self.http_port = free_port(), free_port()
        settings = directory / "orthanc.json"
        settings.write_text(json.dumps(self._settings(node_ae_title), indent=1))
        super().__init__(["Orthanc", settings], directory / "orthanc.log", env)

    def _settings(self, node_ae_title: str) -> dict[str, Any]:
        allowed = {"AllowEcho": True, "AllowStore": True, "AllowFind": True, "AllowGet": True, "AllowMove": True}
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
                name: {"AET": title, "Host": HOST, "Port": free_port(), **allowed}
                for name, title in (("node", node_ae_title), ("reader", READER), ("scanner", "SPECT1"))
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

    def _find(self, level: str, study_instance_uid: str | None) -> list[Any]:
        """Return the expanded resources of a level (Series, Instance), of one study or of all."""
        query = {} if study_instance_uid is None else {"StudyInstanceUID": study_instance_uid}
        body = json.dumps({"Level": level, "Query": query, "Expand": True}).encode()
        address = f"http://{HOST}:{self.http_port}/tools/find"
        with urllib.request.urlopen(address, data=body, timeout=60) as answer:
            found: list[Any] = json.load(answer)
        return found

    def instances(self, study_instance_uid: str | None = None) -> list[str]:
        """Return the SOP Instance UIDs that are stored, of one study or of all, by REST."""
        found = self._find("Instance", study_instance_uid)
        return sorted(row["MainDicomTags"]["SOPInstanceUID"] for row in found)

    def series(self, study_instance_uid: str | None = None) -> list[str]:
        """Return the Series Instance UIDs that are stored, of one study or of all, by REST."""
        found = self._find("Series", study_instance_uid)
        return sorted(row["MainDicomTags"]["SeriesInstanceUID"] for row in found)

    def count(self) -> int:
        """Return how many instances are stored in all."""
        return int(self.get("/statistics")["CountInstances"])

    def retrieve(self, study_instance_uid: str, into: Path) -> list[Path]:
        """Read a study back over DICOM (C-GET by DCMTK) and return its files."""
        into.mkdir(parents=True, exist_ok=True)
        return dcmtk.retrieve(self.dicom_port, AE_TITLE, READER, study_instance_uid, into)

    def retrieve_datasets(self, study_instance_uid: str, into: Path) -> list[tuple[Path, Dataset]]:
        """Read a study back over DICOM and return its files with their datasets."""
        return [(path, dcmread(path)) for path in self.retrieve(study_instance_uid, into)]
