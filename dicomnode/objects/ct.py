"""A CT series -> one volume in Hounsfield units on its grid in the patient (LPS mm).

Slices are ordered by where they lie, never by number or name. A series that doesn't fill its volume evenly is refused:
an attenuation map with a gap or a shear would be wrong without looking wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.decoding import Decoder
from dicomnode.objects.elements import integer, number, numbers, text, texts
from dicomnode.objects.pixels import pixel_size_mm, read_pixels
from dicomnode.objects.reader import read_dataset_file
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume

Float = NDArray[np.float64]

AIR_HU = -1024.0  # what is below it is padding outside the reconstructed circle
_MOST_VOXELS = 1 << 28
_SAME_PLACE_MM = 0.02
_UNEVEN = 0.05  # share of the slice distance by which one may differ: positions are often rounded to 0.1 mm
_TILT_DEG = 0.5
_SAME_IN_ALL = ("SeriesInstanceUID", "FrameOfReferenceUID", "Rows", "Columns")
_ALIKE_IN_ALL = {"PixelSpacing": 1e-4, "ImageOrientationPatient": 1e-3}  # up to rounding


@dataclass(frozen=True)
class _Slice:
    path: Path
    header: Dataset
    position_mm: Float
    along_mm: float  # of the position along the slices' normal


def read_ct(paths: Sequence[Path]) -> Volume:
    """Return the volume of a CT series, one file per slice, in any order; values in Hounsfield units.

    The first slice is the lowest along row x column, for a plain axial scan the one nearest the feet. Raises
    StudyUnsuitable for what is no CT in Hounsfield units, for slices of several series or sizes, missing or doubled
    slices, and slices that a tilted gantry has sheared against each other.
    """
    if len(paths) < 2:
        raise StudyUnsuitable(f"the CT has {len(paths)} slices, expected a series of at least 2")
    headers = [_header(path) for path in paths]
    _check_alike(headers)
    slices = _in_order(paths, headers)
    grid = _grid(slices)
    if math.prod(grid.shape) > _MOST_VOXELS:
        raise StudyUnsuitable(f"the CT claims {' x '.join(map(str, grid.shape))} voxels, more than any scanner gives")
    values = np.empty(grid.shape, dtype=np.float32)
    with Decoder() as decoder:
        for k, one in enumerate(slices):
            values[k] = _units(one.path, grid.shape[1:], decoder)
    return Volume(values, grid, Unit.HOUNSFIELD)


def _header(path: Path) -> Dataset:
    ds = read_dataset_file(path, stop_before_pixels=True)
    if text(ds, "SOPClassUID") != CTImageStorage:
        found = text(ds, "Modality") or "no modality"
        raise StudyUnsuitable(f"{path.name}: found {found} that is no CT Image, expected one CT Image per slice")
    image_type = texts(ds, "ImageType")
    if {"LOCALIZER", "SCOUT", "TOPOGRAM"} & {word.upper() for word in image_type}:
        raise StudyUnsuitable(f"{path.name}: Image Type is {chr(92).join(image_type)}, expected an axial slice")
    if not number(ds, "RescaleSlope") or number(ds, "RescaleIntercept") is None:
        raise StudyUnsuitable(f"{path.name}: Rescale Slope and Intercept are missing, so it tells no Hounsfield units")
    kind = text(ds, "RescaleType").upper()
    if kind not in ("", "HU"):
        raise StudyUnsuitable(f"{path.name}: Rescale Type is {kind}, expected HU (Hounsfield units)")
    return ds


def _check_alike(headers: Sequence[Dataset]) -> None:
    """Raise StudyUnsuitable if the slices don't belong to one series of one size, orientation and pixel."""
    different = [keyword for keyword in _SAME_IN_ALL if len({texts(header, keyword) for header in headers}) > 1]
    for keyword, tolerance in _ALIKE_IN_ALL.items():
        first = numbers(headers[0], keyword)
        if not all(_close(numbers(header, keyword), first, tolerance) for header in headers):
            different.append(keyword)
    if different:
        raise StudyUnsuitable(f"the CT slices differ in {', '.join(different)}, expected slices of one series")


def _close(one: tuple[float, ...], other: tuple[float, ...], tolerance: float) -> bool:
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=tolerance))


