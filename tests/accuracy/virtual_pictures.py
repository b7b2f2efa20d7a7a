"""Draws virtual studies as a reading room shows them: `python -m tests.accuracy.virtual_pictures --out DIR`.

`--real FILE` besides draws a real camera's TOMO beside a virtual one in the same display; that picture holds a
patient's image and stays where it was written.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dicomnode.objects.reader import read_acquisition
from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.left_ventricle import find_left_ventricle
from pipelines.cardiac.polar_map import as_disk, polar_map
from pipelines.cardiac.reorientation import Orientation, reoriented
from pipelines.images import Projections, Volume
from pipelines.reconstruction.filters import Butterworth
from pipelines.reconstruction.reconstruct import Scatter, Settings, reconstruct, reconstruct_gates
from pipelines.simulation.acquisition import acquire
from pipelines.simulation.anatomy import Sex
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.registration import attenuation_map, computed_tomography
from pipelines.simulation.uptake import Defect
from pipelines.simulation.virtual_patient import VirtualPatient, make_patient

Image = NDArray[np.floating]

SHOWN = Settings(iterations=8, subsets=2, post_filter=Butterworth(0.42, 6))
ANTERIOR_SCAR = Defect(
    center=(0.62, 0.15, 0.77), half_length_deg=42.0, half_width_deg=44.0, severity=0.8, reversible=0.0
)
ACROSS = (0.22, 0.36, 0.50, 0.64, 0.78, 0.92)  # short-axis slices as shares of the way from apex to base
VIEWS = 7
HALF_FIELD_MM = 62.0


@dataclass(frozen=True)
class Shown:
    """A study on a row of the page."""

    title: str
    projections: Projections
    volume: Volume
    ventricle: LeftVentricle


def study(title: str, patient: VirtualPatient, camera: str = "discovery", gated: bool = False) -> Shown:
    """Return a virtual study, counted and reconstructed."""
    return shown(title, acquire(patient, CAMERAS[camera], np.random.default_rng(patient.truth.seed), gated=gated))


def shown(title: str, projections: Projections) -> Shown:
    """Return a study with its reconstruction, not corrected for attenuation."""
    volume = reconstruct(projections, SHOWN)
    return Shown(title, projections, volume, find_left_ventricle(volume))


def studies_page(rows: list[Shown]) -> Figure:
    """Return a page with a row per study: some views, short and long axes, the polar map."""
    columns = VIEWS + len(ACROSS) + 3
    figure = Figure(figsize=(columns * 0.95, len(rows) * 1.12))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for own, row in zip(axes, rows, strict=True):
        _draw_views(own[:VIEWS], row)
        _draw_heart(own[VIEWS:], row.volume, row.ventricle)
        own[0].set_title(row.title, fontsize=7, loc="left")
    _finish(figure)
    return figure


def _draw_views(axes: NDArray[np.object_], row: Shown) -> None:
    frames = row.projections.ungated().photopeak_counts()[0]
    picked = np.rint(np.linspace(0, len(frames) - 1, VIEWS)).astype(int)
    top = np.percentile(frames[picked], 99.6)
    for axis, view in zip(axes, picked, strict=True):
        _draw(axis, frames[view], top, "gray_r")


def _draw_heart(axes: NDArray[np.object_], volume: Volume, ventricle: LeftVentricle) -> None:
    """Draw six short axes, both long axes and the polar map."""
    top = _heart_maximum(volume, ventricle)
    short = reoriented(volume, ventricle, Orientation.SHORT_AXIS)
    half = float(np.linalg.norm(np.subtract(ventricle.apex_mm, ventricle.base_mm))) / 2
    for axis, share in zip(axes, ACROSS, strict=False):
        # slices run from the apex to the base
        middle = (short.grid.shape[0] - 1) / 2
        index = middle + (share - 0.5) * 2 * half / short.grid.voxel_mm[0]
        _draw(axis, _middle(short, round(index)), top, "inferno")
    rest = axes[len(ACROSS) :]
    for axis, orientation in zip(
        rest, (Orientation.VERTICAL_LONG_AXIS, Orientation.HORIZONTAL_LONG_AXIS), strict=False
    ):
        long = reoriented(volume, ventricle, orientation)
        _draw(axis, _middle(long, long.grid.shape[0] // 2), top, "inferno")
    counts = polar_map(volume, ventricle).counts
    _draw(rest[2], as_disk(counts / np.percentile(counts, 97), 160, np.nan), 1.0, "inferno")


def _heart_maximum(volume: Volume, ventricle: LeftVentricle) -> float:
    return float(np.percentile(polar_map(volume, ventricle).counts, 97))


def _middle(volume: Volume, index: int) -> Image:
    """Return the part of a slice that shows the heart."""
    slice_ = volume.values[index]
    cut = max(int(slice_.shape[0] / 2 - HALF_FIELD_MM / volume.grid.voxel_mm[1]), 0)
    return np.asarray(slice_[cut : slice_.shape[0] - cut, cut : slice_.shape[1] - cut])


def bodies_page(patients: list[tuple[str, VirtualPatient]]) -> Figure:
    """Return a page with a row per patient: CT and attenuation map, polar maps without and with correction."""
    figure = Figure(figsize=(14.0, 2.15 * len(patients)))
    axes = figure.subplots(len(patients), 7, squeeze=False)
    for own, (title, patient) in zip(axes, patients, strict=True):
        ct = computed_tomography(patient, np.random.default_rng(patient.truth.seed))
        z, y, _ = np.rint(ct.grid.index_of(patient.truth.ventricle_center_mm)).astype(int)
        body = ct.values[:, 30:230]
        stretch = ct.grid.voxel_mm[0] / ct.grid.voxel_mm[1]
        _draw(own[0], body[z], 240, "gray", low=-160)
        _draw(own[1], body[z], 200, "gray", low=-1150)
        _draw(own[2], ct.values[::-1, y], 240, "gray", low=-160, aspect=stretch)
        mu = attenuation_map(patient)
        z = round(float(mu.grid.index_of(patient.truth.ventricle_center_mm)[0]))
        _draw(own[3], mu.values[z], 0.2, "gray")
        _draw_corrections(own[4:], patient, mu)
        own[0].set_title(title, fontsize=8, loc="left")
    for axis, words in zip(
        axes[0][1:],
        ("CT, lung", "CT, coronal", "attenuation map", "short axis", "not corrected", "corrected"),
        strict=True,
    ):
        axis.set_title(words, fontsize=8)
    _finish(figure)
    return figure


def _draw_corrections(axes: NDArray[np.object_], patient: VirtualPatient, mu: Volume) -> None:
    seen = acquire(patient, CAMERAS["discovery"], np.random.default_rng(patient.truth.seed))
    corrected = reconstruct(seen, Settings(8, 2, SHOWN.post_filter, scatter=Scatter.EFFECTIVE_SOURCE), mu_map=mu)
    ventricle = find_left_ventricle(corrected)
    short = reoriented(corrected, ventricle, Orientation.SHORT_AXIS)
    _draw(axes[0], _middle(short, short.grid.shape[0] // 2), _heart_maximum(corrected, ventricle), "inferno")
    for axis, volume in zip(axes[1:], (reconstruct(seen, SHOWN), corrected), strict=True):
        counts = polar_map(volume, ventricle).counts
        _draw(axis, as_disk(counts / np.percentile(counts, 97), 160, np.nan), 1.0, "inferno")


def gates_figure(row: Shown) -> Figure:
    """Return the beating heart: the middle short axis and the vertical long axis of each gate."""
    gates = reconstruct_gates(row.projections, Settings(8, 2, Butterworth(0.35, 5)))
    figure = Figure(figsize=(len(gates) * 1.1, 2.4))
    axes = figure.subplots(2, len(gates))
    top = np.mean([_heart_maximum(gate, row.ventricle) for gate in gates])
    for own, orientation in zip(axes, (Orientation.SHORT_AXIS, Orientation.VERTICAL_LONG_AXIS), strict=True):
        for axis, gate in zip(own, gates, strict=True):
            turned = reoriented(gate, row.ventricle, orientation)
            _draw(axis, _middle(turned, turned.grid.shape[0] // 2), float(top), "inferno")
    _finish(figure)
    return figure


def _draw(axis: Axes, image: Image, top: float, colors: str, low: float = 0.0, aspect: float = 1.0) -> None:
    axis.imshow(image, vmin=low, vmax=top, cmap=colors, aspect=aspect, interpolation="bilinear")


def _finish(figure: Figure) -> None:
    for axis in figure.axes:
        axis.set_axis_off()
    figure.subplots_adjust(left=0.005, right=0.995, top=0.95, bottom=0.005, wspace=0.03, hspace=0.16)


def main() -> None:
    """Make the patients, draw the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--real", type=Path, help="a camera's TOMO, drawn beside a virtual one")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(min(2, torch.get_num_threads()))
    man = make_patient(4101, sex=Sex.MALE, body_mass_index=26.0, defects=())
    woman = make_patient(4102, sex=Sex.FEMALE, body_mass_index=26.0, defects=())
    ill = make_patient(4103, sex=Sex.MALE, body_mass_index=28.0, defects=(ANTERIOR_SCAR,))
    large = make_patient(4104, sex=Sex.FEMALE, body_mass_index=39.0, defects=())
    beating = study("gated, all gates together", make_patient(4105, sex=Sex.MALE, defects=()), gated=True)
    first = study("normal man", man)
    rows = [first, study("normal woman", woman), study("large anterior scar", ill), study("BMI 39", large), beating]
    studies_page(rows).savefig(asked.out / "virtual-studies.png", dpi=66)
    bodies = [("man", man), ("woman", woman), ("woman, BMI 39", large)]
    bodies_page(bodies).savefig(asked.out / "virtual-bodies.png", dpi=60)
    gates_figure(beating).savefig(asked.out / "virtual-gates.png", dpi=96)
    if asked.real:
        real = read_acquisition(asked.real).projections
        if real is not None:
            studies_page([shown("real", real), *rows[:3]]).savefig(asked.out / "beside-a-real-study.png", dpi=96)
    print(f"pictures in {asked.out}")


if __name__ == "__main__":
    main()
