"""Section 4.4 of the statement: addresses, time-outs and parameters as they take effect in this configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from dicomnode.config import Config, FetchSettings
from dicomnode.conformance.markdown import section, table
from dicomnode.network import admission, listener, memory, requestor, server, upper_layer
from dicomnode.network.commitment import LINGER_S

# tables of config.toml that say nothing about DICOM: the page, the logs, who gets mail
_ELSEWHERE = ("web", "log", "notify")
_NAMED = ("peers", "destinations", "rules")
_BY_DEFAULT = "by default, for each rule"


def configuration(config: Config) -> str:
    """Return the section. Secrets are hidden, as `dicomnode check` hides them."""
    return section(
        "4.4",
        "Configuration",
        section(
            "4.4.1",
            "AE Title/Presentation Address Mapping",
            table(("Name", "AE Title", "Opens Associations from", "Is reached at", "TLS there"), _titles(config)),
        ),
        section("4.4.2", "Time-outs", table(("Time-out", "Seconds"), (*_timeouts(), *_configured_timeouts(config)))),
        section(
            "4.4.3",
            "Parameters",
            "The file `config.toml` as it takes effect, each key with its value; every key that there is, with its "
            "limits and defaults, is in `docs/configuration-keys.md`. The tables "
            f"{', '.join(f'[{name}]' for name in _ELSEWHERE)} say nothing about DICOM and are left out.",
            *_parameters(config),
        ),
    )


def _titles(config: Config) -> Iterable[tuple[str, ...]]:
    node = config.node
    yield "(this node)", node.ae_title, "any of its addresses", f"{node.host}:{node.port}", _yes(config.tls is not None)
    for peer in config.peers:
        reached = (f"{peer.host}:{peer.port}", _yes(peer.tls)) if peer.port is not None else ("nowhere", "")
        yield peer.name, peer.ae_title, peer.host or "any address", *reached
    guests = {peer.name.removeprefix("destination ") for peer in config.known_peers[len(config.peers) :]}
    for one in config.destinations:
        opens = one.host if one.name in guests else "nowhere"
        yield one.name, one.ae_title, opens, f"{one.host}:{one.port}", _yes(one.tls)


def _yes(on: bool) -> str:
    return "yes" if on else "no"


def _timeouts() -> tuple[tuple[str, float], ...]:
    return (
        ("From the connection to the end of the TLS handshake", server.HANDSHAKE_S),
        ("From the connection to the A-ASSOCIATE-RQ (ARTIM)", listener.REQUEST_S),
        ("Silence on an accepted Association, between two requests", listener.IDLE_S),
        ("Silence on one after which it may be ended to make room, where all are taken", admission.SILENT_S),
        ("The same, once an instance was stored over it", admission.BETWEEN_IMAGES_S),
        ("Until a newcomer is rejected where none makes room", admission.ROOM_S),
        ("Silence inside a PDU, in either role", upper_layer.STALL_S),
        ("One PDU from its first byte to its last, in either role", upper_layer.PDU_TIME_S),
        ("Sending to a peer that does not read, in either role", upper_layer.SEND_S),
        ("Without reading more of an instance, while memory is used up; then A700", memory.WAIT_S),
        ("To connect to a destination", requestor.CONNECT_S),
        ("For its answer to an A-ASSOCIATE-RQ", requestor.ASSOCIATE_S),
        ("For its answer to a request, other than to query and retrieve", requestor.RESPONSE_S),
        ("For a commitment report on the Association of the request", LINGER_S),
    )


def _configured_timeouts(config: Config) -> Iterable[tuple[str, float]]:
    for one in config.destinations:
        if one.storage_commitment:
            yield f"For a commitment report of {one.name}, until it is asked again", one.commitment_wait_s
    fetches = [(f"rule {rule.name!r}", fetch.timeout_s) for rule in config.rules for fetch in rule.fetch]
    default = float(FetchSettings.model_fields["timeout_s"].default)
    for whose, timeout_s in fetches or [(_BY_DEFAULT, default)]:
        yield f"For each answer to C-FIND, C-MOVE and C-GET, and for each instance by C-GET, {whose}", timeout_s


def _parameters(config: Config) -> Iterable[str]:
    tables: Mapping[str, object] = config.model_dump(mode="json", exclude=set(_ELSEWHERE))
    for name, content in tables.items():
        if name not in _NAMED:
            yield _in_effect(f"[{name}]", content)
        elif isinstance(content, list):
            yield from [_in_effect(f"[[{name}]]", one) for one in content] or [f"No [[{name}]] table is in effect."]


def _in_effect(title: str, content: object) -> str:
    if not isinstance(content, dict):
        return f"No {title} table is in effect."
    return table((title, "In effect"), ((key, _shown(value)) for key, value in content.items()))


def _shown(value: object) -> str:
    if value is None or value in ([], {}):
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
