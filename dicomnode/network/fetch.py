"""Query/Retrieve SCU (Study Root, PS3.4 C): finds series at an archive, and has them come by C-MOVE or C-GET.

By C-MOVE the instances come to our own listener, as from any peer; by C-GET they come on the Association that asked,
and go the same way from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from fnmatch import fnmatchcase
from io import BytesIO
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_FIND, C_GET, C_MOVE, C_STORE
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context

from dicomnode.config import DestinationSettings, TlsSettings
from dicomnode.errors import TransientFault
from dicomnode.network.admission import Guest, printable
from dicomnode.network.memory import ReceivingMemory
from dicomnode.network.presentation import FETCHED, FIND, GET, MOVE, UNCOMPRESSED, fetching_contexts
from dicomnode.network.requestor import named, open_association, release, why_no_answer
from dicomnode.network.storage import UID_FORM, Receive, answer_store
from dicomnode.network.unsound import if_sound
from dicomnode.network.upper_layer import DrivenAssociation
from dicomnode.study import FoundSeries, SeriesQuery

log = structlog.get_logger(__name__)

SUCCESS = 0x0000
PENDING = (0xFF00, 0xFF01)
MOVE_DESTINATION_UNKNOWN = 0xA801
MEDIUM = 0  # priority
MOST_MATCHES = 20_000  # responses to one query; an archive that ignores a key must not fill our memory

Request = Any  # C_FIND, C_GET or C_MOVE of pynetdicom, which is not typed


class Archive:
    """One destination, asked in the name of our AE title."""

    def __init__(
        self,
        source: DestinationSettings,
        ae_title: str,
        tls: TlsSettings | None,
        timeout_s: float,
        memory: ReceivingMemory | None = None,
    ) -> None:
        self._source, self._ae_title, self._tls, self._timeout_s = source, ae_title, tls, timeout_s
        self._memory = memory  # for what comes by C-GET

    def find(self, query: SeriesQuery) -> list[FoundSeries]:
        """Return the series that the query wants, each with its instances; the nearest other study only.

        Raises TransientFault with a sentence if the archive can't be asked or fails.
        """
        context = build_context(FIND, list(UNCOMPRESSED))
        assoc = open_association(self._source, self._ae_title, self._tls, [context], response_s=self._timeout_s)
        try:
            for study_uid in [query.study_instance_uid] if not query.other_studies else self._studies(assoc, query):
                if found := self._series(assoc, study_uid, query):
                    return found
            return []
        finally:
            release(assoc)

    def _studies(self, assoc: DrivenAssociation, query: SeriesQuery) -> list[str]:
        """Return the patient's other studies, the nearest in time first."""
        wanted = _identifier(
            "STUDY", PatientID=query.patient_id, StudyDate=query.dates, IssuerOfPatientID="", StudyInstanceUID=""
        )
        wanted.ModalitiesInStudy = query.modality
        found = []
        for ds in self._matches(assoc, wanted):
            uid, issuer = _text(ds, "StudyInstanceUID"), _text(ds, "IssuerOfPatientID")
            # matching differs between archives (case, wildcards): another patient's study must never come in
            same_issuer = not issuer or not query.issuer or issuer == query.issuer
            same = _text(ds, "PatientID") == query.patient_id and same_issuer
            if same and UID_FORM.fullmatch(uid) and uid != query.study_instance_uid:
                found.append((abs(_day(_text(ds, "StudyDate")) - _day(query.study_date)), uid))
        return [uid for _, uid in sorted(found)]

    def _series(self, assoc: DrivenAssociation, study_uid: str, query: SeriesQuery) -> list[FoundSeries]:
        """Return the series that fit, and those of which the archive does not tell whether they do.

        An archive need not return a description (PS3.4 Table C.6-3: it is optional); DCMTK's does at no level.
        """
        keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": "", "SeriesDescription": ""}
        found, untold = [], 0
        for ds in self._matches(assoc, _identifier("SERIES", Modality=query.modality, **keys)):
            uid = _text(ds, "SeriesInstanceUID")
            described = "SeriesDescription" not in ds or _fits(ds, query.series_description)
            if described and UID_FORM.fullmatch(uid) and _text(ds, "Modality") in ("", query.modality):
                found.append(FoundSeries(study_uid, uid, self._instances(assoc, study_uid, uid)))
                untold += "SeriesDescription" not in ds
        if untold and query.series_description != "*":
            log.warning("series taken whose descriptions are not told", destination=self._source.name, count=untold)
        return found

    def _instances(self, assoc: DrivenAssociation, study_uid: str, series_uid: str) -> tuple[str, ...]:
        keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid, "SOPInstanceUID": ""}
        uids = [_text(ds, "SOPInstanceUID") for ds in self._matches(assoc, _identifier("IMAGE", **keys))]
        return tuple(uid for uid in uids if UID_FORM.fullmatch(uid))

    def _matches(self, assoc: DrivenAssociation, identifier: Dataset) -> list[Dataset]:
        context = _context(assoc, FIND, self._source)
        request = C_FIND()
        request.AffectedSOPClassUID = FIND
        found = []
        for response in self._responses(assoc, context, request, identifier):
            if response.Status in PENDING:
                found.append(_decoded(response.Identifier, context))
            if len(found) > MOST_MATCHES:
                raise TransientFault(f"{named(self._source)} answers a query with more than {MOST_MATCHES} matches")
        return found

    # --- retrieving

    def move(self, series: FoundSeries) -> None:
        """Have a series sent to our own AE title. Raises TransientFault with a sentence if it isn't."""
        context = build_context(MOVE, list(UNCOMPRESSED))
        assoc = open_association(self._source, self._ae_title, self._tls, [context], response_s=self._timeout_s)
        try:
            request = C_MOVE()
            request.AffectedSOPClassUID, request.MoveDestination = MOVE, self._ae_title
            self._retrieve(assoc, _context(assoc, MOVE, self._source), request, series)
        finally:
            release(assoc)

    def get(self, series: FoundSeries, association: str, receive: Receive) -> None:
        """Get a series on the Association that asks for it, each instance handed to `receive`.

        Raises TransientFault with a sentence if it doesn't come.
        """
        roles = [_storage_role(uid) for uid in FETCHED]
        assoc = open_association(
            self._source, self._ae_title, self._tls, fetching_contexts(), roles, self._timeout_s, self._memory
        )
        guest = Guest(self._source.ae_title, self._ae_title, self._source.host)

        def store(event: Any) -> Dataset:
            return answer_store(event.request, event.context, guest, association, receive)

        assoc.bind(evt.EVT_C_STORE, store)
        try:
            request = C_GET()
            request.AffectedSOPClassUID = GET
            self._retrieve(assoc, _context(assoc, GET, self._source), request, series)
        finally:
            release(assoc)

    def _retrieve(
        self, assoc: DrivenAssociation, context: PresentationContext, request: C_GET | C_MOVE, series: FoundSeries
    ) -> None:
        keys = {"StudyInstanceUID": series.study_instance_uid, "SeriesInstanceUID": series.series_instance_uid}
        for response in self._responses(assoc, context, request, _identifier("SERIES", **keys)):
            if failed := response.NumberOfFailedSuboperations:
                log.warning("instances not fetched", destination=self._source.name, count=failed)

    # --- messages

    def _responses(
        self, assoc: DrivenAssociation, context: PresentationContext, request: Request, identifier: Dataset
    ) -> Iterator[Any]:
        """Send a request and yield its responses up to the last; instances that come between are stored.

        Raises TransientFault where the last one is a failure, or none comes.
        """
        syntax = context.transfer_syntax[0]
        request.MessageID, request.Priority = 1, MEDIUM
        request.Identifier = BytesIO(encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian) or b"")
        assoc.dimse.send_msg(request, context.context_id)
        while True:
            _, message = assoc.dimse.get_msg(block=True)
            if isinstance(message, C_STORE):
                assoc._c_store_scp(message)
                del message
                assoc.dimse.share.give_back()
                continue
            if not isinstance(message, type(request)):
                why = "answered something else" if message is not None else why_no_answer(assoc)
                raise TransientFault(f"{named(self._source)} {why} instead of answering {_name(request)}")
            if message.Status not in (SUCCESS, *PENDING) and not 0xB000 <= message.Status <= 0xBFFF:
                raise TransientFault(f"{named(self._source)} {_refusal(request, message, self._ae_title)}")
            yield message
            if message.Status not in PENDING:
                return


