"""Instances, studies and their states: the words that the stages of the road share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from dicomnode.errors import InvariantBroken

# among the attributes of projections, no keyword of DICOM: why nobody but the vendor can reconstruct them
VENDOR_ONLY = "VendorOnly"


class InstanceContent(Enum):
    """What an instance is to us."""

    PROJECTIONS = "projections"  # NM TOMO or GATED TOMO
    RECONSTRUCTION = "reconstruction"  # NM RECON TOMO, EMISSION, slices across the patient
    MU_MAP = "attenuation map"  # NM RECON TOMO, TRANSMISSION
    CT = "CT"
    OTHER = "other"


@dataclass(frozen=True)
class InstanceHeader:
    """What the node knows of an instance without its pixels.

    `attributes` maps DICOM keywords to their values as text (several values: several entries) for the rules.
    `flaw` says, in words, why a projection set can't be used: it isn't whole although all of it is here, or only its
    vendor can reconstruct it (then `attributes` have VENDOR_ONLY, too). None: it can.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    content: InstanceContent
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    flaw: str | None = None


@dataclass(frozen=True)
class ReceivedInstance:
    """One C-STORE request as it came: the peer, the command's UIDs, and the dataset as a DICOM file (PS3.10)."""

    calling_ae_title: str
    peer_host: str
    association: str  # names the Association within this process
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    file_bytes: bytes  # preamble, File Meta Information, dataset as received


class StudyState(Enum):
    """Where a study stands on the road."""

    RECEIVING = "RECEIVING"
    ROUTED = "ROUTED"
    PROCESSING = "PROCESSING"
    DELIVERING = "DELIVERING"
    DELIVERED = "DELIVERED"
    IGNORED = "IGNORED"
    HELD = "HELD"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    PURGED = "PURGED"


class Event(Enum):
    """What can happen to a study; the letters are those of the manual."""

    FIRST_INSTANCE = "a"
    INSTANCE = "b"
    WHOLE = "c"
    NO_RULE = "d"
    INCOMPLETE = "e"
    CLAIMED = "f"
    DERIVED = "g"
    ATTEMPT_FAILED = "h"
    UNSUITABLE = "i1"
    ATTEMPTS_SPENT = "i2"
    ALL_DELIVERED = "j"
    REFUSED = "k"
    REQUEUED = "l"
    KEPT_LONG_ENOUGH = "m"
    LATE_INSTANCE = "n"
    QUARANTINED = "o"
    RELEASED = "p"
    REJECTED = "q"
    CONFLICT = "r"  # the same SOP Instance UID came with other content


_S, _E = StudyState, Event
TRANSITIONS: Mapping[tuple[StudyState | None, Event], StudyState] = {
    (None, _E.FIRST_INSTANCE): _S.RECEIVING,
    (_S.RECEIVING, _E.INSTANCE): _S.RECEIVING,
    (_S.RECEIVING, _E.WHOLE): _S.ROUTED,
    (_S.RECEIVING, _E.NO_RULE): _S.IGNORED,
    (_S.RECEIVING, _E.INCOMPLETE): _S.HELD,
    (_S.ROUTED, _E.CLAIMED): _S.PROCESSING,
    (_S.PROCESSING, _E.DERIVED): _S.DELIVERING,
    (_S.PROCESSING, _E.ATTEMPT_FAILED): _S.ROUTED,
    (_S.PROCESSING, _E.UNSUITABLE): _S.HELD,
    (_S.PROCESSING, _E.ATTEMPTS_SPENT): _S.FAILED,
    (_S.PROCESSING, _E.QUARANTINED): _S.HELD,
    (_S.DELIVERING, _E.ALL_DELIVERED): _S.DELIVERED,
    (_S.DELIVERING, _E.REFUSED): _S.FAILED,
    (_S.HELD, _E.REQUEUED): _S.ROUTED,
    (_S.FAILED, _E.REQUEUED): _S.ROUTED,
    (_S.HELD, _E.RELEASED): _S.DELIVERING,
    (_S.HELD, _E.REJECTED): _S.REJECTED,
    (_S.FAILED, _E.REJECTED): _S.REJECTED,
    (_S.DELIVERED, _E.KEPT_LONG_ENOUGH): _S.PURGED,
    (_S.IGNORED, _E.KEPT_LONG_ENOUGH): _S.PURGED,
    (_S.REJECTED, _E.KEPT_LONG_ENOUGH): _S.PURGED,
    **{
        (state, _E.LATE_INSTANCE): _S.RECEIVING
        for state in (
            _S.ROUTED, _S.PROCESSING, _S.DELIVERING, _S.DELIVERED, _S.IGNORED, _S.HELD, _S.FAILED, _S.PURGED,
        )
    },
    # what a person rejected stays rejected until a person looks at the newcomer
    (_S.REJECTED, _E.LATE_INSTANCE): _S.HELD,
    **{(state, _E.CONFLICT): _S.HELD for state in StudyState},
}  # fmt: skip


