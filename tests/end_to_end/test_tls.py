"""TLS with DCMTK in both directions: who is let in, what can be overheard, how certificates are renewed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydicom import dcmread

from dicomnode.config import TlsSettings
from tests.conftest import Start, StartNode, need_isolation, need_programs
from tests.dicomnode.network.helpers import certificates
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.process import eventually
from tests.peers.studies import StudyUids, small_tomo, static_image, write
from tests.peers.wiretap import tapped


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    """The hospital's CA and a certificate of it."""
    need_programs("openssl", "storescu", "storescp")
    return certificates(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, hospital: TlsSettings) -> TlsSettings:
    """A certificate of another CA, by one who trusts the hospital's."""
    return certificates(tmp_path_factory.mktemp("stranger")).model_copy(update={"ca": hospital.ca})


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that no pipeline takes."""
    return write(static_image(StudyUids.from_seed("tls", 1)), tmp_path_factory.mktemp("image") / "static.dcm")


@pytest.fixture(scope="module")
def secure_node(tmp_path_factory: pytest.TempPathFactory, hospital: TlsSettings) -> Iterator[Node]:
    """A node that takes nobody without a certificate of the hospital."""
    node = Node(tmp_path_factory.mktemp("node"), Settings(tls=table(hospital)))
    node.start()
    yield node
    node.stop(timeout_s=30)


def table(tls: TlsSettings, **more: object) -> dict[str, object]:
    """Return the [tls] table of a configuration."""
    return {"certificate": str(tls.certificate), "key": str(tls.key), "ca": str(tls.ca), **more}


def as_peer(tls: TlsSettings) -> list[str]:
    """Return DCMTK's options for these files."""
    return ["+tls", str(tls.key), str(tls.certificate), "+cf", str(tls.ca)]


def test_a_scanner_with_a_certificate_of_the_hospital_is_let_in(
    secure_node: Node, hospital: TlsSettings, image: Path
) -> None:
    sent = dcmtk.store(secure_node.port, [image], options=as_peer(hospital))
    assert sent.accepted, sent.output


@pytest.mark.parametrize("who", ["a stranger", "nobody", "one who speaks plainly"])
def test_anybody_else_is_refused_and_nothing_is_stored(
    who: str, secure_node: Node, hospital: TlsSettings, stranger: TlsSettings, tmp_path: Path
) -> None:
    options: Sequence[str] = {
        "a stranger": as_peer(stranger),
        "nobody": ["+tla", "+cf", str(hospital.ca)],
        "one who speaks plainly": [],
    }[who]
    other = static_image(StudyUids.from_seed("tls", who))
    sent = dcmtk.store(secure_node.port, [write(other, tmp_path / "other.dcm")], options=options)
    assert sent.returncode != 0
    assert not sent.statuses
    assert str(other.StudyInstanceUID) not in secure_node.studies()


def test_a_scanner_refuses_a_node_whose_certificate_it_does_not_trust(
    secure_node: Node, hospital: TlsSettings, stranger: TlsSettings, image: Path
) -> None:
    own_ca = stranger.certificate.with_name("ca.pem")
    sent = dcmtk.store(secure_node.port, [image], options=as_peer(hospital.model_copy(update={"ca": own_ca})))
    assert sent.returncode != 0
    assert not sent.statuses


def test_a_study_goes_in_and_out_under_tls_and_who_listens_on_the_wire_gets_nothing(
    start: Start, start_node: StartNode, hospital: TlsSettings, tmp_path: Path
) -> None:
    archive = dcmtk.StoreSCP(tmp_path / "archive", ["--fork", *as_peer(hospital)])
    start(archive)
    tomo = small_tomo(StudyUids.from_seed("tls", "wire"))
    file = write(tomo, tmp_path / "tomo.dcm")
    secrets = [b"SPECT1", b"DICOMNODE", b"STORESCP", str(tomo.PatientID).encode(), str(tomo.PatientName).encode()]
    secrets += [str(tomo.StudyInstanceUID).encode(), _most_varied(tomo.PixelData)]
    with tapped(archive.port) as outgoing:
        node = start_node(
            Settings(destinations=[destination(outgoing.port, "STORESCP", tls=True)], tls=table(hospital))
        )
        with tapped(node.port) as incoming:
            sent = dcmtk.store(incoming.port, [file], options=as_peer(hospital))
            assert sent.accepted, sent.output
            node.wait_for(tomo.StudyInstanceUID, "DELIVERED")
    received = [dcmread(path, stop_before_pixels=True) for path in archive.received.iterdir()]
    assert sorted(str(ds.SOPInstanceUID) for ds in received) == node.derived(tomo.StudyInstanceUID) != []
    assert len(incoming.heard) > len(tomo.PixelData)
    assert len(outgoing.heard) > 1000
    assert incoming.holds(*secrets) == outgoing.holds(*secrets) == []


