"""What each service does: statuses that the node answers, and what it makes of those that it is answered."""

from __future__ import annotations

from dicomnode.config import Config
from dicomnode.conformance.markdown import listed, section, table
from dicomnode.errors import StoreStatus
from dicomnode.network import commitment, fetch, sender
from dicomnode.study import SendOutcome


def behavior(config: Config) -> str:
    """Return the section on conformance of each SOP Class."""
    return section(
        "4.2.4",
        "SOP Specific Conformance",
        "**Verification.** C-ECHO is answered 0000.",
        _storage_as_scp(),
        _storage_as_scu(),
        _commitment(config),
        _query_retrieve(),
    )


_STORE_MEANINGS = {
    StoreStatus.SUCCESS: "the instance is on disk, or was already",
    StoreStatus.OUT_OF_RESOURCES: "no room on the disk or in memory, too large, or the node is busy: try again later",
    StoreStatus.DOES_NOT_MATCH_SOP_CLASS: "what the dataset holds is not what it or the command says",
    StoreStatus.CANNOT_UNDERSTAND: "no DICOM, or no UIDs that can be used",
}


def _storage_as_scp() -> str:
    rows = [
        (f"{status.value:04X}", status.name.lower().replace("_", " "), _STORE_MEANINGS[status])
        for status in StoreStatus
    ]
    return "\n\n".join(
        (
            "**Storage as SCP** (level 2, full; no attribute is coerced)",
            table(("Status", "Name", "When"), rows),
            "A refusal has an Error Comment of at most 64 characters. Success is never answered before the instance "
            "is safe. Instances that no rule wants are stored like all others; received and derived ones are deleted "
            "after the days of the configuration's [retention].",
        )
    )


_SAMPLES = (
    ("0000", 0x0000), ("0111", 0x0111), ("B000-BFFF", 0xB000), ("A700-A7FF", 0xA700), ("A900-A9FF", 0xA900),
    ("C000-CFFF", 0xC000), ("0110", 0x0110), ("0122", 0x0122), ("0124", 0x0124), ("any other", 0x0213),
)  # fmt: skip
_REACTIONS = {
    SendOutcome.DELIVERED: "delivered",
    SendOutcome.TRANSIENT: "sent again, later and later, until it is given up",
    SendOutcome.REFUSED: "refused for good: the study fails, and a person is told",
}


def _storage_as_scu() -> str:
    rows = [(shown, _REACTIONS[sender.outcome_of(status)]) for shown, status in _SAMPLES]
    return "\n\n".join(
        (
            "**Storage as SCU**",
            table(("Status", "Reaction"), rows),
            "No answer, an abort, or no Association: sent again. No accepted Presentation Context: refused for good.",
        )
    )


def _commitment(config: Config) -> str:
    keep, node = config.retention, config.node
    rows = (
        (commitment.SUCCESS, "the request, or the report, is recorded"),
        (commitment.NO_SUCH_ACTION, f"an Action Type other than {commitment.REQUEST_COMMITMENT}"),
        (commitment.NO_SUCH_EVENT, f"an Event Type other than {commitment.ALL_KEPT} and {commitment.SOME_NOT_KEPT}"),
        (commitment.NO_SUCH_INSTANCE, "not the well-known SOP Instance; in a report: we do not keep this instance"),
        (commitment.NOT_AUTHORIZED, "no address to report to is configured for this AE title"),
        (commitment.INVALID_ARGUMENT, "a dataset that is unsound, or a transaction that nobody asked for"),
        (commitment.RESOURCE_LIMITATION, "too long, or it could not be recorded: try again"),
        (commitment.PROCESSING_FAILURE, "the report could not be recorded: try again"),
    )
    return "\n\n".join(
        (
            "**Storage Commitment Push Model**",
            listed(
                (
                    "As SCU: destinations with `storage_commitment = true` are asked for what was delivered to "
                    f"them. The report is taken on the same Association for {commitment.LINGER_S:g} s, and at any "
                    "time on one that the destination opens. Without a report in time it is asked again with a new "
                    "Transaction UID; instances that it does not have are sent again.",
                    "As SCP: a peer with an address in the configuration may ask. What is on disk, synced and recorded "
                    "is committed to; the report goes out on a new Association that proposes the SCP role. Where it is "
                    "not taken it is sent again, later and later, for 72 hours. Storage media are not referenced.",
                    "Level of commitment as SCP (PS3.4 J.1): instances of every Storage SOP Class of section 1, on "
                    f"disk, for {keep.promised_days:g} days from the report on (`promised_days`), whatever the other "
                    "days of [retention]; then they are deleted. The capacity is that of the disk: with less than "
                    f"{node.min_free_gb:g} GB free (`min_free_gb`) instances are refused with A700, and what was "
                    "committed to stays. Instances can't be retrieved over the network, as there is no "
                    "Query/Retrieve SCP: an administrator copies them from the node's folder. Who needs a store for "
                    "longer, or to read back from, asks an archive.",
                )
            ),
            table(("Status answered", "When"), ((f"{status:04X}", words) for status, words in rows)),
        )
    )


def _query_retrieve() -> str:
    keys = (
        (
            "STUDY",
            "Patient ID, Study Date (range), Modalities in Study; Issuer of Patient ID and Study Instance UID returned",
        ),
        ("SERIES", "Study Instance UID, Modality; Series Instance UID and Series Description returned"),
        ("IMAGE", "Study and Series Instance UID; SOP Instance UID returned"),
    )
    return "\n\n".join(
        (
            "**Query/Retrieve, Study Root, as SCU**",
            "What a rule's `fetch` names is asked for at a destination when a study lacks it: another series of the "
            "study or the nearest study of the same patient. It is retrieved series by series, by C-MOVE to this AE "
            "title or by C-GET.",
            table(("Query level", "Keys"), keys),
            f"Matches beyond {fetch.MOST_MATCHES} to one query are refused. Statuses 0000, B000-BFFF and the pending "
            f"{' and '.join(f'{status:04X}' for status in fetch.PENDING)} go on; any other fails the fetch, which is "
            "tried again as configured.",
        )
    )