def _refusal(request: Request, message: Any, ae_title: str) -> str:
    if message.Status == MOVE_DESTINATION_UNKNOWN or (isinstance(request, C_MOVE) and message.Status == 0xC000):
        hint = f"; does it know {ae_title} with the address of this node?"
    else:
        hint = ""
    comment = f" {printable(str(message.ErrorComment))}" if getattr(message, "ErrorComment", None) else ""
    return f"answered {_name(request)} with status 0x{message.Status:04X}{comment}{hint}"


def _name(request: Request) -> str:
    return type(request).__name__.replace("_", "-")


def _context(assoc: DrivenAssociation, service: str, source: DestinationSettings) -> PresentationContext:
    for context in assoc.accepted_contexts:
        if context.abstract_syntax == service:
            return context
    raise TransientFault(f"{named(source)} does not offer {getattr(service, 'name', service)}")


def _storage_role(sop_class_uid: str) -> SCP_SCU_RoleSelectionNegotiation:
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = sop_class_uid, False, True
    return role


def _identifier(level: str, **keys: str) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def _decoded(content: BytesIO | None, context: PresentationContext) -> Dataset:
    syntax = context.transfer_syntax[0]
    found = if_sound(
        "answer to a query", lambda: decode(content or BytesIO(), syntax.is_implicit_VR, syntax.is_little_endian)
    )
    return Dataset() if found is None else found


def _text(ds: Dataset, keyword: str) -> str:
    return if_sound("value in an answer to a query", lambda: str(ds.get(keyword) or "").strip()) or ""


def _fits(ds: Dataset, pattern: str) -> bool:
    return fnmatchcase(_text(ds, "SeriesDescription").lower(), pattern.lower())


def _day(text: str) -> int:
    """Return the number of a day; far away if there is none."""
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        return 10**9
