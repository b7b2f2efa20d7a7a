"""SIGHUP: rules, peers, destinations and log level change under an open Association; a bad file changes nothing."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import StartNode
from tests.peers import dcmtk, scanner
from tests.peers.node import Node, Settings, destination
from tests.peers.process import free_port
from tests.peers.studies import StudyUids, small_tomo, write


def edit(node: Node, old: str, new: str) -> None:
    text = node.config.read_text()
    assert old in text
    node.config.write_text(text.replace(old, new))


def test_a_new_camera_is_admitted_and_a_former_one_no_longer_while_an_association_stays_open(
    start_node: StartNode, tmp_path: Path
) -> None:
    node = start_node(Settings())
    file = write(small_tomo(StudyUids.from_seed("reload", tmp_path)), tmp_path / "a.dcm")
    association = scanner.associate(node.port, file)
    edit(node, "SPECT1", "SPECT2")
    done = node.command_run("reload")
    assert (done.returncode, done.stdout.strip()) == (0, "in effect now: peers")
    assert association.is_established
    assert association.send_c_store(str(file)).Status == 0x0000
    association.release()
    assert dcmtk.echo(node.port, calling="SPECT2")
    assert not dcmtk.echo(node.port, calling="SPECT1")


def test_a_destination_that_reports_to_us_is_let_in_after_a_reload(start_node: StartNode) -> None:
    node = start_node(Settings(destinations=[destination(free_port(), storage_commitment=False)]))
    assert not dcmtk.echo(node.port, calling="ORTHANC")
    edit(node, "storage_commitment = false", "storage_commitment = true")
    assert node.command_run("reload").stdout.strip() == "in effect now: destinations"
    assert dcmtk.echo(node.port, calling="ORTHANC")


def test_a_new_rule_is_used_for_the_next_study(start_node: StartNode, tmp_path: Path) -> None:
    node = start_node(Settings())
    uids = [StudyUids.from_seed("reload", tmp_path, number) for number in range(2)]
    assert dcmtk.store(node.port, [write(small_tomo(uids[0]), tmp_path / "0.dcm")]).accepted
    node.wait_for(uids[0].study, "IGNORED")
    with node.config.open("a") as config:
        config.write(
            '\n[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 1\n'
            '[[rules]]\nname = "all"\npipeline = "reconstruction"\ndestinations = ["pacs"]\n'
        )
    assert node.command_run("reload").stdout.strip() == "in effect now: destinations, rules"
    assert dcmtk.store(node.port, [write(small_tomo(uids[1]), tmp_path / "1.dcm")]).accepted
    node.wait_for(uids[1].study, "ROUTED", "PROCESSING", "DELIVERING")


def test_a_wrong_file_is_told_and_the_old_configuration_stays(start_node: StartNode) -> None:
    node = start_node(Settings())
    edit(node, "SPECT1", "SPECT2")
    edit(node, "[[peers]]", "[[peers]]\nsurprise = 1")
    done = node.command_run("reload")
    assert done.returncode == 78
    assert "peers.0.surprise: unknown key" in done.stderr
    assert dcmtk.echo(node.port, calling="SPECT1")


def test_what_needs_a_restart_is_said_so_and_left_as_it_is(start_node: StartNode) -> None:
    node = start_node(Settings())
    edit(node, "quiet_s = 1", "quiet_s = 2")
    assert node.command_run("reload").stdout.strip() == "nothing to change; needs a restart: node"


def test_without_a_running_node_there_is_nothing_to_reload(start_node: StartNode) -> None:
    node = start_node(Settings())
    node.stop()
    done = node.command_run("reload")
    assert done.returncode == 69
    assert "no node is running" in done.stderr
