"""How the methods of the denoising evaluation look in figures: colors, markers, legends, which figure they follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from matplotlib.artist import Artist
from matplotlib.patches import Patch

from pipelines.evaluation.denoising.paper import SOURCE
from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.evaluation.page import after_figure, beyond_paper, dot
from pipelines.report.colors import BLUE, GREEN, INK, RED

METHOD_COLORS: Mapping[Method, str] = MappingProxyType(
    {
        Method.LOW_DOSE: BLUE,
        Method.GAUSSIAN: "#b6bfca",
        Method.BUTTERWORTH: "#8390a2",
        Method.NON_LOCAL_MEANS: "#515f73",
        Method.PAPER: "#7c3aed",
        Method.FOR_IMAGES: RED,
        Method.FULL: "#d97706",
    }
)
FULL_DOSE_COLOR, TRUTH_COLOR = INK, GREEN
PREDICTING = (Method.PAPER, Method.FOR_IMAGES, Method.FULL)  # what stands where the paper has its predicted images
MARKERS: Mapping[Method, str] = MappingProxyType({Method.LOW_DOSE: "o", **dict.fromkeys(PREDICTING, "s")})
DOSE_WORDS: Mapping[Dose, str] = MappingProxyType({dose: f"{dose.value} dose" for dose in Dose})


def after(figure: str) -> str:
    """Return which figure of the paper ours follows."""
    return after_figure(SOURCE, figure)


def beyond() -> str:
    """Return that the paper has no such figure."""
    return beyond_paper(SOURCE)


def method_patches(methods: Sequence[Method]) -> list[Artist]:
    """Return legend entries of methods drawn as areas."""
    return [Patch(facecolor=METHOD_COLORS[method], label=method.value) for method in methods]


def method_dots(methods: Sequence[Method]) -> list[Artist]:
    """Return legend entries of methods drawn as markers."""
    return [dot(METHOD_COLORS[method], method.value, MARKERS.get(method, "o")) for method in methods]
