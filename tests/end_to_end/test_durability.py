"""What is on the disk before a scanner reads "success": seen from the system calls, not from the code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import StartNode, need_programs
from tests.peers import dcmtk
from tests.peers.node import Settings
from tests.peers.process import eventually
from tests.peers.studies import StudyUids, small_tomo, spool_fingerprints, write

TRACED = "mkdir,mkdirat,rename,renameat,renameat2,link,linkat,fsync,fdatasync,sendto,sendmsg,write"
P_DATA_TF = '"\x04\x00'  # first bytes of a PDU that carries data (PS3.8 Table 9-22)


@dataclass(frozen=True)
class Call:
    """One system call of the trace; `line` orders a flush by its end and all others by their begin."""

    line: int
    name: str
    text: str


def read_trace(log: Path) -> list[Call]:
    """Return the calls of an strace log in the order in which they took effect."""
    calls: list[Call] = []
    unfinished: dict[str, str] = {}
    for number, line in enumerate(log.read_text().split("\n")):
        pid, _, text = line.partition(" ")
        text = re.sub(r"\\x([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), text).strip()
        if text.endswith("<unfinished ...>"):
            unfinished[pid] = text.removesuffix("<unfinished ...>")
            if not text.startswith(("fsync", "fdatasync")):
                calls.append(Call(number, text.partition("(")[0], text))
        elif resumed := re.match(r"<\.\.\. (\w+) resumed>(.*)", text):
            if resumed[1] in {"fsync", "fdatasync"}:
                calls.append(Call(number, resumed[1], unfinished.pop(pid, "") + resumed[2]))
        elif "(" in text:
            calls.append(Call(number, text.partition("(")[0], text))
    return calls


def flushes(calls: list[Call], path: Path) -> list[int]:
    """Return the lines in which the file or folder was flushed successfully."""
    return [
        c.line for c in calls if c.name in {"fsync", "fdatasync"} and f"<{path}>" in c.text and c.text.endswith("= 0")
    ]


@pytest.fixture
def trace_of_one_store(start_node: StartNode, tmp_path: Path) -> tuple[Path, list[Call]]:
    """Receive one instance under strace; return the node's data folder and the calls up to the C-STORE response."""
    need_programs("strace")
    log = tmp_path / "trace"
    strace = ("strace", "-D", "-f", "-yy", "-xx", "-s", "600", "-e", f"trace={TRACED}", "-o", str(log))
    node = start_node(Settings(), strace)
    file = write(small_tomo(StudyUids.from_seed("traced", tmp_path)), tmp_path / "a.dcm")
    assert dcmtk.store(node.port, [file]).accepted
    answers = eventually(lambda: _answers(read_trace(log), node.port), "the C-STORE response in the trace")
    return node.data_dir, [call for call in read_trace(log) if call.line <= answers[0].line]


def _answers(calls: list[Call], port: int) -> list[Call]:
    """Return the calls that wrote a data PDU to the scanner's connection."""
    from_us = re.compile(rf"<TCP[^>]*:{port}->")
    return [
        c for c in calls if c.name in {"sendto", "sendmsg", "write"} and from_us.search(c.text) and P_DATA_TF in c.text
    ]


def test_file_folder_and_journal_are_flushed_before_the_response_leaves(
    trace_of_one_store: tuple[Path, list[Call]],
) -> None:
    data, calls = trace_of_one_store
    (stored,) = data.joinpath("spool").rglob("*.dcm")
    renames = [c for c in calls if c.name.startswith(("rename", "link")) and str(stored) in _quoted(c)]
    assert len(renames) == 1, "the file gets its name by one rename"
    temporary = next(name for name in _quoted(renames[0]) if name != str(stored))
    assert any(line < renames[0].line for line in flushes(calls, Path(temporary))), "flushed before it is renamed"
    folder_flushed = [line for line in flushes(calls, stored.parent) if line > renames[0].line]
    assert folder_flushed, "the folder is flushed after the rename"
    journal = [c.line for c in calls if c.name in {"fsync", "fdatasync"} and "journal" in c.text.rpartition("/")[2]]
    assert any(line > folder_flushed[0] for line in journal), "the journal's row is on the disk after the file"


def test_a_new_folder_is_flushed_into_its_parent_before_the_response_leaves(
    trace_of_one_store: tuple[Path, list[Call]],
) -> None:
    data, calls = trace_of_one_store
    made = [
        (c.line, Path(name))
        for c in calls
        if c.name.startswith("mkdir") and c.text.endswith("= 0")
        for name in _quoted(c)
    ]
    inside = [(line, folder) for line, folder in made if data / "spool" in folder.parents]
    assert inside, "a study's folder is made in the spool"
    for line, folder in inside:
        assert any(flushed > line for flushed in flushes(calls, folder.parent)), f"{folder.parent} is not flushed"


def _quoted(call: Call) -> list[str]:
    return re.findall(r'"([^"]*)"', call.text)


def test_without_room_the_scanner_is_told_so_and_nothing_is_kept(start_node: StartNode, tmp_path: Path) -> None:
    node = start_node(Settings(node={"min_free_gb": 1_000_000}))
    file = write(small_tomo(StudyUids.from_seed(tmp_path)), tmp_path / "a.dcm")
    assert dcmtk.store(node.port, [file]).statuses == ("Refused: OutOfResources",)
    assert "0xa700" in dcmtk.store(node.port, [file], options=["-d"]).output
    assert spool_fingerprints(node.data_dir) == []
    assert node.studies() == {}
    assert dcmtk.echo(node.port), "the node goes on answering"
