"""Every kind of instance that the node makes, of both pipelines, written by the real writers from results at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dicomnode.objects.derivation import DerivationContext
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.virtual_ct import write_ct
from dicomnode.objects.virtual_study import VirtualStudy
from dicomnode.study import DerivedInstance
from pipelines.contract import (
    CardiacState,
    Derived,
    DerivedKind,
    Finding,
    MapSource,
    Model,
    PipelineInput,
    PipelineResult,
    Provenance,
    Verdict,
)
from pipelines.images import Unit, Volume
from tests.dicomnode.objects.ct_series import a_ct, stored
from tests.dicomnode.objects.results import a_page
from tests.dicomnode.objects.small_hearts import GRID, images, two_hearts
from tests.factories import NOON, a_tomo

STUDY = VirtualStudy(
    patient_id="PEER-1",
    patient_name="Müller^Zoë=山田^太郎",
    study="derived objects",
    state=CardiacState.STRESS,
    accession_number="A-77",
)
DENOISER = Model("denoiser", "3", "5e" * 32)
MAP_NETWORK = Model("mu-map network", "1", "c4" * 32)
_SETTINGS = (("Algorithm", "OSEM"),)
_FINDINGS = (Finding(Verdict.PASS, "counts agree to 0.02 %"),)


def attenuation_corrected(folder: Path, by_ct: bool = True) -> tuple[DerivedInstance, ...]:
    """Return what attenuation correction sends: all images, numbers, page; the map is of a CT or of a network."""
    source = _source(folder)
    slices = stored(folder, write_ct(a_ct(), STUDY, NOON)) if by_ct else []
    derived = (*images(), Derived(DerivedKind.MU_MAP, _mu_map(), "Attenuation map"))
    models = () if by_ct else (MAP_NETWORK,)
    source_of_map = MapSource.CT if by_ct else MapSource.NETWORK
    provenance = Provenance("attenuation_correction", "1", _SETTINGS, models=models, map_source=source_of_map)
    result = PipelineResult(derived, provenance, _FINDINGS, hearts=two_hearts(), page=a_page())
    given = PipelineInput(read_acquisition(source), ct=a_ct() if by_ct else None)
    return derived_instances([source, *slices], given, result, _context("attenuation_correction"))


def denoised(folder: Path, **acquired: Any) -> tuple[DerivedInstance, ...]:
    """Return what denoising sends; `acquired` are the arguments of `a_tomo`: gates, windows, detectors."""
    source = _source(folder, **acquired)
    given = PipelineInput(read_acquisition(source))
    assert given.acquisition.projections is not None
    derived = (
        Derived(DerivedKind.DENOISED_PROJECTIONS, given.acquisition.projections, "Expected counts at full dose"),
        *(one for one in images() if one.kind in (DerivedKind.RECONSTRUCTION, DerivedKind.SHORT_AXIS)),
    )
    provenance = Provenance("denoising", "1", _SETTINGS, models=(DENOISER,))
    result = PipelineResult(derived, provenance, _FINDINGS, hearts=two_hearts(), page=a_page())
    return derived_instances([source], given, result, _context("denoising"))


def of_both_pipelines(folder: Path) -> dict[str, DerivedInstance]:
    """Return every kind of instance by its pipeline and kind, gated projections among them."""
    kinds: dict[str, DerivedInstance] = {}
    for name, made in (
        ("corrected by CT", attenuation_corrected(folder)),
        ("corrected by a network", attenuation_corrected(folder, by_ct=False)),
        ("denoised", denoised(folder)),
        ("denoised, gated", denoised(folder, gates=8)),
    ):
        kinds |= {f"{name}: {instance.kind}": instance for instance in made}
    return kinds


def _source(folder: Path, **acquired: Any) -> Path:
    path = folder / "source.dcm"
    path.write_bytes(a_tomo(study=STUDY, **acquired))
    return path


def _mu_map() -> Volume:
    """Return water where the body is, on the grid of the reconstructions."""
    _, y, x = np.indices(GRID.shape)
    body = ((y - 15.5) / 10) ** 2 + ((x - 15.5) / 14) ** 2 < 1
    return Volume(np.where(body, 0.15, 0.0).astype(np.float32), GRID, Unit.PER_CM)


def _context(pipeline: str) -> DerivationContext:
    return DerivationContext(pipeline, "1", "0.1.0", {}, NOON)
