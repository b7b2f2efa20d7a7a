"""A study's page: its story in order, with pictures, and the decisions that make sense where it stands."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dicomnode.study import SendOutcome, SendReport, StudyState
from pipelines.contract import Verdict
from pipelines.images import UnsuitableAcquisition
from tests.dicomnode.stages.promising import Promising
from tests.dicomnode.stages.road import a_result
from tests.dicomnode.web.browsing import Site, a_user
from tests.dicomnode.web.conftest import OpenSite
from tests.factories import a_tomo, setting
from tests.fakes import after

OK, REFUSED = SendOutcome.DELIVERED, SendOutcome.REFUSED
STRIP = 70  # rows of a report page that name the patient


def pictures(page: str) -> list[str]:
    return re.findall(r'<img src="([^"]+\.png)"', page)


def decisions(page: str) -> list[str]:
    return re.findall(r'class="button (\w+)" href=', page)


def test_the_story_tells_what_came_what_was_made_and_who_has_it_in_this_order(site: Site) -> None:
    site.road.answers.append(a_result())
    uid = site.road.process(a_tomo())
    site.road.now = after(5)
    site.road.deliver(OK, OK)
    page = site.visitor().get(f"/studies/{uid}").text
    told = re.findall(r"<p><strong>([^<]+)</strong>", page)
    assert told[0] == "received"
    assert told.index("received") < told.index("made") < told.index("sent") < told.index("all delivered")
    assert "pacs took" in page


def test_the_story_tells_what_was_promised_and_the_first_page_what_is_not_yet(site: Site) -> None:
    study = Promising(site.road)
    study.step(0)
    study.step(3)
    assert "<dt>Not yet promised</dt><dd>2</dd>" in site.visitor().get("/").text
    page = site.visitor().get(f"/studies/{study.uid}").text
    assert "UNCOMMITTED" in page
    assert "asked 1 time to promise" in page
    study.report(study.requests[0])
    page = site.visitor().get(f"/studies/{study.uid}").text
    assert "pacs promised to keep" in page
    assert page.count(">COMMITTED<") == 2
    assert "Not yet promised" not in site.visitor().get("/").text


def test_what_was_received_and_what_was_made_can_be_looked_at(site: Site) -> None:
    site.road.answers.append(a_result())
    uid = site.road.process(a_tomo(views=12, rows=5, columns=8))
    found = pictures(site.visitor().get(f"/studies/{uid}").text)
    assert [path.split("/")[3] for path in found] == ["received", "derived", "derived"]
    sizes = []
    for path in found:
        answer = site.visitor().get(path)
        assert answer.headers["content-type"] == "image/png"
        sizes.append(Image.open(BytesIO(answer.body)).size)
    assert sizes[0] == (10 * 8 * 2, 2 * 5 * 2), "twelve views of 8 x 5 doubled, ten to a row"
    assert sizes[1][0] == 1600, "the report page comes first of what was made"


def test_pages_and_health_do_not_wait_for_pictures_that_take_long(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, lock, at_once, most = threading.Event(), threading.Lock(), 0, 0

    def slow(*_: object) -> bytes:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        drawn.wait(timeout=60)
        with lock:
            at_once -= 1
        return b"picture"

    monkeypatch.setattr("dicomnode.web.app.preview_png", slow)
    uid = site.road.process(a_tomo())
    (path,) = pictures(site.visitor().get(f"/studies/{uid}").text)
    with ThreadPoolExecutor(8) as browsers:
        waiting = [browsers.submit(site.visitor().get, path) for _ in range(8)]
        try:
            while most < 2:
                time.sleep(0.01)
            told = [site.visitor().get(place).status for place in ("/health/live", f"/studies/{uid}", "/")]
        finally:
            drawn.set()
        assert told == [200, 200, 200]
        assert {one.result().body for one in waiting} == {b"picture"}
    assert most == 2


def test_the_strip_that_names_the_patient_is_cut_off_for_who_may_not_see_it(open_site: OpenSite) -> None:
    site = open_site(auth="proxy", users=[{"name": "anna", "identity": True}, {"name": "bert"}])
    site.road.answers.append(a_result())
    uid = site.road.process(a_tomo())
    seen = {}
    for name in ("anna", "bert"):
        visitor = site.visitor(**{"X-Remote-User": name})
        (page,) = [path for path in pictures(visitor.get(f"/studies/{uid}").text) if "derived" in path][:1]
        seen[name] = np.asarray(Image.open(BytesIO(visitor.get(page).body)))
    assert len(seen["anna"]) == len(seen["bert"]) + STRIP
    assert (seen["bert"] == 255).all(), "the page below the strip is blank here: not a letter is left of it"
    assert (seen["anna"][:STRIP] != 255).any()


def test_an_identity_that_hides_in_a_sentence_is_hidden_from_who_may_not_see_it(open_site: OpenSite) -> None:
    site = open_site(auth="proxy", users=[{"name": "anna", "identity": True}, {"name": "bert"}])
    site.road.answers.append(UnsuitableAcquisition("Series Description: found 'Jane stress', ID p-77 twice"))
    uid = site.road.process(a_tomo(change=setting(PatientName="Doe^Jane", PatientID="P-77")))
    anna, bert = (site.visitor(**{"X-Remote-User": name}) for name in ("anna", "bert"))
    assert "Jane stress" in anna.get(f"/studies/{uid}").text
    for path in ("/", f"/studies/{uid}"):
        seen = bert.get(path).text
        assert "[hidden] stress" in seen
        assert "Jane" not in seen
        assert "77" not in seen


def test_only_decisions_that_make_sense_are_offered(site: Site) -> None:
    site.road.answers += [a_result(Verdict.QUARANTINE), a_result(), UnsuitableAcquisition("no counts")]
    withheld = site.road.process(a_tomo())
    sent = site.road.process(a_tomo(change=setting(StudyInstanceUID="1.2.8", SOPInstanceUID="1.2.8.1")))
    unsuitable = site.road.process(a_tomo(change=setting(StudyInstanceUID="1.2.9", SOPInstanceUID="1.2.9.1")))
    visitor = site.visitor()
    assert decisions(visitor.get(f"/studies/{withheld}").text) == ["release", "requeue", "reject"]
    assert decisions(visitor.get(f"/studies/{sent}").text) == []
    assert decisions(visitor.get(f"/studies/{unsuitable}").text) == ["requeue", "reject"]
    assert visitor.get(f"/studies/{unsuitable}/release").status == 409
    assert visitor.get(f"/studies/{sent}/reject").status == 409


def test_a_decision_is_done_and_the_story_says_by_whom(open_site: OpenSite) -> None:
    site = open_site(auth="password", users=[a_user("anna")])
    site.road.answers.append(a_result(Verdict.QUARANTINE))
    uid = site.road.process(a_tomo())
    visitor = site.visitor()
    visitor.log_in("anna")
    done = visitor.post(f"/studies/{uid}/reject", {"token": visitor.token(f"/studies/{uid}/reject")})
    assert (done.status, done.headers["location"]) == (303, f"/studies/{uid}")
    assert site.road.study(uid).state is StudyState.REJECTED
    assert "by anna" in visitor.get(f"/studies/{uid}").text


def test_a_decision_that_came_too_late_is_refused_with_a_sentence(site: Site) -> None:
    site.road.answers.append(a_result(Verdict.QUARANTINE))
    uid = site.road.process(a_tomo())
    visitor = site.visitor()
    token = {"token": visitor.token(f"/studies/{uid}/release")}
    assert visitor.post(f"/studies/{uid}/reject", token).status == 303
    late = visitor.post(f"/studies/{uid}/release", token)
    assert late.status == 409
    assert "the study is REJECTED; this needs a study that is HELD" in late.text


def test_what_is_not_there_is_not_found(site: Site) -> None:
    site.road.answers.append(a_result())
    uid = site.road.process(a_tomo())
    for path in (
        "/studies/9.9", "/studies/9.9/release", f"/studies/{uid}/explode", f"/studies/{uid}/received/9.9.png",
        f"/studies/{uid}/spool/1.png", f"/studies/{uid}/derived/..%2F..%2Fjournal.png", "/studies/..%2F..%2Fetc",
        "/static/../app.py", "/static/..%2fapp.py",
    ):  # fmt: skip
        assert site.visitor().get(path).status in (404, 409), path


def test_a_refused_delivery_is_told_with_the_peers_own_words_only_to_who_may_see_identity(open_site: OpenSite) -> None:
    site = open_site(auth="proxy", users=[{"name": "anna", "identity": True}, {"name": "bert"}])
    site.road.answers.append(a_result())
    uid = site.road.process(a_tomo())
    (one, *_) = site.road.outbox.due("pacs", after(0))
    comment = "out of resources (0xA700): no room for Doe^Jane"
    report = SendReport(one.sop_instance_uid, REFUSED, 0xA700, comment)
    site.road.outbox.record(one, report, after(9), False, after(0))
    anna, bert = (site.visitor(**{"X-Remote-User": name}) for name in ("anna", "bert"))
    assert comment in anna.get(f"/studies/{uid}").text
    assert "out of resources (0xA700)</td>" in bert.get(f"/studies/{uid}").text


def test_what_a_peer_wrote_itself_of_a_delivery_that_waits_is_told_alike(open_site: OpenSite) -> None:
    site = open_site(auth="proxy", users=[{"name": "anna", "identity": True}, {"name": "bert"}])
    site.road.answers.append(a_result())
    site.road.process(a_tomo())
    (one, *_) = site.road.outbox.due("pacs", after(0))
    comment = "out of resources (0xA700): no room for Doe^Jane"
    report = SendReport(one.sop_instance_uid, SendOutcome.TRANSIENT, 0xA700, comment)
    site.road.outbox.record(one, report, after(9), False, after(0))
    anna, bert = (site.visitor(**{"X-Remote-User": name}) for name in ("anna", "bert"))
    assert f"{comment}; again at" in anna.get("/").text
    assert "out of resources (0xA700); again at" in bert.get("/").text
