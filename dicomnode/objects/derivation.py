"""What every derived instance shares: identity copied byte for byte, new UIDs, and how it came to be.

A derived dataset is composed of parts, one function per group of attributes: DOCUMENT_PARTS for all, IMAGE_PARTS for
images; a new kind of derived instance adds its own in a file of its own. UIDs are a function of what went in, so the
same study processed again gives the same instances and any change gives others (a PACS keeps the first of two
instances that share a UID).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects import inherited
from dicomnode.objects.elements import PARSE_ERRORS, code, copied, dataset, encoded, put, raw_bytes, text, texts
from dicomnode.objects.lossy import lossy_compression
from dicomnode.objects.modules import body_part, merge
from dicomnode.objects.times import Moment
from pipelines.contract import Finding, MapSource, Model, OptionValue, Provenance, Verdict

MANUFACTURER = "dicomnode"
# Raised with every change to what a writer writes (a page's layout, a stored scale): a PACS keeps the first of two
# instances that share a UID, so other pixels need other UIDs. It is not the node's version, since a study that waits
# over an upgrade must not be sent in two series.
WRITERS_VERSION = 5
# the pipelines whose images a network made
BY_NETWORKS = frozenset({"denoising", "attenuation_correction"})
_UID_SPACE = uuid.UUID("5f6d3c0e-9d0b-5a53-8f0c-7e0c0d1c0de5")
INSTANCE_CREATOR_UID = f"2.25.{uuid.uuid5(_UID_SPACE, 'instance creator').int}"

_CAMERA = (
    "Manufacturer", "InstitutionName", "StationName", "InstitutionalDepartmentName", "ManufacturerModelName",
    "DeviceSerialNumber", "SoftwareVersions",
)  # fmt: skip


@dataclass(frozen=True)
class DerivationContext:
    """Which run makes the derived instances; `now` is the processing time that they are to bear, on their clock."""

    pipeline: str
    pipeline_version: str
    node_version: str
    options: Mapping[str, OptionValue]
    now: datetime
    keep_private: bool = False  # also a copy of derived projections with the camera's private elements


@dataclass(frozen=True)
class Sources:
    """The instances that something is derived from; the first gives patient, study and camera.

    `at_hand` are the SOP Instance UIDs of all that the run could look at, where that is more than was used: what is
    said of a CT that didn't fit is part of the result.
    """

    headers: tuple[Dataset, ...]
    at_hand: tuple[str, ...] = ()

    @property
    def first(self) -> Dataset:
        """The header that patient, study and camera are taken from."""
        return self.headers[0]

    @property
    def uids(self) -> tuple[str, ...]:
        """The SOP Instance UIDs that those of derived instances follow from."""
        return self.at_hand or tuple(text(header, "SOPInstanceUID") for header in self.headers)

    def used_for(self, made: Provenance | None) -> Sources:
        """Return the acquisition, and what its attenuation map was made of; None: no map was used."""
        source = None if made is None else made.map_source
        maps = [header for header in self.headers[1:] if source is not None and source is _source_of(header)]
        if made is not None and made.map_key:
            maps = _of_one_series(maps, made.map_key)
        return Sources((self.first, *maps), self.uids)

    @property
    def virtual(self) -> bool:
        """Whether any source says of itself that no real patient stands behind it."""
        return any(text(header, "SyntheticData").upper() == "YES" for header in self.headers)


@dataclass(frozen=True)
class Derivative:
    """One derived instance in words: what it is, where it is filed, how it was made."""

    kind: str
    sop_class_uid: str
    modality: str
    image_type: tuple[str, ...]  # empty for what is no image
    series_number: int
    label: str  # appended to the source's Series Description, ASCII
    description: str
    codes: tuple[tuple[str, str, str], ...] = ()  # value, scheme, meaning of Derivation Code Sequence
    burned_in: bool = False
    provenance: Provenance = field(default_factory=lambda: Provenance("", ""))
    findings: tuple[Finding, ...] = ()


def _source_of(header: Dataset) -> MapSource | None:
    """Return what kind of map is made of an instance."""
    if text(header, "SOPClassUID") == CTImageStorage:
        return MapSource.CT
    return MapSource.VENDOR if "TRANSMISSION" in texts(header, "ImageType") else None


def _of_one_series(maps: Sequence[Dataset], uid: str) -> list[Dataset]:
    """Return of several CT series, or attenuation maps, the one that this SOP Instance belongs to."""
    one = next((header for header in maps if text(header, "SOPInstanceUID") == uid), Dataset())
    if text(one, "SOPClassUID") != CTImageStorage:
        return [header for header in maps if header is one]
    return [header for header in maps if text(header, "SeriesInstanceUID") == text(one, "SeriesInstanceUID")]


def read_sources(paths: Sequence[Path]) -> Sources:
    """Return the headers of the source instances, without pixels. Raises StudyUnsuitable if one can't be read."""
    try:
        return Sources(tuple(dcmread(path, stop_before_pixels=True) for path in paths))
    except PARSE_ERRORS as error:
        raise StudyUnsuitable(f"a source instance can't be read as DICOM ({type(error).__name__})") from None


