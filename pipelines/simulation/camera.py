"""The cameras that virtual patients are brought to: collimator, crystal, energy windows, orbit; and their presets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry, RotationDirection
from pipelines.images import EnergyWindow, Volume
from pipelines.simulation.projector import Blur
from pipelines.simulation.shapes import Point
from pipelines.simulation.virtual_patient import VirtualPatient

Float = NDArray[np.float64]

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
class Focus:
    """A collimator that sees a zone about the axis better than its surroundings, as a weight on parallel holes.

    It stands for multifocal collimators, whose own geometry only their vendor can reconstruct: the counts are those of
    the zone, divided by the weight as the vendor's correction would, so that they fit parallel projections.
    """

    gain: float = 4.0
    zone_mm: float = 75.0  # where the gain has fallen halfway

    def weights(self, geometry: AcquisitionGeometry) -> Float:
        """Return the sensitivity of each pixel `[row, column]` against parallel holes."""
        row = _offsets(geometry.rows) * geometry.pixel_size_mm[0]
        column = _offsets(geometry.columns) * geometry.pixel_size_mm[1]
        distance = np.hypot(row[:, None], column[None, :]) / self.zone_mm
        return np.asarray(1.0 + (self.gain - 1.0) * 0.5 ** (distance**3))


@dataclass(frozen=True)
class Camera:
    """A gamma camera with its collimator and the protocol it runs."""

    name: str
    manufacturer: str
    model: str
    collimator: Collimator
    intrinsic_fwhm_mm: float
    energy_resolution: float  # FWHM over energy, at the photopeak
    sensitivity_cps_per_mbq: float  # of one head, in a 20 % window, without attenuation
    crystal_mm: tuple[float, float]  # (axial, transaxial)
    pixel_size_mm: float
    matrix: int = 64
    heads: int = 2
    windows: tuple[EnergyWindow, ...] = (EnergyWindow(126.45, 154.55, "Tc99m"),)
    photopeak: int = 0
    focus: Focus | None = None
    protocol: Protocol = field(default_factory=Protocol)

    @property
    def blur(self) -> Blur:
        """The collimator-detector response."""
        return Blur(self.intrinsic_fwhm_mm, self.collimator.hole_mm, self.collimator.effective_length_mm)

    def geometry(self, patient: VirtualPatient, rng: np.random.Generator) -> AcquisitionGeometry:
        """Return where the heads stand around a patient: a circle that clears the body, or along its outline.

        A focussed camera turns about the heart, others about the origin.
        """
        protocol = self.protocol
        clearance = rng.uniform(*protocol.clearance_mm)
        x, y, z = (round(value, 1) for value in patient.truth.ventricle_center_mm)
        center = (x, y, z) if self.focus else (0.0, 0.0, 0.0)
        radii = body_outline_mm(patient.mu_map, protocol.angles_deg, center) + clearance
        if not protocol.contour:
            radii = np.full(protocol.views, max(radii.max(), protocol.least_radius_mm))
        return AcquisitionGeometry(
            angles_deg=protocol.angles_deg,
            pixel_size_mm=(self.pixel_size_mm, self.pixel_size_mm),
            rows=self.matrix,
            columns=self.matrix,
            radius_mm=tuple(float(radius) for radius in np.round(radii, 1)),
            isocenter_mm=center,
        )

    def field_of_view(self) -> Float:
        """Return the share of each pixel `[row, column]` that lies on the crystal."""
        near = (np.abs(_offsets(self.matrix)) - 0.5) * self.pixel_size_mm
        axial, transaxial = (np.clip((size / 2 - near) / self.pixel_size_mm, 0.0, 1.0) for size in self.crystal_mm)
        return np.outer(axial, transaxial)

    @property
    def time_steps(self) -> int:
        """How often the camera stops to count: all heads count at the same time."""
        return math.ceil(self.protocol.views / self.heads)

    def time_step(self, view: int) -> int:
        """Return at which stop a view is counted; each head makes its part of the views one after another."""
        return view % self.time_steps


def _offsets(pixels: int) -> Float:
    """Return the distance of each pixel from the middle of the detector, in pixels."""
    return np.arange(float(pixels)) - (pixels - 1) / 2


def body_outline_mm(mu_map: Volume, angles_deg: tuple[float, ...], center_mm: Point) -> Float:
    """Return how far body and table reach from a place towards the detector at each angle."""
    solid = (mu_map.values > 0.02).any(axis=0)
    row, column = np.nonzero(solid)
    first_x, first_y, _ = mu_map.grid.position_mm(0, 0, 0)
    _, height, width = mu_map.grid.voxel_mm
    x, y = first_x + column * width - center_mm[0], first_y + row * height - center_mm[1]
    angles = np.radians(angles_deg)
    return np.array([(x * math.sin(angle) + y * math.cos(angle)).max() for angle in angles])


# Holes, septa and resolutions as in the makers' data sheets and PyTomography's table of collimators; sensitivities
# per head. The windows of the two papers whose tables are reproduced: 126-154 keV, and 129-150 with 108-129 keV.
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
IQ_SPECT = Camera(
    name="iq-spect",
    manufacturer="SIEMENS",
    model="Symbia Intevo",
    collimator=Collimator("SMARTZOOM", hole_mm=1.9, length_mm=40.0),
    intrinsic_fwhm_mm=3.8,
    energy_resolution=0.099,
    sensitivity_cps_per_mbq=91.0,
    crystal_mm=(387.0, 533.0),
    pixel_size_mm=4.8,
    matrix=128,
    windows=(EnergyWindow(129.0, 150.0, "Tc99m"), EnergyWindow(108.0, 129.0, "Tc99m scatter")),
    focus=Focus(),
    protocol=Protocol(views=34, arc_deg=208.0, start_deg=239.0, view_time_s=8.0, least_radius_mm=280.0),
)
SYMBIA = Camera(
    name="symbia",
    manufacturer="SIEMENS",
    model="Symbia T2",
    collimator=Collimator("LEHR", hole_mm=1.11, length_mm=24.05),
    intrinsic_fwhm_mm=3.8,
    energy_resolution=0.099,
    sensitivity_cps_per_mbq=91.0,
    crystal_mm=(387.0, 533.0),
    pixel_size_mm=6.6,
    windows=(EnergyWindow(129.5, 150.5, "Tc99m"), EnergyWindow(108.5, 129.5, "Tc99m scatter")),
    protocol=Protocol(views=64, view_time_s=12.0, contour=True),
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
    protocol=Protocol(views=30, view_time_s=20.0, contour=True),
)
SYMBIA_128 = replace(SYMBIA, name="symbia-128", pixel_size_mm=4.8, matrix=128)
# Another site. Its holes are those of PyTomography's table; sensitivity and energy resolution are assumed.
BRIGHTVIEW = Camera(
    name="brightview",
    manufacturer="Philips",
    model="BrightView",
    collimator=Collimator("LEHR", hole_mm=1.22, length_mm=27.0),
    intrinsic_fwhm_mm=3.3,
    energy_resolution=0.096,
    sensitivity_cps_per_mbq=76.0,
    crystal_mm=(406.0, 540.0),
    pixel_size_mm=6.4,
    windows=(EnergyWindow(126.45, 154.55, "Tc99m"),),
    protocol=Protocol(views=60, view_time_s=12.0),
)
CAMERAS = {camera.name: camera for camera in (PROSPECT, IQ_SPECT, SYMBIA, SYMBIA_128, DISCOVERY, BRIGHTVIEW)}
