"""The cameras that virtual patients are brought to: collimator, crystal, energy windows, orbit; and their presets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry, RotationDirection
from pipelines.images import EnergyWindow, Volume
from pipelines.simulation.projector import Blur

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

LEAD_MU_PER_MM = 2.76  # at the photopeak; holes are shorter by two mean free paths (Anger 1964)


@dataclass(frozen=True)
class Collimator:
    """A parallel-hole collimator."""

    name: str
    hole_mm: float
    length_mm: float

    @property
    def effective_length_mm(self) -> float:
        """Length of the holes less the penetration of the septa."""
        return self.length_mm - 2.0 / LEAD_MU_PER_MM


@dataclass(frozen=True)
class Protocol:
    """How the camera moves and counts."""

    views: int = 32
    arc_deg: float = 180.0
    start_deg: float = 225.0  # RAO 45
    direction: RotationDirection = RotationDirection.CLOCKWISE
    view_time_s: float = 25.0
    gates: int = 8
    contour: bool = False  # the heads follow the body; else they stay on a circle
    clearance_mm: tuple[float, float] = (15.0, 30.0)
    least_radius_mm: float = 200.0

    @property
    def angles_deg(self) -> tuple[float, ...]:
        """The angle of each view in the order of acquisition, in [0, 360)."""
        sense = -1.0 if self.direction is RotationDirection.CLOCKWISE else 1.0
        step = self.arc_deg / self.views
        return tuple((self.start_deg + sense * step * view) % 360.0 for view in range(self.views))


@dataclass(frozen=True)
class Camera:
    """A gamma camera with its collimator and the protocol it runs."""

    name: str
    manufacturer: str
    model: str
    collimator: Collimator
    intrinsic_fwhm_mm: float
    energy_resolution: float  # FWHM over energy, at the photopeak
    sensitivity_cps_per_mbq: float  # of one head, in a 20 % window
    crystal_mm: tuple[float, float]  # (axial, transaxial)
    pixel_size_mm: float
    matrix: int = 64
    heads: int = 2
    windows: tuple[EnergyWindow, ...] = (EnergyWindow(126.45, 154.55, "Tc99m"),)
    photopeak: int = 0
    protocol: Protocol = field(default_factory=Protocol)

    @property
    def blur(self) -> Blur:
        """The collimator-detector response of photons that were not scattered."""
        return Blur(self.intrinsic_fwhm_mm, self.collimator.hole_mm, self.collimator.effective_length_mm)

    def geometry(self, mu_map: Volume, rng: np.random.Generator) -> AcquisitionGeometry:
        """Return where the heads stand around a patient: a circle that clears the body, or along its outline."""
        protocol = self.protocol
        clearance = rng.uniform(*protocol.clearance_mm)
        outline = body_outline_mm(mu_map, protocol.angles_deg) + clearance
        radii = np.maximum(outline, protocol.least_radius_mm if not protocol.contour else 0.0)
        if not protocol.contour:
            radii = np.full(protocol.views, radii.max())
        return AcquisitionGeometry(
            angles_deg=protocol.angles_deg,
            pixel_size_mm=(self.pixel_size_mm, self.pixel_size_mm),
            rows=self.matrix,
            columns=self.matrix,
            radius_mm=tuple(float(radius) for radius in np.round(radii, 1)),
        )

    def field_of_view(self) -> Float:
        """Return the share of each pixel `[row, column]` that lies on the crystal."""
        axial, transaxial = (
            np.clip((crystal / 2 - _near_edges(self.matrix, self.pixel_size_mm)) / self.pixel_size_mm, 0.0, 1.0)
            for crystal in self.crystal_mm
        )
        return np.outer(axial, transaxial)


def _near_edges(pixels: int, size_mm: float) -> Float:
    """Return the distance of each pixel's inner edge from the middle of the detector."""
    return np.asarray(np.abs((np.arange(pixels) - (pixels - 1) / 2) * size_mm) - size_mm / 2)


def body_outline_mm(mu_map: Volume, angles_deg: tuple[float, ...]) -> Float:
    """Return how far body and table reach from the origin towards the detector at each angle."""
    solid = (mu_map.values > 0.02).any(axis=0)
    row, column = np.nonzero(solid)
    first_x, first_y, _ = mu_map.grid.position_mm(0, 0, 0)
    _, height, width = mu_map.grid.voxel_mm
    x, y = first_x + column * width, first_y + row * height
    angles = np.radians(angles_deg)
    return np.array([(x * math.sin(angle) + y * math.cos(angle)).max() for angle in angles])


PROSPECT = Camera(
    name="prospect",
    manufacturer="Parto Negar Persia",
    model="ProSPECT",
    collimator=Collimator("LEHR", hole_mm=1.68, length_mm=35.0),
    intrinsic_fwhm_mm=3.8,
    energy_resolution=0.095,
    sensitivity_cps_per_mbq=79.0,
    crystal_mm=(250.0, 400.0),
    pixel_size_mm=6.4,
    windows=(EnergyWindow(126.0, 154.0, "Tc99m"),),
    protocol=Protocol(views=32, view_time_s=22.5),
)
DISCOVERY = Camera(
    name="discovery",
    manufacturer="GE MEDICAL SYSTEMS",
    model="Discovery NM/CT 670",
    collimator=Collimator("LEHR", hole_mm=1.5, length_mm=35.0),
    intrinsic_fwhm_mm=3.9,
    energy_resolution=0.098,
    sensitivity_cps_per_mbq=72.0,
    crystal_mm=(400.0, 540.0),
    pixel_size_mm=6.8,
    protocol=Protocol(views=30, view_time_s=25.0, contour=True),
)
CAMERAS = {camera.name: camera for camera in (PROSPECT, DISCOVERY)}
