"""Planes through the patient: transaxial slices of the chest, three planes through the heart, the mu-map with it.

Where a heart was found the planes pass through it and its highest count is the scale; otherwise through the brightest
place of the left front chest, which is a choice of planes and no finding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from pipelines.cardiac.heart_frame import Point
from pipelines.contract import Heart
from pipelines.images import Volume
from pipelines.report.colors import BLACK_ON_WHITE, HOT_IRON, ON_PICTURES, PALE, WHITE_ON_BLACK, Rgb, colored
from pipelines.report.pictures import CAPTION, HEADING, caption, heading, marks
from pipelines.report.sampling import Float, spread
from pipelines.report.sheet import Box, Sheet
from pipelines.report.upright import UprightVolume

_LARGEST_FIELD_MM = 430.0  # a body with its arms up
_CHEST_FIELD_MM = 170.0
_SHOWN_MM = 130.0  # from the first to the last transaxial slice
_MU_SHOWN_PER_CM = 0.2
_SEEN_FROM, _DENSE_FROM, _DENSEST = 0.15, 0.5, 0.85  # of the scale: where emission shows on the map, and how much
_GAP = 8


class _Plane(Enum):
    """The axis of an upright volume that a plane stands across."""

    TRANSAXIAL = 0
    CORONAL = 1
    SAGITTAL = 2


_MARKS = {  # at the left, right, upper and lower edge
    _Plane.TRANSAXIAL: ("R", "L", "A", "P"),
    _Plane.CORONAL: ("R", "L", "H", "F"),
    _Plane.SAGITTAL: ("A", "P", "H", "F"),
}


@dataclass(frozen=True)
class Emission:
    """A reconstruction, where to cut it, and the count that is shown as 100 %."""

    name: str
    volume: UprightVolume
    place_mm: Point
    highest: float
    of_heart: bool

    @classmethod
    def of(cls, name: str, volume: Volume, heart: Heart | None) -> Emission:
        """Choose place and scale: those of the heart, if one was found."""
        upright = UprightVolume.of(volume)
        if heart is not None:
            return cls(name, upright, heart.ventricle.center_mm, float(heart.polar.counts.max()), True)
        place = upright.brightest_mm()
        index = round((place[2] - upright.origin_mm[0]) / upright.voxel_mm[0])
        near = round(_SHOWN_MM / 4 / upright.voxel_mm[0])  # a hot gut further down must not darken the heart
        chest = upright.chest()[max(index - near, 0) : index + near + 1]
        return cls(name, upright, place, float(chest.max(initial=0.0)), False)

    def field_mm(self) -> float:
        """Return the width of a square that holds the patient."""
        return min(max(self.volume.extent_mm), _LARGEST_FIELD_MM)


def draw_chest(sheet: Sheet, box: Box, emission: Emission, columns: int, rows: int) -> int:
    """Draw transaxial slices of the left front chest, head first; return where they end."""
    heading(
        sheet,
        box.left,
        box.top,
        "Transaxial slices",
        f"{emission.name}; left front chest, head \N{RIGHTWARDS ARROW} feet",
    )
    volume, top = emission.volume, box.top + HEADING
    size = (box.width + _GAP) // columns - _GAP
    slices_mm = _chest_slices_mm(emission, columns * rows)
    x, y = volume.chest_center_mm()
    pictures = volume.at(slices_mm, spread(y, _CHEST_FIELD_MM, size), spread(x, _CHEST_FIELD_MM, size))
    for place, (z, values) in enumerate(zip(slices_mm, pictures, strict=True)):
        row, column = divmod(place, columns)
        tile = Box(box.left + column * (size + _GAP), top + CAPTION + row * (size + CAPTION + 4), size, size)
        sheet.paint(tile.left, tile.top, colored(values, HOT_IRON, emission.highest))
        caption(sheet, tile, f"z {z:.0f} mm")
        if place == 0:
            marks(sheet, tile, *_MARKS[_Plane.TRANSAXIAL])
    return top + math.ceil(len(slices_mm) / columns) * (size + CAPTION + 4)


def _chest_slices_mm(emission: Emission, most: int) -> Float:
    """Return positions of slices about the emission's place, head first, that the volume holds."""
    step_mm, first_mm = emission.volume.voxel_mm[0], emission.volume.origin_mm[0]
    last_mm = first_mm + step_mm * (emission.volume.values.shape[0] - 1)
    step_mm = max(_SHOWN_MM / most, step_mm)
    count = min(most, int((last_mm - first_mm) / step_mm + 1e-6) + 1)
    reach = step_mm * (count - 1)
    head_mm = min(max(emission.place_mm[2] + reach / 2, first_mm + reach), last_mm)
    return np.asarray(head_mm - step_mm * np.arange(count))