def derivation_key(source_uids: Iterable[str], context: DerivationContext, kind: str) -> str:
    """Return the text that tells one derived instance from all others: sources, pipeline, versions, options, kind."""
    parts = {
        "writers": WRITERS_VERSION,
        "sources": sorted(source_uids),
        "pipeline": [context.pipeline, context.pipeline_version],
        "options": dict(context.options),
        "kind": kind,
    }
    return json.dumps(parts, sort_keys=True, separators=(",", ":"))


def run_key(source_uids: Iterable[str], context: DerivationContext) -> str:
    """Return the name of one run of a pipeline on these sources: what was made under it need not be made again."""
    kind = "run with private elements" if context.keep_private else "run"
    return hashlib.sha256(derivation_key(source_uids, context, kind).encode()).hexdigest()


def derived_uid(key: str, level: str) -> str:
    """Return the UID of this key at a level ("series", "instance", ...), from a name-based UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(_UID_SPACE, f'{level}:{key}').int}"


def derived_dataset(
    sources: Sources, derivative: Derivative, context: DerivationContext, parts: Sequence[Part] | None = None
) -> Dataset:
    """Return the dataset of a derived instance but for what belongs to its kind alone (pixels, geometry).

    Its parts are those of an image, IMAGE_PARTS, unless others are named.
    """
    ds = Dataset()
    for part in IMAGE_PARTS if parts is None else parts:
        merge(ds, part(sources, derivative, context))
    return ds


def _key(sources: Sources, derivative: Derivative, context: DerivationContext) -> str:
    return derivation_key(sources.uids, context, derivative.kind)


def patient_and_study(sources: Sources, derivative: Derivative, context: DerivationContext) -> Dataset:
    """Patient and study as the source has them, byte for byte."""
    ds = inherited.patient_and_study(sources.first)
    if sources.virtual:
        put(ds, SyntheticData="YES")
    return ds


def series(sources: Sources, derivative: Derivative, context: DerivationContext) -> Dataset:
    """A series of its own in the source's study."""
    moment = Moment.of(context.now, sources.first)
    ds = dataset(
        Modality=derivative.modality,
        SeriesInstanceUID=derived_uid(_key(sources, derivative, context), "series"),
        SeriesNumber=derivative.series_number,
        SeriesDate=moment.date,
        SeriesTime=moment.time,
    )
    merge(ds, encoded("SeriesDescription", _series_description(sources.first, _label(derivative, context))))
    return ds


def _label(derivative: Derivative, context: DerivationContext) -> str:
    """Return how a series is named; what a network made and a check remarks on says so in every list of series."""
    remarked = any(finding.verdict is not Verdict.PASS for finding in derivative.findings)
    return f"{derivative.label} (CHECK)" if remarked and context.pipeline in BY_NETWORKS else derivative.label


def _series_description(source: Dataset, label: str) -> bytes:
    """Return the source's description followed by our label, in at most 64 bytes and without encoding it anew."""
    before = raw_bytes(source, "SeriesDescription")
    if len(before) + 1 + len(label) > 64:
        before = before[: 63 - len(label)] if before.isascii() and b"\x1b" not in before else b""
    return before + b" " * bool(before) + label.encode("ascii")


