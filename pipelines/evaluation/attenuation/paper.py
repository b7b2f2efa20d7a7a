"""What the attenuation paper printed, to stand beside our numbers (Huxohl et al., EJNMMI Physics 10 (2023) 49)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SOURCE = "Huxohl et al. 2023"
SCANS, PATIENTS = 150, 103


@dataclass(frozen=True)
class Printed:
    """Mean and sd, as the paper prints them."""

    mean: float
    sd: float


@dataclass(frozen=True)
class PrintedAgreement:
    """Polar maps against CTAC, all by PRAC."""

    segment_ape: Printed
    segment_r: float
    pixel_distance: Printed
    pixel_r: float


NMAE = Printed(0.020, 0.007)  # of the test split; 0.018 +- 0.006 of the validation split
DLAC = PrintedAgreement(Printed(1.155, 0.769), 0.97, Printed(3.095, 3.199), 0.97)
NOT_CORRECTED = PrintedAgreement(Printed(7.264, 5.481), 0.79, Printed(8.559, 7.665), 0.81)


@dataclass(frozen=True)
class Work:
    """One work of the paper's Table 1, as far as its text and list of references tell."""

    reference: str
    approach: str  # "direct": image to image; "indirect": image to mu-map
    remark: str


# The cells of the printed table are not in the text that this was written from: what is said here is said there, by the
# sentences around the table and the titles of the works.
LITERATURE = (
    Work("Shi et al. 2020", "indirect", "3-D cGAN, photopeak and scatter window"),
    Work("Nguyen et al. 2020", "direct", "3-D U-Net with an adversary"),
    Work("Yang et al. 2021", "direct", "feasibility"),
    Work("Torkaman et al. 2021", "direct", "cGAN"),
    Work("Liu et al. 2021", "indirect", "correction after reconstruction (PRAC)"),
    Work("Mostafapour et al. 2022", "direct", "in the image domain"),
    Work("Chen et al. 2022 (JNC 29:2235)", "direct", "dedicated cardiac camera"),
    Work("Chen et al. 2022 (EJNMMI 49:3046)", "both", "dedicated cardiac camera too: indirect is better"),
    Work("Chen et al. 2022 (JNC 29:3379)", "indirect", "transfer between vendors, tracers and protocols"),
    Work("Du et al. 2022", "both", "indirect is better"),
    Work("Shanbhag et al. 2022", "direct", "diagnostic accuracy"),
    Work("Hagio et al. 2022", "polar map to polar map", "IQ-SPECT"),
    Work(SOURCE, "indirect", "IQ-SPECT, U-Net by cGAN, no scatter window, PRAC"),
)


@dataclass(frozen=True)
class PrintedChoice:
    """NMAE of the search's trainings with one choice, and how many did not converge, where it is printed."""

    nmae: Printed | None
    discarded: tuple[int, int] | None = None  # of so many


SEARCH_RUNS, SEARCH_DISCARDED = 215, 50
SEARCH: Mapping[tuple[str, str], PrintedChoice] = MappingProxyType(
    {
        ("distance", "L1"): PrintedChoice(Printed(0.024, 0.005)),
        ("distance", "L2 + GDL"): PrintedChoice(Printed(0.026, 0.006)),
        ("discriminator", "CNN classifier"): PrintedChoice(Printed(0.023, 0.004)),
        ("discriminator", "PatchGAN"): PrintedChoice(Printed(0.02636, 0.006)),
        ("normalization", "mean"): PrintedChoice(Printed(0.025, 0.006), (12, 72)),
        ("normalization", "Gaussian"): PrintedChoice(Printed(0.024, 0.005), (20, 72)),
        ("weights", "1 : 100"): PrintedChoice(None, (8, 34)),
        ("weights", "100 : 1"): PrintedChoice(None, (11, 34)),
    }
)
SEARCH_P: Mapping[tuple[str, str, str], float] = MappingProxyType(
    {("distance", "L1", "L2 + GDL"): 0.01, ("discriminator", "CNN classifier", "PatchGAN"): 0.00006}
)
