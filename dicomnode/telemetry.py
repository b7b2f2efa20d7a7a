"""Logging: structlog to console, JSON or journald, with processors that keep a patient's identity out.

Three things could carry an identity into a log: a field, the text of an exception or warning of a library that quotes
an element, and a dataset handed over as a value. Fields pass by an allow-list, only plain values pass, and of other
people's exceptions and warnings only the kind and the place are told.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
import traceback
import warnings
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Literal, TextIO

import structlog

# An allow-list: a field that is not named here never reaches a log, so a patient's name can't slip in under a new key.
HARMLESS_FIELDS = frozenset(
    {
        "event", "level", "timestamp", "logger", "exception", "exc_info",
        "study", "state", "version", "reason", "attempt", "pipeline", "rule", "job",
        "sop_instance", "sop_class", "series", "instances", "kind", "sha256", "size_bytes", "file",
        "calling_ae", "called_ae", "peer", "association", "destination", "status", "outcome", "next_s",
        "host", "port", "signal", "stage", "seconds", "error", "free_gb", "count", "device", "pid", "path",
        "user", "where", "contexts", "bytes", "limit", "title", "ae_title", "tls", "ending",
    }
)  # fmt: skip


_JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # of syslog
# an element as pydicom prints it: (0010,0010) Patient's Name   PN: 'Somebody'
_ELEMENT = re.compile(r"\([0-9A-Fa-f]{4},\s?[0-9A-Fa-f]{4}\)[^\n]*")

Event = MutableMapping[str, Any]


def drop_unknown_fields(_logger: Any, _name: str, event: Event) -> Event:
    """Keep only the fields of HARMLESS_FIELDS; name the dropped keys (never their values)."""
    unknown = sorted(key for key in event if key not in HARMLESS_FIELDS and not key.startswith("_"))
    for key in unknown:
        del event[key]
    if unknown:
        event["event"] = f"{event.get('event', '')} [dropped fields: {', '.join(unknown)}]"
    return event


def keep_plain_values(_logger: Any, _name: str, event: Event) -> Event:
    """Replace a value that is no text, number or truth by its type, and elements quoted in a text by their absence."""
    for key, value in event.items():
        if key in ("exc_info", "exception") or key.startswith("_"):
            continue
        if type(value) is str:
            event[key] = _ELEMENT.sub("(element withheld)", value)
        elif value is not None and type(value) not in (bool, int, float):
            event[key] = f"<{type(value).__name__}>"
    return event


def tell_exceptions_by_place(_logger: Any, _name: str, event: Event) -> Event:
    """Replace an exception by its kind and where it came from; its message may quote a patient's data.

    The messages of our own errors are written for the log and are told.
    """
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()[1]
    elif isinstance(found, tuple):
        found = found[1]
    if isinstance(found, BaseException):
        event["exception"] = "\n".join(_told(found))
    return event


def _told(error: BaseException) -> list[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [] if cause is None else [*_told(cause), "which led to"]
    lines += [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    kind = type(error)
    ours = kind.__module__ == "dicomnode.errors"
    return [*lines, f"{kind.__name__}: {error}" if ours else f"{kind.__name__} (message withheld)"]


def configure_logging(
    level: str, form: Literal["auto", "console", "json", "journald"], journal: Path = _JOURNAL_SOCKET
) -> None:
    """Set up logging to stderr or journald, for our own events and for those of libraries.

    `auto` is console on a terminal, journald where stderr leads to it, else JSON. In the journal each field of an
    event is a field of its own, DICOMNODE_STUDY and so on.
    """
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "journald" if _leads_to_journal(os.environ) else "json"
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_unknown_fields,
        keep_plain_values,
        tell_exceptions_by_place,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    native = form == "journald" and journal.is_socket()
    handler = JournalHandler(journal) if native else logging.StreamHandler(sys.stderr)
    renderer: Any = structlog.processors.JSONRenderer()
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    bare = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_foreign_exception, *shared], processors=[bare, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)
    for library in ("apscheduler", "matplotlib", "PIL"):
        logging.getLogger(library).setLevel(logging.ERROR)
    # their messages may quote a dataset, or an address with a name in it; we log every outcome ourselves
    for library in ("pynetdicom", "pydicom", "uvicorn.access"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    warnings.showwarning = _tell_warning


def set_level(level: str) -> None:
    """Log events of this level and above from now on."""
    logging.getLogger().setLevel(level.upper())


def _foreign_exception(_logger: Any, _name: str, event: Event) -> Event:
    """Take the exception that a library logs from its record."""
    record = event.get("_record")
    if record is not None and record.exc_info:
        event["exc_info"] = record.exc_info
        record.exc_info, record.exc_text = None, None  # else the formatter prints it once more, with its message
    return event


def _tell_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    structlog.get_logger("warnings").warning(
        "warning of a library", kind=category.__name__, where=f"{filename}:{lineno}"
    )


# --- journald


def _leads_to_journal(environment: MutableMapping[str, str]) -> bool:
    """Tell whether stderr is the stream that systemd connected to the journal (systemd.exec(5), $JOURNAL_STREAM)."""
    stream = environment.get("JOURNAL_STREAM", "")
    try:
        state = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{state.st_dev}:{state.st_ino}"


def _datagram(event: Event) -> bytes:
    """Return an event in the form of journald's own protocol; the message alone is what `journalctl` shows first."""
    level, text = event.pop("level", "info"), str(event.pop("event", ""))
    event.pop("timestamp", None)  # the journal has its own
    known = {"MESSAGE": _in_words(text, event), "PRIORITY": _PRIORITIES.get(level, 6), "SYSLOG_IDENTIFIER": "dicomnode"}
    fields = known | {"DICOMNODE_EVENT": text} | {f"DICOMNODE_{key.upper()}": value for key, value in event.items()}
    return b"".join(_field(key, str(value).encode()) for key, value in fields.items() if value is not None)


def _in_words(text: str, event: Event) -> str:
    exception = event.get("exception")
    pairs = [f"{key}={value}" for key, value in event.items() if key not in ("logger", "exception")]
    line = " ".join([text, *pairs])
    return f"{line}\n{exception}" if exception else line


def _field(key: str, value: bytes) -> bytes:
    """Return one field; a value of several lines is preceded by its length in 8 bytes, little-endian."""
    if b"\n" not in value:
        return key.encode() + b"=" + value + b"\n"
    return key.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


class JournalHandler(logging.Handler):
    """Sends each event, formatted as JSON, to journald as one datagram (systemd.io, Native Journal Protocol)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one event; where journald does not take it, stderr does."""
        text = self.format(record)
        try:
            self._channel.sendto(_datagram(json.loads(text)), self._path)
        except OSError:
            print(text, file=sys.stderr)  # noqa: T201
