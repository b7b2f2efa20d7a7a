"""One picture of how other programs show the node's images: `python -m tests.peers.display_sheet PICTURE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from pydicom import dcmread

from dicomnode.cli.main import run
from dicomnode.objects.derivation import DerivationContext
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.reader import read_acquisition, read_volume
from pipelines import reconstruction_pipeline
from pipelines.contract import Derived, DerivedKind, PipelineInput
from tests.factories import NOON
from tests.peers.geometry import back_project, place
from tests.peers.readers import READERS, Frames, by_simpleitk
from tests.peers.studies import GE_STRESS, real_file

VIRTUAL_ISOCENTER_MM = (0.0, 0.0, 0.0)  # where the virtual camera's axis lies
GE_ISOCENTER_MM = (0.4, -7.6, 23.0)  # of the real study: its Image Position is the corner of a cube around the axis


@dataclass(frozen=True)
class Shown:
    """An acquisition, the place of its axis, its attenuation map, and the instances that were derived from them."""

    tomo: Path
    isocenter_mm: tuple[float, float, float]
    map: Path | None
    derived: dict[DerivedKind, Path]


def virtual_patient(folder: Path) -> Shown:
    """Return the images of a virtual patient with an attenuation map."""
    command = ["simulate", "--patients", "1", "--seed", "31", "--state", "stress", "--map", "--out", str(folder)]
    assert run(command) == 0
    tomo, mu_map = next(folder.glob("*-tomo.dcm")), next(folder.glob("*-map.dcm"))
    return Shown(tomo, VIRTUAL_ISOCENTER_MM, mu_map, _derived(tomo, mu_map, folder))


def real_patient(folder: Path) -> Shown:
    """Return the images of the real GE study; skips the test where that is not at hand."""
    tomo = real_file(GE_STRESS)
    return Shown(tomo, GE_ISOCENTER_MM, None, _derived(tomo, None, folder))


def _derived(tomo: Path, mu_map: Path | None, folder: Path) -> dict[DerivedKind, Path]:
    """Return the real reconstruction, by kind; corrected kinds hold the same volumes under their own names."""
    given = PipelineInput(read_acquisition(tomo))
    result = reconstruction_pipeline.run(given, "cpu")
    volumes = {derived.kind: derived for derived in result.derived}
    recon, short_axis = volumes[DerivedKind.RECONSTRUCTION], volumes[DerivedKind.SHORT_AXIS]
    assert given.acquisition.projections is not None
    images = [
        Derived(DerivedKind.DENOISED_PROJECTIONS, given.acquisition.projections, "As acquired"),
        recon,
        replace(recon, kind=DerivedKind.CORRECTED_RECONSTRUCTION),
        short_axis,
        replace(short_axis, kind=DerivedKind.CORRECTED_SHORT_AXIS),
    ]
    if mu_map is not None:
        images.append(Derived(DerivedKind.MU_MAP, read_volume([mu_map]), "As acquired"))
    context = DerivationContext("attenuation_correction", "1", "0.1.0", {}, NOON)
    made = derived_instances([tomo], given, replace(result, derived=tuple(images), hearts=(), page=None), context)
    paths = {DerivedKind(instance.kind): folder / f"derived{number}.dcm" for number, instance in enumerate(made)}
    for instance in made:
        paths[DerivedKind(instance.kind)].write_bytes(instance.file_bytes)
    return paths


def sheet(shown: Shown, folder: Path) -> Figure:
    """Return the source in the first row, one row for each program, and a cross at the same place of all of them."""
    figure = Figure(figsize=(13, 11), layout="constrained")
    rows = {"source, by an independent look": _source(shown, folder)}
    for name, reader in READERS.items():
        rows[name] = {}
        for kind, path in shown.derived.items():
            own = folder / name / kind.name
            own.mkdir(parents=True)
            rows[name][kind] = reader(path, own)
    axes = figure.subplots(len(rows), len(_SHOWN))
    for line, (name, frames) in zip(axes, rows.items(), strict=True):
        for axis, (title, kind, picture) in zip(line, _pictures(shown, frames), strict=True):
            axis.imshow(picture, cmap="gray_r", interpolation="nearest")
            row, column = _cross(shown, kind, title)
            axis.axhline(row, color="tab:red", lw=0.4)
            axis.axvline(column, color="tab:red", lw=0.4)
            axis.set_title(f"{name}: {title}", fontsize=7)
            axis.set_axis_off()
    return figure


_SHOWN = (
    ("left anterior view", DerivedKind.DENOISED_PROJECTIONS),
    ("transaxial", DerivedKind.RECONSTRUCTION),
    ("coronal", DerivedKind.RECONSTRUCTION),
    ("attenuation map", DerivedKind.MU_MAP),
    ("short axis, middle", DerivedKind.SHORT_AXIS),
)
_LEFT_ANTERIOR = 15  # of 30 views from 225 degrees, clockwise: 135 degrees


def _pictures(shown: Shown, frames: dict[DerivedKind, Frames]) -> Iterator[tuple[str, DerivedKind, Frames]]:
    for title, kind in _SHOWN:
        if kind is DerivedKind.DENOISED_PROJECTIONS:
            yield title, kind, frames[kind][_LEFT_ANTERIOR]
            continue
        z, y, _ = _heart_at(shown, kind)
        yield title, kind, frames[kind][:, y][::-1] if title == "coronal" else frames[kind][z]


def _heart_at(shown: Shown, kind: DerivedKind) -> tuple[int, int, int]:
    """Return frame, row and column of the ventricle's middle in a volume, from headers alone."""
    middle = place(dcmread(shown.derived[DerivedKind.SHORT_AXIS])).middle_mm()
    away = np.linalg.norm(place(dcmread(shown.derived[kind])).positions_mm - middle, axis=-1)
    z, y, x = np.unravel_index(np.argmin(away), away.shape)
    return int(z), int(y), int(x)