@dataclass(frozen=True)
class _Picture:
    """One plane of an emission; with a mu-map this is shown, and the emission in color upon it if it is `fused`."""

    name: str
    emission: Emission
    plane: _Plane
    mu_map: UprightVolume | None = None
    fused: bool = False
    maximum: bool = False  # of all planes, instead of the one through the heart

    def pixels(self, size: int) -> Rgb:
        """Return the picture of a square of the emission's field, centered on its volume."""
        volume, field_mm = self.emission.volume, self.emission.field_mm()
        x, y, z = (spread(middle, field_mm, size) for middle in volume.center_mm)
        places = [z[::-1], y, x]
        if self.maximum:
            volume = replace(volume, values=volume.values.max(axis=self.plane.value, keepdims=True))
            places[self.plane.value] = np.array([volume.origin_mm[self.plane.value]])
        else:
            places[self.plane.value] = np.array([self.emission.place_mm[2 - self.plane.value]])
        values = np.take(volume.at(*places), 0, axis=self.plane.value)
        if self.mu_map is None:
            return colored(values, BLACK_ON_WHITE if self.maximum else HOT_IRON, self.emission.highest)
        mu_per_cm = np.take(self.mu_map.at(*places), 0, axis=self.plane.value)
        shown = colored(mu_per_cm, WHITE_ON_BLACK, _MU_SHOWN_PER_CM)
        return self._fused(shown, values) if self.fused else shown

    def _fused(self, shown: Rgb, values: Float) -> Rgb:
        """Return the map with the emission upon it, the denser the more counts there are."""
        share = values / self.emission.highest if self.emission.highest > 0.0 else np.zeros_like(values)
        opacity = _DENSEST * np.clip((share - _SEEN_FROM) / (_DENSE_FROM - _SEEN_FROM), 0.0, 1.0)[..., None]
        upon = colored(values, HOT_IRON, self.emission.highest)
        return np.asarray(np.round(opacity * upon + (1.0 - opacity) * shown), dtype=np.uint8)


def draw_planes(sheet: Sheet, box: Box, emissions: Sequence[Emission]) -> int:
    """Draw planes through the heart; return where they end."""
    last = emissions[-1]
    heading(sheet, box.left, box.top, "Planes through the heart" if last.of_heart else "Planes", last.name)
    pictures = [_Picture(one.name if len(emissions) > 1 else "transaxial", one, _Plane.TRANSAXIAL) for one in emissions]
    pictures += [_Picture(plane.name.lower(), last, plane) for plane in (_Plane.CORONAL, _Plane.SAGITTAL)]
    pictures.append(_Picture("maximum, front", last, _Plane.CORONAL, maximum=True))
    pictures.append(_Picture("maximum, left", last, _Plane.SAGITTAL, maximum=True))
    return _draw_row(sheet, box.below(box.top + HEADING), pictures)


def draw_map_planes(sheet: Sheet, box: Box, emission: Emission, mu_map: Volume) -> int:
    """Draw the mu-map in three planes through the heart, each beside itself with the emission upon it."""
    mu = UprightVolume.of(mu_map)
    pictures = [
        picture
        for plane in _Plane
        for picture in (
            _Picture(f"{plane.name.lower()}: map", emission, plane, mu),
            _Picture(f"{emission.name} upon it", emission, plane, mu, fused=True),
        )
    ]
    return _draw_row(sheet, box, pictures)


def map_scale_words() -> str:
    """Tell how the mu-map and the emission upon it are shown."""
    return f"black to white: 0 to {_MU_SHOWN_PER_CM} /cm; emission from {_SEEN_FROM:.0%} of the wall's highest count on"


def _draw_row(sheet: Sheet, box: Box, pictures: Sequence[_Picture]) -> int:
    size = min(box.height - CAPTION, (box.width + _GAP) // len(pictures) - _GAP)
    for place, picture in enumerate(pictures):
        tile = Box(box.left + place * (size + _GAP), box.top + CAPTION, size, size)
        sheet.paint(tile.left, tile.top, picture.pixels(size))
        caption(sheet, tile, picture.name)
        marks(sheet, tile, *_MARKS[picture.plane], color=PALE if picture.maximum else ON_PICTURES)
    return tile.bottom