def instance(sources: Sources, derivative: Derivative, context: DerivationContext) -> Dataset:
    """The instance itself: UIDs, times, what it may be used for."""
    moment = Moment.of(context.now, sources.first)
    ds = dataset(
        SOPClassUID=derivative.sop_class_uid,
        SOPInstanceUID=derived_uid(_key(sources, derivative, context), "instance"),
        InstanceNumber=1,
        InstanceCreationDate=moment.date,
        InstanceCreationTime=moment.time,
        InstanceCreatorUID=INSTANCE_CREATOR_UID,
        ContentDate=moment.date,
        ContentTime=moment.time,
        ContentQualification="RESEARCH",
    )
    merge(ds, inherited.zone(sources.first))
    return ds


def image(sources: Sources, derivative: Derivative, context: DerivationContext) -> Dataset:
    """What only an image has: its type, what it shows, when and on whose request that was acquired."""
    ds = dataset(
        ImageType=list(derivative.image_type),
        BurnedInAnnotation="YES" if derivative.burned_in else "NO",
    )
    merge(ds, lossy_compression(sources.headers))
    merge(ds, inherited.request(sources.first))
    merge(ds, copied(sources.first, "ProtocolName", "AcquisitionDate", "AcquisitionTime"))
    merge(ds, body_part(sources.first))
    return ds


def equipment(sources: Sources, derivative: Derivative, context: DerivationContext) -> Dataset:
    """Us as the maker, and who contributed: the camera that acquired, we who processed (PS3.16 CID 7005).

    Each network has an item of its own with its version and the SHA-256 of its weights: NM images have no place for
    an algorithm's identification other than this.
    """
    models = derivative.provenance.models
    moment = Moment.of(context.now, sources.first)
    versions = [context.node_version, f"{context.pipeline} {context.pipeline_version}"[:64]]
    versions += [plain(f"{model.name} {model.version}", 64) for model in models]
    ours = dataset(Manufacturer=MANUFACTURER, ManufacturerModelName=MANUFACTURER, SoftwareVersions=versions)
    us = dataset(
        PurposeOfReferenceCodeSequence=[code("109102", "DCM", "Processing Equipment")],
        ContributionDateTime=moment.date_time,
        ContributionDescription=f"{context.pipeline} of nuclear medicine images",
    )
    merge(us, ours)
    contributors = [us, *(_network(model, moment) for model in models)]
    if text(sources.first, "Manufacturer"):
        camera = dataset(PurposeOfReferenceCodeSequence=[code("109101", "DCM", "Acquisition Equipment")])
        merge(camera, copied(sources.first, *_CAMERA))
        camera.set_original_encoding(False, True, "iso8859")
        contributors.insert(0, camera)
    merge(ours, copied(sources.first, "InstitutionName"))
    put(ours, ContributingEquipmentSequence=contributors)
    return ours


def _network(model: Model, moment: Moment) -> Dataset:
    """Return the Contributing Equipment item of a network."""
    return dataset(
        PurposeOfReferenceCodeSequence=[code("109102", "DCM", "Processing Equipment")],
        Manufacturer=MANUFACTURER,
        ManufacturerModelName=plain(model.name, 64),
        SoftwareVersions=[plain(word, 64) for word in (model.version, model.sha256) if word],
        ContributionDateTime=moment.date_time,
        ContributionDescription="Neural network; Software Versions: the model's version, the SHA-256 of its weights",
    )


def history(sources: Sources, derivative: Derivative, context: DerivationContext) -> Dataset:
    """From what, how and with which settings the instance was derived."""
    images = [_source_image(text(header, "SOPClassUID"), text(header, "SOPInstanceUID")) for header in sources.headers]
    made_by = f"{context.pipeline} {context.pipeline_version}, dicomnode {context.node_version}"
    ds = dataset(
        DerivationDescription=plain(f"{derivative.description} ({made_by})", 1024),
        SourceImageSequence=images,
        ImageComments=plain("\n".join(provenance_lines(derivative)), 10240),
    )
    if derivative.codes:
        put(ds, DerivationCodeSequence=[code(*one) for one in derivative.codes])
    return ds


