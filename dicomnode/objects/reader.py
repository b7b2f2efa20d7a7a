"""DICOM files -> the arrays with geometry that pipelines work on: NM projections and NM reconstructions.

Whatever the camera left out and could be guessed is said in `assumptions`; what can't be guessed makes the study
unsuitable, with a sentence that names the attribute, what was found and what was expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.cardiac_state import cardiac_state
from dicomnode.objects.elements import PARSE_ERRORS, first_item, integer, items, number, numbers, text, texts
from dicomnode.objects.frames import (
    NM_IMAGE_STORAGE,
    RECON_AXES,
    ROTATION,
    RR_INTERVAL,
    SLICE,
    TIME_SLOT,
    TOMO_AXES,
    WINDOW,
    FrameIndex,
    index_frames,
)
from dicomnode.objects.orbit import Orbit, read_orbit
from dicomnode.objects.pixels import pixel_size_mm, read_pixels
from dicomnode.objects.tracer import radionuclide
from pipelines.contract import Acquisition, PatientSex
from pipelines.geometry import VoxelGrid
from pipelines.images import EnergyWindow, Projections, Unit, UnsuitableAcquisition, Volume

TC99M_KEV = 140.5
_USUAL_WINDOW = (126.45, 154.55)  # 20 % about the photopeak of Tc-99m
_WIDEST_MM = 1000.0  # detectors are half as wide; a square matrix may reach over their edge
_MOST_MBQ = 1e4  # ten times what anybody is given
_UNITS = {unit.value: unit for unit in Unit}
_SEXES = {sex.value: sex for sex in PatientSex}


def read_dataset_file(path: Path, stop_before_pixels: bool = False) -> Dataset:
    """Return the whole dataset of a DICOM file, or what stands before its pixels.

    Raises StudyUnsuitable if it can't be read. A deflated one isn't: a small file may unpack to any size, and the
    listener takes none (PS3.5 A.5).
    """
    try:
        syntax = read_file_meta_info(str(path)).get("TransferSyntaxUID")
        if syntax == DeflatedExplicitVRLittleEndian:
            raise StudyUnsuitable(f"the instance {path.name} is deflated, expected an uncompressed dataset")
        return dcmread(path, stop_before_pixels=stop_before_pixels)
    except PARSE_ERRORS as error:
        raise StudyUnsuitable(f"the instance {path.name} can't be read as DICOM ({type(error).__name__})") from None


def read_acquisition(path: Path) -> Acquisition:
    """Return the projections of an NM TOMO or GATED TOMO image, or the volume of an NM RECON TOMO image.

    Projections come in the order rotation, detector, view; the angles tell where each view was taken. Raises
    StudyUnsuitable if the image is of another kind or doesn't say what a reconstruction must know.
    """
    ds = read_dataset_file(path)
    kind = (*texts(ds, "ImageType"), "", "", "")[2]
    if text(ds, "SOPClassUID") != NM_IMAGE_STORAGE or kind not in (
        "TOMO", "GATED TOMO", "RECON TOMO", "RECON GATED TOMO",
    ):  # fmt: skip
        raise StudyUnsuitable(f"Image Type value 3: found {kind or 'nothing'}, expected an NM TOMO or RECON TOMO image")
    key = text(ds, "SOPInstanceUID")
    state, notes = cardiac_state(ds)
    try:
        volume, projections, window = None, None, None
        if kind.startswith("RECON"):
            volume, more = _volume(ds)
            placed = _says_where_it_lies(ds)
            window = _window_of_reconstruction(ds)
        else:
            projections, more, placed = _projections(ds)
    except UnsuitableAcquisition as error:
        raise StudyUnsuitable(str(error)) from None
    activity, of_activity = _activity(ds)
    return Acquisition(
        key,
        projections,
        volume,
        state,
        _sex(ds),
        injected_mbq=activity,
        camera_model=text(ds, "ManufacturerModelName"),
        collimator=text(first_item(ds, "DetectorInformationSequence"), "CollimatorGridName"),
        assumptions=(*notes, *more, *of_activity),
        position_known=placed,
        window=window,
        radionuclide=radionuclide(ds),
    )


def _sex(ds: Dataset) -> PatientSex:
    return _SEXES.get(text(ds, "PatientSex").upper(), PatientSex.UNKNOWN)


def injected_mbq(ds: Dataset) -> float | None:
    """Return the activity of the first tracer in MBq (PS3.3 C.8.4.10); cameras write 0 for what they were not told."""
    return _activity(ds)[0]


def _activity(ds: Dataset) -> tuple[float | None, tuple[str, ...]]:
    """Return the injected activity in MBq and what had to be assumed of it."""
    stated = number(first_item(ds, "RadiopharmaceuticalInformationSequence"), "RadionuclideTotalDose")
    if not stated or stated <= 0:
        return None, ()
    if stated <= _MOST_MBQ:
        return stated, ()
    return stated / 1e6, (f"Radionuclide Total Dose is {stated:.4g}: taken as Bq, as PET images state it",)


def read_volume(paths: Sequence[Path]) -> Volume:
    """Return the volume of an NM RECON TOMO image (see `read_noted_volume`)."""
    return read_noted_volume(paths)[0]


def read_noted_volume(paths: Sequence[Path]) -> tuple[Volume, tuple[str, ...]]:
    """Return the volume of an NM RECON TOMO image (one multi-frame file), and what had to be assumed of it.

    Gates of a gated one are summed. Raises StudyUnsuitable if there isn't exactly one file, or if it doesn't say where
    its slices lie.
    """
    if len(paths) != 1:
        raise StudyUnsuitable(f"a reconstruction is one multi-frame NM image, found {len(paths)} files")
    return _volume(read_dataset_file(paths[0]))


def axial_extent_mm(ds: Dataset) -> tuple[float, float] | None:
    """Return the lowest and the highest place (LPS z) that an NM TOMO or RECON TOMO image shows.

    None if it doesn't say where it lies in the patient's coordinates. Needs no pixels. Raises StudyUnsuitable if the
    geometry of its views or slices can't be read.
    """
    if not (*texts(ds, "ImageType"), "", "", "")[2].startswith("RECON"):
        orbit = read_orbit_of(ds)[1]
        geometry = orbit.geometry
        if not orbit.position_known:
            return None
        reach = geometry.rows * geometry.pixel_size_mm[0] / 2
        return geometry.isocenter_mm[2] - reach, geometry.isocenter_mm[2] + reach
    frames = index_frames(ds, RECON_AXES)
    if frames.flaw:
        raise StudyUnsuitable(frames.flaw)
    shape = (frames.steps(SLICE), integer(ds, "Rows") or 0, integer(ds, "Columns") or 0)
    grid = _grid(ds, shape, [])
    if not _says_where_it_lies(ds):
        return None
    corners = np.ndindex(2, 2, 2)
    heights = [float(grid.position_mm(*(np.array(corner) * (np.array(shape) - 1)))[2]) for corner in corners]
    return min(heights), max(heights)


def read_orbit_of(ds: Dataset) -> tuple[FrameIndex, Orbit]:
    """Return where each frame of an NM TOMO image belongs, and the geometry of its views.

    Raises StudyUnsuitable if a frame is missing or twice there, or if a view's position isn't known.
    """
    frames = index_frames(ds, TOMO_AXES)
    if frames.flaw:
        raise StudyUnsuitable(frames.flaw)
    return frames, read_orbit(ds, frames)


def _projections(ds: Dataset) -> tuple[Projections, tuple[str, ...], bool]:
    """Return the projections, what had to be assumed, and whether their place in the patient is known."""
    frames, orbit = read_orbit_of(ds)
    geometry = orbit.geometry
    pixels = read_pixels(ds).not_negative()
    if (width_mm := geometry.columns * geometry.pixel_size_mm[1]) > _WIDEST_MM:
        raise StudyUnsuitable(
            f"Pixel Spacing: found {geometry.columns} columns of {geometry.pixel_size_mm[1]:g} mm, {width_mm:g} mm in "
            f"all, expected no more than {_WIDEST_MM:g}, as no detector is wider"
        )
    notes = [*orbit.assumptions, *pixels.notes]
    if frames.steps(RR_INTERVAL) > 1:
        notes.append(f"{frames.steps(RR_INTERVAL)} R-R intervals were added together")
    shape = (frames.steps(WINDOW), frames.steps(TIME_SLOT), geometry.views, geometry.rows, geometry.columns)
    if pixels.values.shape != (len(orbit.view_of), geometry.rows, geometry.columns):
        raise StudyUnsuitable(
            f"the pixels decode to {pixels.values.shape}, expected frames x rows x columns = "
            f"({len(orbit.view_of)}, {geometry.rows}, {geometry.columns})"
        )
    counts = np.zeros(shape, dtype=np.float32)
    np.add.at(counts, (frames.column(WINDOW), frames.column(TIME_SLOT), orbit.view_of), pixels.values)
    counts = counts[..., :: -1 if orbit.flip_rows else 1, :: -1 if orbit.flip_columns else 1]
    windows, photopeak = _energy_windows(ds, shape[0], notes)
    if not counts[photopeak].any():
        raise StudyUnsuitable("the photopeak's projections hold no counts at all")
    projections = Projections(
        np.ascontiguousarray(counts), geometry, windows, photopeak, view_time_s=_view_time_s(ds, frames)
    )
    return projections, tuple(notes), orbit.position_known


def _view_time_s(ds: Dataset, frames: FrameIndex) -> float | None:
    durations = {
        number(rotation, "ActualFrameDuration")
        for rotation in items(ds, "RotationInformationSequence")[: frames.steps(ROTATION)]
    }
    duration = durations.pop() if len(durations) == 1 else None
    return duration / 1000 if duration and duration > 0 else None


def _energy_windows(ds: Dataset, count: int, notes: list[str]) -> tuple[tuple[EnergyWindow, ...], int]:
    """Return the energy windows and which of them is the photopeak's."""
    described = items(ds, "EnergyWindowInformationSequence")
    windows = tuple(
        _energy_window(described[k] if k < len(described) else Dataset(), k, count, notes) for k in range(count)
    )
    holding = [k for k, window in enumerate(windows) if window.holds(TC99M_KEV)]
    if not holding:
        ranges = ", ".join(f"{window.lower_kev:g}-{window.upper_kev:g} keV" for window in windows)
        if count > 1:
            raise StudyUnsuitable(
                f"Energy Window Range: found {ranges}, expected one that holds {TC99M_KEV} keV (Tc-99m)"
            )
        notes.append(f"the only energy window, {ranges}, does not hold {TC99M_KEV} keV (Tc-99m): used as the photopeak")
        return windows, 0
    return windows, min(holding, key=lambda k: windows[k].upper_kev - windows[k].lower_kev)


