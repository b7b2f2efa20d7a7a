"""Who looks at the page: nobody in particular on loopback, a user with a password, or whom a reverse proxy names."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from dicomnode.config import UserSettings, WebSettings
from dicomnode.web.passwords import SALT_BYTES, hash_password, is_password

IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)
_MOST_SESSIONS = 1000
_TRIES, _ADDRESS_TRIES, _TRIES_WITHIN = 5, 20, timedelta(minutes=5)
ANYBODY = "the page"  # as the story names an operator whom nobody asked


@dataclass(frozen=True)
class Viewer:
    """Who asks, what they may see and do, and the token that their forms must bring back."""

    name: str
    identity: bool
    decides: bool
    token: str
    may_log_out: bool = False


@dataclass
class _Session:
    user: str
    began_at: datetime
    seen_at: datetime


class TooManyTries(Exception):
    """Too many wrong passwords; the next try counts only once five minutes have passed."""


class Gate:
    """Tells who a request is from. Sessions live in memory: a restart of the node ends them."""

    def __init__(self, settings: Callable[[], WebSettings], clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._hashing = threading.Lock()  # one password at a time: each costs 32 MiB
        self._sessions: dict[str, _Session] = {}
        self._wrong: dict[str, list[datetime]] = {}

    def viewer(self, address: str, session: str, named: str) -> Viewer | None:
        """Return who asks from `address` with this session cookie and this name in the proxy's header, if anybody."""
        settings = self._settings()
        if settings.auth == "none":
            return Viewer(ANYBODY, identity=False, decides=True, token=self._token(""))
        if settings.auth == "proxy":
            trusted = is_among(address, settings.proxies)
            user = _user(settings, named) if trusted else None
            return Viewer(user.name, user.identity, user.decide, self._token(user.name)) if user else None
        found = self._seen(session)
        user = _user(settings, found.user) if found else None
        if user is None:
            return None
        return Viewer(user.name, user.identity, user.decide, self._token(session), may_log_out=True)

    def log_in(self, name: str, password: str, address: str) -> str | None:
        """Return a new session's cookie, None if name or password is wrong. Raises TooManyTries."""
        keys = ((f"{address} {name}", _TRIES), (address, _ADDRESS_TRIES))
        user = _user(self._settings(), name)
        with self._hashing:
            self._refuse_guessing(keys)
            hashed = user.password.get_secret_value() if user and user.password else _nobodys_hash()
            right = is_password(password, hashed) and user is not None
            if not right:
                self._count_wrong(keys)
                return None
        return self._begin(name)

    def known(self, name: str) -> str:
        """Return a user's name, "?" for any other word: people type passwords where the name belongs."""
        return name if _user(self._settings(), name) else "?"

    def log_out(self, session: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session, None)

    def _begin(self, name: str) -> str:
        now = self._clock()
        with self._lock:
            self._sessions = {key: kept for key, kept in self._sessions.items() if _lives(kept, now)}
            if len(self._sessions) >= _MOST_SESSIONS:
                self._sessions.pop(min(self._sessions, key=lambda key: self._sessions[key].seen_at))
            session = secrets.token_urlsafe(32)
            self._sessions[session] = _Session(name, now, now)
        return session

    def _seen(self, session: str) -> _Session | None:
        now = self._clock()
        with self._lock:
            found = self._sessions.get(session)
            if found is None or not _lives(found, now):
                self._sessions.pop(session, None)
                return None
            found.seen_at = now
            return found

    def _token(self, subject: str) -> str:
        """Return the token of forms: a page of another site can't read it, and it ends with the session."""
        return hmac.new(self._key, subject.encode(), hashlib.sha256).hexdigest()

    def _refuse_guessing(self, keys: tuple[tuple[str, int], ...]) -> None:
        since = self._clock() - _TRIES_WITHIN
        self._wrong = {key: late for key, times in self._wrong.items() if (late := [t for t in times if t > since])}
        if any(len(self._wrong.get(key, ())) >= most for key, most in keys):
            raise TooManyTries

    def _count_wrong(self, keys: tuple[tuple[str, int], ...]) -> None:
        for key, _ in keys:
            self._wrong.setdefault(key, []).append(self._clock())


def is_among(address: str, allowed: tuple[IPv4Address | IPv6Address, ...]) -> bool:
    """Tell whether an address is one of these; an IPv4 address may come in its IPv6 form."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found) in allowed


@cache
def _nobodys_hash() -> str:
    """Return a hash to try an unknown user's password on, which takes as long as that of a known one."""
    return hash_password(secrets.token_hex(), secrets.token_bytes(SALT_BYTES))


def _user(settings: WebSettings, name: str) -> UserSettings | None:
    return next((user for user in settings.users if user.name == name), None)


def _lives(session: _Session, now: datetime) -> bool:
    return now < session.seen_at + IDLE and now < session.began_at + LONGEST
