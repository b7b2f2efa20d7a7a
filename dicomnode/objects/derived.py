"""From a pipeline's result to the derived instances that are sent: each image by its writer, then the report page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dicomnode.objects.derivation import DerivationContext, read_sources
from dicomnode.objects.nuclear import write_derived
from dicomnode.objects.report import write_report
from dicomnode.study import DerivedInstance
from pipelines.contract import PipelineInput, PipelineResult


def derived_instances(
    sources: Sequence[Path], pipeline_input: PipelineInput, result: PipelineResult, context: DerivationContext
) -> tuple[DerivedInstance, ...]:
    """Return all derived instances of a run, the report page last.

    `sources` are the files that the run used, the acquisition's first: it gives patient, study and camera. The same
    sources, versions and options give the same SOP Instance UIDs and pixels; only the times in `context.now` differ.
    Raises StudyUnsuitable if a source can't be read or a result can't be expressed in DICOM.
    """
    headers = read_sources(sources)
    acquisition = pipeline_input.acquisition
    images = [write_derived(headers, sources[0], acquisition, derived, result, context) for derived in result.derived]
    return (*images, write_report(headers, acquisition, result, context))
