"""What monitoring asks for."""

from __future__ import annotations

import json

from dicomnode.web.door import Check
from tests.dicomnode.web.browsing import Site, a_user
from tests.dicomnode.web.conftest import OpenSite


def test_a_node_that_is_ready_says_so(site: Site) -> None:
    answer = site.visitor().get("/health/ready")
    assert (answer.status, json.loads(answer.body)) == (200, {"ready": True, "checks": {"listener": "ok"}})


def test_a_node_that_is_not_ready_says_why(site: Site) -> None:
    site.checks = (Check("listener", True), Check("disk", False, "1.0 GB free: instances are refused"))
    answer = site.visitor().get("/health/ready")
    assert answer.status == 503
    assert json.loads(answer.body)["checks"]["disk"] == "1.0 GB free: instances are refused"


def test_health_is_told_without_log_in(open_site: OpenSite) -> None:
    visitor = open_site(auth="password", users=[a_user("anna")]).visitor()
    assert visitor.get("/health/live").status == 200
    assert visitor.get("/health/ready").status == 200
