"""Results of a pipeline for tests, and what the writers make of them."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.objects.derivation import DerivationContext
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.virtual_study import VirtualStudy
from dicomnode.study import DerivedInstance
from pipelines.contract import (
    CardiacState,
    Derived,
    DerivedKind,
    Finding,
    Measurement,
    PipelineInput,
    PipelineResult,
    Provenance,
    Verdict,
)
from pipelines.geometry import VoxelGrid
from pipelines.images import Projections, Unit, Volume
from tests.dicomnode.objects.small_hearts import two_hearts
from tests.factories import NOON, a_tomo

CONTEXT = DerivationContext("attenuation_correction", "1.2", "0.1.0", {"iterations": 4, "subsets": 8}, NOON)
GRID = VoxelGrid.axial((5, 8, 8), (6.4, 6.0, 5.0), (10.0, -20.0, 30.0))


def a_volume(unit: Unit = Unit.PROPORTIONAL_COUNTS, highest: float = 7.5, grid: VoxelGrid = GRID) -> Volume:
    values = np.random.default_rng(5).random(grid.shape).astype(np.float32) * highest
    return Volume(values, grid, unit)


def a_page() -> NDArray[np.uint8]:
    """Return a page as a pipeline draws it: no identity, 1600 pixels wide."""
    page = np.full((40, 1600, 3), 255, np.uint8)
    page[10:30, 100:900] = (20, 90, 160)
    return page


def a_result(*kinds: DerivedKind, projections: Projections | None = None) -> PipelineResult:
    """Return a result with these kinds of images, two hearts and a page."""
    hearts = two_hearts()
    data: Mapping[DerivedKind, Projections | Volume | None] = {
        DerivedKind.RECONSTRUCTION: a_volume(),
        DerivedKind.CORRECTED_RECONSTRUCTION: a_volume(highest=30.0),
        DerivedKind.MU_MAP: a_volume(Unit.PER_CM, 0.2),
        DerivedKind.DENOISED_PROJECTIONS: projections,
        DerivedKind.SHORT_AXIS: hearts[0].short_axis,
        DerivedKind.CORRECTED_SHORT_AXIS: hearts[1].short_axis,
    }
    derived = tuple(Derived(kind, shown, f"{kind.value}, 140.5 keV") for kind in kinds if (shown := data[kind]))
    provenance = Provenance(
        "attenuation_correction", "1.2", (("iterations", "4"), ("cutoff", "0.5 /cm")), ("water is 0.15 /cm",), ("ATTN",)
    )
    findings = (Finding(Verdict.PASS, "counts agree to 0.02 %"),)
    measurements = (Measurement("Counts in the photopeak", 1.25e6, "{counts}"),)
    return PipelineResult(derived, provenance, findings, measurements, hearts, a_page())


ALL = tuple(DerivedKind)


def derive(
    folder: Path,
    source: bytes | None = None,
    kinds: tuple[DerivedKind, ...] = ALL,
    context: DerivationContext = CONTEXT,
) -> dict[str, DerivedInstance]:
    """Return the derived instances of a source by their kind."""
    path = folder / "source.dcm"
    path.write_bytes(source if source is not None else a_tomo(study=VirtualStudy(state=CardiacState.STRESS)))
    acquisition = read_acquisition(path)
    result = a_result(*kinds, projections=acquisition.projections)
    made = derived_instances([path], PipelineInput(acquisition), result, context)
    return {instance.kind: instance for instance in made}


def dataset(instance: DerivedInstance) -> Dataset:
    return dcmread(BytesIO(instance.file_bytes))
