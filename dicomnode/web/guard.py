"""What stands before every page: headers that bind the browser, the right host, a viewer, and no forged forms."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicomnode.config import WebSettings
from dicomnode.web.access import Viewer

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: with it a browser sends the Origin null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_A_YEAR_S = 31_536_000


class Guard:
    """ASGI middleware around the whole page."""

    def __init__(self, app: ASGIApp, settings: Callable[[], WebSettings]) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, with our headers on its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        settings = self._settings()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                # studies and their pictures stay off the disk of a shared computer
                headers["Cache-Control"] = "no-cache" if scope["path"].startswith("/static/") else "no-store"
                if settings.certificate is not None:
                    headers["Strict-Transport-Security"] = f"max-age={_A_YEAR_S}"
            await send(message)

        await self._app(scope, receive, send_with_headers)


def check_host(request: Request, settings: WebSettings) -> None:
    """Raise HTTPException 400 for a request that a foreign name led here, where nobody is asked who they are.

    A page of another site can point its own name to 127.0.0.1 (DNS rebinding); the browser then takes it for us.
    """
    name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if settings.auth == "none" and name not in {"127.0.0.1", "::1", "localhost", settings.host.lower()}:
        raise HTTPException(400, "The page is asked for under a name that is not this machine's.")


def check_same_site(headers: Headers) -> None:
    """Raise HTTPException 403 for a form that a page of another site sent."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        same = site == "same-origin"
    elif origin is not None:
        same = urlsplit(origin).netloc == headers.get("host")
    else:
        same = True  # no browser; the token decides
    if not same:
        raise HTTPException(403, "The form was sent by a page of another site; nothing was done.")


async def read_form(request: Request) -> dict[str, str]:
    """Return a form's fields. Raises HTTPException 403 if another site sent it, 400 if it can't be read."""
    check_same_site(request.headers)
    try:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise HTTPException(400, "The form can't be read.") from None
    return {name: values[-1] for name, values in fields.items()}


def check_token(fields: dict[str, str], viewer: Viewer) -> None:
    """Raise HTTPException 403 for a form that did not come from a page that this viewer was shown."""
    if not hmac.compare_digest(fields.get("token", "").encode(), viewer.token.encode()):
        raise HTTPException(403, "The form is too old or not from this page; nothing was done. Open the study again.")