def _most_varied(pixels: bytes, length: int = 64) -> bytes:
    """Return the piece of the pixel data that is least like zeros or padding."""
    pieces = (pixels[start : start + length] for start in range(0, len(pixels), length))
    return max(pieces, key=lambda piece: len(set(piece)))


def test_the_tap_hears_what_is_not_encrypted(start: Start, image: Path, tmp_path: Path) -> None:
    archive = dcmtk.StoreSCP(tmp_path / "archive")
    start(archive)
    with tapped(archive.port) as tap:
        assert dcmtk.store(tap.port, [image], called="STORESCP").accepted
    words = [b"SPECT1", b"STORESCP", str(dcmread(image).PatientID).encode()]
    assert tap.holds(*words) == words


def test_the_node_sends_to_no_archive_of_a_stranger_and_a_stranger_archive_refuses_the_node(
    start: Start, start_node: StartNode, hospital: TlsSettings, stranger: TlsSettings, tmp_path: Path
) -> None:
    other_ca = stranger.certificate.with_name("ca.pem")
    strange = dcmtk.StoreSCP(tmp_path / "strange", ["--fork", *as_peer(stranger)])
    distrustful = dcmtk.StoreSCP(
        tmp_path / "distrustful", ["--fork", *as_peer(hospital.model_copy(update={"ca": other_ca}))]
    )
    plain, good = dcmtk.StoreSCP(tmp_path / "plain"), dcmtk.StoreSCP(tmp_path / "good", ["--fork", *as_peer(hospital)])
    peers = {"strange": strange, "distrustful": distrustful, "plain": plain, "good": good}
    for peer in peers.values():
        start(peer)
    tables = [destination(peer.port, "STORESCP", name=name, tls=True) for name, peer in peers.items()]
    node = start_node(Settings(destinations=tables, rules=(), tls=table(hospital)))
    answers = {name: node.command_run("echo", name) for name in peers}
    assert {name: done.returncode for name, done in answers.items()} == {
        "strange": 69, "distrustful": 69, "plain": 69, "good": 0,
    }  # fmt: skip
    assert "TLS" in answers["strange"].stderr


def test_without_the_demand_for_certificates_a_peer_without_one_is_let_in_but_not_in_the_clear(
    start_node: StartNode, hospital: TlsSettings, image: Path
) -> None:
    node = start_node(Settings(tls=table(hospital, require_peer_certificate=False)))
    assert dcmtk.store(node.port, [image], options=["+tla", "+cf", str(hospital.ca)]).accepted
    assert not dcmtk.store(node.port, [image]).accepted


def test_renewed_certificates_take_effect_without_a_restart(
    start_node: StartNode, start: Start, image: Path, tmp_path: Path
) -> None:
    need_programs("openssl")
    need_isolation()
    current = certificates(tmp_path / "current")
    former = _copied(current, tmp_path / "former")
    renewed = certificates(tmp_path / "renewed")
    archive = dcmtk.StoreSCP(tmp_path / "archive", ["--fork", *as_peer(renewed)])
    start(archive)
    node = start_node(
        Settings(destinations=[destination(archive.port, "STORESCP", tls=True)], rules=(), tls=table(current))
    )
    assert dcmtk.store(node.port, [image], options=as_peer(former)).accepted
    assert node.command_run("echo", "pacs").returncode == 69

    shutil.copy(renewed.certificate, current.certificate)  # its key isn't there yet
    assert dcmtk.store(node.port, [image], options=as_peer(former)).accepted
    shutil.copy(renewed.key, current.key)
    shutil.copy(renewed.ca, current.ca)
    eventually(lambda: dcmtk.store(node.port, [image], options=as_peer(renewed)).accepted, "the renewed certificate")
    assert not dcmtk.store(node.port, [image], options=as_peer(former)).accepted
    assert node.command_run("echo", "pacs").returncode == 0


def _copied(tls: TlsSettings, folder: Path) -> TlsSettings:
    shutil.copytree(tls.certificate.parent, folder)
    return TlsSettings(certificate=folder / "node.pem", key=folder / "node.key", ca=folder / "ca.pem")
