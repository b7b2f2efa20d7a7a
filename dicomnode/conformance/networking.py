"""Section 4 of the statement: services with their contexts, policies and statuses; 4.4 is a file of its own."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.config import Config
from dicomnode.conformance.behavior import behavior
from dicomnode.conformance.configuration import configuration
from dicomnode.conformance.markdown import listed, section, table
from dicomnode.conformance.services import Service, services
from dicomnode.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomnode.network import memory, requestor, upper_layer


def networking(config: Config) -> str:
    """Return the section."""
    return section("4", "Networking", _model(), _specification(config), _interfaces(), configuration(config))


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
    return section(
        "4.2",
        "AE Specification",
        section("4.2.1", "SOP Classes", "Section 1 lists them.", _policies(config)),
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
            "accepted; what a context holds besides is ignored. Role selection and user identity are "
            "negotiated; SOP Class Extended Negotiation is not used.",
            _contexts("Accepted Presentation Contexts, role SCP", [(one, one.provided) for one in services()]),
            "Storage Commitment is accepted in both roles: who reports to us opens the Association as SCP.",
        ),
        behavior(config),
    )


def _policies(config: Config) -> str:
    node = config.node
    rows = (
        ("Application Context Name", "1.2.840.10008.3.1.1.1"),
        ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
        ("Associations accepted at the same time", node.max_associations),
        ("Associations opened at the same time", _opened(config)),
        ("Asynchronous Operations Window", "not negotiated: one operation at a time"),
        ("Maximum PDU received", f"{node.max_pdu} bytes as SCP, {requestor.MAX_PDU} bytes as SCU"),
        ("Largest dataset received", f"{upper_layer.LARGEST_DATASET >> 20} MiB"),
        ("Memory for all datasets that are being received", _memory(node.receive_memory_gb)),
    )
    return table(("Association policy", "Value"), rows)


def _opened(config: Config) -> str:
    """Return how many Associations the node may hold as requestor: each kind of work has a thread per destination."""
    sources = {fetch.source for rule in config.rules for fetch in rule.fetch}
    kinds = (
        len(config.destinations),
        sum(one.storage_commitment for one in config.destinations),
        sum(one.name in sources for one in config.destinations),
        int(any(peer.port is not None for peer in config.peers)),
    )
    return (
        f"{sum(kinds)} in this configuration: {kinds[0]} to deliver, {kinds[1]} to ask for commitment, {kinds[2]} to "
        f"query and retrieve (each one per destination where that is configured), {kinds[3]} to report commitment to "
        "peers (one for all); `dicomnode echo` opens one besides"
    )


def _memory(configured_gb: float | None) -> str:
    limit = f"{memory.SHARE:.0%} of the machine's" if configured_gb is None else f"{configured_gb:g} GB"
    return f"{limit}; where it is used up, reading pauses for up to {memory.WAIT_S:g} s, then the instance gets A700"


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
