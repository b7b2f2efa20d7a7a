"""Logging: structlog to console, JSON or journald, with a processor that lets only known-harmless fields through."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

# An allow-list: a field that is not named here never reaches a log, so a patient's name can't slip in under a new key.
HARMLESS_FIELDS = frozenset(
    {
        "event", "level", "timestamp", "logger", "exception", "exc_info",
        "study", "state", "version", "reason", "attempt", "pipeline", "rule", "job",
        "sop_instance", "sop_class", "series", "instances", "kind", "sha256", "size_bytes", "file",
        "calling_ae", "called_ae", "peer", "association", "destination", "status", "outcome", "next_s",
        "host", "port", "signal", "stage", "seconds", "error", "free_gb", "count", "device", "pid", "path",
        "contexts", "bytes", "limit", "title", "ae_title", "tls", "ending",
    }
)  # fmt: skip


def drop_unknown_fields(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep only the fields of HARMLESS_FIELDS; name the dropped keys (never their values)."""
    unknown = sorted(key for key in event if key not in HARMLESS_FIELDS and not key.startswith("_"))
    for key in unknown:
        del event[key]
    if unknown:
        event["event"] = f"{event.get('event', '')} [dropped fields: {', '.join(unknown)}]"
    return event


def configure_logging(level: str, form: Literal["auto", "console", "json", "journald"]) -> None:
    """Set up logging to stderr, for our own events and for those of libraries.

    `auto` is console on a terminal, else JSON; `journald` is JSON with the level as journald's priority.
    Tracebacks never show local variables: they may hold a patient's data.
    """
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "json"
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_unknown_fields,
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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_renderers(form)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in ("apscheduler", "matplotlib", "PIL"):
        logging.getLogger(library).setLevel(logging.ERROR)
    for library in ("pynetdicom", "pydicom"):  # their messages may quote a dataset; we log every outcome ourselves
        logging.getLogger(library).setLevel(logging.CRITICAL)


def _renderers(form: str) -> list[Any]:
    bare = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if form == "console":
        plain = structlog.dev.plain_traceback
        return [bare, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    traceback = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    as_json = [bare, traceback, structlog.processors.JSONRenderer()]
    return [_with_priority, *as_json, _priority_first] if form == "journald" else as_json


_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # of syslog


def _with_priority(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["priority"] = _PRIORITIES.get(event.get("level", "info"), 6)
    return event


def _priority_first(_logger: Any, _name: str, line: str) -> str:
    """Put the priority before the line, in the form that journald takes off again (sd-daemon(3))."""
    return f"<{json.loads(line)['priority']}>{line}"
