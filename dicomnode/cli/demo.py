"""`demo`: the main job, whole, on this machine: virtual patient -> C-STORE -> node -> pipelines -> embedded archive.

Two studies of one virtual patient: a quarter of the dose is denoised; the full dose is corrected for attenuation, first
without a CT (if there are networks for that), then with the CT that comes after it.
"""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from dicomnode.cli.app import app
from dicomnode.cli.folders import output_folder
from dicomnode.cli.virtual import Kind, Settings, write_study
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
_CORRECTION: Final = "attenuation_correction"


@app.command()
def demo(
    out: Annotated[Path, output_folder("Where pictures, archive and the node's data go.")] = Path("out/demo"),
) -> None:
    """Show both pipelines on a virtual patient: a low dose denoised, the full dose corrected for attenuation."""
    configure_logging("error", "console")
    started = time.monotonic()
    for name in ("data", "archive", "scanner"):
        shutil.rmtree(out / name, ignore_errors=True)  # what an earlier demo left
    print("A gamma camera, dicomnode and an archive (PACS) meet on this machine; all talk real DICOM on loopback.\n")
    scanned = _virtual_patient(out / "scanner")
    networks = _have_networks()
    with (
        _archive(out / "archive") as archive,
        _node(_demo_config(archive.port, out / "data", "auto" if networks else "ct")) as node,
    ):
        _send((scanned.full, scanned.low, *(() if networks else scanned.ct)), node)
        for study in _follow(node, 2):
            _tell_story(node, study)
        if networks:
            print(f"[3/5] camera    now sends the CT of the full dose's study, too: {len(scanned.ct)} slices")
            _send(scanned.ct, node)
            for study in _follow(node, 2):
                if study.pipeline == _CORRECTION:
                    _tell_story(node, study)
        else:
            print("[4/5] node      no networks for attenuation maps are here: the correction without CT is left out.")
            print("                `dicomnode train mu-map` makes them; a rule's option `models` names their folder.")
    _tell_archive(archive, out)
    _compare(archive, scanned, out)
    print(f"\nDone in {time.monotonic() - started:.0f} s. The patient is virtual: nothing here is a clinical result.")
    print(f"The pictures are in {out}; look at denoising.png, attenuation.png and the report pages.")
    print("To start the real service:")
    print("  1. edit config.toml (your camera under [[peers]], your PACS under [[destinations]])")
    print(f"  2. {_program()} check --config config.toml")
    print(f"  3. {_program()} serve --config config.toml     (as a system service: docs/install.md)")


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


@dataclass(frozen=True)
class _Scanned:
    """What the camera has of the patient: an acquisition of the full dose and its CT, and one of the share _DOSE."""

    full: Path
    ct: tuple[Path, ...]
    low: Path


def _virtual_patient(folder: Path) -> _Scanned:
    print("[1/5] camera    draws a virtual patient (no real person) and turns around the chest twice ...")
    whole = write_study(folder, Settings(seed=_SEED), _PATIENT, "stress", (Kind.PROJECTIONS, Kind.CT)).files
    thinned = write_study(folder, Settings(seed=_SEED, dose_fraction=_DOSE), _PATIENT, "stress").files
    scanned = _Scanned(whole[Kind.PROJECTIONS][0], whole[Kind.CT], thinned[Kind.PROJECTIONS][0])
    for path, words in ((scanned.full, "full dose"), (scanned.low, f"{100 * _DOSE:g} % of the dose")):
        print(f"                {words}: one NM instance, {path.stat().st_size / 1e6:.1f} MB: {path}")
    print(f"                CT of the full dose's study: {len(scanned.ct)} slices in {scanned.ct[0].parent}")
    return scanned


def _have_networks() -> bool:
    """Tell whether networks for attenuation maps are shipped."""
    from pipelines import catalog

    try:
        catalog.check_options(_CORRECTION, {})
    except ValueError:
        return False
    return True


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
    node.take_turn()
    node.start()
    print(
        f"[2/5] node      {config.node.ae_title} listens on {_HOST}:{config.node.port}, data in {config.node.data_dir}"
    )
    try:
        yield node
    finally:
        node.stop()


def _demo_config(archive_port: int, data_dir: Path, source_of_map: str) -> Config:
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
        pipeline=_CORRECTION,
        options={"map": source_of_map},
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
    answers = Counter(report.status or 0 for report in sender.send(target, list(sources), "CAMERA", None))
    for status, number in answers.items():
        print(f"[3/5] camera    {number} C-STORE answered 0x{status:04X}: from here on they are the node's")


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
    moves = [move for move in node.journal.moves(study.study_instance_uid) if move.version == study.version]
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


def _compare(archive: _Archive, scanned: _Scanned, pictures: Path) -> None:
    """Draw what each pipeline began with and what it made of it, under each other."""
    from dicomnode.objects.header import read_header
    from dicomnode.objects.pictures import save_comparison

    descriptions = {read_header(path).attributes["SeriesDescription"][0]: path for path in archive.paths}

    def derived(words: str, low_dose: bool = False) -> list[Path]:
        found = [path for name, path in descriptions.items() if words in name and ("dose" in name) == low_dose]
        return found[:1]

    share, slices = f"{100 * _DOSE:g} % of the dose", "short axis, apex to base"
    denoising = (
        ("Full dose, as counted: for comparison alone, the networks never saw it", [scanned.full]),
        (f"{share}, as counted", [scanned.low]),
        (f"{share}, denoised by the node", derived("denoised", low_dose=True)),
        (f"Full dose: {slices}", derived("nAC short axis")),
        (f"{share}, denoised: {slices}", derived("short axis", low_dose=True)),
    )
    attenuation = (
        (f"Not corrected: {slices}", derived("nAC short axis")),
        (f"Corrected by the CT's attenuation map (CTAC): {slices}", derived("CTAC short axis")),
        (f"Corrected by the networks' attenuation map, without CT (DLAC): {slices}", derived("DLAC short axis")),
        ("Attenuation map of the CT, feet to head", derived("keV of CT")),
        ("Attenuation map by the networks, which never saw the CT, feet to head", derived("keV by networks")),
    )
    title = "VIRTUAL PATIENT - no real person, no clinical evidence. Each row by its own highest value."
    for name, rows in (("denoising", denoising), ("attenuation", attenuation)):
        shown = [(words, path) for words, paths in rows for path in paths]
        save_comparison(title, shown, pictures / f"{name}.png")


def _program() -> str:
    """Return what a person writes to run this program again: its name where the shell finds it, else its path."""
    found = shutil.which("dicomnode")
    return "dicomnode" if found and Path(found).resolve() == Path(sys.argv[0]).resolve() else sys.argv[0]


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as server:
        return int(server.getsockname()[1])
