"""What is negotiated is what the profile allows; changed files take effect with the next connection."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.config import TlsSettings
from dicomnode.network.tls import CIPHERS_OF_TLS_1_2, RenewedContext
from tests.dicomnode.network.helpers import Inbox, certificates, listening

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    return certificates(tmp_path / "current")


def test_files_that_stay_are_read_once(tls: TlsSettings) -> None:
    renewed = RenewedContext(tls)
    assert renewed.current() is renewed.current()


def test_a_renewed_certificate_with_its_key_takes_effect(tls: TlsSettings, tmp_path: Path) -> None:
    renewed = RenewedContext(tls)
    former = renewed.current()
    other = certificates(tmp_path / "other")
    shutil.copy(other.certificate, tls.certificate)
    assert renewed.current() is former, "the key that belongs to it isn't there yet"
    shutil.copy(other.key, tls.key)
    assert renewed.current() is not former


def test_another_ca_takes_the_place_of_the_former(tls: TlsSettings, tmp_path: Path) -> None:
    renewed = RenewedContext(tls)
    before = renewed.current().get_ca_certs()
    shutil.copy(certificates(tmp_path / "other").ca, tls.ca)
    after = renewed.current().get_ca_certs()
    assert len(before) == len(after) == 1
    assert before[0]["serialNumber"] != after[0]["serialNumber"]


def test_a_file_that_vanished_leaves_the_former_in_effect(tls: TlsSettings) -> None:
    renewed = RenewedContext(tls)
    former = renewed.current()
    tls.certificate.unlink()
    assert renewed.current() is former


# --- PS3.15 B.12: what the conformance statement claims, asked with OpenSSL's own client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TlsSettings, int]]:
    settings = certificates(tmp_path_factory.mktemp("served"))
    with listening(Inbox(), tls=settings) as listener:
        yield settings, listener.port


def negotiated(served: tuple[TlsSettings, int], *options: str) -> str:
    """Return what openssl says about its handshake with the node, "" where there is none."""
    settings, port = served
    own = ["-cert", settings.certificate, "-key", settings.key]
    command = ["openssl", "s_client", "-brief", "-connect", f"127.0.0.1:{port}", *own, *options]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
    return done.stderr if done.returncode == 0 else ""


def test_tls_1_3_is_preferred(served: tuple[TlsSettings, int]) -> None:
    assert "TLSv1.3" in negotiated(served)


@pytest.mark.parametrize("suite", [one for one in CIPHERS_OF_TLS_1_2 if "RSA" in one])
def test_each_suite_that_is_claimed_is_there_under_tls_1_2(served: tuple[TlsSettings, int], suite: str) -> None:
    found = negotiated(served, "-tls1_2", "-cipher", suite)
    assert "TLSv1.2" in found
    assert suite in found


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES256-GCM-SHA384"),  # no forward secrecy
        ("-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"),
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384"),  # CBC
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "NULL:@SECLEVEL=0"),
    ],
)
def test_what_the_profile_does_not_know_is_refused(served: tuple[TlsSettings, int], options: tuple[str, ...]) -> None:
    assert negotiated(served, *options) == ""


@pytest.mark.parametrize(
    ("key", "digest", "welcome"), [("2048", "sha256", True), ("1024", "sha256", False), ("2048", "sha1", False)]
)
def test_a_peer_with_a_weak_certificate_is_refused(
    served: tuple[TlsSettings, int], tmp_path: Path, key: str, digest: str, welcome: bool
) -> None:
    folder = served[0].ca.parent
    request = ["-newkey", f"rsa:{key}", "-nodes", "-keyout", "peer.key", "-out", "peer.csr", "-subj", "/CN=peer"]
    signed = ["-in", "peer.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-set_serial", "77"]
    for command in (["req", *request], ["x509", "-req", *signed, f"-{digest}", "-out", "peer.pem"]):
        subprocess.run(["openssl", *command], cwd=tmp_path, check=True, capture_output=True)
    as_peer = served[0].model_copy(update={"certificate": tmp_path / "peer.pem", "key": tmp_path / "peer.key"})
    found = negotiated((as_peer, served[1]), "-tls1_2", "-cipher", "DEFAULT:@SECLEVEL=0")
    assert bool(found) is welcome
