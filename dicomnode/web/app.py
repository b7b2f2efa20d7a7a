"""The page's addresses: what each shows and to whom. Starlette; the work that waits for disk runs in threads."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dicomnode.config import WebSettings
from dicomnode.errors import NodeError, StudyUnsuitable, TransientFault
from dicomnode.objects.previews import preview_png
from dicomnode.web.access import Gate, TooManyTries, Viewer, is_among
from dicomnode.web.door import Access, AccessKind, Decision, Door
from dicomnode.web.guard import Guard, check_host, check_token, read_form
from dicomnode.web.overview import Filter, look
from dicomnode.web.rendering import Pages
from dicomnode.web.story import tell

COOKIE = "dicomnode_session"
_MOST_BYTES = 8192  # of a form
_THREADS = 4  # of the page: a crowd of browsers must not slow down the road
_DRAWING = 2  # threads besides, for pictures: one may take seconds, and neither a page nor /health may wait for it
_PLACE_AFTER_LOG_IN = re.compile(r"/(studies/[0-9.]{1,64})?")
_STATIC = Path(__file__).parent / "static"


class Page:
    """The web page of one node."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.gate = Gate(self._settings, door.clock)
        self.pages = Pages()
        self.drawing = anyio.CapacityLimiter(_DRAWING)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/", self.overview),
            Route("/parts/overview", self.overview),
            Route("/studies/{uid}", self.study),
            Route("/parts/studies/{uid}", self.study),
            Route("/studies/{uid}/{decision}", self.confirm, methods=["GET"]),
            Route("/studies/{uid}/{decision}", self.decide, methods=["POST"]),
            Route("/studies/{uid}/{origin}/{sop}.png", self.picture),
            Route("/login", self.log_in_form, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
            Route("/health/live", self.live),
            Route("/health/ready", self.ready),
            Route("/metrics", self.metrics),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, settings=self._settings)],
            exception_handlers={HTTPException: self._refused, TransientFault: self._not_now},
            lifespan=_few_threads,
            max_body_size=_MOST_BYTES,
        )

    # --- studies

    def overview(self, request: Request) -> Response:
        """Show the studies, live, and how destinations, engine and disk stand."""
        viewer = self._viewer(request)
        asked = Filter.read(request.query_params)
        shown = look(self.door, asked, viewer, self.door.clock())
        query = {"state": asked.state, "words": asked.words, "page": str(asked.page)}
        part = request.url.path.startswith("/parts/")
        if viewer.identity and not part:
            self._record(request, AccessKind.IDENTITY_SHOWN, viewer.name)
        template = "parts/overview.html" if part else "overview.html"
        return self._answer(template, viewer, asked=asked, shown=shown, query=urlencode(query), link=_linker(query))

    def study(self, request: Request) -> Response:
        """Show one study's story, live."""
        viewer, uid = self._viewer(request), request.path_params["uid"]
        story = tell(self.door, uid, viewer)
        if story is None:
            raise HTTPException(404, "There is no such study.")
        part = request.url.path.startswith("/parts/")
        if viewer.identity and not part:
            self._record(request, AccessKind.IDENTITY_SHOWN, viewer.name, uid)
        return self._answer("parts/study.html" if part else "study.html", viewer, story=story)

    async def picture(self, request: Request) -> Response:
        """Return one instance of a study as PNG."""
        return await anyio.to_thread.run_sync(self._picture, request, limiter=self.drawing)

    def _picture(self, request: Request) -> Response:
        viewer, uid, sop = self._viewer(request), request.path_params["uid"], request.path_params["sop"]
        found = self._find_file(request.path_params["origin"], uid, sop)
        if found is None:
            raise HTTPException(404, "There is no such instance.")
        try:
            return Response(_cached_png(*found, viewer.identity), media_type="image/png")
        except StudyUnsuitable as error:
            raise HTTPException(404, str(error)) from None

    def _find_file(self, origin: str, uid: str, sop: str) -> tuple[Path, str] | None:
        """Return file and kind of an instance; files are found by the journal's rows alone, never by the address."""
        if origin == "received":
            instances = self.door.journal.instances(uid)
            paths = (self.door.spool.path(i.path) for i in instances if i.header.sop_instance_uid == sop)
            return next(((path, "") for path in paths), None)
        if origin != "derived":
            return None
        rows = [row for row in self.door.outbox.derived(uid) if row["purged_at"] is None]
        spool = self.door.outbox.spool
        return next(((spool.path(row["path"]), row["kind"]) for row in rows if row["sop_instance_uid"] == sop), None)

    # --- an operator's decisions

    def confirm(self, request: Request) -> Response:
        """Ask before anything is done."""
        viewer, uid, decision = self._deciding(request)
        story = tell(self.door, uid, viewer)
        if story is None or decision not in story.decisions:
            raise HTTPException(409, f"To {decision.value} the study is not possible as it stands now.")
        return self._answer("confirm.html", viewer, story=story, study=story.study, decision=decision)

    async def decide(self, request: Request) -> Response:
        """Do what an operator confirmed, and show the study again."""
        viewer, uid, decision = await run_in_threadpool(self._deciding, request)
        check_token(await read_form(request), viewer)
        try:
            await run_in_threadpool(self.door.decide, decision, uid, viewer.name)
        except NodeError as error:
            raise HTTPException(409, str(error)) from None
        return RedirectResponse(f"/studies/{uid}", 303)

    def _deciding(self, request: Request) -> tuple[Viewer, str, Decision]:
        viewer = self._viewer(request)
        if not viewer.decides:
            raise HTTPException(403, "You may look, but not decide; the configuration says so ([[web.users]] decide).")
        try:
            return viewer, request.path_params["uid"], Decision(request.path_params["decision"])
        except ValueError:
            raise HTTPException(404, "There is no such decision.") from None

    # --- log-in

    def log_in_form(self, request: Request) -> Response:
        """Ask for name and password."""
        return self._log_in_form(request.query_params.get("next", "/"))

    async def log_in(self, request: Request) -> Response:
        """Begin a session, if name and password are right."""
        fields = await read_form(request)
        place, name, address = fields.get("next", "/"), fields.get("name", "")[:64], _address(request)
        try:
            session = await run_in_threadpool(self.gate.log_in, name, fields.get("password", "")[:1024], address)
        except TooManyTries:
            self._record(request, AccessKind.LOG_IN_REFUSED, self.gate.known(name))
            return self._log_in_form(place, "Too many wrong passwords. Wait five minutes, then try again.", 429)
        if session is None:
            self._record(request, AccessKind.LOG_IN_REFUSED, self.gate.known(name))
            return self._log_in_form(place, "Name or password is wrong.", 401)
        self._record(request, AccessKind.LOGGED_IN, name)
        answer = RedirectResponse(place if _PLACE_AFTER_LOG_IN.fullmatch(place) else "/", 303)
        secure = self._settings().certificate is not None
        answer.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=secure)
        return answer

    async def log_out(self, request: Request) -> Response:
        """End the session."""
        viewer = await run_in_threadpool(self._viewer, request)
        check_token(await read_form(request), viewer)
        self.gate.log_out(request.cookies.get(COOKIE, ""))
        self._record(request, AccessKind.LOGGED_OUT, viewer.name)
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE)
        return answer

    def _log_in_form(self, place: str, mistake: str = "", status: int = 200) -> HTMLResponse:
        return self._answer("login.html", None, status, place=place, mistake=mistake)

    # --- for programs

    def live(self, request: Request) -> Response:
        """Tell that the process answers."""
        return PlainTextResponse("live\n")

    def ready(self, request: Request) -> Response:
        """Tell whether studies can be sent here: 200, or 503 with what is not so."""
        checks = self.door.checks()
        passed = all(check.passed for check in checks)
        told = {check.name: "ok" if check.passed else check.words for check in checks}
        return JSONResponse({"ready": passed, "checks": told}, 200 if passed else 503)

    def metrics(self, request: Request) -> Response:
        """Return the metrics, to the addresses that may read them and to users."""
        if not is_among(_address(request), self._settings().metrics_from):
            self._viewer(request)
        return Response(self.door.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    # --- what all share

    def _settings(self) -> WebSettings:
        return self.door.config().web

    def _viewer(self, request: Request) -> Viewer:
        """Return who asks. Raises HTTPException 401 if that is not known."""
        settings = self._settings()
        check_host(request, settings)
        named = request.headers.get(settings.user_header, "")
        viewer = self.gate.viewer(_address(request), request.cookies.get(COOKIE, ""), named)
        if viewer is None:
            raise HTTPException(401)
        return viewer

    def _answer(self, template: str, viewer: Viewer | None, status: int = 200, **values: Any) -> HTMLResponse:
        node, now = self.door.config().node, self.door.clock()
        facts = {"viewer": viewer, "node": node, "door": self.door, "now": now}
        return self.pages.answer(template, status, **facts, **values)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for no other
        if error.status_code != 401:
            return self._answer("message.html", None, error.status_code, code=error.status_code, words=error.detail)
        if self._settings().auth == "proxy":
            words = "The reverse proxy named nobody who stands in [[web.users]]."
            return self._answer("message.html", None, 403, code=403, words=words)
        if request.url.path.startswith("/parts/"):
            return PlainTextResponse("log in again\n", 401)  # the script loads the page anew
        return RedirectResponse(f"/login?{urlencode({'next': request.url.path})}", 303)

    async def _not_now(self, request: Request, error: Exception) -> Response:
        return self._answer("message.html", None, 503, code=503, words=str(error))

    def _record(self, request: Request, kind: AccessKind, user: str, study: str = "") -> None:
        self.door.record(Access(kind, user, _address(request), self.door.clock(), study))


@lru_cache(maxsize=64)
def _cached_png(file: Path, kind: str, identity: bool) -> bytes:
    """Return an instance's picture; a file's name holds the hash of its content, so a picture never grows old."""
    return preview_png(file, identity, kind)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _linker(query: dict[str, str]) -> Any:
    """Return what makes an address of the first page with some of its filter changed."""

    def link(**changes: str | int) -> str:
        changed = query | {name: str(value) for name, value in changes.items()}
        said = {name: value for name, value in changed.items() if value and (name, value) != ("page", "1")}
        return f"/?{urlencode(said)}" if said else "/"

    return link


@contextlib.asynccontextmanager
async def _few_threads(app: Starlette) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield
