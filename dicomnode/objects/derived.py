"""From a pipeline's result to the derived instances that are sent: images, then structured report, then page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dicomnode.objects.derivation import BY_NETWORKS, DerivationContext, Sources, read_sources
from dicomnode.objects.nuclear import write_derived
from dicomnode.objects.private_copy import with_private_elements
from dicomnode.objects.report import write_report
from dicomnode.objects.structured_report import write_structured_report
from dicomnode.study import PROJECTIONS, DerivedInstance
from pipelines.contract import PipelineInput, PipelineResult


def derived_instances(
    sources: Sequence[Path], pipeline_input: PipelineInput, result: PipelineResult, context: DerivationContext
) -> tuple[DerivedInstance, ...]:
    """Return all derived instances of a run: images, a structured report if there is a heart, the page if it is drawn.

    If the context says so, a copy of derived projections with the camera's private elements comes last.
    `sources` are the files that the run could look at, the acquisition's first: it gives patient, study and camera;
    of the others those are named that the result's map was made of. The same files, versions and options give the same
    SOP Instance UIDs and pixels; only the times in `context.now` differ.
    Raises StudyUnsuitable if a source can't be read or a result can't be expressed in DICOM.
    """
    headers = read_sources(sources)
    acquisition = pipeline_input.acquisition
    made = [write_derived(headers, sources[0], acquisition, derived, result, context) for derived in result.derived]
    copies = _private_copies(made, sources[0], headers, context) if context.keep_private else []
    headers = headers.used_for(result.provenance)
    # a plain reconstruction adds no number that the camera's own station lacks
    if result.hearts and context.pipeline in BY_NETWORKS:
        made.append(write_structured_report(headers, pipeline_input, result, made, context))
    if result.page is not None:
        made.append(write_report(headers, result, result.page, context))
    return (*made, *copies)


def _private_copies(
    made: Sequence[DerivedInstance], source: Path, headers: Sources, context: DerivationContext
) -> list[DerivedInstance]:
    plain = [one for one in made if one.kind == PROJECTIONS]
    copies = [with_private_elements(one, source, headers, context) for one in plain]
    return [copy for copy in copies if copy is not None]
