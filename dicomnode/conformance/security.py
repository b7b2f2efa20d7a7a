"""Section 7 of the statement: TLS, who may associate, identity."""

from __future__ import annotations

from dicomnode.config import Config
from dicomnode.conformance.markdown import listed, section, table
from dicomnode.network.admission import Rejection
from dicomnode.network.tls import CIPHERS_OF_TLS_1_2

_MEANINGS = ("", "permanent", "transient")


def security(config: Config) -> str:
    """Return the section."""
    tls = config.tls
    effect = "No [tls] table is in effect: the node speaks plainly."
    if tls is not None:
        demand = "must" if tls.require_peer_certificate else "need not"
        effect = f"In this configuration the listener speaks TLS, and a peer {demand} show a certificate of the CA."
    rejected = [
        (_MEANINGS[reason.value[0]], *reason.value[1:], reason.name.lower().replace("_", " ")) for reason in Rejection
    ]
    return section(
        "7",
        "Security",
        section(
            "7.1",
            "Security Profiles",
            "TLS after the BCP 195 RFC 9325 profiles (PS3.15 B.12, B.13), in both directions: TLS 1.2 or later; "
            f"under TLS 1.2 the cipher suites of `{CIPHERS_OF_TLS_1_2}`; no compression, no renegotiation. The node "
            "shows its certificate in both roles, and takes peers whose certificate its CA has signed; names in "
            "certificates are not compared. Changed files of certificate, key or CA take effect with the next "
            f"connection. {effect}",
        ),
        section(
            "7.2",
            "Association Level Security",
            "The called AE title must be the node's own and the calling one that of a configured peer, from the "
            "address that is configured for it, if one is; letters are compared with their case. User Identity "
            "Negotiation (user name, with or without passcode) is required of a peer that is configured with a user, "
            "and ignored of any other.",
            table(("Rejection", "Source", "Reason", "When"), rejected),
        ),
        section(
            "7.3",
            "Application Level Security",
            listed(
                (
                    "Logs, metrics and file names hold UIDs and no patient's identity.",
                    "Derived instances state Content Qualification RESEARCH and who made them with which version.",
                    "No audit messages of PS3.15 A.5 are sent.",
                )
            ),
        ),
    )
