"""`demo`: the main job, whole, on this machine: virtual patient -> C-STORE -> node -> pipeline -> embedded archive."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicomnode.cli.app import app
from dicomnode.cli.virtual import Settings, write_study
from dicomnode.config import Config, DestinationSettings, NodeSettings, PeerSettings, RuleSettings, WebSettings
from dicomnode.errors import TransientFault
from dicomnode.telemetry import configure_logging

if TYPE_CHECKING:  # loads the network
    from dicomnode.node import Node
    from dicomnode.study import ReceivedInstance, Study

_HOST = "127.0.0.1"
_PATIENCE_S = 300.0


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where pictures, archive and the node's data go.")] = Path("out/demo"),
) -> None:
    """Show the main job on a virtual patient: sent, received, routed, processed, stored in an archive."""
    configure_logging("error", "console")
    started = time.monotonic()
    for name in ("data", "archive", "scanner"):
        shutil.rmtree(out / name, ignore_errors=True)  # what an earlier demo left
    print("A gamma camera, dicomnode and an archive (PACS) meet on this machine; all talk real DICOM on loopback.\n")
    source = _virtual_patient(out / "scanner")
    with _archive(out / "archive") as archive, _node(_demo_config(archive.port, out / "data")) as node:
        _send(source, node)
        study = _follow(node)
        _tell_story(node, study)
    _tell_archive(archive, out, source)
    print(f"\nDone in {time.monotonic() - started:.0f} s. The patient is virtual: nothing here is a clinical result.")
    print(f"The pictures are in {out}; look at the report page first. To start the real service:")
    print("  1. edit config.toml (your camera under [[peers]], your PACS under [[destinations]])")
    print("  2. dicomnode check --config config.toml")
    print("  3. dicomnode serve --config config.toml     (as a system service: docs/install.md)")


@dataclass
class _Archive:
    """A Storage SCP that keeps every instance as a file: what a PACS is to the node."""

    folder: Path
    port: int
    paths: list[Path] = field(default_factory=list)

    def receive(self, received: ReceivedInstance) -> None:
        """Keep one instance."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{len(self.paths) + 1:02}.dcm"
        path.write_bytes(received.file_bytes)
        self.paths.append(path)


def _virtual_patient(folder: Path) -> Path:
    print("[1/5] camera    draws a virtual patient (no real person) and turns around the chest ...")
    (path,) = write_study(folder, Settings(seed=1), 0, "stress").places
    print(f"                one NM instance, {path.stat().st_size / 1e6:.1f} MB: {path}")
    return path


@contextmanager
def _archive(folder: Path) -> Iterator[_Archive]:
    from dicomnode.network.listener import Listener

    archive = _Archive(folder, _free_port())
    settings = NodeSettings(ae_title="ARCHIVE", host=_HOST, port=archive.port, require_known_peers=False)
    listener = Listener(settings, (), None, archive.receive, lambda _: None)
    listener.start()
    try:
        yield archive
    finally:
        listener.stop(1.0)


@contextmanager
def _node(config: Config) -> Iterator[Node]:
    from dicomnode.node import Node

    node = Node(config)
    node.start()
    print(
        f"[2/5] node      {config.node.ae_title} listens on {_HOST}:{config.node.port}, data in {config.node.data_dir}"
    )
    try:
        yield node
    finally:
        node.stop()


def _demo_config(archive_port: int, data_dir: Path) -> Config:
    rule = RuleSettings(
        name="perfusion study",
        when={"modality": "NM", "image_type": "TOMO"},
        pipeline="reconstruction",
        destinations=("archive",),
    )
    return Config(
        node=NodeSettings(host=_HOST, port=_free_port(), data_dir=data_dir, quiet_s=2, min_free_gb=0.1),
        peers=(PeerSettings(name="camera", ae_title="CAMERA"),),
        destinations=(DestinationSettings(name="archive", ae_title="ARCHIVE", host=_HOST, port=archive_port),),
        rules=(rule,),
        web=WebSettings(port=0),
    )


def _send(source: Path, node: Node) -> None:
    from dicomnode.network import sender

    settings = node.config.node
    target = DestinationSettings(name="node", ae_title=settings.ae_title, host=_HOST, port=settings.port)
    for report in sender.send(target, [source], "CAMERA", None):
        print(f"[3/5] camera    C-STORE answered 0x{report.status or 0:04X}: from here on the study is the node's")


def _follow(node: Node) -> Study:
    """Wait until the study has reached an end. Raises TransientFault if it does not in time."""
    ends = {"DELIVERED", "IGNORED", "HELD", "FAILED"}
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        study = next(iter(node.journal.studies()), None)
        if study is not None and study.state.value in ends:
            return study
        time.sleep(0.1)
    raise TransientFault(f"the demo study came to no end within {_PATIENCE_S:.0f} s")


def _tell_story(node: Node, study: Study) -> None:
    moves = node.journal.moves(study.study_instance_uid)
    print(f"[4/5] node      the study's way, as `dicomnode show {study.study_instance_uid}` tells it:")
    for move in moves:
        seconds = (move.at - moves[0].at).total_seconds()
        print(f"                {seconds:6.2f} s  {move.to_state:<10}  {move.reason}")


def _tell_archive(archive: _Archive, pictures: Path, source: Path) -> None:
    from dicomnode.objects.header import read_header
    from dicomnode.objects.pictures import save_picture

    print(f"[5/5] archive   received {len(archive.paths)} derived instances:")
    pictures.mkdir(parents=True, exist_ok=True)
    save_picture(source, pictures / "source-projections.png")
    for path in archive.paths:
        words = read_header(path).attributes.get("SeriesDescription", ("",))[0]
        name = "".join(letter if letter.isalnum() else "-" for letter in words.lower()).strip("-")
        save_picture(path, pictures / f"{path.stem}-{name}.png")
        print(f"                {path}  {words}")


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as server:
        return int(server.getsockname()[1])
