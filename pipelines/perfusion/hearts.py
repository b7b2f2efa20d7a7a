"""The road that all pipelines share: reconstructions -> the left ventricle, its short axis, polar maps and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.cardiac.gated_function import GatedFunction, gated_function
from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.left_ventricle import Guidance, NoHeartFound, find_left_ventricle
from pipelines.cardiac.limits_library import limits_for
from pipelines.cardiac.polar_map import polar_map
from pipelines.cardiac.quantification import NormalLimits, perfusion
from pipelines.cardiac.reorientation import Orientation, reoriented
from pipelines.cardiac.ventricle_shape import ventricle_shape
from pipelines.contract import Acquisition, CardiacState, Derived, DerivedKind, Finding, Heart, Verdict
from pipelines.images import UnsuitableAcquisition, Volume
from pipelines.perfusion.options import Options
from pipelines.quality.orientation import orientation_findings

# At a quarter of the usual 2.9 million counts the ejection fraction of virtual patients had an sd of 8 points and
# errors up to 16, at full dose 3 and 9.
FEW_GATED_COUNTS = 1.5e6


@dataclass(frozen=True)
class HeartImage:
    """One reconstruction to be read."""

    label: str  # as it is printed: "not corrected"
    volume: Volume
    short_axis: DerivedKind | None = None  # the kind to send its short axis as; None: it is shown only
    corrected: bool = False  # for attenuation
    gates: tuple[Volume, ...] = ()  # the same, gate by gate; empty if ungated
    made: str = ""  # how, in the words of `Options.reconstruction_words`; empty: as the options say


@dataclass(frozen=True)
class HeartReading:
    """What was read from the reconstructions of one acquisition; `hearts` is empty where no ventricle was found."""

    hearts: tuple[Heart, ...] = ()
    derived: tuple[Derived, ...] = ()
    findings: tuple[Finding, ...] = ()
    found_in: str = ""  # the label of the image that the ventricle was found in


def read_hearts(images: Sequence[HeartImage], acquisition: Acquisition, options: Options) -> HeartReading:
    """Read the left ventricle of each image of an acquisition, the one that is reported last.

    All images show the same heart: its place and axis come from the last one, or from one before it where the last
    shows none, so that their polar maps can be compared sample by sample.
    """
    guidance = options.guidance()
    refusals = []
    for image in reversed(images):
        try:
            ventricle = find_left_ventricle(image.volume, guidance)
        except NoHeartFound as error:
            refusals.append(str(error))
            continue
        limits = [_limits(one, acquisition, options) for one in images]
        hearts = tuple(_heart(one, ventricle, own) for one, own in zip(images, limits, strict=True))
        made = images[-1].made or options.reconstruction_words(images[-1].corrected)
        findings = _remarks(ventricle, image.label, len(refusals)) + _of_limits(limits[-1], made, acquisition)
        findings += _of_function(images[-1], hearts[-1], acquisition)
        if guidance == Guidance():  # else a person has looked
            findings += orientation_findings(image.volume, ventricle)
        return HeartReading(hearts, _short_axes(images, hearts), tuple(findings), image.label)
    finding = Finding(Verdict.WARN, f"{refusals[0]}; no short axis, polar map or score was made")
    return HeartReading(findings=(finding, *orientation_findings(images[-1].volume, None)))


def _heart(image: HeartImage, ventricle: LeftVentricle, limits: NormalLimits | None) -> Heart:
    polar = polar_map(image.volume, ventricle)
    return Heart(
        label=image.label,
        ventricle=ventricle,
        short_axis=reoriented(image.volume, ventricle, Orientation.SHORT_AXIS),
        vertical_long_axis=reoriented(image.volume, ventricle, Orientation.VERTICAL_LONG_AXIS),
        horizontal_long_axis=reoriented(image.volume, ventricle, Orientation.HORIZONTAL_LONG_AXIS),
        polar=polar,
        shape=ventricle_shape(ventricle),
        perfusion=None if limits is None else perfusion(polar, limits),
        limits="" if limits is None else limits.population,
        function=_function(image, ventricle),
    )


def _function(image: HeartImage, ventricle: LeftVentricle) -> GatedFunction | None:
    if not image.gates:
        return None
    try:
        return gated_function(image.gates, ventricle)
    except UnsuitableAcquisition:
        return None  # said by `_of_function`


def _of_function(image: HeartImage, heart: Heart, acquisition: Acquisition) -> list[Finding]:
    """Return what must be known of the gated numbers, or why there are none."""
    if not image.gates:
        return []
    if heart.function is None:
        return [Finding(Verdict.WARN, "the gates are too few or too faint: no volumes, no ejection fraction")]
    remarks = list(heart.function.remarks)
    counts = 0.0 if acquisition.projections is None else float(acquisition.projections.photopeak_counts().sum())
    if counts < FEW_GATED_COUNTS:
        remarks.append(
            f"only {counts / 1e6:.1f} million counts in all gates: the ejection fraction may be off by 15 points"
        )
    return [Finding(Verdict.WARN, remark) for remark in remarks]


def _of_limits(limits: NormalLimits | None, made: str, acquisition: Acquisition) -> list[Finding]:
    """Return what must be known of the limits of an image that was `made` so, or why there are none."""
    if limits is None:
        return [Finding(Verdict.WARN, "no normal limits fit this study (its sex or the limits are missing): no scores")]
    findings = []
    if acquisition.state is CardiacState.UNKNOWN:
        words = "stress or rest is not stated: read against normal limits for stress"
        findings.append(Finding(Verdict.WARN, words))
    if not limits.reconstruction.startswith(made):
        words = (
            f"the normal limits are of images made otherwise ({limits.reconstruction or 'not stated'}; here {made}): "
            "scores may be off"
        )
        findings.append(Finding(Verdict.WARN, words))
    return findings


def _limits(image: HeartImage, acquisition: Acquisition, options: Options) -> NormalLimits | None:
    folder = Path(options.normal_limits) if options.normal_limits else None
    return limits_for(acquisition.sex.value, acquisition.state.value, image.corrected, folder)


def _short_axes(images: Sequence[HeartImage], hearts: Sequence[Heart]) -> tuple[Derived, ...]:
    made = []
    for image, heart in zip(images, hearts, strict=True):
        if image.short_axis is not None:
            axis = heart.ventricle
            words = (
                f"Short axis, {image.label}: resampled by trilinear interpolation along a long axis "
                f"{axis.azimuth_deg:.0f}° left of anterior and {axis.elevation_deg:.0f}° down, slices apex to base"
            )
            made.append(Derived(image.short_axis, heart.short_axis, words))
    return tuple(made)


def _remarks(ventricle: LeftVentricle, label: str, refusals: int) -> list[Finding]:
    remarks = [Finding(Verdict.WARN, remark) for remark in ventricle.remarks]
    if refusals:
        words = f"the left ventricle was found only in the image {label!r}: check its axis"
        remarks.append(Finding(Verdict.WARN, words))
    if not remarks:
        words = (
            f"left ventricle found: axis {ventricle.azimuth_deg:.0f}° left of anterior, "
            f"{ventricle.elevation_deg:.0f}° down"
        )
        remarks.append(Finding(Verdict.PASS, words))
    return remarks
