"""Made-up scans for the tests of the attenuation evaluation: records and images of the right shapes, tiny networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipelines.cardiac.segments import ANGLES, RINGS, segment_means
from pipelines.evaluation.attenuation.arrays import Plane, ScanArrays, plane_key, polar_key
from pipelines.evaluation.attenuation.cases import SHIFTS_MM
from pipelines.evaluation.attenuation.material import Material
from pipelines.evaluation.attenuation.models import PAPER_NAME
from pipelines.evaluation.attenuation.record import (
    Frame,
    HeartFigures,
    MapFigures,
    Method,
    Patient,
    RegistrationFigures,
    Road,
    ScanRecord,
)
from pipelines.images import Array
from pipelines.networks.model_card import ModelCard
from pipelines.networks.mu_map import ARCHITECTURE, MuMapNetwork
from pipelines.networks.weights import write_model
from pipelines.training.mu_map_figures import CLASSES
from pipelines.training.paper_mu_map import ARCHITECTURE as PAPER_ARCHITECTURE
from pipelines.training.paper_mu_map_settings import PaperMapSettings

ERROR = {  # of polar maps, in percent
    Method.NONE: 9.0, Method.UNIFORM: 6.0, Method.CHANG: 5.5, Method.PAPER: 2.0, Method.OURS: 0.8,
    Method.OURS_PEAK: 1.0, Method.OURS_BARE: 1.2, Method.CT_BY_HAND: 2.5, Method.CT_REGISTERED: 1.5,
    Method.CTAC_REGISTERED: 0.7, Method.CTAC: 0.0,
}  # fmt: skip
ALL = tuple(Method)
UNTRAINED = tuple(method for method in Method if method is not Method.PAPER)
TINY_PAPER = PaperMapSettings(
    filters=(4, 8), discriminator_filters=(4, 8), dense=(16, 8), patch=(16, 16, 16), patches=4, voxel_mm=16.0,
    size="compact",
)  # fmt: skip


def a_heart(polar: Array, tpd: float) -> HeartFigures:
    means = segment_means(polar.astype(np.float64), np.ones((RINGS, ANGLES)))
    percent = tuple(float(one) for one in 100.0 * np.array(means) / float(polar.max()))
    return HeartFigures(percent, tpd, round(tpd * 0.6))


def a_scan(
    number: int = 1, camera: str = "symbia", methods: Sequence[Method] = ALL, study: int = 0
) -> tuple[ScanRecord, ScanArrays]:
    """One scan: what each method misses grows as in `ERROR`."""
    rng = np.random.default_rng([number, study])
    tpd = float(rng.uniform(0.0, 20.0))
    wall = 60.0 + 40.0 * np.abs(np.sin(np.arange(ANGLES) / 11.0 + number))[None] * np.ones((RINGS, 1))
    roads = [Road.PRAC] if camera == "iq-spect" else list(Road)
    images: dict[str, Array] = {}
    hearts: dict[str, dict[str, dict[str, HeartFigures | None]]] = {}
    for road in roads:
        hearts[road.value] = {frame.value: {} for frame in Frame}
        for frame in Frame:
            for method in methods:
                if road is Road.OSEM and method is Method.CHANG:
                    continue
                noise = 1.0 + ERROR[method] / 100.0 * rng.normal(size=(RINGS, 6)).repeat(ANGLES // 6, axis=1)
                polar = (wall * np.maximum(noise, 0.1)).astype(np.float32)
                images[polar_key(road, frame, method)] = polar
                read = float(max(tpd + 0.3 * ERROR[method] * rng.normal(), 0.0))
                hearts[road.value][frame.value][method.value] = a_heart(polar, read)
    maps = [method for method in methods if method not in (Method.NONE, Method.CHANG)]
    for plane in Plane:
        for shown in (None, *maps):
            images[plane_key(plane, shown)] = rng.uniform(0.0, 0.16, (24, 24)).astype(np.float32)
    reference = a_heart(wall.astype(np.float32), tpd)
    record = ScanRecord(
        patient=Patient(number, "F" if number % 2 else "M", 60, 1.7, 80.0, "low", tpd),
        study=study,
        camera=camera,
        state="stress",
        million_counts=5.0,
        misregistration_mm=(3.0, -4.0, 5.0),
        misregistration_deg=(0.5, 0.0, 1.0),
        breath_mm=-4.0,
        maps={
            method.value: MapFigures(
                0.004 * ERROR[method] + 0.001 * float(rng.random()), 0.01 * ERROR[method], ERROR[method],
                -ERROR[method], dict.fromkeys(CLASSES, 0.9),
            )
            for method in maps
        },
        hearts=hearts,
        shifted=dict.fromkeys(SHIFTS_MM, reference) if camera == "symbia" else {},
        registrations={
            method.value: RegistrationFigures((-2.0, 3.0, -4.0), (0.1, 0.0, -0.5), 0.95, 0.97, 7.0, 2.0)
            for method in (Method.CT_REGISTERED, Method.CTAC_REGISTERED)
            if camera == "symbia"
        },
    )  # fmt: skip
    return record, ScanArrays(6.6, images)


def a_material(scans: int = 6, methods: Sequence[Method] = ALL, others: int = 0) -> Material:
    """Scans of the main camera, and of another, with their images; few pixels, so that they are soon compared."""
    made = [a_scan(number, methods=methods) for number in range(1, scans + 1)]
    made += [a_scan(number, "iq-spect", methods) for number in range(1, others + 1)]
    images = {record.name: arrays for record, arrays in made}
    return Material(tuple(record for record, _ in made), images, "compact copy", pixels=48)


def tiny_models(folder: Path) -> None:
    """Write untrained networks: "tiny", and the paper's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = [MuMapNetwork((4, 8), 1) for _ in range(2)]
        generator = TINY_PAPER.generator()
    card = ModelCard(
        name="tiny", version="0.1", architecture=ARCHITECTURE,
        settings={"widths": "4 8", "finer": 1, "voxel_mm": 19.2}, domain={}, seeds=(0, 1), figures={},
        evidence="none",
    )  # fmt: skip
    write_model(folder, card, [dict(network.state_dict()) for network in networks])
    paper = ModelCard(
        name=PAPER_NAME, version="0.1", architecture=PAPER_ARCHITECTURE, settings=TINY_PAPER.stated(), domain={},
        seeds=(0,), figures={}, evidence="none",
    )  # fmt: skip
    write_model(folder, paper, [dict(generator.state_dict())])
