"""Storage Commitment: archives that promise at once, late, not at all; scanners that ask us before they delete."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import NuclearMedicineImageStorage, generate_uid

from tests.conftest import Start, StartNode
from tests.peers import dcmtk
from tests.peers.archive import Archive, CommittingScanner, Way
from tests.peers.node import Node, Settings, Table, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import HOST, eventually, free_port
from tests.peers.studies import StudyUids, small_tomo, write

COMMITTED, UNCOMMITTED, NOT_COMMITTED = "COMMITTED", "UNCOMMITTED", "NOT_COMMITTED"


def a_node(start_node: StartNode, port: int, *destinations: Table) -> Node:
    """Start a node that reconstructs in the least time and sends to these destinations."""
    rule = {
        "name": "quick", "when": {"image_type": "TOMO"}, "pipeline": "reconstruction",
        "options": {"iterations": 1, "subsets": 1}, "destinations": [table["name"] for table in destinations],
    }  # fmt: skip
    return start_node(Settings(destinations, [rule], node={"port": port}))


def committing(archive: Archive, **more: object) -> Table:
    """Return the destination table of an archive that is asked to commit."""
    return destination(archive.port, archive.ae_title, archive.ae_title.lower(), storage_commitment=True, **more)


def states(node: Node, uid: str, name: str = "archive") -> set[str]:
    """Return the states of a study's deliveries to one destination."""
    return {row["state"] for row in node.show(uid)["deliveries"] if row["destination"] == name}


def send_study(node: Node, folder: Path) -> str:
    """Send a study of its own, wait until it is processed and return its UID."""
    uids = StudyUids.from_seed("commitment", folder)
    assert dcmtk.store(node.port, [write(small_tomo(uids), folder / "a.dcm")]).accepted
    node.wait_for(uids.study, "DELIVERING", "DELIVERED", "FAILED", timeout_s=300)
    return uids.study


def wait_until_asked(archive: Archive, node: Node, uid: str) -> list[Dataset]:
    """Wait until the archive was asked about all of a study, in however many requests; return these."""
    derived = set(node.derived(uid))
    eventually(lambda: archive.asked_about == derived, "the archive to be asked about everything")
    return list(archive.asked)


def test_a_study_is_delivered_once_orthanc_has_committed_it(
    start: Start, start_node: StartNode, tmp_path: Path
) -> None:
    port = free_port()
    pacs = Orthanc(tmp_path / "pacs", node_port=port)
    start(pacs)
    node = a_node(start_node, port, destination(pacs.dicom_port, storage_commitment=True))
    uid = send_study(node, tmp_path)
    row = node.wait_for(uid, "DELIVERED")
    assert "committed" in row["reason"]
    assert states(node, uid, "pacs") == {COMMITTED}
    assert pacs.instances(uid) == node.derived(uid) != []


def test_reports_come_by_either_way_late_or_after_a_loss_and_all_end_in_delivered(
    start_node: StartNode, tmp_path: Path
) -> None:
    port = free_port()

    def at_first(_uid: str, times: int) -> bool:
        return times < 2

    with (
        Archive(port, Way.SAME_ASSOCIATION, "SAME") as same,
        Archive(port, Way.NEW_ASSOCIATION, "NEW") as new,
        Archive(port, Way.NEW_ASSOCIATION, "LOSES", at_first) as loses,
        Archive(port, Way.WHEN_TOLD, "LATE") as late,
    ):
        archives = (same, new, loses, late)
        node = a_node(start_node, port, *map(committing, archives))
        uid = send_study(node, tmp_path)
        node.wait_until(lambda: states(node, uid, "loses") == {COMMITTED}, "the loss to be mended")
        node.wait_until(lambda: states(node, uid, "same") | states(node, uid, "new") == {COMMITTED}, "both promises")
        assert set(loses.stored.values()) == {2}
        assert set(same.stored.values()) == set(new.stored.values()) == {1}
        assert states(node, uid, "late") == {UNCOMMITTED}
        assert node.studies()[uid]["state"] == "DELIVERING"
        for request in wait_until_asked(late, node, uid):
            late.report(request)
        node.wait_for(uid, "DELIVERED")
        assert states(node, uid, "late") == {COMMITTED}
        assert set(late.stored.values()) == {1}
        assert {status for one in archives for status in one.told} == {0x0000}


def test_archives_that_never_promise_end_in_failed_with_each_reason(start_node: StartNode, tmp_path: Path) -> None:
    port = free_port()
    with (
        Archive(port, Way.NEVER, "SILENT") as silent,
        Archive(port, Way.NEW_ASSOCIATION, "LOSES", lambda _uid, _times: True) as loses,
        Archive(port, ae_title="UNABLE", offers_commitment=False) as unable,
    ):
        soon = {"commitment_wait_s": 1, "give_up_h": 0.008, "commitment_resends": 1}
        archives = [committing(one, **soon) for one in (silent, loses, unable)]
        node = a_node(start_node, port, *archives)
        uid = send_study(node, tmp_path)
        row = node.wait_for(uid, "FAILED")
        assert "did not commit" in row["reason"]
        assert {row["state"] for row in node.show(uid)["deliveries"]} == {NOT_COMMITTED}
        messages = {row["destination"]: row["message"] for row in node.show(uid)["deliveries"]}
        assert "no promise within" in messages["silent"]
        assert "0x0112" in messages["loses"]
        assert "does not offer Storage Commitment" in messages["unable"]
        assert len(set(silent.transactions)) > 1, "it is asked again, under a Transaction UID of its own"
        assert set(loses.stored.values()) == {2}


