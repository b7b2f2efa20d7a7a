"""What the denoising paper printed, to stand beside our numbers (Aghakhan Olia et al., J Nucl Cardiol 2022).

Tables 1 and 2 print the sd before the mean; here the mean comes first, as the paper's own text has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pipelines.evaluation.denoising.record import Dose

SOURCE = "Aghakhan Olia et al. 2022"


@dataclass(frozen=True)
class Printed:
    """Mean and sd over the paper's 35 patients."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Pair:
    """One quantity for the low dose and for the paper's network."""

    low_dose: Printed
    predicted: Printed


def _pairs(*rows: tuple[float, float, float, float]) -> Mapping[Dose, Pair]:
    pairs = zip(Dose, rows, strict=True)
    return {dose: Pair(Printed(*row[:2]), Printed(*row[2:])) for dose, row in pairs}


# low dose: mean, sd; predicted: mean, sd; rows are half, quarter and eighth dose
PROJECTION: Mapping[str, Mapping[Dose, Pair]] = MappingProxyType(  # Table 1
    {
        "PSNR": _pairs((33.22, 1.93, 37.34, 1.33), (28.25, 1.99, 35.37, 1.56), (24.51, 1.69, 32.37, 1.77)),
        "SSIM": _pairs((0.96, 0.01, 0.98, 0.01), (0.93, 0.01, 0.97, 0.01), (0.89, 0.02, 0.95, 0.01)),
        "RMSE": _pairs((5.69, 1.19, 3.50, 0.52), (10.10, 2.19, 4.41, 0.78), (15.52, 3.26, 6.26, 1.23)),
    }
)
IMAGE: Mapping[str, Mapping[Dose, Pair]] = MappingProxyType(  # Table 2
    {
        "PSNR": _pairs((39.12, 2.68, 42.49, 2.37), (35.75, 2.72, 40.17, 2.89), (32.09, 2.74, 33.44, 2.63)),
        "SSIM": _pairs((0.97, 0.01, 0.99, 0.01), (0.95, 0.02, 0.98, 0.01), (0.90, 0.04, 0.95, 0.02)),
        "RMSE": _pairs((2.94, 0.96, 1.99, 0.63), (4.37, 1.48, 2.93, 1.19), (6.66, 2.04, 5.70, 1.90)),
    }
)
# voxel by voxel, from the text: low dose where it is printed, predicted
VOXEL_PEARSON: Mapping[Dose, tuple[Printed | None, Printed]] = MappingProxyType(
    {
        Dose.HALF: (None, Printed(0.997, 0.001)),
        Dose.QUARTER: (Printed(0.987, 0.007), Printed(0.994, 0.003)),
        Dose.EIGHTH: (None, Printed(0.987, 0.004)),
    }
)


def _by_dose(*values: float) -> Mapping[Dose, tuple[float, float]]:
    return dict(zip(Dose, zip(values[::2], values[1::2], strict=True), strict=True))


# Table 3: field of `Indices` -> low dose, predicted at half, quarter, eighth
INDICES: Mapping[str, Mapping[Dose, tuple[float, float]]] = MappingProxyType(
    {
        "defect_ml": _by_dose(0.94, 0.99, 0.90, 0.99, 0.83, 0.75),
        "extent_percent": _by_dose(0.87, 0.99, 0.83, 0.97, 0.71, 0.70),
        "summed_score": _by_dose(0.83, 0.99, 0.75, 0.96, 0.68, 0.70),
        "summed_percent": _by_dose(0.82, 0.99, 0.75, 0.97, 0.66, 0.70),
        "tpd_percent": _by_dose(0.88, 0.99, 0.82, 0.98, 0.76, 0.76),
        "cavity_ml": _by_dose(0.99, 1.00, 0.99, 1.00, 0.95, 0.97),
        "wall_ml": _by_dose(0.98, 1.00, 0.97, 1.00, 0.93, 0.96),
        "eccentricity": _by_dose(0.94, 0.99, 0.93, 0.99, 0.84, 0.82),
        "shape_index": _by_dose(0.72, 0.95, 0.60, 0.88, 0.54, 0.72),
    }
)
READER: Mapping[Dose, tuple[float, float]] = MappingProxyType(  # Table 4: the physician's summed scores
    _by_dose(0.909, 0.984, 0.823, 0.963, 0.665, 0.861)
)
ACCEPTABLE_PERCENT: Mapping[Dose, float] = MappingProxyType(  # predicted; the text names the last one wrongly
    {Dose.HALF: 100.0, Dose.QUARTER: 80.0, Dose.EIGHTH: 11.0}
)
SSS_BIAS_HALF = (0.17, -1.02, 1.36)  # bias and limits of agreement, predicted half dose
