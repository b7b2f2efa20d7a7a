"""The node as its own process, used only through what a hospital has: config.toml and the commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.peers.process import HOST, PeerProcess, children_of, command_line, eventually, free_port

DICOMNODE = Path(sys.executable).with_name("dicomnode")
SCANNER, NODE = "SPECT1", "DICOMNODE"
ENDED = {"DELIVERED", "IGNORED", "HELD", "FAILED", "REJECTED", "PURGED"}
STILL_S = 0.3  # after the last line of a burst in its log, the node is asked
SILENT_S = 3.0  # without a line, and in a burst that does not end, it is asked all the same

Table = Mapping[str, Any]


def environment() -> dict[str, str]:
    """Return what the node's processes get: heaps of the C library as systemd/dicomnode.service has them.

    Threads as on two cores, unless the caller's environment sets them.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "2")
    return {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "MALLOC_ARENA_MAX": "2"}


@dataclass(frozen=True)
class Settings:
    """The tables of config.toml that a test cares about; everything else is quick and on loopback."""

    destinations: Sequence[Table] = ()
    rules: Sequence[Table] | None = None  # None: every TOMO study to `reconstruction` and all destinations
    node: Table = field(default_factory=dict)
    engine: Table = field(default_factory=dict)
    retention: Table = field(default_factory=dict)
    audit: Table = field(default_factory=dict)
    notify: Table = field(default_factory=dict)
    peers: Sequence[Table] = ({"name": "scanner", "ae_title": SCANNER},)
    tls: Table = field(default_factory=dict)  # empty: plain
    web: Table = field(default_factory=lambda: {"port": 0})


def destination(port: int, ae_title: str = "ORTHANC", name: str = "pacs", **more: Any) -> dict[str, Any]:
    """Return a [[destinations]] table of a peer on loopback that is tried again soon."""
    return {"name": name, "ae_title": ae_title, "host": HOST, "port": port, "retry_s": [0.5, 1, 1, 2], **more}


def toml(tables: Mapping[str, Table | Sequence[Table]]) -> str:
    """Return the tables as TOML text (strings, numbers, booleans, lists, inline tables)."""
    lines: list[str] = []
    for name, content in tables.items():
        rows, title = ([content], f"[{name}]") if isinstance(content, Mapping) else (content, f"[[{name}]]")
        for row in rows:
            lines.append(title)
            lines += [f"{key} = {_toml_value(value)}" for key, value in row.items()]
            lines.append("")
    return "\n".join(lines)


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return json.dumps(value)  # TOML's strings, numbers and booleans are those of JSON


