"""The numbers of one heart as coded measurements (PS3.16 TID 1501).

The heart that is reported has a group for its left ventricle and one for each segment, which other systems find by its
finding site. A comparison is one group alone, so that nobody who looks for a segment takes its number for the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.sr.coding import Code

from dicomnode.objects import codes
from dicomnode.objects.derivation import derived_uid, plain
from dicomnode.study import DerivedInstance
from pipelines.contract import CardiacState, Heart

NOT_JUDGED = "No normal limits fit this study: no scores, no extent, no severity and no total perfusion deficit"


@dataclass(frozen=True)
class Reading:
    """One heart to be written down, and what must be known to understand its numbers."""

    heart: Heart
    reported: bool  # else it is there to be compared with
    state: CardiacState  # under which the heart was read
    stated_state: CardiacState  # what of that the study says by a code: a guess is not coded
    attenuation: Code | None  # how attenuation was corrected; None: not known
    images: tuple[DerivedInstance, ...]  # that the numbers were read from, as far as they are sent

    @property
    def label(self) -> str:
        """Names the heart in the report."""
        return plain(f"{self.heart.label} ({'reported' if self.reported else 'comparison'})")


@dataclass(frozen=True)
class _Number:
    """A number of a heart: its name and unit, where it is read (None: not known), digits behind the point."""

    name: Code
    unit: Code
    value: Callable[[Heart], float | None]
    digits: int = 1


def _perfusion_numbers(state: CardiacState) -> tuple[_Number, ...]:
    return (
        _Number(
            codes.TOTAL_PERFUSION_DEFICIT,
            codes.PERCENT,
            lambda heart: heart.perfusion.tpd_percent if heart.perfusion else None,
        ),
        _Number(codes.EXTENT, codes.PERCENT, lambda heart: heart.perfusion.extent_percent if heart.perfusion else None),
        _Number(
            codes.SEVERITY, codes.PERCENT, lambda heart: heart.perfusion.severity_percent if heart.perfusion else None
        ),
        _Number(
            codes.SUMMED_SCORE[state],
            codes.NO_UNIT,
            lambda heart: heart.perfusion.summed_score if heart.perfusion else None,
            0,
        ),
        _Number(
            codes.SUMMED_PERCENT,
            codes.PERCENT,
            lambda heart: heart.perfusion.summed_percent if heart.perfusion else None,
        ),
    )


_FUNCTION_NUMBERS = (
    _Number(
        codes.EJECTION_FRACTION,
        codes.PERCENT,
        lambda heart: heart.function.ejection_fraction_percent if heart.function else None,
    ),
    _Number(
        codes.END_DIASTOLIC_VOLUME, codes.MILLILITER, lambda heart: heart.function.edv_ml if heart.function else None
    ),
    _Number(
        codes.END_SYSTOLIC_VOLUME, codes.MILLILITER, lambda heart: heart.function.esv_ml if heart.function else None
    ),
)
_SHAPE_NUMBERS = (
    _Number(codes.CAVITY_VOLUME, codes.MILLILITER, lambda heart: heart.shape.cavity_ml),
    _Number(codes.WALL_VOLUME, codes.MILLILITER, lambda heart: heart.shape.wall_ml),
    _Number(codes.ECCENTRICITY, codes.NO_UNIT, lambda heart: heart.shape.eccentricity, 3),
    _Number(codes.SHAPE_INDEX, codes.NO_UNIT, lambda heart: heart.shape.shape_index, 3),
)


def measurement_groups(
    reading: Reading, algorithm: tuple[str, str], settings: Sequence[str], report_uid: str
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Return the groups of one heart, the left ventricle's first.

    `algorithm` is a name and a version, `settings` are sentences; tracking UIDs follow from `report_uid`.
    """
    name, version = algorithm
    whole = _whole(reading, AlgorithmIdentification(name, version, list(settings) or None), report_uid)
    if not reading.reported:
        return [whole]
    plainly = AlgorithmIdentification(name, version)
    return [whole, *(_segment(reading, place, plainly, report_uid) for place in range(len(codes.SEGMENTS)))]


