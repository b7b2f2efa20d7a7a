"""What is known of virtual patients and their acquisitions, as plain values that JSON can hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pipelines.simulation.left_ventricle import Shape
from pipelines.simulation.shapes import Point
from pipelines.simulation.uptake import Defect, PerfusionTruth


@dataclass(frozen=True)
class VentricleTruth:
    """The left ventricle's size and shape at one moment."""

    cavity_ml: float
    wall_ml: float
    shape_index: float
    eccentricity: float

    @classmethod
    def of(cls, shape: Shape) -> VentricleTruth:
        """Return the numbers of a shape."""
        values = (shape.cavity_ml, shape.wall_ml, shape.shape_index, shape.eccentricity)
        return cls(*(round(value, 3) for value in values))


@dataclass(frozen=True)
class PatientTruth:
    """A virtual patient. Positions are LPS mm in the camera's coordinates, with the breath at its mean."""

    seed: int
    sex: str
    age_years: int
    height_m: float
    body_mass_index: float
    position: str
    state: str
    injected_mbq: float
    ventricle_uptake_percent: float
    ejection_fraction_percent: float
    end_diastole: VentricleTruth
    end_systole: VentricleTruth
    gate_volumes_ml: tuple[float, ...]
    ventricle_center_mm: Point  # halfway from the valve plane to the endocardial apex, at end diastole
    endocardial_apex_mm: Point
    base_mm: Point
    breathing_mm: float
    defects: tuple[Defect, ...]
    perfusion: PerfusionTruth

    @property
    def weight_kg(self) -> float:
        """Body mass."""
        return self.body_mass_index * self.height_m**2


@dataclass(frozen=True)
class AcquisitionTruth:
    """What happened while the camera counted. Counts are expected values in the photopeak at full dose."""

    camera: str
    total_counts: float
    ventricle_counts: float  # of photons from the left ventricle's wall that were not scattered
    scatter_to_primary: float
    last_gate: float = 1.0  # what it counts against the others, for the heart does not beat evenly; 1 if ungated
    motion_mm: tuple[Point, ...] = ()  # the patient's place per time step; empty: the patient lay still


@dataclass(frozen=True)
class RegistrationTruth:
    """How a CT or attenuation map differs from the emission it belongs to: what was added to the patient's place."""

    translation_mm: Point
    rotation_deg: Point
    breath_mm: float  # the diaphragm's place while the breath was held, above its mean


def as_json(truth: PatientTruth | AcquisitionTruth | RegistrationTruth) -> dict[str, object]:
    """Return a record as values that `json.dumps` takes."""
    return asdict(truth)
