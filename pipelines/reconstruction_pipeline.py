"""The pipeline `reconstruction`: projections of the photopeak -> OSEM -> post-filter -> one volume and its heart."""

from __future__ import annotations

from pipelines.contract import Derived, DerivedKind, PipelineInput, PipelineResult, Provenance
from pipelines.perfusion.hearts import HeartImage, read_hearts
from pipelines.perfusion.imaging import corrections, in_one_sentence, prepare, shown_settings
from pipelines.perfusion.options import Options


def run(pipeline_input: PipelineInput, device: str) -> PipelineResult:
    """Reconstruct the acquisition's projections and read the left ventricle.

    Raises UnsuitableAcquisition when there are none or they can't be reconstructed, ValueError on wrong options.
    """
    options = Options.of(pipeline_input.options)
    acquisition = pipeline_input.acquisition
    prepared = prepare(acquisition.projections, options)
    volume = prepared.reconstruct(device)
    shown = shown_settings(prepared, options)
    gates = prepared.reconstruct_gates(device)
    image = HeartImage("not corrected for attenuation", volume, DerivedKind.SHORT_AXIS, gates=gates)
    reading = read_hearts([image], acquisition, options)
    return PipelineResult(
        derived=(Derived(DerivedKind.RECONSTRUCTION, volume, in_one_sentence(shown)), *reading.derived),
        provenance=Provenance("reconstruction", "", shown, acquisition.assumptions, corrections(prepared)),
        findings=prepared.findings + reading.findings,
        measurements=prepared.measurements,
        hearts=reading.hearts,
    )