def _energy_window(described: Dataset, position: int, count: int, notes: list[str]) -> EnergyWindow:
    """Return one window; of several ranges the one that holds the photopeak, else all that they span."""
    name = text(described, "EnergyWindowName")
    ranges = []
    for one in items(described, "EnergyWindowRangeSequence"):
        lower, upper = number(one, "EnergyWindowLowerLimit"), number(one, "EnergyWindowUpperLimit")
        if lower is not None and upper is not None and 0 <= lower < upper:
            ranges.append((lower, upper))
    if not ranges:
        if count > 1:
            raise StudyUnsuitable(
                f"Energy Window Range of energy window {position + 1}: found none, expected limits in keV"
            )
        notes.append(f"Energy Window Range is not stated: taken as {_USUAL_WINDOW[0]}-{_USUAL_WINDOW[1]} keV (Tc-99m)")
        return EnergyWindow(*_USUAL_WINDOW, name, stated=False)
    if len(ranges) > 1:
        notes.append(f"energy window {position + 1} is made of {len(ranges)} ranges")
    chosen = [one for one in ranges if one[0] <= TC99M_KEV <= one[1]]
    spanned = (min(one[0] for one in ranges), max(one[1] for one in ranges))
    if not chosen and spanned[0] <= TC99M_KEV <= spanned[1]:
        chosen = [min(ranges)]  # as of thallium-201, 72 and 167 keV: what lies between them was not counted
    return EnergyWindow(*(chosen[0] if chosen else spanned), name)