def test_a_node_that_is_killed_while_it_waits_for_a_promise_asks_again_and_believes_no_report_but_to_its_questions(
    start_node: StartNode, tmp_path: Path
) -> None:
    port = free_port()
    with Archive(port, Way.WHEN_TOLD) as archive:
        node = a_node(start_node, port, committing(archive))
        uid = send_study(node, tmp_path)
        before = wait_until_asked(archive, node, uid)
        node.kill()
        node.start()
        eventually(lambda: len(archive.asked) > len(before), "the archive to be asked again")
        known = [request.TransactionUID for request in before]
        for request in before:
            request.TransactionUID = generate_uid()
            archive.report(request)
        assert set(archive.told) == {0x0115}
        assert states(node, uid) == {UNCOMMITTED}
        # the answer to what was asked before the crash is as good
        for request, transaction_uid in zip(before, known, strict=True):
            request.TransactionUID = transaction_uid
            archive.report(request)
        node.wait_for(uid, "DELIVERED")
        assert states(node, uid) == {COMMITTED}
        assert set(archive.stored.values()) == {1}, "nothing is sent twice"


def test_a_reload_can_do_without_promises_and_what_was_sent_is_delivered(start_node: StartNode, tmp_path: Path) -> None:
    port = free_port()
    with Archive(port, Way.NEVER) as archive:
        node = a_node(start_node, port, committing(archive))
        uid = send_study(node, tmp_path)
        wait_until_asked(archive, node, uid)
        text = node.config.read_text()
        node.config.write_text(text.replace("storage_commitment = true", "storage_commitment = false"))
        assert node.command_run("reload").stdout.strip() == "in effect now: destinations"
        node.wait_for(uid, "DELIVERED")
        assert states(node, uid) == {"SENT"}


# --- scanners that ask us


def test_a_scanner_is_told_what_we_keep_and_what_we_do_not_even_after_a_crash(
    start_node: StartNode, tmp_path: Path
) -> None:
    port = free_port()
    uids = StudyUids.from_seed("promise", tmp_path)
    table = {"name": "scanner", "ae_title": "SPECT1", "host": HOST, "port": port}
    node = start_node(Settings(peers=[table, {"name": "other", "ae_title": "SPECT2"}]))
    scanner = CommittingScanner(node.port, port)
    assert dcmtk.store(node.port, [write(small_tomo(uids), tmp_path / "a.dcm")]).accepted
    kept, unknown = generate_uid(), generate_uid()
    here = (NuclearMedicineImageStorage, uids.instance)
    assert scanner.ask(kept, [here]) == 0x0000
    node.kill()  # the scanner does not listen yet, so nothing was reported
    node.start()
    scanner.listen()
    try:
        event_type, information = scanner.report_of(kept)
        assert event_type == 1
        assert [item.ReferencedSOPInstanceUID for item in information.ReferencedSOPSequence] == [uids.instance]
        assert "FailedSOPSequence" not in information
        assert scanner.ask(unknown, [here, (NuclearMedicineImageStorage, "1.2.3"), ("1.2.4", uids.instance)]) == 0x0000
        event_type, information = scanner.report_of(unknown)
        assert event_type == 2
        assert [item.ReferencedSOPInstanceUID for item in information.ReferencedSOPSequence] == [uids.instance]
        reasons = {item.ReferencedSOPInstanceUID: item.FailureReason for item in information.FailedSOPSequence}
        assert reasons == {"1.2.3": 0x0112, uids.instance: 0x0119}
    finally:
        scanner.stop()
    elsewhere = CommittingScanner(node.port, free_port(), "SPECT2")
    assert elsewhere.ask(generate_uid(), [here]) == 0x0124, "no address is configured to report to"


def test_orthanc_as_a_scanner_gets_its_report(start: Start, start_node: StartNode, tmp_path: Path) -> None:
    port = free_port()
    pacs = Orthanc(tmp_path / "pacs", node_port=port)
    start(pacs)
    table = {"name": "camera", "ae_title": "ORTHANC", "host": HOST, "port": pacs.dicom_port}
    node = start_node(Settings(node={"port": port}, peers=[table]))
    uids = StudyUids.from_seed("orthanc asks", tmp_path)
    assert dcmtk.store(node.port, [write(small_tomo(uids), tmp_path / "a.dcm")], calling="ORTHANC").accepted
    wanted = [[NuclearMedicineImageStorage, uids.instance], [NuclearMedicineImageStorage, "1.2.3"]]
    job = pacs.post("/modalities/node/storage-commitment", {"DicomInstances": wanted})
    report = eventually(
        lambda: (found := pacs.get(job["Path"]))["Status"] != "Pending" and found, "Orthanc to have its report"
    )
    assert report["Status"] == "Failure"
    assert [one["SOPInstanceUID"] for one in report["Success"]] == [uids.instance]
    assert [one["SOPInstanceUID"] for one in report["Failures"]] == ["1.2.3"]