def _in_order(paths: Sequence[Path], headers: Sequence[Dataset]) -> list[_Slice]:
    """Return the slices from low to high along their normal."""
    orientation = numbers(headers[0], "ImageOrientationPatient")
    if len(orientation) != 6:
        raise StudyUnsuitable("Image Orientation (Patient) of the CT: found nothing, expected six numbers")
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1, atol=1e-2) or abs(float(row @ column)) > 1e-2:
        raise StudyUnsuitable(
            f"Image Orientation (Patient) of the CT: found {orientation}, expected two perpendicular directions"
        )
    normal = np.cross(row, column)
    slices = []
    for path, header in zip(paths, headers, strict=True):
        position = numbers(header, "ImagePositionPatient")
        if len(position) != 3:
            raise StudyUnsuitable(f"{path.name}: Image Position (Patient) is missing, so its place is not known")
        slices.append(_Slice(path, header, np.array(position), float(normal @ position)))
    return sorted(slices, key=lambda one: one.along_mm)


def _grid(slices: Sequence[_Slice]) -> VoxelGrid:
    """Return the grid that the slices fill. Raises StudyUnsuitable if they fill none."""
    first, last = slices[0], slices[-1]
    along = np.array([one.along_mm for one in slices])
    _check_even(along)
    through = (last.position_mm - first.position_mm) / (len(slices) - 1)
    orientation = numbers(first.header, "ImageOrientationPatient")
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    _check_straight(slices, through, np.cross(row, column))
    between_rows, between_columns = pixel_size_mm(first.header)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * between_columns, column * between_rows
    affine[:3, 2], affine[:3, 3] = through, first.position_mm
    shape = (len(slices), integer(first.header, "Rows") or 0, integer(first.header, "Columns") or 0)
    rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in affine)
    try:
        return VoxelGrid(shape, rows)
    except ValueError as error:
        raise StudyUnsuitable(f"the CT's slices fill no volume: {error}") from None


def _check_even(along_mm: Float) -> None:
    steps = np.diff(along_mm)
    usual = float(np.median(steps))
    twice = int(np.argmin(steps))
    if steps[twice] < _SAME_PLACE_MM:
        raise StudyUnsuitable(f"two CT slices lie at the same place, {along_mm[twice]:g} mm along the stack")
    odd = np.abs(steps - usual) > max(_UNEVEN * usual, 0.11)
    if np.any(odd):
        k = int(np.argmax(odd))
        raise StudyUnsuitable(
            f"between the CT slices at {along_mm[k]:g} and {along_mm[k + 1]:g} mm are {steps[k]:g} mm, expected "
            f"{usual:g} mm as between the others: slices are missing or belong to another scan"
        )


def _check_straight(slices: Sequence[_Slice], through: Float, normal: Float) -> None:
    """Raise StudyUnsuitable if the stack leans: its slices are not right above each other."""
    length = float(np.linalg.norm(through))
    tilt = float(np.degrees(np.arccos(np.clip(abs(normal @ through) / length, -1, 1))))
    if tilt > _TILT_DEG:
        stated = number(slices[0].header, "GantryDetectorTilt")
        words = "" if not stated else f" (Gantry/Detector Tilt says {stated:g})"
        raise StudyUnsuitable(
            f"the CT was taken with the gantry tilted by {tilt:.1f} degrees{words}, expected slices right above each "
            "other"
        )
    expected = slices[0].position_mm + np.arange(len(slices))[:, None] * through
    off = np.linalg.norm(np.array([one.position_mm for one in slices]) - expected, axis=1)
    if off.max() > max(_UNEVEN * length, 0.11) * 2:
        raise StudyUnsuitable(
            f"the CT slice {slices[int(off.argmax())].path.name} lies {off.max():.2g} mm off the straight stack of the "
            "others"
        )


def _units(path: Path, shape: tuple[int, ...], decoder: Decoder) -> NDArray[np.float32]:
    ds = read_dataset_file(path)
    ds.pop("RealWorldValueMappingSequence", None)  # a CT's units are those of its Rescale Slope (PS3.3 C.8.2.1)
    values = read_pixels(ds, decoder).values
    if values.shape != (1, *shape):
        raise StudyUnsuitable(f"the pixels of {path.name} decode to {values.shape}, expected one frame of {shape}")
    return np.asarray(np.maximum(values[0], AIR_HU))
