"""The real page on loopback over a real journal, and a plain HTTP visitor who keeps cookies as a browser does."""

from __future__ import annotations

import hashlib
import http.client
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from dicomnode.config import Config, NodeSettings, UserSettings, WebSettings
from dicomnode.stages import operate
from dicomnode.web.door import Access, Check, Decision, Door
from dicomnode.web.server import PageServer
from tests.dicomnode.stages.road import PACS, RULE, Road
from tests.fakes import NOON

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
_CHEAP = hashlib.scrypt(PASSWORD.encode(), salt=b"salt", n=16, r=8, p=1, dklen=32)  # the real ones are slow on purpose
HASH = f"scrypt$4$8$1${b64encode(b'salt').decode()}${b64encode(_CHEAP).decode()}"
PAGE_HOST = "127.0.0.1"


def a_user(name: str, **rights: bool) -> UserSettings:
    """Return a user whose password is PASSWORD."""
    return UserSettings.model_validate({"name": name, "password": HASH, **rights})


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass
class Visitor:
    """Asks the page as a browser would; follows no redirect."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        """Get a page."""
        return self._ask("GET", path, None, headers)

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """Send a form."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, urlencode(fields), {**form, **headers})

    def _ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection(PAGE_HOST, self.port, timeout=30)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()
        if cookie := found.headers.get("set-cookie"):
            self.headers["Cookie"] = cookie.split(";")[0]
        return found

    def token(self, path: str) -> str:
        """Return the token of the form on a page."""
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.get(path).text)
        assert found, f"{path} has no form with a token"
        return found[1]

    def log_in(self, name: str, password: str = PASSWORD) -> Answer:
        """Log in."""
        return self.post("/login", {"name": name, "password": password, "next": "/"})


@dataclass
class Site:
    """A page over a road, and what the node would hear of it."""

    road: Road
    settings: WebSettings
    accesses: list[Access] = field(default_factory=list)
    checks: tuple[Check, ...] = (Check("listener", True),)
    engine_trouble: str = ""

    def __post_init__(self) -> None:
        self.server = PageServer(self.settings, self.door())
        self.server.start()

    def door(self) -> Door:
        """Return the door that the node would hand in."""
        road = self.road
        config = Config(
            node=NodeSettings(min_free_gb=0), destinations=(PACS,), rules=tuple(road.rules), web=self.settings
        )
        return Door(
            config=lambda: config, journal=road.journal, outbox=road.outbox, spool=road.spool, decide=self._decide,
            gpus=lambda _: (), checks=lambda: self.checks, metrics=lambda: b"dicomnode_studies 1\n",
            record=self.accesses.append, clock=lambda: road.now, version="0.1.0", started_at=NOON - timedelta(days=1),
            engine_trouble=lambda: self.engine_trouble,
        )  # fmt: skip

    def _decide(self, decision: Decision, uid: str, actor: str) -> str:
        journal, outbox, now = self.road.journal, self.road.outbox, self.road.now
        if decision is Decision.REQUEUE:
            return operate.requeue(journal, [RULE], uid, actor, now)
        done = operate.release if decision is Decision.RELEASE else operate.reject
        return done(journal, outbox, uid, actor, now)

    def visitor(self, **headers: Any) -> Visitor:
        """Return somebody who looks."""
        return Visitor(self.server.port, headers)
