"""Section 4 of the statement: services with their contexts, policies, statuses, time-outs and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dicomnode.config import Config, DestinationSettings, NodeSettings, PeerSettings, TlsSettings
from dicomnode.conformance.behavior import behavior
from dicomnode.conformance.markdown import listed, section, table
from dicomnode.conformance.services import Service, services
from dicomnode.network import listener, requestor, server, upper_layer
from dicomnode.network.commitment import LINGER_S
from dicomnode.network.presentation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def networking(config: Config) -> str:
    """Return the section."""
    return section("4", "Networking", _model(), _specification(config), _interfaces(), _configuration(config))


def _model() -> str:
    return section(
        "4.1",
        "Implementation Model",
        section(
            "4.1.1",
            "Application Data Flow",
            "A modality or archive opens an Association and stores instances; when a study is whole, the node runs "
            "the pipeline that its rules choose, stores what is derived at the rule's destinations, and asks those "
            "to commit to it where the configuration says so. What a rule needs and the study lacks is found and "
            "fetched at an archive. A modality may ask the node to commit to what it stored.",
        ),
        section(
            "4.1.2",
            "Functional Definition of AEs",
            "There is one Application Entity. Its listener provides Verification, Storage and Storage Commitment; its "
            "sender uses Verification, Storage, Storage Commitment and Query/Retrieve.",
        ),
        section(
            "4.1.3",
            "Sequencing of Real-World Activities",
            "Success is answered to a C-STORE once the instance is on disk, synced, and recorded. The order of "
            "instances does not matter. Each derived instance is sent once; what a destination did not take for the "
            "moment is sent again. No Performed Procedure Step is expected or sent.",
        ),
    )


def _specification(config: Config) -> str:
    node = config.node
    return section(
        "4.2",
        "AE Specification",
        section("4.2.1", "SOP Classes", "Section 1 lists them.", _policies(node)),
        section(
            "4.2.2",
            "Association Initiation",
            "An Association is opened for deliveries that are due, for `dicomnode echo`, to ask for commitment or "
            "report it, and to query and retrieve. Each Transfer Syntax is proposed in a context of its own. Stored "
            "instances are proposed as they are encoded, and in the other uncompressed Transfer Syntax.",
            _contexts("Proposed Presentation Contexts, role SCU", [(one, one.used) for one in services()]),
            _contexts("With C-GET, role SCP (role selection)", [(one, one.fetched) for one in services()]),
        ),
        section(
            "4.2.3",
            "Association Acceptance",
            "Section 7.2 tells who is accepted. Of several Transfer Syntaxes in a context the first of this list is "
            "accepted; what a context holds besides is ignored. Extended negotiation is not used.",
            _contexts("Accepted Presentation Contexts, role SCP", [(one, one.provided) for one in services()]),
            "Storage Commitment is accepted in both roles: who reports to us opens the Association as SCP.",
        ),
        behavior(),
    )


def _policies(node: NodeSettings) -> str:
    rows = (
        ("Application Context Name", "1.2.840.10008.3.1.1.1"),
        ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
        ("Associations accepted at the same time", node.max_associations),
        ("Associations opened at the same time", "one for each destination"),
        ("Asynchronous Operations Window", "not negotiated: one operation at a time"),
        ("Maximum PDU received", f"{node.max_pdu} bytes as SCP, {requestor.MAX_PDU} bytes as SCU"),
        ("Largest dataset received", f"{upper_layer.LARGEST_DATASET >> 20} MiB"),
    )
    return table(("Association policy", "Value"), rows)


def _contexts(title: str, rows: Sequence[tuple[Service, tuple[str, ...]]]) -> str:
    """Return the table of contexts; lists of Transfer Syntaxes that occur again and again have a letter."""
    used = [(one, syntaxes) for one, syntaxes in rows if syntaxes]
    sets = list(dict.fromkeys(syntaxes for _, syntaxes in used))
    letters = {syntaxes: "ABCDEFGH"[number] for number, syntaxes in enumerate(sets)}
    return "\n\n".join(
        (
            f"**{title}**",
            table(
                ("SOP Class", "UID", "Transfer Syntaxes"),
                ((one.name, one.uid, letters[syntaxes]) for one, syntaxes in used),
            ),
            listed(f"**{letter}**: {', '.join(syntaxes)}" for syntaxes, letter in letters.items()),
        )
    )


def _interfaces() -> str:
    return section("4.3", "Network Interfaces", "TCP/IP, version 4 or 6, on any interface of the operating system.")


def _configuration(config: Config) -> str:
    node = config.node
    titles = [
        ("(this node)", node.ae_title, f"{node.host}:{node.port}", _tls(config.tls is not None)),
        *((peer.name, peer.ae_title, peer.host or "any address", "") for peer in config.peers),
        *((one.name, one.ae_title, f"{one.host}:{one.port}", _tls(one.tls)) for one in config.destinations),
    ]
    timeouts = (
        ("From the connection to the end of the TLS handshake", server.HANDSHAKE_S),
        ("From the connection to the A-ASSOCIATE-RQ (ARTIM)", listener.REQUEST_S),
        ("Silence on an accepted Association", listener.IDLE_S),
        ("To connect to a destination", requestor.CONNECT_S),
        ("For its answer to an A-ASSOCIATE-RQ", requestor.ASSOCIATE_S),
        ("For its answer to a request", requestor.RESPONSE_S),
        ("For a commitment report on the Association of the request", LINGER_S),
    )
    return section(
        "4.4",
        "Configuration",
        section(
            "4.4.1", "AE Title/Presentation Address Mapping", table(("Name", "AE Title", "Address", "TLS"), titles)
        ),
        section("4.4.2", "Time-outs", table(("Time-out", "Seconds"), timeouts)),
        section("4.4.3", "Parameters", "The file `config.toml`, as it takes effect:", *_parameters(config)),
    )


def _tls(on: bool) -> str:
    return "yes" if on else "no"


def _parameters(config: Config) -> Iterable[str]:
    yield table(("[node]", "In effect"), _in_effect(config.node, NodeSettings))
    for title, kind in (("[tls]", TlsSettings), ("[[peers]]", PeerSettings), ("[[destinations]]", DestinationSettings)):
        yield table((title, "Default"), _defaults(kind))


def _in_effect(settings: NodeSettings, kind: type[NodeSettings]) -> Iterable[tuple[str, object]]:
    return ((name, getattr(settings, name)) for name in kind.model_fields)


def _defaults(kind: Any) -> Iterable[tuple[str, object]]:
    for name, field in kind.model_fields.items():
        yield name, "must be given" if field.is_required() else "none" if field.default is None else field.default
