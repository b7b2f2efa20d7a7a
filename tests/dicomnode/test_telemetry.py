"""Logs: what is not known to be harmless does not get in."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydicom.datadict import DicomDictionary

from dicomnode.telemetry import HARMLESS_FIELDS, configure_logging, drop_unknown_fields

NAME = "Musterfrau^Erika"


@pytest.fixture
def json_logging(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:  # capsys first: the handler writes to it
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("info", "json")
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_field_nobody_declared_harmless_is_dropped_and_only_its_name_is_told() -> None:
    event = drop_unknown_fields(None, "info", {"event": "received", "study": "1.2", "patient_name": NAME})
    assert event == {"event": "received [dropped fields: patient_name]", "study": "1.2"}


def test_no_attribute_of_the_patient_is_declared_harmless() -> None:
    patient = {entry[4].lower() for tag, entry in DicomDictionary.items() if tag >> 16 == 0x0010}
    assert not patient & {name.replace("_", "") for name in HARMLESS_FIELDS}


def test_a_traceback_shows_no_local_variables(json_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    patient_name = NAME
    try:
        _ = len(patient_name) / 0
    except ZeroDivisionError:
        structlog.get_logger("test").exception("attempt failed", study="1.2")
    line = capsys.readouterr().err
    assert json.loads(line)["study"] == "1.2"
    assert "ZeroDivisionError" in line
    assert NAME not in line


def test_every_line_is_one_json_document(json_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("test").info("one\ntwo", study="1.2")
    logging.getLogger("some.library").warning("three")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["one\ntwo", "three"]
