"""config.toml, found and read: a mistake names file, line, key and remedy, also one that lies between two tables."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError

from dicomnode.config import (
    Config,
    EngineSettings,
    NodeSettings,
    PeerSettings,
    RuleSettings,
    TlsSettings,
    WebSettings,
    is_loopback,
)
from dicomnode.config_lines import key_lines, line_of, told, told_syntax
from dicomnode.errors import ConfigurationError

_BEGINS_WITH_KEY = re.compile(r"[a-z]\w*(\.\w+)+")
DEFAULT_PATHS = (Path("/etc/dicomnode/config.toml"), Path("config.toml"))


def find(option: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Return the file to read: the option, else DICOMNODE_CONFIG, else the first default path that exists."""
    if option is not None:
        return option
    if environment.get("DICOMNODE_CONFIG"):
        return Path(environment["DICOMNODE_CONFIG"])
    return next((path for path in DEFAULT_PATHS if path.is_file()), None)


def load(path: Path | None) -> Config:
    """Read, validate and return the configuration; None gives the defaults.

    Raises ConfigurationError whose text has one line per mistake: `file:line: key: what is wrong`.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}); name an existing file with --config"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(told_syntax(path, text, error)) from None
    lines = key_lines(text)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise ConfigurationError("\n".join(told(path, lines, item, Config) for item in error.errors())) from None
    mistakes = [
        f"{path}:{line_of(lines, location)}: {'.'.join(map(str, location))}: {message}"
        for location, message in cross_mistakes(config)
    ]
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return config


def placed(path: Path | None, error: ConfigurationError) -> ConfigurationError:
    """Return a mistake that was found after reading as one that names file and line; its text begins with its key."""
    found = _BEGINS_WITH_KEY.match(str(error))
    if path is None or found is None:
        return error
    location = tuple(int(part) if part.isdigit() else part for part in found[0].split("."))
    if location[0] not in Config.model_fields:
        return error
    return ConfigurationError(f"{path}:{line_of(key_lines(path.read_text('utf-8')), location)}: {error}")


def cross_mistakes(config: Config) -> list[tuple[tuple[str | int, ...], str]]:
    """Return what is wrong between tables: names used twice, unknown destinations, TLS without a certificate."""
    mistakes: list[tuple[tuple[str | int, ...], str]] = []
    for table in ("peers", "destinations", "rules"):
        seen: set[str] = set()
        for index, row in enumerate(getattr(config, table)):
            if row.name in seen:
                mistakes.append(((table, index, "name"), f"the name {row.name!r} is used twice; give each its own"))
            seen.add(row.name)
    known = [destination.name for destination in config.destinations]
    for index, rule in enumerate(config.rules):
        for name in rule.destinations:
            if name not in known:
                hint = f"known are: {', '.join(known)}" if known else "there is no [[destinations]] table"
                mistakes.append((("rules", index, "destinations"), f"no destination is named {name!r}; {hint}"))
        mistakes += _fetch_mistakes(index, rule, known)
    for index, peer in enumerate(config.peers):
        mistakes += [(("peers", index, key), message) for key, message in _peer_mistakes(peer, config.tls)]
    for index, destination in enumerate(config.destinations):
        if destination.tls and config.tls is None:
            mistakes.append((("destinations", index, "tls"), "needs a [tls] table with certificate, key and ca"))
    mistakes += [(("engine", key), message) for key, message in _engine_mistakes(config.engine)]
    mistakes += [(("node", key), message) for key, message in _journal_mistakes(config.node)]
    return mistakes + [(("web", *key), message) for key, message in _web_mistakes(config.web)]


def _journal_mistakes(node: NodeSettings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the journal's address; what was found is not quoted, it may hold a password."""
    if node.journal is None:
        if node.standby:
            yield "standby", "needs a journal that both nodes reach: set node.journal to a PostgreSQL address"
        return
    address = urlsplit(node.journal)
    if address.scheme not in ("postgresql", "postgresql+psycopg"):
        yield "journal", "is no address of PostgreSQL; write postgresql+psycopg://USER@HOST/DATABASE"
    if address.password is not None or {"password", "sslpassword"} & parse_qs(address.query).keys():
        yield "journal", "holds a password; put it into a file that PGPASSFILE or ?passfile=FILE names, or ~/.pgpass"


