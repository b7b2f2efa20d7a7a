"""The web page in a real browser over a real node: what an operator sees and does."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from dicomnode.web.passwords import hash_password
from tests.conftest import StartNode
from tests.end_to_end.test_denoising import a_study, low_dose_rule
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import HOST, free_port
from tests.peers.studies import StudyUids, small_tomo, write
from tests.pipelines.denoising_cases import a_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 240_000
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
IDENTITY = ("Test^Patient", "T00000", "Virtual", "LOW-1")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("chromium is not installed (`make test` installs it)")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser's page that must meet no mistake of ours."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", lambda said: mistakes.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert mistakes == []


def page_of(settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a [web] table with a free port."""
    return {"host": HOST, "port": free_port(), **(settings or {})}


def address(web: dict[str, Any]) -> str:
    return f"http://{HOST}:{web['port']}"


def an_incomplete_study(start_node: StartNode, folder: Path, web: dict[str, Any]) -> tuple[Node, str]:
    """Let a study be held for want of its CT."""
    rule = {"name": "with CT", "pipeline": "reconstruction", "needs": ["projections", "ct"], "wait_s": 0}
    settings = Settings(destinations=[destination(1)], rules=[{**rule, "destinations": ["pacs"]}], web=web)
    node = start_node(settings)
    uids = StudyUids.from_seed("incomplete", folder)
    assert dcmtk.store(node.port, [write(small_tomo(uids), folder / "incomplete.dcm")]).accepted
    node.wait_for(uids.study, "HELD")
    return node, uids.study


def a_held_study(start_node: StartNode, orthanc: Orthanc, folder: Path, web: dict[str, Any]) -> tuple[Node, str]:
    """Let a check hold a study that lies upside down."""
    rules = [low_dose_rule(a_model(folder / "models"))]
    node = start_node(Settings(destinations=[destination(orthanc.dicom_port)], rules=rules, web=web))
    file, uid = a_study("upside down", folder, upside_down=True)
    assert dcmtk.store(node.port, [file]).accepted
    node.wait_for(uid, "HELD", timeout_s=PATIENCE_MS / 1000)
    return node, uid


def tab_to(page: Page, words: str) -> None:
    """Press the tabulator until the element with these words has the focus."""
    for _ in range(50):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == words:
            return
    raise AssertionError(f"{words!r} can't be reached with the tabulator")


def test_a_study_is_seen_passing_through_without_a_reload_and_its_pictures_come_with_it(
    start_node: StartNode, orthanc: Orthanc, page: Page, tmp_path: Path
) -> None:
    web = page_of()
    node = start_node(Settings(destinations=[destination(orthanc.dicom_port)], web=web))
    uids = StudyUids.from_seed("page", tmp_path)
    page.goto(address(web))
    page.evaluate("window.sameDocument = true")
    page.get_by_text("No study has come yet.").wait_for()
    assert dcmtk.store(node.port, [write(small_tomo(uids), tmp_path / "a.dcm")]).accepted
    page.locator("tbody").get_by_text("DELIVERED").wait_for()
    assert page.evaluate("window.sameDocument"), "the page was never loaded anew"
    page.get_by_role("link", name=uids.study).click()
    for words in ("received: projections", "report page"):
        picture = page.get_by_alt_text(words)
        picture.scroll_into_view_if_needed()
        page.wait_for_function("picture => picture.complete && picture.naturalWidth > 0", arg=picture.element_handle())
    assert not any(value in page.content() for value in IDENTITY)


def test_an_operator_releases_a_held_study_after_a_second_thought(
    start_node: StartNode, orthanc: Orthanc, page: Page, tmp_path: Path
) -> None:
    web = page_of()
    node, uid = a_held_study(start_node, orthanc, tmp_path, web)
    page.goto(address(web))
    page.get_by_role("link", name="upside down").first.click()
    page.get_by_role("link", name="Release").click()
    page.get_by_role("link", name="Back").click()
    assert orthanc.instances(uid) == []
    page.get_by_role("link", name="Release").click()
    page.get_by_role("button", name="Release").click()
    page.locator("h1").get_by_text("DELIVERED").wait_for()
    assert orthanc.instances(uid) == node.derived(uid) != []
    assert node.show(uid)["moves"][-2]["actor"] == "the page"


def test_everything_can_be_done_with_the_keyboard_alone(start_node: StartNode, page: Page, tmp_path: Path) -> None:
    web = page_of()
    node, uid = an_incomplete_study(start_node, tmp_path, web)
    page.goto(address(web))
    tab_to(page, uid)
    other = StudyUids.from_seed("keyboard", tmp_path)
    assert dcmtk.store(node.port, [write(small_tomo(other), tmp_path / "b.dcm")]).accepted
    page.get_by_role("link", name=other.study).wait_for()
    assert page.evaluate("document.activeElement.textContent") == uid, "a live page takes no focus away"
    page.keyboard.press("Enter")
    page.locator("#reject").wait_for()
    tab_to(page, "Reject …")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Reject this study?").wait_for()
    tab_to(page, "Reject")
    page.keyboard.press("Enter")
    page.locator("h1").get_by_text("REJECTED").wait_for()
    assert node.studies()[uid]["state"] == "REJECTED"
    node.stop()
    page.get_by_text("The node does not answer.").wait_for()


def test_monitoring_is_answered_without_a_name_and_a_user_logs_in_and_out(start_node: StartNode, page: Page) -> None:
    hashed = hash_password(PASSWORD, b"salt of the test")
    web = page_of({"auth": "password", "users": [{"name": "anna", "password": hashed}]})
    node = start_node(Settings(web=web))
    with urlopen(f"http://{HOST}:{web['port']}/health/ready", timeout=30) as ready:
        assert json.load(ready) == {"ready": True, "checks": {"listener": "ok", "journal": "ok", "disk": "ok"}}
    with urlopen(f"http://{HOST}:{web['port']}/metrics", timeout=30) as metrics:
        assert b"dicomnode_" in metrics.read()
    page.goto(address(web))
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("Name or password is wrong.").wait_for()
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Studies").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Log in").wait_for()
    assert PASSWORD not in node.output()


def test_a_page_of_another_site_can_not_reject_a_study(start_node: StartNode, page: Page, tmp_path: Path) -> None:
    web = page_of()
    node, uid = an_incomplete_study(start_node, tmp_path, web)
    with another_site(f"{address(web)}/studies/{uid}/reject") as elsewhere:
        page.goto(elsewhere)
        page.get_by_text("The form was sent by a page of another site; nothing was done.").wait_for()
    assert node.studies()[uid]["state"] == "HELD"


@contextmanager
def another_site(target: str) -> Iterator[str]:
    """Serve a page, under another name, that sends a form to `target` as soon as it is looked at; yield its address."""
    form = f'<form method="post" action="{target}"><input name="token" value="guessed"></form>'
    body = f"<!doctype html>{form}<script>document.forms[0].submit()</script>".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