def next_state(state: StudyState | None, event: Event) -> StudyState:
    """Return the state that `event` leads to.

    Raises InvariantBroken if the table has no such move.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InvariantBroken(f"no move from {state.value if state else 'nothing'} by event {event.name}") from None


@dataclass(frozen=True)
class Instance:
    """One received instance as the journal knows it. `path` is relative to the spool."""

    header: InstanceHeader
    transfer_syntax_uid: str
    path: str
    sha256: str
    size_bytes: int
    received_at: datetime
    calling_ae_title: str
    version: int  # the study version that it came in with


@dataclass(frozen=True)
class Study:
    """One study as the journal knows it."""

    study_instance_uid: str
    state: StudyState
    version: int
    reason: str
    calling_ae_title: str
    created_at: datetime
    updated_at: datetime
    last_instance_at: datetime
    instances: int
    attempts: int = 0
    rule: str | None = None
    pipeline: str | None = None
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    destinations: tuple[str, ...] = ()
    priority: int = 0
    next_at: datetime | None = None


class SendOutcome(Enum):
    """How one C-STORE to a destination ended."""

    DELIVERED = "delivered"  # 0x0000, a warning 0xBxxx, or "already there"
    REFUSED = "refused"  # for good: trying again changes nothing
    TRANSIENT = "transient"  # try again later


@dataclass(frozen=True)
class SendReport:
    """The answer of a destination to one instance; `status` is None if no answer came."""

    sop_instance_uid: str
    outcome: SendOutcome
    status: int | None
    message: str


# kinds of derived instances that are told apart on their way: who asks for the copy doesn't get the other besides
PROJECTIONS, PRIVATE_COPY = "denoised projections", "denoised projections with private elements"


@dataclass(frozen=True)
class DerivedInstance:
    """One derived instance as bytes of a DICOM file (PS3.10), ready for the outbox."""

    sop_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    kind: str
    file_bytes: bytes


@dataclass(frozen=True)
class Reference:
    """Names one instance: its SOP Class and SOP Instance UIDs."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class CommitmentRequest:
    """Somebody asks whether these instances are kept (Storage Commitment Push Model, PS3.4 J.3.2)."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class CommitmentReport:
    """The answer to a request: what is kept, and what is not, with the Failure Reason (PS3.3 C.14)."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...] = ()


@dataclass(frozen=True)
class SeriesQuery:
    """Which series are looked for at an archive: those of one study, or of the nearest other one of its patient."""

    study_instance_uid: str
    modality: str
    series_description: str = "*"  # wildcards
    other_studies: bool = False
    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)
    study_date: str = ""  # YYYYMMDD
    dates: str = ""  # the range of a query, YYYYMMDD-YYYYMMDD


@dataclass(frozen=True)
class FoundSeries:
    """A series that an archive has, and the SOP Instance UIDs in it."""

    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[str, ...]