def _cross(shown: Shown, kind: DerivedKind, title: str) -> tuple[float, float]:
    """Return row and column of the ventricle's middle in a picture."""
    if kind is DerivedKind.DENOISED_PROJECTIONS:
        tomo = dcmread(shown.tomo)
        x, y, z = place(dcmread(shown.derived[DerivedKind.SHORT_AXIS])).middle_mm()
        turn = tomo.RotationInformationSequence[0]
        angle = np.deg2rad(float(turn.StartAngle) - _LEFT_ANTERIOR * float(turn.AngularStep))
        rows, columns = map(float, tomo.PixelSpacing)
        return (tomo.Rows - 1) / 2 - z / rows, (tomo.Columns - 1) / 2 + (
            -x * np.cos(angle) + y * np.sin(angle)
        ) / columns
    frame, row, column = _heart_at(shown, kind)
    if title == "coronal":
        return int(dcmread(shown.derived[kind]).NumberOfFrames) - 1 - frame, column
    return row, column


def _source(shown: Shown, folder: Path) -> dict[DerivedKind, Frames]:
    """Return what the acquisition itself shows at the places of the derived images."""
    tomo = dcmread(shown.tomo)
    looked = {
        kind: back_project(tomo, place(dcmread(shown.derived[kind])).positions_mm, shown.isocenter_mm)
        for kind in (DerivedKind.RECONSTRUCTION, DerivedKind.SHORT_AXIS)
    }
    looked[DerivedKind.DENOISED_PROJECTIONS] = tomo.pixel_array.astype(float)
    assert shown.map is not None, "the sheet shows an attenuation map"
    looked[DerivedKind.MU_MAP] = by_simpleitk(shown.map, folder)
    return looked


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        sheet(virtual_patient(Path(scratch)), Path(scratch)).savefig(sys.argv[1], dpi=110)