def _source_image(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """Return an item of Source Image Sequence (purposes: PS3.16 CID 7202)."""
    return dataset(
        ReferencedSOPClassUID=sop_class_uid,
        ReferencedSOPInstanceUID=sop_instance_uid,
        PurposeOfReferenceCodeSequence=[code("121322", "DCM", "Source image for image processing operation")],
    )


def references(sources: Sources, derivative: Derivative, context: DerivationContext) -> Dataset:
    """The sources by study and series (PS3.3 C.12.2, Common Instance Reference)."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for header in sources.headers:
        reference = dataset(
            ReferencedSOPClassUID=text(header, "SOPClassUID"), ReferencedSOPInstanceUID=text(header, "SOPInstanceUID")
        )
        series_of = studies.setdefault(text(header, "StudyInstanceUID"), {})
        series_of.setdefault(text(header, "SeriesInstanceUID"), []).append(reference)
    own = studies.pop(text(sources.first, "StudyInstanceUID"))
    ds = dataset(ReferencedSeriesSequence=_by_series(own))
    if studies:
        others = [
            dataset(StudyInstanceUID=study, ReferencedSeriesSequence=_by_series(series_of))
            for study, series_of in studies.items()
        ]
        put(ds, StudiesContainingOtherReferencedInstancesSequence=others)
    return ds


def add_own_source(ds: Dataset, sop_class_uid: str, kind: str, sources: Sources, context: DerivationContext) -> None:
    """Name among the sources of an instance what the same run derived of another kind."""
    key = derivation_key(sources.uids, context, kind)
    uid = derived_uid(key, "instance")
    ds.SourceImageSequence.append(_source_image(sop_class_uid, uid))
    reference = dataset(ReferencedSOPClassUID=sop_class_uid, ReferencedSOPInstanceUID=uid)
    ds.ReferencedSeriesSequence.extend(_by_series({derived_uid(key, "series"): [reference]}))


def _by_series(series_of: Mapping[str, list[Dataset]]) -> list[Dataset]:
    return [
        dataset(SeriesInstanceUID=uid, ReferencedInstanceSequence=instances) for uid, instances in series_of.items()
    ]


def attenuation_series(sources: Sources) -> Dataset:
    """The series that attenuation was corrected with, CT or transmission images; nothing if there is none."""
    correcting = {
        (text(header, "StudyInstanceUID"), text(header, "SeriesInstanceUID")): None
        for header in sources.headers
        if text(header, "Modality") == "CT" or "TRANSMISSION" in texts(header, "ImageType")
    }
    if not correcting:
        return Dataset()
    purpose = code("122403", "DCM", "For Attenuation Correction")
    return dataset(
        RelatedSeriesSequence=[
            dataset(StudyInstanceUID=study, SeriesInstanceUID=uid, PurposeOfReferenceCodeSequence=[purpose])
            for study, uid in correcting
        ]
    )


def provenance_lines(derivative: Derivative) -> list[str]:
    """Return settings, assumptions and findings of a run, one per line."""
    made = derivative.provenance
    lines = [f"{name}: {value}" for name, value in made.settings]
    lines += [f"assumed: {sentence}" for sentence in made.assumptions]
    lines += [f"{finding.verdict.value}: {finding.text}" for finding in derivative.findings]
    return lines


_PLAIN = str.maketrans({"\u00b5": "u", "\u03bc": "mu", "\u00b0": " deg", "\u00d7": "x", "\u2013": "-", "\u2014": "-"})


def plain(words: str, longest: int | None = None) -> str:
    """Return text that is the same in every character set, for datasets whose set is the source's."""
    return words.translate(_PLAIN).encode("ascii", "replace").decode("ascii")[:longest]


Part = Callable[[Sources, Derivative, DerivationContext], Dataset]
DOCUMENT_PARTS: tuple[Part, ...] = (patient_and_study, series, equipment, instance)
IMAGE_PARTS: tuple[Part, ...] = (*DOCUMENT_PARTS, image, history, references)
