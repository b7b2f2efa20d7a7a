"""The structured report of a run: a Comprehensive SR (PS3.16 TID 1500) with the numbers of its hearts.

No physician has read it: it is unverified and preliminary, and says so. Its words are ours alone, in ASCII, so that
they mean the same in every character set; patient and study are the source's, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as standard
from pydicom.sr.coding import Code

from dicomnode.objects import codes
from dicomnode.objects.cardiac_state import stated_state
from dicomnode.objects.derivation import (
    DOCUMENT_PARTS,
    INSTANCE_CREATOR_UID,
    MANUFACTURER,
    DerivationContext,
    Derivative,
    Sources,
    derived_dataset,
    plain,
)
from dicomnode.objects.elements import dataset, file_bytes, put, text
from dicomnode.objects.measurement_groups import Reading, measurement_groups, text_item
from dicomnode.objects.modules import merge
from dicomnode.study import DerivedInstance
from pipelines.contract import DerivedKind, Heart, MapSource, PipelineInput, PipelineResult

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
KIND = "structured report"
_SERIES_NUMBER = 942
_INVESTIGATIONAL = "INVESTIGATIONAL - not for diagnosis; no physician has verified it"
_VIRTUAL = "VIRTUAL PATIENT - no real person"
_METHODS = {
    MapSource.CT: codes.CORRECTED_BY_CT,
    MapSource.VENDOR: codes.CORRECTED_BY_GIVEN_MAP,
    MapSource.NETWORK: codes.CORRECTED_BY_ALGORITHM,
}
# the short axis of a heart tells which reconstruction its numbers were read from
_RECONSTRUCTION_OF = {
    DerivedKind.SHORT_AXIS: DerivedKind.RECONSTRUCTION,
    DerivedKind.CORRECTED_SHORT_AXIS: DerivedKind.CORRECTED_RECONSTRUCTION,
}


def write_structured_report(
    sources: Sources,
    pipeline_input: PipelineInput,
    result: PipelineResult,
    images: Sequence[DerivedInstance],
    context: DerivationContext,
) -> DerivedInstance:
    """Return the structured report of a run's hearts, of which there must be at least one.

    `images` are the instances of `result.derived`, in its order. The report bears processing times only where DICOM
    wants them, so the same run gives the same content.
    """
    ds = derived_dataset(sources, derivative(result), context, DOCUMENT_PARTS)
    report = MeasurementReport(
        observation_context=_observer(),
        procedure_reported=codes.PERFUSION_STUDY,
        imaging_measurements=[
            group
            for reading in _readings(sources, pipeline_input, result, images)
            for group in _groups(reading, result, context, ds.SOPInstanceUID)
        ],
        title=standard.DCM.ImagingMeasurementReport,
    )
    report[0].ContentSequence.append(_evaluations(sources, result))
    merge(ds, report[0])
    put(
        ds,
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        PreliminaryFlag="PRELIMINARY",
        PerformedProcedureCodeSequence=[],
        ReferencedPerformedProcedureStepSequence=[],
        CurrentRequestedProcedureEvidenceSequence=[_evidence(sources, images)],
    )
    merge(ds, codes.coding_schemes())
    return DerivedInstance(ds.SOPInstanceUID, ds.SeriesInstanceUID, COMPREHENSIVE_SR, KIND, file_bytes(ds))


def derivative(result: PipelineResult) -> Derivative:
    """Return how the structured report of a result is filed."""
    return Derivative(
        kind=KIND,
        sop_class_uid=COMPREHENSIVE_SR,
        modality="SR",
        image_type=(),
        series_number=_SERIES_NUMBER,
        label="measurements",
        description="Measurements of the left ventricle",
        provenance=result.provenance,
        findings=result.findings,
    )


def _groups(
    reading: Reading, result: PipelineResult, context: DerivationContext, report_uid: str
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Return what was measured in a heart."""
    # a comparison was read by the same program, but from an image that these settings did not make
    settings = _settings(result) if reading.reported else ()
    return measurement_groups(reading, (context.pipeline, context.pipeline_version), settings, report_uid)


def _observer() -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=INSTANCE_CREATOR_UID, name=MANUFACTURER, manufacturer_name=MANUFACTURER, model_name=MANUFACTURER
    )
    return ObservationContext(observer_device_context=ObserverContext(standard.DCM.Device, device))


