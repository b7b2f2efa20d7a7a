"""Every kind of instance that the node makes, of both pipelines, written by the real writers from results at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from dicomnode.objects.camera import write_reconstruction, write_transmission
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
    MapCandidate,
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
from tests.factories import NOON, a_tomo, some_projections

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


def attenuation_corrected(
    folder: Path, source_of_map: MapSource = MapSource.CT, reconstructed: bool = False
) -> tuple[DerivedInstance, ...]:
    """Return what attenuation correction sends: all images, numbers, page.

    `reconstructed`: of a camera's own reconstruction, where a study holds no projections.
    """
    source = _reconstruction(folder) if reconstructed else _source(folder)
    maps = _map_files(folder, source_of_map)
    derived = (*images(), Derived(DerivedKind.MU_MAP, _mu_map(), "Attenuation map"))
    models = (MAP_NETWORK,) if source_of_map is MapSource.NETWORK else ()
    provenance = Provenance("attenuation_correction", "1", _SETTINGS, models=models, map_source=source_of_map)
    result = PipelineResult(derived, provenance, _FINDINGS, hearts=two_hearts(), page=a_page())
    candidates = {
        MapSource.CT: (MapCandidate(MapSource.CT, a_ct()),),
        MapSource.VENDOR: (MapCandidate(MapSource.VENDOR, _mu_map()),),
    }
    given = PipelineInput(read_acquisition(source), candidates.get(source_of_map, ()))
    return derived_instances([source, *maps], given, result, _context("attenuation_correction"))


def denoised(folder: Path, keep_private: bool = False, **acquired: Any) -> tuple[DerivedInstance, ...]:
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
    return derived_instances([source], given, result, replace(_context("denoising"), keep_private=keep_private))


def of_both_pipelines(folder: Path) -> dict[str, DerivedInstance]:
    """Return every kind of instance by its pipeline and kind, gated projections among them."""
    kinds: dict[str, DerivedInstance] = {}
    for name, made in (
        ("corrected by CT", attenuation_corrected(folder)),
        ("corrected by a network", attenuation_corrected(folder, MapSource.NETWORK)),
        ("corrected by the camera's map", attenuation_corrected(folder, MapSource.VENDOR)),
        ("corrected afterwards", attenuation_corrected(folder, MapSource.NETWORK, reconstructed=True)),
        ("denoised", denoised(folder)),
        ("denoised, gated", denoised(folder, gates=8)),
        ("denoised, two heads", denoised(folder, keep_private=True, detectors=2, change=_by_ge)),
    ):
        kinds |= {f"{name}: {instance.kind}": instance for instance in made}
    return kinds


def _source(folder: Path, **acquired: Any) -> Path:
    path = folder / "source.dcm"
    path.write_bytes(a_tomo(study=STUDY, **acquired))
    return path


def _by_ge(ds: Dataset) -> None:
    """Add GE's private radius."""
    ds.private_block(0x0011, "GEMS_GENIE_1", create=True).add_new(0x19, "FD", 301.0)


def _reconstruction(folder: Path) -> Path:
    path = folder / "reconstruction.dcm"
    volume = images()[0].data
    assert isinstance(volume, Volume)
    path.write_bytes(write_reconstruction(volume, some_projections(), replace(STUDY, series_number=9), NOON))
    return path


def _map_files(folder: Path, source_of_map: MapSource) -> list[Path]:
    """Return the files that the map was made of."""
    if source_of_map is MapSource.CT:
        return stored(folder, write_ct(a_ct(), STUDY, NOON))
    if source_of_map is MapSource.NETWORK:
        return []
    path = folder / "map.dcm"
    path.write_bytes(write_transmission(_mu_map(), some_projections(), replace(STUDY, series_number=8), NOON))
    return [path]


def _mu_map() -> Volume:
    """Return water where the body is, on the grid of the reconstructions."""
    _, y, x = np.indices(GRID.shape)
    body = ((y - 15.5) / 10) ** 2 + ((x - 15.5) / 14) ** 2 < 1
    return Volume(np.where(body, 0.15, 0.0).astype(np.float32), GRID, Unit.PER_CM)


def _context(pipeline: str) -> DerivationContext:
    return DerivationContext(pipeline, "1", "0.1.0", {}, NOON)
