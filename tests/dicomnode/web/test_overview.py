"""The first page: what is where, what waits for a person, how destinations and disk stand."""

from __future__ import annotations

import html

from sqlalchemy import event

from dicomnode.study import InstanceContent, SendOutcome, StudyState
from dicomnode.web.overview import PAGE, Filter
from pipelines.contract import Verdict
from pipelines.images import UnsuitableAcquisition
from tests.dicomnode.stages.road import a_result
from tests.dicomnode.web.browsing import Site, a_user
from tests.dicomnode.web.conftest import OpenSite
from tests.factories import a_tomo, setting
from tests.fakes import after, an_instance

OK = SendOutcome.DELIVERED


def fill(site: Site, number: int) -> None:
    """Let so many small studies arrive, a second apart."""
    for index in range(number):
        at = after(index)
        site.road.journal.record_instance(an_instance(f"1.2.{index}.1", f"1.2.{index}", received_at=at), at)


def test_an_empty_node_says_so(site: Site) -> None:
    assert "No study has come yet." in site.visitor().get("/").text


def test_a_study_is_shown_with_its_state_where_it_came_from_and_what_happened(site: Site) -> None:
    site.road.answers.append(UnsuitableAcquisition("found 3 views, expected at least 16"))
    uid = site.road.process(a_tomo())
    page = site.visitor().get("/").text
    for words in (uid, "HELD", "SPECT1", "found 3 views, expected at least 16", "1 study waits for a person"):
        assert words in page


def test_why_no_study_can_be_processed_is_told(site: Site) -> None:
    assert "Studies wait" not in site.visitor().get("/").text
    site.engine_trouble = "no worker is connected to tls://gpu-1:8786"
    assert "Studies wait: no worker is connected to tls://gpu-1:8786." in site.visitor().get("/").text


def test_a_reason_can_not_smuggle_in_a_script(site: Site) -> None:
    site.road.answers.append(UnsuitableAcquisition('<script>alert("x")</script>'))
    uid = site.road.process(a_tomo())
    for path in ("/", "/parts/overview", f"/studies/{uid}"):
        page = site.visitor().get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page
    assert 'value="&#34;&gt;&lt;b&gt;"' in site.visitor().get("/?words=%22%3E%3Cb%3E").text


def test_studies_are_found_by_state_and_by_words(site: Site) -> None:
    fill(site, 3)
    site.road.answers.append(UnsuitableAcquisition("no counts"))
    held = site.road.process(a_tomo())
    by_state = site.visitor().get("/?state=HELD").text
    assert held in by_state
    assert "1.2.0" not in by_state
    assert site.visitor().get("/?state=road").text.count('<td data-label="State">') == 3
    assert site.visitor().get("/?words=spect1").text.count('<td data-label="State">') == 4
    assert "No study is like that." in site.visitor().get("/?words=SPECT%25").text


def test_nobody_finds_out_by_searching_what_a_reason_hides(open_site: OpenSite) -> None:
    site = open_site(auth="proxy", users=[{"name": "anna", "identity": True}, {"name": "bert"}])
    site.road.answers.append(UnsuitableAcquisition("Series Description: found 'Jane stress'"))
    uid = site.road.process(a_tomo(change=setting(PatientName="Doe^Jane")))
    for name, finds in (("anna", True), ("bert", False)):
        assert (f"/studies/{uid}" in site.visitor(**{"X-Remote-User": name}).get("/?words=jane&page=1").text) is finds


def test_many_studies_come_in_pages_the_newest_first(site: Site) -> None:
    fill(site, PAGE + 2)
    first, second = site.visitor().get("/").text, site.visitor().get("/?page=2").text
    assert f'/studies/1.2.{PAGE + 1}"' in first
    assert '/studies/1.2.0"' in second
    assert '/studies/1.2.0"' not in first
    assert "Older" in first
    assert "Older" not in second


def test_a_page_asks_the_journal_as_often_whether_it_holds_few_studies_or_many(site: Site) -> None:
    asked: list[str] = []
    engine = site.road.journal._engine
    event.listen(engine, "before_cursor_execute", lambda *found: asked.append(found[2]))

    def questions() -> int:
        asked.clear()
        site.visitor().get("/")
        return len(asked)

    fill(site, PAGE)
    few = questions()
    fill(site, 3 * PAGE)
    assert questions() == few


def test_a_query_that_makes_no_sense_counts_as_not_said() -> None:
    assert Filter.read({"state": "'; DROP", "page": "-1"}) == Filter()
    assert Filter.read({"page": "9" * 50}) == Filter()
    assert Filter.read({"words": "x" * 500}).words == "x" * 64
    assert Filter.read({"state": "attention"}).states == (StudyState.HELD, StudyState.FAILED)


def test_a_destination_shows_its_last_success_and_what_waits_for_it(site: Site) -> None:
    site.road.answers += [a_result(), a_result()]
    site.road.process(a_tomo())
    assert "<dt>Last success</dt><dd>-</dd>" in site.visitor().get("/").text
    site.road.deliver(OK, OK)
    site.road.now = after(60)
    site.road.process(a_tomo(change=setting(StudyInstanceUID="1.2.99", SOPInstanceUID="1.2.99.1")))
    site.road.deliver("away")
    page = html.unescape(site.visitor().get("/").text)
    assert "<dt>Waiting</dt><dd>2, the oldest since" in page
    assert "nobody answers; again at" in page
    assert '<dt>Last success</dt><dd><time datetime="2026-03-02T12:00:00' in page


def test_names_are_shown_to_users_who_may_see_them_and_that_is_recorded(open_site: OpenSite) -> None:
    site = open_site(auth="password", users=[a_user("anna", identity=True), a_user("bert")])
    header = {"PatientName": "Doe^Jane", "PatientID": "P-77"}
    site.road.journal.record_instance(an_instance(content=InstanceContent.CT, **header), after(0))
    anna, bert = site.visitor(), site.visitor()
    anna.log_in("anna")
    bert.log_in("bert")
    assert "Doe^Jane" in anna.get("/").text
    assert "P-77" in anna.get("/studies/1.2").text
    assert [(a.kind.value, a.user, a.study) for a in site.accesses if "identity" in a.kind.value] == [
        ("identity shown", "anna", ""), ("identity shown", "anna", "1.2"),
    ]  # fmt: skip
    for path in ("/", "/parts/overview", "/studies/1.2", "/parts/studies/1.2"):
        seen = bert.get(path).text
        assert "Doe" not in seen
        assert "P-77" not in seen


def test_a_study_that_a_check_held_is_counted_among_those_that_wait(site: Site) -> None:
    site.road.answers.append(a_result(Verdict.QUARANTINE, "the counts disagree"))
    site.road.process(a_tomo())
    assert "Wait for a person <b>1</b>" in site.visitor().get("/").text