def _window_of_reconstruction(ds: Dataset) -> EnergyWindow | None:
    """Return the energy window that a reconstruction states; None where it states none, or several."""
    described = items(ds, "EnergyWindowInformationSequence")
    if len(described) != 1:
        return None
    window = _energy_window(described[0], 0, 1, [])
    return window if window.stated else None


def _volume(ds: Dataset) -> tuple[Volume, tuple[str, ...]]:
    """Return the volume in stored order: slice k lies k signed Spacings Between Slices along row x column."""
    frames = index_frames(ds, RECON_AXES)
    if frames.flaw:
        raise StudyUnsuitable(frames.flaw)
    pixels = read_pixels(ds)
    notes = list(pixels.notes)
    shape = (frames.steps(SLICE), *pixels.values.shape[1:])
    values = np.zeros(shape, dtype=np.float32)
    np.add.at(values, frames.column(SLICE), pixels.values)
    if len(frames.index) > shape[0]:
        notes.append(f"{len(frames.index) // shape[0]} gates were added together")
    transmission = (*texts(ds, "ImageType"), "", "", "", "")[3] == "TRANSMISSION"
    unit = _UNITS.get(pixels.unit, Unit.PROPORTIONAL_COUNTS)
    if transmission and unit is not Unit.PER_CM:
        raise StudyUnsuitable(
            f"Measurement Units of the attenuation map: found {pixels.unit or 'nothing'}, expected /cm"
        )
    return Volume(values, _grid(ds, shape, notes), unit), tuple(notes)


