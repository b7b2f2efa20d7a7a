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
_SEED, _PATIENT = 2, 2  # a virtual patient whose anterolateral wall takes up too little
_DOSE = 0.25
_LOW = f"*dose {_DOSE:g}*"  # in the Series Description of the thinned acquisition


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where pictures, archive and the node's data go.")] = Path("out/demo"),
) -> None:
    """Show the main job on a virtual patient, at full dose and a quarter of it: sent, routed, processed, stored."""
    configure_logging("error", "console")
    started = time.monotonic()
    for name in ("data", "archive", "scanner"):
        shutil.rmtree(out / name, ignore_errors=True)  # what an earlier demo left
    print("A gamma camera, dicomnode and an archive (PACS) meet on this machine; all talk real DICOM on loopback.\n")
    full, low = _virtual_patient(out / "scanner")
    with _archive(out / "archive") as archive, _node(_demo_config(archive.port, out / "data")) as node:
        _send((full, low), node)
        for study in _follow(node, 2):
            _tell_story(node, study)
    _tell_archive(archive, out)
    _compare(archive, full, low, out)
    print(f"\nDone in {time.monotonic() - started:.0f} s. The patient is virtual: nothing here is a clinical result.")
    print(f"The pictures are in {out}; look at comparison.png and the report pages first. To start the real service:")
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


def _virtual_patient(folder: Path) -> tuple[Path, Path]:
    """Return an acquisition of the full dose and one of the share _DOSE of it, of the same patient."""
    print("[1/5] camera    draws a virtual patient (no real person) and turns around the chest twice ...")
    made: list[Path] = []
    for dose, words in ((1.0, "full dose"), (_DOSE, f"{100 * _DOSE:g} % of the dose")):
        settings = Settings(seed=_SEED, dose_fraction=dose)
        made += write_study(folder, settings, _PATIENT, "stress").places
        print(f"                {words}: one NM instance, {made[-1].stat().st_size / 1e6:.1f} MB: {made[-1]}")
    full, low = made
    return full, low


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
    low_dose = RuleSettings(
        name="low dose",
        when={"modality": "NM", "image_type": "TOMO", "series_description": _LOW},
        pipeline="denoising",
        options={"dose_fraction": _DOSE},
        destinations=("archive",),
    )
    full_dose = RuleSettings(
        name="full dose",
        when={"modality": "NM", "image_type": "TOMO"},
        pipeline="reconstruction",
        destinations=("archive",),
    )
    return Config(
        node=NodeSettings(host=_HOST, port=_free_port(), data_dir=data_dir, quiet_s=2, min_free_gb=0.1),
        peers=(PeerSettings(name="camera", ae_title="CAMERA"),),
        destinations=(DestinationSettings(name="archive", ae_title="ARCHIVE", host=_HOST, port=archive_port),),
        rules=(low_dose, full_dose),
        web=WebSettings(port=0),
    )


def _send(sources: tuple[Path, ...], node: Node) -> None:
    from dicomnode.network import sender

    settings = node.config.node
    target = DestinationSettings(name="node", ae_title=settings.ae_title, host=_HOST, port=settings.port)
    for report in sender.send(target, list(sources), "CAMERA", None):
        print(f"[3/5] camera    C-STORE answered 0x{report.status or 0:04X}: from here on the study is the node's")


def _follow(node: Node, number: int) -> list[Study]:
    """Wait until so many studies have reached an end. Raises TransientFault if they do not in time."""
    ends = {"DELIVERED", "IGNORED", "HELD", "FAILED"}
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        ended = [study for study in node.journal.studies() if study.state.value in ends]
        if len(ended) == number:
            return sorted(ended, key=lambda study: study.pipeline or "", reverse=True)
        time.sleep(0.1)
    raise TransientFault(f"the demo's studies came to no end within {_PATIENCE_S:.0f} s")


def _tell_story(node: Node, study: Study) -> None:
    moves = node.journal.moves(study.study_instance_uid)
    print(
        f"[4/5] node      {study.pipeline}: the study's way, as `dicomnode show {study.study_instance_uid}` tells it:"
    )
    for move in moves:
        seconds = (move.at - moves[0].at).total_seconds()
        print(f"                {seconds:6.2f} s  {move.to_state:<10}  {move.reason}")


def _tell_archive(archive: _Archive, pictures: Path) -> None:
    from dicomnode.objects.header import read_header
    from dicomnode.objects.pictures import save_picture

    print(f"[5/5] archive   received {len(archive.paths)} derived instances:")
    pictures.mkdir(parents=True, exist_ok=True)
    for path in archive.paths:
        header = read_header(path).attributes
        words = header.get("SeriesDescription", ("",))[0]
        name = "-".join("".join(letter if letter.isalnum() else " " for letter in words.lower()).split())
        if "Rows" in header:  # a structured report has no pixels
            save_picture(path, pictures / f"{path.stem}-{name}.png")
        print(f"                {path}  {words}")


def _compare(archive: _Archive, full: Path, low: Path, pictures: Path) -> None:
    """Draw the full dose, what a quarter of it counts, and what the node made of that, under each other."""
    from dicomnode.objects.header import read_header
    from dicomnode.objects.pictures import save_comparison

    descriptions = {read_header(path).attributes["SeriesDescription"][0]: path for path in archive.paths}

    def derived(words: str, low_dose: bool) -> list[Path]:
        found = [path for name, path in descriptions.items() if words in name and ("dose" in name) == low_dose]
        return found[:1]

    share = f"{100 * _DOSE:g} % of the dose"
    rows = (
        ("Full dose, as counted: for comparison alone, the networks never saw it", [full]),
        (f"{share}, as counted", [low]),
        (f"{share}, denoised by the node", derived("denoised", True)),
        ("Full dose: short axis, apex to base", derived("short axis", False)),
        (f"{share}, denoised: short axis, apex to base", derived("short axis", True)),
    )
    shown = [(words, path) for words, paths in rows for path in paths]
    title = "VIRTUAL PATIENT - no real person, no clinical evidence. Each row by its own highest value."
    save_comparison(title, shown, pictures / "comparison.png")


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as server:
        return int(server.getsockname()[1])
