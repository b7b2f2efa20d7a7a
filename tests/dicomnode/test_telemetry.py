"""Logs: what is not known to be harmless does not get in."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.datadict import DicomDictionary

from dicomnode.telemetry import HARMLESS_FIELDS, drop_unknown_fields

NAME = "Musterfrau^Erika"


def stderr_of(program: str, form: str = "json") -> list[str]:
    """Return what a program that logs as the node does writes to stderr."""
    start = "import logging, structlog\nfrom dicomnode.telemetry import configure_logging\n"
    start += f"configure_logging('info', {form!r})\n"
    done = subprocess.run([sys.executable, "-c", start + program], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_a_field_nobody_declared_harmless_is_dropped_and_only_its_name_is_told() -> None:
    event = drop_unknown_fields(None, "info", {"event": "received", "study": "1.2", "patient_name": NAME})
    assert event == {"event": "received [dropped fields: patient_name]", "study": "1.2"}


def test_no_attribute_of_the_patient_is_declared_harmless() -> None:
    patient = {entry[4].lower() for tag, entry in DicomDictionary.items() if tag >> 16 == 0x0010}
    assert not patient & {name.replace("_", "") for name in HARMLESS_FIELDS}


def test_a_traceback_shows_no_local_variables() -> None:
    (line,) = stderr_of(
        f"""
def attempt(patient_name):
    return len(patient_name) / 0
try:
    attempt({NAME!r})
except ZeroDivisionError:
    structlog.get_logger("test").exception("attempt failed", study="1.2")
"""
    )
    assert json.loads(line)["study"] == "1.2"
    assert "ZeroDivisionError" in line
    assert NAME not in line


def test_every_line_is_one_json_document_whoever_logs() -> None:
    lines = stderr_of(
        "structlog.get_logger('test').info('one\\ntwo', study='1.2')\n"
        "logging.getLogger('some.library').warning('three')\n"
    )
    assert [json.loads(line)["event"] for line in lines] == ["one\ntwo", "three"]


# what tells who somebody is in the modules of the patient (PS3.3 C.2.2, C.2.3, C.7.1.1), and of who treats them
IDENTITY = sorted(
    {entry[4]: tag for tag, entry in DicomDictionary.items() if tag >> 16 == 0x0010}.items()
    | {"AccessionNumber": 0x00080050, "ReferringPhysicianName": 0x00080090, "InstitutionName": 0x00080080,
       "ResponsiblePerson": 0x00102297, "RequestingPhysician": 0x00321032, "AdmissionID": 0x00380010}.items()
)  # fmt: skip
WITHHELD = "Zweisamkeit"  # in no message of ours, Python's or pydicom's


def test_no_attribute_of_the_identity_modules_gets_into_a_log_by_any_way() -> None:
    program = f"""
import warnings
from pydicom.dataset import Dataset
log = structlog.get_logger("test")
for keyword, tag in {IDENTITY!r}:
    ds = Dataset()
    ds.add_new(tag, "LO", {WITHHELD!r})
    element = ds[tag]
    snake = "".join("_" + c.lower() if c.isupper() else c for c in keyword).lstrip("_")
    for name in (keyword, snake, keyword.lower()):
        log.warning("as a field", **{{name: {WITHHELD!r}}})
    log.warning("as a value", error=ds, reason=element.value.__class__.__name__, status=element, path=[{WITHHELD!r}])
    log.warning("as a text", reason=str(ds), error=f"found {{element}}")
    logging.getLogger("a.library").warning("element %s", element)
    warnings.warn(f"invalid value {{element.value}} for {{keyword}}")
    try:
        try:
            raise ValueError(f"can't read {{element.value}}")
        except ValueError as error:
            raise KeyError(element.value) from error
    except KeyError:
        log.exception("attempt failed")
        logging.getLogger("a.library").exception("job failed")
"""
    lines = stderr_of(program)
    assert len(lines) > 8 * len(IDENTITY) > 400
    assert [line for line in lines if WITHHELD in line] == []
    told = {json.loads(line)["event"].split(" [")[0] for line in lines}
    assert {"as a field", "as a value", "as a text", "warning of a library", "attempt failed", "job failed"} <= told


def test_of_an_exception_of_ours_the_message_is_told_and_of_others_the_kind_and_the_place() -> None:
    program = """
from dicomnode.errors import TransientFault
try:
    try:
        [][3]
    except IndexError as error:
        raise TransientFault("the engine is stopped") from error
except TransientFault:
    structlog.get_logger("test").exception("attempt failed")
"""
    (line,) = stderr_of(program)
    told = json.loads(line)["exception"]
    assert "TransientFault: the engine is stopped" in told
    assert "IndexError (message withheld)" in told
    assert "<string>:8 in <module>" in told


@pytest.fixture
def journal(tmp_path: Path) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.settimeout(30)
    channel.bind(str(tmp_path / "journal"))
    return channel


def test_the_journal_gets_each_field_as_a_field_of_its_own(journal: socket.socket) -> None:
    program = f"""
from pathlib import Path
configure_logging("info", "journald", Path({journal.getsockname()!r}))
structlog.get_logger("test").warning("instance refused", study="1.2", port=104, reason="two\\nlines")
"""
    assert stderr_of(program) == []
    sent = journal.recv(65536)
    assert b"PRIORITY=4\n" in sent
    assert b"DICOMNODE_STUDY=1.2\n" in sent
    assert b"DICOMNODE_PORT=104\n" in sent
    assert b"DICOMNODE_REASON\n" + (9).to_bytes(8, "little") + b"two\nlines\n" in sent
    assert sent.startswith(b"MESSAGE\n")


def test_without_a_journal_its_form_is_json_on_stderr() -> None:
    (line,) = stderr_of(
        "from pathlib import Path\nconfigure_logging('info', 'journald', Path('/nowhere'))\n"
        "structlog.get_logger('test').info('one')\n"
    )
    assert json.loads(line)["event"] == "one"


def test_a_changed_level_takes_effect_at_once() -> None:
    program = """
from dicomnode.telemetry import set_level
log = structlog.get_logger("test")
log.debug("one")
set_level("debug")
log.debug("two")
set_level("error")
log.warning("three")
"""
    assert [json.loads(line)["event"] for line in stderr_of(program)] == ["two"]