def _whole(
    reading: Reading, algorithm: AlgorithmIdentification, report_uid: str
) -> MeasurementsAndQualitativeEvaluations:
    heart = reading.heart
    evaluations = []
    if reading.stated_state in codes.STATES:
        evaluations.append(QualitativeEvaluation(codes.PATIENT_STATE, codes.STATES[reading.stated_state]))
    if reading.attenuation is not None:
        evaluations.append(QualitativeEvaluation(codes.ATTENUATION_METHOD, reading.attenuation))
    measurements = list(_measured(heart, (*_perfusion_numbers(reading.state), *_FUNCTION_NUMBERS, *_SHAPE_NUMBERS)))
    if not reading.reported:
        for place, site in enumerate(codes.SEGMENTS):
            measurements += _measured(heart, _segment_numbers(place), [FindingSite(site)])
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(f"{reading.label}: left ventricle", report_uid),
        algorithm_id=algorithm,
        finding_sites=[FindingSite(codes.LEFT_VENTRICLE)],
        measurements=measurements,
        qualitative_evaluations=evaluations or None,
        source_images=_sources(reading),
    )
    for name, words in _words(heart):
        group[0].ContentSequence.append(text_item(name, words))
    return group


def _words(heart: Heart) -> Iterable[tuple[Code, str]]:
    """Return what must be said in words about the numbers of a heart."""
    if heart.perfusion is None:
        yield codes.COMMENT, NOT_JUDGED
    else:
        yield (
            codes.POPULATION,
            f"normal limits: {heart.limits or 'not named'}; SHA-256 {heart.perfusion.limits_sha256}",
        )
    if heart.function is not None:
        volumes = ", ".join(f"{volume:.0f}" for volume in heart.function.volumes_ml)
        yield codes.COMMENT, f"Cavity volume of each gate, ml: {volumes}"
        yield from ((codes.COMMENT, remark) for remark in heart.function.remarks)


def _segment(
    reading: Reading, place: int, algorithm: AlgorithmIdentification, report_uid: str
) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(f"{reading.label}: segment {place + 1}", report_uid),
        finding_type=codes.MYOCARDIAL_PERFUSION,
        algorithm_id=algorithm,
        finding_sites=[FindingSite(codes.SEGMENTS[place])],
        measurements=list(_measured(reading.heart, _segment_numbers(place))),
        source_images=_sources(reading),
    )


def _segment_numbers(place: int) -> tuple[_Number, ...]:
    return (
        _Number(
            codes.PERCENT_OF_NORMAL,
            codes.PERCENT,
            lambda heart: heart.perfusion.segments_percent[place] if heart.perfusion else None,
        ),
        _Number(
            codes.PERCENT_OF_HIGHEST,
            codes.PERCENT,
            lambda heart: None if heart.perfusion else heart.segments_of_highest_percent[place],
        ),
        _Number(
            codes.SEGMENT_SCORE,
            codes.NO_UNIT,
            lambda heart: heart.perfusion.scores[place] if heart.perfusion else None,
            0,
        ),
        _Number(
            codes.THICKENING,
            codes.PERCENT,
            lambda heart: heart.function.thickening_percent[place] if heart.function else None,
        ),
    )


def _measured(
    heart: Heart, numbers: Iterable[_Number], sites: Sequence[FindingSite] | None = None
) -> Iterable[Measurement]:
    for number in numbers:
        value = number.value(heart)
        if value is None:
            continue
        measurement = Measurement(number.name, round(value, number.digits), number.unit, finding_sites=sites)
        if number.digits == 0:
            # as a number it would be written as 3.0
            measurement[0].MeasuredValueSequence[0].NumericValue = str(round(value))
        yield measurement


def _tracking(identifier: str, report_uid: str) -> TrackingIdentifier:
    return TrackingIdentifier(derived_uid(f"{report_uid}/{identifier}", "tracking"), identifier)


def _sources(reading: Reading) -> list[SourceImageForMeasurementGroup] | None:
    return [SourceImageForMeasurementGroup(one.sop_class_uid, one.sop_instance_uid) for one in reading.images] or None


def text_item(name: Code, words: str) -> TextContentItem:
    """Return a sentence of the report, in letters that every character set has."""
    return TextContentItem(name, plain(words), RelationshipTypeValues.CONTAINS)
