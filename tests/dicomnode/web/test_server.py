"""The page's own server: TLS, and clear words where it can't listen."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest

from dicomnode.config import WebSettings
from dicomnode.errors import ConfigurationError
from dicomnode.web.server import PageServer, check_certificate
from tests.dicomnode.web.browsing import PASSWORD, Site, a_user
from tests.dicomnode.web.conftest import OpenSite


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect."""


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, Path]:
    """A certificate for 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl not installed")
    made = {"certificate": tmp_path / "page.pem", "key": tmp_path / "page.key"}
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=page"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", str(made["certificate"]), "-keyout", str(made["key"])]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return made


def test_over_tls_the_session_cookie_never_leaves_in_the_clear(
    open_site: OpenSite, certificate: dict[str, Path]
) -> None:
    site = open_site(auth="password", users=[a_user("anna")], **certificate)
    trust = ssl.create_default_context(cafile=str(certificate["certificate"]))
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust), _StayHere)
    form = urlencode({"name": "anna", "password": PASSWORD, "next": "/"}).encode()
    with pytest.raises(urllib.error.HTTPError) as led:
        opener.open(f"https://127.0.0.1:{site.server.port}/login", form, timeout=30)
    assert led.value.code == 303
    assert "secure" in led.value.headers["Set-Cookie"].lower()
    assert led.value.headers["Strict-Transport-Security"].startswith("max-age=")


def test_a_port_that_is_taken_is_named_with_the_remedy(site: Site) -> None:
    twin = PageServer(WebSettings(port=site.server.port), site.door())
    with pytest.raises(ConfigurationError, match=r"web\.port: 127\.0\.0\.1:\d+ can't be listened on .* or 0 for no"):
        twin.start()


def test_a_certificate_that_is_not_there_is_told(site: Site, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    with pytest.raises(ConfigurationError, match=r"web\.certificate, web\.key: can't be used"):
        PageServer(WebSettings(port=1, certificate=nothing, key=nothing), site.door()).start()


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(
    certificate: dict[str, Path], tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", certificate["key"], "-aes256", "-passout", "pass:abcd", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ConfigurationError, match="without a passphrase"):
        check_certificate(WebSettings(certificate=certificate["certificate"], key=locked))


def test_a_page_that_stopped_answers_no_more(site: Site) -> None:
    visitor = site.visitor()
    assert visitor.get("/health/live").status == 200
    site.server.stop()
    with pytest.raises(ConnectionError):
        visitor.get("/health/live")
