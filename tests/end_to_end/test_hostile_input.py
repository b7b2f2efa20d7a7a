"""One running node and everything that can be wrong with what it is sent: each row is answered as it must be.

After each row the node lives, answers an echo, has not grown, and its spool holds what it acknowledged and no more.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGLSLossless

from tests.conftest import need_programs
from tests.dicomnode.web.browsing import Answer, Visitor
from tests.end_to_end.hostile import CHARACTER_SETS, HELD, KEPT, ROWS, Row, acquisition, compressed, named, wire
from tests.peers import dcmtk
from tests.peers.handmade import (
    ABORT,
    ABORTED,
    REJECTED,
    associated,
    association_request,
    connected,
    read_pdu,
    store,
)
from tests.peers.messages import c_store
from tests.peers.node import Node, Settings, destination
from tests.peers.process import eventually, free_port
from tests.peers.studies import StudyUids, spool_fingerprints

MOST_GROWTH_MB = 200


@dataclass
class Ward:
    """The node under test and what it has acknowledged so far."""

    node: Node
    page: int  # the port of its web page
    acknowledged: set[str] = field(default_factory=set)

    def send(self, name: str, row: Row) -> tuple[int | None, StudyUids]:
        """Send a row's dataset under UIDs of its own; return the status and the UIDs."""
        uids = StudyUids.from_seed("hostile", name)
        dataset = row.spoil(acquisition(uids))
        command_uid = row.sop_instance_uid or uids.instance
        status = store(self.node.port, dataset, command_uid, transfer_syntax=row.transfer_syntax)
        if status == KEPT:
            self.acknowledged.add(hashlib.sha256(dataset).hexdigest())
        return status, uids

    def picture(self, uids: StudyUids) -> Answer:
        """Return what the page answers to who looks at the instance of a study."""
        return Visitor(self.page).get(f"/studies/{uids.study}/received/{uids.instance}.png")

    def check(self) -> None:
        """Assert that the node lives, serves, and has kept what it acknowledged and nothing else."""
        assert self.node.alive, self.node.last_words()
        assert dcmtk.echo(self.node.port), self.node.last_words()
        assert set(spool_fingerprints(self.node.data_dir)) == self.acknowledged
        assert not list(self.node.data_dir.rglob(".tmp-*")), "a half-written file was left"

    def memory_mb(self, what: str) -> float:
        """Return a value of /proc/<pid>/status: VmRSS now, VmHWM at most since `forget_peak`."""
        text = Path(f"/proc/{self.node.pid}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(what)) / 1024

    def forget_peak(self) -> None:
        """Let the highest memory be counted anew (PROC(5), clear_refs)."""
        Path(f"/proc/{self.node.pid}/clear_refs").write_text("5")


@pytest.fixture(scope="module")
def whole_ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Start one node for all rows; its only destination is away."""
    need_programs("storescu", "echoscu")
    page = free_port()
    settings = Settings(destinations=[destination(free_port())], node={"max_associations": 8}, web={"port": page})
    node = Node(tmp_path_factory.mktemp("hostile"), settings)
    node.start()
    yield Ward(node, page)
    node.stop(timeout_s=30)


@pytest.fixture
def ward(whole_ward: Ward) -> Iterator[Ward]:
    """Give a test the node, and check afterwards that it is as well as before."""
    before = whole_ward.memory_mb("VmRSS")
    whole_ward.forget_peak()
    yield whole_ward
    whole_ward.check()
    assert whole_ward.memory_mb("VmHWM") - before < MOST_GROWTH_MB


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.filterwarnings("ignore")
def test_an_instance_is_answered_as_it_deserves(name: str, ward: Ward) -> None:
    status, _ = ward.send(name, ROWS[name])
    assert status == ROWS[name].status, f"{status:#06x}" if status is not None else "no answer"


@pytest.mark.filterwarnings("ignore")
def test_what_no_pipeline_can_use_is_kept_and_held_with_a_sentence(ward: Ward) -> None:
    sent = {name: ward.send(name, row) for name, (row, _) in HELD.items()}
    assert {name: status for name, (status, _) in sent.items()} == dict.fromkeys(HELD, KEPT)
    for name, (_, words) in HELD.items():
        reason = ward.node.wait_for(sent[name][1].study, "HELD")["reason"]
        assert words in reason, f"{name}: {reason}"


@pytest.mark.filterwarnings("ignore")
def test_the_page_shows_what_can_be_shown_and_says_so_of_the_rest(ward: Ward) -> None:
    sound = Row(lambda ds: wire(compressed(ds), JPEGLSLossless), KEPT, transfer_syntax=JPEGLSLossless)
    looked_at = {"sound": sound, **{name: row for name, (row, _) in HELD.items()}}
    answers = {name: ward.picture(ward.send(f"{name}, looked at", row)[1]) for name, row in looked_at.items()}
    assert answers["sound"].body.startswith(b"\x89PNG")
    bomb = answers["a frame that claims 65535 x 65535 once decoded"]
    assert (bomb.status, "can&#39;t be decoded: found JPEG-LS" in bomb.text) == (404, True), bomb.text
    assert {answer.status for answer in answers.values()} == {200, 404}


def test_no_decoder_of_compressed_pixels_is_loaded_into_the_node(ward: Ward) -> None:
    loaded = Path(f"/proc/{ward.node.pid}/maps").read_text().lower()
    assert [library for library in ("gdcm", "charls") if library in loaded] == []


@pytest.mark.filterwarnings("ignore")
def test_names_in_every_character_set_are_kept_byte_for_byte_and_read(ward: Ward) -> None:
    sent = {cs: ward.send(cs, Row(named(cs, raw), KEPT)) for cs, (_, raw) in CHARACTER_SETS.items()}
    assert {status for status, _ in sent.values()} == {KEPT}
    names = {row["study_instance_uid"]: row["patient_name"] for row in ward.node.ask("studies", "--identity")}
    read = {cs: names[uids.study] for cs, (_, uids) in sent.items()}
    assert read == {cs: name for cs, (name, _) in CHARACTER_SETS.items()}
    assert not any(name in ward.node.output() for name, _ in CHARACTER_SETS.values())


def test_the_same_instance_with_other_content_keeps_both_and_holds_the_study(ward: Ward) -> None:
    first, second = Row(wire, KEPT), Row(lambda ds: wire(ds).replace(b"STRESS TOMO", b"STRESS TOMX"), KEPT)
    (status, uids), (again, _) = ward.send("twins", first), ward.send("twins", second)
    assert (status, again) == (KEPT, KEPT)
    row = ward.node.wait_for(uids.study, "HELD")
    assert "other content" in row["reason"] or "differ" in row["reason"], row["reason"]


@pytest.mark.parametrize("transfer_syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.3.4"])
def test_a_transfer_syntax_that_is_not_taken_is_refused_before_any_data(transfer_syntax: str, ward: Ward) -> None:
    with pytest.raises(ConnectionRefusedError):
        store(ward.node.port, b"", "1.2.3", transfer_syntax=transfer_syntax)


def test_a_private_sop_class_is_refused_before_any_data(ward: Ward) -> None:
    with pytest.raises(ConnectionRefusedError):
        store(ward.node.port, b"", "1.2.3", sop_class="1.3.12.2.1107.5.9.1")


@pytest.mark.parametrize(
    ("calling", "answer"),
    [("STRANGER", REJECTED), ("spect1", REJECTED), ("SPECT1\0EVIL", ABORTED), ("\x1b[2J", ABORTED)],
)
def test_a_stranger_is_turned_away_and_writes_nothing_into_the_log(calling: str, answer: int, ward: Ward) -> None:
    with connected(ward.node.port, association_request(calling=calling)) as sock:
        assert read_pdu(sock)[:1] == bytes([answer])
    assert "\x1b[2J" not in ward.node.output()


def test_an_abort_in_the_middle_of_an_instance_leaves_nothing(ward: Ward) -> None:
    uids = StudyUids.from_seed("aborted")
    request = c_store(uids.instance, wire(acquisition(uids)), most=500)
    for count in (80, len(request) // 2, len(request) - 40):
        with associated(ward.node.port) as sock:
            sock.sendall(request[:count])
        with associated(ward.node.port) as sock:
            first_pdu = 6 + int.from_bytes(request[2:6])
            sock.sendall(request[:first_pdu] + ABORT)
            assert read_pdu(sock) == b""


def connects_only(stack: ExitStack, port: int) -> None:
    stack.enter_context(connected(port))


def sends_half_a_request(stack: ExitStack, port: int) -> None:
    stack.enter_context(connected(port, association_request()[:40]))


def associates_and_is_silent(stack: ExitStack, port: int) -> None:
    stack.enter_context(associated(port))


def stalls_inside_a_pdu(stack: ExitStack, port: int) -> None:
    stack.enter_context(associated(port)).sendall(b"\x04\0\0\0\x40\0" + b"\0" * 100)


def stalls_between_two_pdus(stack: ExitStack, port: int) -> None:
    uids = StudyUids.from_seed("stalled")
    request = c_store(uids.instance, wire(acquisition(uids)), most=500)
    first_pdu = 6 + int.from_bytes(request[2:6])
    stack.enter_context(associated(port)).sendall(request[:first_pdu])


SILENCES = [
    connects_only, sends_half_a_request, associates_and_is_silent, stalls_inside_a_pdu, stalls_between_two_pdus,
]  # fmt: skip


@pytest.mark.parametrize("silence", SILENCES, ids=lambda silence: silence.__name__)
def test_thirty_silent_peers_keep_no_scanner_out(silence: Callable[[ExitStack, int], None], ward: Ward) -> None:
    with ExitStack() as stack:
        for _ in range(30):
            with suppress(ConnectionRefusedError):  # there is no room for so many
                silence(stack, ward.node.port)
        status, _ = ward.send(f"beside {silence.__name__}", Row(wire, KEPT))
        assert status == KEPT


def test_a_peer_that_stalls_inside_a_pdu_is_ended(ward: Ward) -> None:
    with associated(ward.node.port) as sock:
        sock.sendall(b"\x04\0\0\0\x40\0" + b"\0" * 100)
        assert read_pdu(sock)[:1] in (b"", bytes([ABORTED]))


def test_a_pdu_of_400_mb_is_refused_before_it_is_read(ward: Ward) -> None:
    with associated(ward.node.port) as sock, suppress(ConnectionError):
        sock.sendall(b"\x04\0" + (400_000_000).to_bytes(4))
        for _ in range(400):
            sock.sendall(bytes(1_000_000))
        pytest.fail("400 MB of one PDU were taken")


def test_two_hundred_associations_in_a_row_leave_no_thread_and_no_descriptor(ward: Ward) -> None:
    def counts() -> tuple[int, int]:
        tasks, files = (Path(f"/proc/{ward.node.pid}/{name}") for name in ("task", "fd"))
        return len(list(tasks.iterdir())), len(list(files.iterdir()))

    before = counts()
    for number in range(200):
        with connected(ward.node.port, association_request()[: None if number % 2 else 60]) as sock:
            sock.sendall(ABORT if number % 2 else b"")
    settled = time.monotonic() + 20
    eventually(
        lambda: all(now <= then + 3 for now, then in zip(counts(), before, strict=True)) or time.monotonic() > settled,
        "the connections to end",
    )
    assert all(now <= then + 3 for now, then in zip(counts(), before, strict=True)), (before, counts())


def test_no_file_was_written_outside_the_data_folder(ward: Ward) -> None:
    assert not Path("/tmp/x").exists()  # noqa: S108 - where the hostile UIDs point
    assert {path.name for path in ward.node.data_dir.parent.iterdir()} == {"config.toml", "data", "node.log"}


def test_the_log_holds_no_word_of_any_patient(ward: Ward) -> None:
    output = ward.node.output()
    assert not any(word in output for word in ("Test^Patient", "<img", "rm -rf", "\x1b]0;gone"))


def test_a_name_of_terminal_codes_is_shown_as_letters(ward: Ward) -> None:
    ward.send("a name of terminal codes", ROWS["a name of terminal codes"])
    shown = ward.node.command_run("studies", "--identity").stdout
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown
