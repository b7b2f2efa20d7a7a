"""Who may look: users with passwords, users whom a proxy names, and on loopback anybody; none of them for ever."""

from __future__ import annotations

from datetime import timedelta

from dicomnode.web.access import IDLE, LONGEST
from dicomnode.web.door import AccessKind
from tests.dicomnode.web.browsing import PASSWORD, a_user
from tests.dicomnode.web.conftest import OpenSite
from tests.fakes import after


def test_without_log_in_the_page_shows_itself_to_who_is_on_this_machine(open_site: OpenSite) -> None:
    assert open_site().visitor().get("/").status == 200


def test_a_stranger_is_led_to_the_log_in_and_back_to_where_they_wanted(open_site: OpenSite) -> None:
    visitor = open_site(auth="password", users=[a_user("anna")]).visitor()
    led = visitor.get("/studies/1.2.3")
    assert (led.status, led.headers["location"]) == (303, "/login?next=%2Fstudies%2F1.2.3")
    answer = visitor.post("/login", {"name": "anna", "password": PASSWORD, "next": "/studies/1.2.3"})
    assert (answer.status, answer.headers["location"]) == (303, "/studies/1.2.3")


def test_a_log_in_leads_to_no_other_site(open_site: OpenSite) -> None:
    visitor = open_site(auth="password", users=[a_user("anna")]).visitor()
    for place in ("//evil.example/", "https://evil.example/", "/\\evil.example"):
        answer = visitor.post("/login", {"name": "anna", "password": PASSWORD, "next": place})
        assert answer.headers["location"] == "/"


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(open_site: OpenSite) -> None:
    answer = open_site(auth="password", users=[a_user("anna")]).visitor().log_in("anna")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_wrong_password_and_an_unknown_name_are_told_alike_and_recorded(open_site: OpenSite) -> None:
    site = open_site(auth="password", users=[a_user("anna")])
    wrong = site.visitor().log_in("anna", "wrong")
    unknown = site.visitor().log_in("my password by mistake", PASSWORD)
    assert wrong.status == unknown.status == 401
    assert wrong.body == unknown.body
    assert [(a.kind, a.user) for a in site.accesses] == [
        (AccessKind.LOG_IN_REFUSED, "anna"), (AccessKind.LOG_IN_REFUSED, "?"),
    ]  # fmt: skip


def test_who_guesses_has_to_wait_and_others_do_not(open_site: OpenSite) -> None:
    site = open_site(auth="password", users=[a_user("anna"), a_user("bert")])
    for _ in range(5):
        site.visitor().log_in("anna", "wrong")
    assert site.visitor().log_in("anna").status == 429
    assert site.visitor().log_in("bert").status == 303
    site.road.now = after(301)
    assert site.visitor().log_in("anna").status == 303


def test_a_session_ends_when_idle_when_old_and_when_the_user_says_so(open_site: OpenSite) -> None:
    site = open_site(auth="password", users=[a_user("anna")])
    idle, busy = site.visitor(), site.visitor()
    begun = site.road.now
    idle.log_in("anna")
    busy.log_in("anna")
    while site.road.now < begun + LONGEST - timedelta(minutes=20):
        site.road.now += timedelta(minutes=20)
        assert busy.get("/").status == 200
    assert idle.get("/").status == 303, f"idle for more than {IDLE}"
    site.road.now = begun + LONGEST
    assert busy.get("/").status == 303

    busy.log_in("anna")
    old = dict(busy.headers)
    assert busy.post("/logout", {"token": busy.token("/")}).status == 303
    busy.headers = old
    assert busy.get("/").status == 303, "the cookie of an ended session is worth nothing"


def test_a_live_part_of_a_page_says_that_the_session_ended(open_site: OpenSite) -> None:
    visitor = open_site(auth="password", users=[a_user("anna")]).visitor()
    assert visitor.get("/parts/overview").status == 401


def test_a_name_in_the_proxys_header_counts_from_the_proxy_alone(open_site: OpenSite) -> None:
    trusted = open_site(auth="proxy", users=[{"name": "anna"}])
    assert trusted.visitor(**{"X-Remote-User": "anna"}).get("/").status == 200
    assert trusted.visitor(**{"X-Remote-User": "nobody"}).get("/").status == 403
    assert trusted.visitor().get("/").status == 403
    elsewhere = open_site(auth="proxy", users=[{"name": "anna"}], proxies=["10.0.0.7"])
    assert elsewhere.visitor(**{"X-Remote-User": "anna"}).get("/").status == 403


def test_a_user_who_may_only_look_decides_nothing(open_site: OpenSite) -> None:
    site = open_site(auth="proxy", users=[{"name": "anna", "decide": False}])
    visitor = site.visitor(**{"X-Remote-User": "anna"})
    assert visitor.get("/studies/1.2/reject").status == 403
    assert visitor.post("/studies/1.2/reject", {}).status == 403


def test_metrics_are_for_the_addresses_that_are_named_and_for_users(open_site: OpenSite) -> None:
    here = open_site(auth="proxy", users=[{"name": "anna"}])
    assert here.visitor().get("/metrics").text == "dicomnode_studies 1\n"
    elsewhere = open_site(auth="proxy", users=[{"name": "anna"}], metrics_from=["10.0.0.7"])
    assert elsewhere.visitor().get("/metrics").status == 403
    assert elsewhere.visitor(**{"X-Remote-User": "anna"}).get("/metrics").status == 200
