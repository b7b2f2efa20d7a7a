"""Logs: what is not known to be harmless does not get in."""

from __future__ import annotations

import json
import subprocess
import sys

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


def test_journald_is_told_the_priority_of_each_line() -> None:
    program = "log = structlog.get_logger('test')\nlog.info('one')\nlog.error('two')\n"
    lines = stderr_of(program, "journald")
    assert [line[:3] for line in lines] == ["<6>", "<3>"]
    assert json.loads(lines[1][3:])["event"] == "two"
