"""What goes into a pipeline and what comes out: plain arrays with geometry, no DICOM.

The node fills a `PipelineInput`, a child process runs `pipeline(input) -> PipelineResult`, the node writes the result.
Both sides are pickled between our own two processes, so they hold only numpy arrays and frozen values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.gated_function import GatedFunction
from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.polar_map import PolarMap
from pipelines.cardiac.quantification import Perfusion
from pipelines.cardiac.segments import segment_means
from pipelines.cardiac.ventricle_shape import VentricleShape
from pipelines.images import EnergyWindow, Projections, Volume

OptionValue = str | int | float | bool


class NotNow(RuntimeError):
    """A pipeline lacks something that may be there later (room on the GPU, a model's files); the message names it."""


class CardiacState(Enum):
    """Under which condition the tracer was given."""

    STRESS = "stress"
    REST = "rest"
    UNKNOWN = "unknown"


class PatientSex(Enum):
    """As the study states it; normal limits depend on it."""

    FEMALE = "F"
    MALE = "M"
    UNKNOWN = ""


@dataclass(frozen=True)
class Acquisition:
    """One projection set of a study, or a vendor's reconstruction where there is nothing else."""

    key: str  # opaque; the derived data name the acquisition they came from by it
    projections: Projections | None = None
    reconstruction: Volume | None = None
    state: CardiacState = CardiacState.UNKNOWN
    sex: PatientSex = PatientSex.UNKNOWN
    injected_mbq: float | None = None  # None: the study doesn't say
    camera_model: str = ""  # as the study names it
    collimator: str = ""  # as the study names it
    assumptions: tuple[str, ...] = ()  # what the reader had to assume, in words
    position_known: bool = True  # False: the study doesn't say where it lies; nothing shares its frame of reference
    window: EnergyWindow | None = None  # of a reconstruction; None: the study doesn't say (projections have their own)
    radionuclide: str = ""  # "Tc-99m", or as the study writes it; empty: it doesn't say


@dataclass(frozen=True)
class MapCandidate:
    """A CT (Hounsfield units) or a vendor's attenuation map (1/cm) of a study."""

    source: MapSource
    volume: Volume
    name: str = ""  # as the report calls it: "the CT of series 2 (AC), 47 slices"
    chosen: Finding | None = None  # that it is used, and why it before others; told if it is
    assumptions: tuple[str, ...] = ()  # what the reader had to assume of it
    key: str = ""  # opaque; the derived data name what their map was made of by it


@dataclass(frozen=True)
class PipelineInput:
    """All that a pipeline may look at; `maps` are tried in their order, a CT before a vendor's map."""

    acquisition: Acquisition
    maps: tuple[MapCandidate, ...] = ()
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    ct_shares_frame: bool = True  # False: no Frame of Reference tells how it lies to the acquisition
    findings: tuple[Finding, ...] = ()  # of the reading: what can't be used and why; told again

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "options": dict(self.options)}

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)


class DerivedKind(Enum):
    """The kinds of image data that a pipeline may return (interface: what is sent back)."""

    DENOISED_PROJECTIONS = "denoised projections"
    RECONSTRUCTION = "reconstruction"  # not corrected for attenuation
    CORRECTED_RECONSTRUCTION = "attenuation-corrected reconstruction"
    MU_MAP = "attenuation map"
    SHORT_AXIS = "short axis"  # of the reconstruction that is not corrected
    CORRECTED_SHORT_AXIS = "attenuation-corrected short axis"


@dataclass(frozen=True)
class Derived:
    """One derived image: `data` is Projections for DENOISED_PROJECTIONS, else a Volume."""

    kind: DerivedKind
    data: Projections | Volume
    description: str  # how it was made, one sentence (becomes the Derivation Description)


class Verdict(Enum):
    """What the guard says of a result."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Finding:
    """One check of the guard or of the input: a verdict and a sentence that a physicist understands."""

    verdict: Verdict
    text: str


class MapSource(Enum):
    """Where the attenuation map of a correction came from; the value is what the correction is called."""

    CT = "CTAC"
    VENDOR = "vendor map"
    NETWORK = "DLAC"


@dataclass(frozen=True)
class Measurement:
    """A named number with its UCUM unit, for the report."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Heart:
    """The left ventricle of one image: how it is shown, and what was read from it."""

    label: str  # of the image, as it is printed: "not corrected", "low-count input"
    ventricle: LeftVentricle
    short_axis: Volume  # display conventions: see cardiac/reorientation
    vertical_long_axis: Volume
    horizontal_long_axis: Volume
    polar: PolarMap
    shape: VentricleShape
    perfusion: Perfusion | None = None  # None where no normal limits fit
    limits: str = ""  # the population of the normal limits
    function: GatedFunction | None = None  # None for an ungated study

    @property
    def segments_of_highest_percent(self) -> tuple[float, ...]:
        """Mean counts of segments 1 to 17 in % of the highest one's."""
        means = segment_means(self.polar.counts, self.polar.area_mm2)
        highest = max(*means, 1e-12)
        return tuple(100.0 * mean / highest for mean in means)


@dataclass(frozen=True)
class Model:
    """The weights that a network was run with, as their model card names them."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """Which pipeline, of which version, with which settings made a result."""

    pipeline: str
    version: str
    settings: tuple[tuple[str, str], ...] = ()  # name, value with unit, in the order to print
    assumptions: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()  # DICOM Corrected Image terms that our own model applied: ATTN, SCAT, ...
    headline: str = ""  # what a reader must know before anything else: the dose, the network
    models: tuple[Model, ...] = ()  # the networks that had a part in it
    map_source: MapSource | None = None  # None: nothing was corrected for attenuation
    map_key: str = ""  # of the candidate that the map was made of
    map_energy_kev: float = 140.5  # of the photons that its coefficients are for


@dataclass(frozen=True)
class PipelineResult:
    """All that a pipeline returns."""

    derived: tuple[Derived, ...]
    provenance: Provenance
    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    hearts: tuple[Heart, ...] = ()  # the one to be read first comes last: after its comparison
    page: NDArray[np.uint8] | None = None  # the report page [row, column, RGB], without a patient's identity

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict of all findings."""
        order = [Verdict.PASS, Verdict.WARN, Verdict.QUARANTINE]
        return max((finding.verdict for finding in self.findings), key=order.index, default=Verdict.PASS)