def _stated_place(ds: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return Image Orientation and Image Position (Patient), empty where they are not stated."""
    detector = first_item(ds, "DetectorInformationSequence")
    orientation = numbers(detector, "ImageOrientationPatient") or numbers(ds, "ImageOrientationPatient")
    return orientation, numbers(detector, "ImagePositionPatient") or numbers(ds, "ImagePositionPatient")


def _says_where_it_lies(ds: Dataset) -> bool:
    """Tell whether a volume says where it lies; Mediso writes a zero for x, where no image's corner lies."""
    orientation, position = _stated_place(ds)
    return len(orientation) == 6 and len(position) == 3 and all(position[:2])


def _grid(ds: Dataset, shape: tuple[int, int, int], notes: list[str]) -> VoxelGrid:
    orientation, position = _stated_place(ds)
    between_rows, between_columns = pixel_size_mm(ds)
    if len(orientation) != 6:
        notes.append("Image Orientation (Patient) is not stated: taken as transaxial, seen from the feet")
        orientation = (1, 0, 0, 0, 1, 0)
    spacing = number(ds, "SpacingBetweenSlices") or 0.0
    if not spacing:
        spacing = number(ds, "SliceThickness") or between_rows
        notes.append(f"Spacing Between Slices is not stated: taken as {spacing:g} mm, first slice nearest the feet")
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    affine = np.eye(4)
    affine[:3, 0] = along_row * between_columns
    affine[:3, 1] = along_column * between_rows
    affine[:3, 2] = np.cross(along_row, along_column) * spacing
    if len(position) == 3:
        affine[:3, 3] = position
    else:
        notes.append("Image Position (Patient) is not stated: the volume's middle was put at the origin")
        middle = np.array([shape[2] - 1, shape[1] - 1, shape[0] - 1]) / 2
        affine[:3, 3] = -affine[:3, :3] @ middle
    try:
        return VoxelGrid(shape, tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in affine))
    except ValueError as error:
        raise StudyUnsuitable(f"Image Orientation (Patient): found {orientation}, {error}") from None