class Node(PeerProcess):
    """A `dicomnode serve` process with its own folder, configuration and port."""

    def __init__(self, directory: Path, settings: Settings, prefix: Sequence[str] = ()) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = int(settings.node.get("port", 0)) or free_port()
        self.data_dir = directory / "data"
        self.config = directory / "config.toml"
        self.config.write_text(toml(self._tables(settings)))
        command: list[str | Path] = [*prefix, DICOMNODE, "serve", "--config", self.config]
        super().__init__(command, directory / "node.log", environment())

    def _tables(self, settings: Settings) -> dict[str, Table | Sequence[Table]]:
        names = [table["name"] for table in settings.destinations]
        every_tomo = {
            "name": "any tomo", "when": {"modality": "NM", "image_type": "TOMO"},
            "pipeline": "reconstruction", "destinations": names,
        }  # fmt: skip
        rules = settings.rules if settings.rules is not None else [every_tomo] if names else []
        own = {
            "ae_title": NODE,
            "host": HOST,
            "port": self.port,
            "data_dir": str(self.data_dir),
            "quiet_s": 1,
            "min_free_gb": 0.1,
        }
        return {
            "node": {**own, **settings.node},
            "engine": {"device": "cpu", "timeout_s": 120, **settings.engine},
            "web": settings.web,
            **({"tls": settings.tls} if settings.tls else {}),
            "retention": settings.retention,
            "audit": settings.audit,
            "notify": settings.notify,
            "peers": settings.peers,
            "destinations": settings.destinations,
            "rules": rules,
        }

    def start(self, wait: bool = True) -> None:
        """Start the node; with `wait`, return once it says that it accepts associations."""
        seen = len(self.output())
        super().start()
        if wait:
            eventually(lambda: self._is_ready(seen), "the node to be ready", timeout_s=60)

    def _is_ready(self, seen: int) -> bool:
        new = self.output()[seen:]
        assert self.alive, f"the node ended before it was ready:\n{new[-4000:]}"
        return re.search(r"\bready\b", new) is not None

    def children(self) -> list[int]:
        """Return the pids of the node's child processes that run pipelines (Python's resource tracker is none)."""
        return [pid for pid in children_of(self.pid) if self.alive and "resource_tracker" not in command_line(pid)]

    def command_run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the node beside the running one."""
        command = [str(DICOMNODE), *arguments, "--config", str(self.config)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment()}
        )

    def ask(self, *arguments: str) -> Any:
        """Return the JSON that a command prints."""
        done = self.command_run(*arguments, "--json")
        assert done.returncode == 0, (
            f"dicomnode {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}"
        )
        return json.loads(done.stdout)

    def studies(self) -> dict[str, Any]:
        """Return the row of `studies --json` per Study Instance UID."""
        return {row["study_instance_uid"]: row for row in self.ask("studies")}

    def show(self, study_instance_uid: str) -> Any:
        """Return a study's whole story, `show --json`."""
        return self.ask("show", study_instance_uid)

    def derived(self, study_instance_uid: str) -> list[str]:
        """Return the SOP Instance UIDs that the node says it made for a study."""
        return sorted(row["sop_instance_uid"] for row in self.show(study_instance_uid)["derived"])

    def wait_for(self, study_instance_uid: str, *states: str, timeout_s: float = 120) -> Any:
        """Wait until the study stands in one of the states and return its row.

        Fails at once if the study ends in another state.
        """
        awaited = " or ".join(states)
        try:
            row = self.wait_until(
                lambda: self._row_if(study_instance_uid, {*states, *ENDED}),
                f"study {study_instance_uid} to be {awaited}",
                timeout_s,
            )
        except TimeoutError as error:
            raise AssertionError(
                f"{error}; it is {self.studies().get(study_instance_uid)}\n{self.last_words()}"
            ) from None
        found = f"the study is {row['state']} ({row['reason']}), expected {awaited}"
        assert row["state"] in states, f"{found}\n{self.last_words()}"
        return row

    def wait_until(self, question: Callable[[], Any], what: str, timeout_s: float = 120) -> Any:
        """Wait until a question that is put to the node by its commands has a true answer, and return that.

        Raises TimeoutError.
        """
        return eventually(self._when_moved(question), what, timeout_s)

    def last_words(self) -> str:
        """Return the end of the node's log."""
        return f"the node's log ends:\n{self.output()[-4000:]}"

    def _when_moved(self, question: Callable[[], Any]) -> Callable[[], Any]:
        """Return the question, asked at first and then only when the node has ended a burst of lines in its log.

        Each command is a process of its own: asked all the time, it takes from the node the core that it waits for.
        """
        size, grown_at, asked_at = self.log.stat().st_size, 0.0, -SILENT_S

        def answer() -> Any:
            nonlocal size, grown_at, asked_at
            now, found = time.monotonic(), self.log.stat().st_size
            if found != size:
                size, grown_at = found, now
            ended_a_burst = asked_at < grown_at <= now - STILL_S
            if not ended_a_burst and now < asked_at + SILENT_S:
                return None
            asked_at = now
            return question()

        return answer

    def _row_if(self, study_instance_uid: str, states: set[str]) -> Any:
        row = self.studies().get(study_instance_uid)
        return row if row is not None and row["state"] in states else None