def _engine_mistakes(engine: EngineSettings) -> Iterator[tuple[str, str]]:
    """Yield what a cluster lacks, and what would let strangers run programs on it: Dask's messages are programs."""
    if engine.kind == "dask" and engine.scheduler is None:
        yield "kind", 'kind = "dask" needs engine.scheduler = "tls://host:port"'
    if engine.scheduler is None:
        return
    scheme, _, place = engine.scheduler.partition("://")
    missing = [name for name in ("certificate", "key", "ca") if getattr(engine, name) is None]
    if scheme == "tls" and missing:
        yield "scheduler", f"tls:// needs {', '.join(missing)} in [engine], as PEM files; add them"
    host = place.rpartition(":")[0].strip("[]")
    if scheme == "tcp" and not is_loopback(host):
        yield "scheduler", f"whoever reaches {host} could run programs there; use tls:// with certificate, key and ca"


_PASSWORD_HASH = re.compile(r"scrypt\$\d+\$\d+\$\d+\$[\w+/=]+\$[\w+/=]+")


def _web_mistakes(web: WebSettings) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what would open the page to people whom nobody asked who they are."""
    encrypted = web.certificate is not None and web.key is not None
    if (web.certificate is None) != (web.key is None):
        yield ("certificate",), "certificate and key belong together; name both or none"
    if web.port and not is_loopback(web.host):
        if web.auth == "none":
            yield (
                ("host",),
                f'{web.host} can be reached by others; set auth = "password" or "proxy", or a loopback host',
            )
        elif web.auth == "password" and not encrypted:
            yield ("auth",), f"passwords would cross the network to {web.host} in the clear; set certificate and key"
    if web.auth != "none" and not web.users:
        yield ("auth",), f'auth = "{web.auth}" needs a [[web.users]] table for each person'
    names = [user.name for user in web.users]
    for index, user in enumerate(web.users):
        if user.name in names[:index]:
            yield ("users", index, "name"), f"the name {user.name!r} is used twice; give each its own"
        hashed = user.password.get_secret_value() if user.password else ""
        if web.auth == "password" and not _PASSWORD_HASH.fullmatch(hashed):
            yield ("users", index, "password"), "is no hash of a password; make one with `dicomnode password`"


def _fetch_mistakes(index: int, rule: RuleSettings, known: Sequence[str]) -> list[tuple[tuple[str | int, ...], str]]:
    mistakes: list[tuple[tuple[str | int, ...], str]] = []
    for fetch in rule.fetch:
        if fetch.source not in known:
            mistakes.append((("rules", index, "fetch"), f"no destination is named {fetch.source!r} to fetch from"))
        if fetch.need not in rule.needs:
            mistakes.append((("rules", index, "fetch"), f"fetches {fetch.need!r}, which `needs` does not name; add it"))
        if fetch.need == "ct" and fetch.days:
            mistakes.append((("rules", index, "fetch"), "days is for stress and rest; a CT belongs to the same study"))
    if len({fetch.need for fetch in rule.fetch}) < len(rule.fetch):
        mistakes.append((("rules", index, "fetch"), "fetches the same need twice; keep one entry for each"))
    return mistakes


def _peer_mistakes(peer: PeerSettings, tls: TlsSettings | None) -> list[tuple[str, str]]:
    mistakes = []
    if peer.port is not None and peer.host is None:
        mistakes.append(("port", "needs a host, to which reports of Storage Commitment are sent"))
    if peer.tls and tls is None:
        mistakes.append(("tls", "needs a [tls] table with certificate, key and ca"))
    if peer.password is not None and peer.user is None:
        mistakes.append(("password", "needs a user"))
    return mistakes