def _readings(
    sources: Sources, pipeline_input: PipelineInput, result: PipelineResult, images: Sequence[DerivedInstance]
) -> list[Reading]:
    """Return the hearts of a result, the one that is reported first."""
    written = {derived.kind: image for derived, image in zip(result.derived, images, strict=True)}
    readings = []
    for heart in reversed(result.hearts):
        kind = _short_axis_of(heart, result)
        shown = (_RECONSTRUCTION_OF[kind], kind) if kind else ()
        readings.append(
            Reading(
                heart=heart,
                reported=heart is result.hearts[-1],
                state=pipeline_input.acquisition.state,
                stated_state=stated_state(sources.first),
                attenuation=_attenuation(kind, pipeline_input, result),
                images=tuple(written[one] for one in shown if one in written),
            )
        )
    return readings


def _short_axis_of(heart: Heart, result: PipelineResult) -> DerivedKind | None:
    """Return the kind of the derived image that is this heart's short axis; None if it isn't sent."""
    for derived in result.derived:
        if derived.kind in _RECONSTRUCTION_OF and derived.data is heart.short_axis:
            return derived.kind
    return None


def _attenuation(kind: DerivedKind | None, pipeline_input: PipelineInput, result: PipelineResult) -> Code | None:
    """Return how attenuation was corrected in the image of a heart; None if that isn't known."""
    if kind is DerivedKind.CORRECTED_SHORT_AXIS:
        source = result.provenance.map_source
        return None if source is None else _METHODS[source]
    # a camera's own reconstruction may have been corrected before it came here
    raw = pipeline_input.acquisition.projections is not None
    untouched = raw and "ATTN" not in result.provenance.corrections
    return codes.NOT_CORRECTED if kind is DerivedKind.SHORT_AXIS or untouched else None


def _settings(result: PipelineResult) -> list[str]:
    """Return the settings of a run, and the networks that they don't name by their weights."""
    made = result.provenance
    named = " ".join(value for _, value in made.settings)
    networks = [("Network", f"{one.name} {one.version}, weights SHA-256 {one.sha256}") for one in made.models]
    unnamed = [line for line, one in zip(networks, made.models, strict=True) if one.sha256 not in named]
    return [plain(f"{name}: {value}") for name, value in (*made.settings, *unnamed)]


def _evaluations(sources: Sources, result: PipelineResult) -> ContainerContentItem:
    """Return what is said in words: for whom the report is, what the checks found, what was measured besides."""
    said = [(codes.COMMENT, _INVESTIGATIONAL), *([(codes.COMMENT, _VIRTUAL)] if sources.virtual else [])]
    said += [(codes.FINDING, f"{finding.verdict.value}: {finding.text}") for finding in result.findings]
    said += [
        (codes.COMMENT, f"{one.name}: {one.value:.7g} {one.unit}".removesuffix(" 1")) for one in result.measurements
    ]
    said += [(codes.COMMENT, f"assumed: {sentence}") for sentence in result.provenance.assumptions]
    container = ContainerContentItem(
        name=codes.QUALITATIVE_EVALUATIONS, relationship_type=RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = ContentSequence([text_item(name, words) for name, words in said])
    return container


def _evidence(sources: Sources, images: Sequence[DerivedInstance]) -> Dataset:
    """Return the source and derived instances, by their series, that the report rests on (PS3.3 C.17.2.3)."""
    rests_on = [
        (text(header, "SeriesInstanceUID"), text(header, "SOPClassUID"), text(header, "SOPInstanceUID"))
        for header in sources.headers
    ] + [(image.series_instance_uid, image.sop_class_uid, image.sop_instance_uid) for image in images]
    by_series: dict[str, list[Dataset]] = {}
    for series, sop_class, instance in rests_on:
        reference = dataset(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=instance)
        by_series.setdefault(series, []).append(reference)
    return dataset(
        StudyInstanceUID=text(sources.first, "StudyInstanceUID"),
        ReferencedSeriesSequence=[
            dataset(SeriesInstanceUID=series, ReferencedSOPSequence=references)
            for series, references in by_series.items()
        ],
    )
