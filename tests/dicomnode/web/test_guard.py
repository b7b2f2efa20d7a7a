"""What a browser is told, and what a page of another site can't make it do."""

from __future__ import annotations

import pytest

from dicomnode.study import StudyState
from pipelines.contract import Verdict
from tests.dicomnode.stages.road import a_result
from tests.dicomnode.web.browsing import Site
from tests.factories import a_tomo

ELSEWHERE = {"Origin": "https://evil.example"}


@pytest.fixture
def held(site: Site) -> str:
    """The address of a held study with something to release."""
    site.road.answers.append(a_result(Verdict.QUARANTINE, "the counts disagree"))
    return f"/studies/{site.road.process(a_tomo())}"


def state(site: Site, address: str) -> StudyState:
    return site.road.study(address.removeprefix("/studies/")).state


@pytest.mark.parametrize("path", ["/", "/login", "/health/live", "/nothing", "/static/page.css"])
def test_every_answer_binds_the_browser_to_this_page_alone(site: Site, path: str) -> None:
    headers = site.visitor().get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_pages_and_pictures_are_not_left_on_a_shared_computer(site: Site, held: str) -> None:
    assert site.visitor().get("/").headers["cache-control"] == "no-store"
    assert site.visitor().get(held).headers["cache-control"] == "no-store"


def test_no_page_asks_the_internet_for_anything(site: Site, held: str) -> None:
    for path in ("/", held, f"{held}/release", "/login", "/static/page.css", "/static/live.js"):
        text = site.visitor().get(path).text
        assert "https://" not in text
        assert "http://" not in text
        assert " style=" not in text, "the policy forbids styles in elements"


def test_a_foreign_name_that_leads_here_is_refused(site: Site) -> None:
    assert site.visitor().get("/", Host="evil.example").status == 400
    assert site.visitor().get("/", Host=f"localhost:{site.server.port}").status == 200


def test_a_decision_needs_the_token_of_a_page_that_was_shown(site: Site, held: str) -> None:
    visitor = site.visitor()
    assert visitor.post(f"{held}/release", {}).status == 403
    assert visitor.post(f"{held}/release", {"token": "0" * 64}).status == 403
    assert state(site, held) is StudyState.HELD
    assert visitor.post(f"{held}/release", {"token": visitor.token(f"{held}/release")}).status == 303
    assert state(site, held) is StudyState.DELIVERING


def test_a_form_of_another_site_is_refused_even_with_the_token(site: Site, held: str) -> None:
    visitor = site.visitor()
    fields = {"token": visitor.token(f"{held}/release")}
    assert visitor.post(f"{held}/release", fields, **ELSEWHERE).status == 403
    for site_of_sender in ("cross-site", "same-site", "none"):
        assert visitor.post(f"{held}/release", fields, **{"Sec-Fetch-Site": site_of_sender}).status == 403
    assert state(site, held) is StudyState.HELD
    own = {"Origin": f"http://127.0.0.1:{site.server.port}", "Sec-Fetch-Site": "same-origin"}
    assert visitor.post(f"{held}/release", fields, **own).status == 303


def test_looking_at_an_address_decides_nothing(site: Site, held: str) -> None:
    for decision in ("release", "requeue", "reject"):
        assert site.visitor().get(f"{held}/{decision}").status == 200
    assert state(site, held) is StudyState.HELD


def test_a_form_that_is_too_long_is_not_read(site: Site, held: str) -> None:
    assert site.visitor().post(f"{held}/release", {"token": "x" * 10_000}).status == 413
