"""Section 7 of the statement: TLS, who may associate, identity."""

from __future__ import annotations

from dicomnode.audit.messages import EventId
from dicomnode.config import AuditSettings, Config
from dicomnode.conformance.markdown import listed, section, table
from dicomnode.network.admission import Rejection
from dicomnode.network.tls import CIPHERS_OF_TLS_1_2, SECURITY_LEVEL

_CALLING = {
    True: "The calling one must be that of a configured peer, from the address that is configured for it, if one is.",
    False: "In this configuration any calling one is let in; a title that is configured with a user only as that peer.",
}
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
            "The BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12), in both roles; no other "
            "profile of PS3.15 Annex B. With a [tls] table every connection to the node's port is a TLS connection.",
            listed(
                (
                    "TLS 1.2 and 1.3, the later one wherever the peer has it; nothing older.",
                    f"Under TLS 1.2 these cipher suites and no others: {', '.join(CIPHERS_OF_TLS_1_2)}. Under TLS 1.3 "
                    "those that OpenSSL has switched on: TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256 and "
                    "TLS_AES_128_GCM_SHA256.",
                    f"Keys and signatures of at least 112 bits of security (OpenSSL's level {SECURITY_LEVEL}): RSA of "
                    "2048 bits, elliptic curves of 224, no SHA-1. No compression, no renegotiation.",
                    "Certificates, keys and CA are PEM files. The node shows its certificate in both roles, and takes "
                    "peers whose certificate its CA has signed; names in certificates are not compared, as devices are "
                    "configured by address. Changed files take effect with the next connection.",
                    "A failed integrity check ends the connection, and with it the Association; no provider reason is "
                    "sent.",
                )
            ),
            effect,
            *_audit_profile(config.audit),
        ),
        section(
            "7.2",
            "Association Level Security",
            f"The called AE title must be the node's own. {_CALLING[config.node.require_known_peers]} Letters are "
            "compared with their case. User Identity "
            "Negotiation (types 1 and 2: user name, with or without passcode) is required of a peer that is "
            "configured with a user; a positive response is given where it is asked for. The identity of any other "
            "peer is ignored, and never confirmed.",
            table(("Rejection", "Source", "Reason", "When"), rejected),
        ),
        section(
            "7.3",
            "Application Level Security",
            listed(
                (
                    "Logs, metrics and file names hold UIDs and no patient's identity.",
                    "Derived instances state Content Qualification RESEARCH and who made them with which version.",
                )
            ),
        ),
    )


def _audit_profile(audit: AuditSettings) -> tuple[str, ...]:
    """Return what is said about the Audit Trail Message Format Profile (PS3.15 A.5), and what of it is in effect."""
    events = ", ".join(event.value.meaning for event in EventId)
    places = [f"the file {audit.file}"] if audit.file is not None else []
    places += [f"the syslog server {audit.syslog}"] if audit.syslog is not None else []
    effect = "No place for them is configured: none are written."
    if places:
        identity = "Patient IDs are in them" if audit.identity else 'for Patient IDs they say "withheld"'
        effect = f"In this configuration they go to {' and '.join(places)}; {identity}."
    return (
        "**Audit trail.** With an [audit] table the node writes messages of the Audit Trail Message Format Profile "
        f"(PS3.15 A.5): {events}. They go to a file, to a syslog server (RFC 5424 over UDP as in PS3.15 A.7, or over "
        "TCP or a local socket; not over TLS, PS3.15 A.6), or to both. Of the person in a study they may hold the "
        f"Patient ID, no name. {effect}",
    )
