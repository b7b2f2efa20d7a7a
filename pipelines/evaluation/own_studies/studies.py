"""A site's own full-dose study against itself: thinned to lower doses, denoised, and compared with its full counts.

No truth is known of a real patient, but the photons that thinning takes away are independent of those that are left:
who foretells them from the rest is right, but for Poisson's law. How far that law alone puts them from any prediction
is known as well, so each error is set beside the part of it that nobody can avoid.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.agreement.image_quality import GRAY, ImageQuality
from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.reorientation import Orientation, reoriented
from pipelines.contract import Acquisition, Heart, Verdict
from pipelines.evaluation.denoising.methods import Estimate
from pipelines.evaluation.denoising.reading import projection_quality
from pipelines.evaluation.denoising.record import Method
from pipelines.evaluation.own_studies.held_out_counts import HeldOut, HeldOutCounts, best_gaussian
from pipelines.images import Array, Projections, UnsuitableAcquisition, Volume
from pipelines.networks.denoise import denoise, load_denoiser
from pipelines.networks.denoiser import Denoiser
from pipelines.networks.model_card import ModelCard
from pipelines.perfusion.hearts import HeartImage, read_hearts
from pipelines.perfusion.imaging import Prepared, prepare
from pipelines.perfusion.options import Options
from pipelines.quality.denoising_guard import HEART_RADIUS_MM
from pipelines.quality.dose import LEAST
from pipelines.quality.heart_shadow import heart_shadow
from pipelines.quality.input_checks import input_findings
from pipelines.simulation.acquisition import thin


@dataclass(frozen=True)
class HeartRecord:
    """What is read from the ventricle that is found in one image, none other being known."""

    tpd_percent: float | None  # None: no normal limits fit
    summed_score: float | None
    segments_percent: tuple[float, ...]  # 1 to 17; of normal, or of the highest where no limits fit
    cavity_ml: float
    wall_ml: float
    ejection_percent: float | None  # None: not gated, or too faint

    @classmethod
    def of(cls, heart: Heart) -> HeartRecord:
        """Return the numbers of a heart."""
        perfusion, function = heart.perfusion, heart.function
        return cls(
            tpd_percent=perfusion.tpd_percent if perfusion else None,
            summed_score=perfusion.summed_score if perfusion else None,
            segments_percent=perfusion.segments_percent if perfusion else heart.segments_of_highest_percent,
            cavity_ml=heart.shape.cavity_ml,
            wall_ml=heart.shape.wall_ml,
            ejection_percent=function.ejection_fraction_percent if function else None,
        )


@dataclass(frozen=True)
class ImageRecord:
    """The reconstruction of a low dose, or of what was made of it, beside that of the full dose."""

    nrmse_percent: float  # root of the summed squared difference over that of the full dose's squares
    held_out_nrmse_percent: float  # the same against the reconstruction of the counts that were taken away
    heart: HeartRecord | None  # None: no ventricle was found


@dataclass(frozen=True)
class DoseRecord:
    """One study at one dose. Projections: photopeak, gates summed; 0 to 255 as in `projection_quality`."""

    dose: float
    low: ImageQuality
    gaussian: ImageQuality  # virtual full dose by the best Gaussian
    full: ImageQuality  # virtual full dose by the networks
    noise_rmse: float  # what Poisson's law alone puts between the full counts and the best that can be foretold
    gaussian_mm: float  # full width of the one that foretells the counts of this study best
    held_out: HeldOut
    gaussian_held_out: HeldOut
    low_image: ImageRecord
    denoised_image: ImageRecord

    def noise_percent(self, quality: ImageQuality) -> float:
        """Return which share of a virtual full dose's squared error is noise that nobody can foretell."""
        return 100.0 * (self.noise_rmse / max(quality.rmse, 1e-9)) ** 2


@dataclass(frozen=True)
class StudyRecord:
    """All numbers of one study; no patient's identity."""

    key: str
    million_counts: float
    views: int
    gates: int
    matrix: tuple[int, int]  # rows, columns
    pixel_size_mm: float
    state: str
    limits: str  # population of the normal limits; empty: none fit
    heart: HeartRecord | None  # of the full dose: the reference; None: no ventricle was found
    remarks: tuple[str, ...]  # of the input checks, at full dose, and why no heart was read
    doses: tuple[DoseRecord, ...]


@dataclass(frozen=True)
class Shown:
    """One image in pictures, on the scale of the full dose; `slices` lie in the frame of the full dose's ventricle."""

    dose: float  # 1: the full counts
    denoised: bool
    projections: Array  # [view, row, column], gates summed
    slices: Array  # [slice, row, column]: short axis, or transaxial where no ventricle was found


@dataclass(frozen=True)
class Pictures:
    """What the figure of a study shows."""

    angles_deg: tuple[float, ...]
    short_axis: bool
    voxel_mm: float  # from slice to slice
    images: tuple[Shown, ...]  # the full counts first


@functools.lru_cache(maxsize=1)
def load_networks(name: str, folder: Path | None) -> tuple[ModelCard, tuple[Denoiser, ...]]:
    """Return a denoiser and its card, kept for the next study. Raises WeightsError."""
    return load_denoiser(name, folder)


def study_key(projections: Projections) -> str:
    """Return a name made of the counts alone: it tells nobody the patient, and is the same in every run."""
    return f"study-{hashlib.sha256(np.ascontiguousarray(projections.counts).tobytes()).hexdigest()[:10]}"


def check_doses(doses: Sequence[float]) -> None:
    """Raise ValueError unless each dose is a share in [1/64, 1)."""
    if not doses or any(not LEAST <= dose < 1.0 for dose in doses):
        said = ", ".join(f"{dose:g}" for dose in doses)
        raise ValueError(f"a dose is a share of the full one, at least {LEAST:g} and below 1, not {said or 'nothing'}")


def evaluate_study(
    acquisition: Acquisition, card: ModelCard, networks: Sequence[Denoiser], doses: Sequence[float], seed: int
) -> tuple[StudyRecord, Pictures]:
    """Return numbers and pictures of a full-dose study at each dose, a share in [1/64, 1) of its counts.

    Gates are thinned one by one. Raises UnsuitableAcquisition without projections of whole counts, or when they can't
    be reconstructed; ValueError for a dose out of range.
    """
    check_doses(doses)
    if acquisition.projections is None:
        raise UnsuitableAcquisition("a reconstruction, not projections: nothing can be thinned")
    key = study_key(acquisition.projections)
    full = _Read.of(_photopeak(acquisition.projections), acquisition)
    tried = [_Tried.of(full, acquisition, networks, dose, _rng(seed, key, dose)) for dose in doses]
    geometry, heart = full.projections.geometry, full.heart
    findings = [*full.prepared.findings, *input_findings(acquisition, card.domain, 1.0)]
    record = StudyRecord(
        key=key,
        million_counts=float(full.projections.counts.sum(dtype=np.float64)) / 1e6,
        views=geometry.views,
        gates=full.projections.gates,
        matrix=(geometry.rows, geometry.columns),
        pixel_size_mm=geometry.pixel_size_mm[1],
        state=acquisition.state.value,
        limits=heart.limits if heart else "",
        heart=HeartRecord.of(heart) if heart else None,
        remarks=(
            *(one.text for one in findings if one.verdict is not Verdict.PASS),
            *_unnamed(acquisition),
            *full.remarks,
        ),
        doses=tuple(one.record for one in tried),
    )
    images = (full.shown(full, 1.0), *(shown for one in tried for shown in one.shown))
    return record, Pictures(geometry.angles_deg, heart is not None, min(full.volume.grid.voxel_mm), images)


def _unnamed(acquisition: Acquisition) -> tuple[str, ...]:
    """Return that it can't be told whether the networks know the camera, where the study doesn't name it."""
    if acquisition.camera_model:
        return ()
    return ("the study does not name its camera: nobody checked whether the networks have learned from such a one",)


def _photopeak(projections: Projections) -> Projections:
    """Return the photopeak window alone: it is all that is judged."""
    peak = projections.photopeak
    return replace(
        projections, counts=projections.counts[peak : peak + 1], windows=(projections.windows[peak],), photopeak=0
    )


def _rng(seed: int, key: str, dose: float) -> np.random.Generator:
    """Return chance that depends on the study and the dose, not on what else is tried."""
    return np.random.default_rng([seed, int(key.removeprefix("study-"), 16), round(dose * 1e6)])


@dataclass(frozen=True)
class _Read:
    """Projections as counted or denoised, their reconstruction on the full dose's scale, and what is read from it."""

    projections: Projections
    prepared: Prepared
    volume: Volume
    heart: Heart | None
    remarks: tuple[str, ...]

    @classmethod
    def of(
        cls, projections: Projections, acquisition: Acquisition, share: float = 1.0, full: _Read | None = None
    ) -> _Read:
        """Reconstruct and read projections that hold this share of the full dose; `full`: what is known of motion."""
        options = Options()
        prepared = prepare(projections, options, full.prepared.motion if full else None)
        volume = _scaled(prepared.reconstruct("cpu"), share)
        image = HeartImage("", volume, gates=prepared.reconstruct_gates("cpu"))
        reading = read_hearts([image], acquisition, options)
        remarks = tuple(one.text for one in reading.findings if one.verdict is not Verdict.PASS)
        return cls(projections, prepared, volume, reading.hearts[0] if reading.hearts else None, remarks)

    @property
    def ventricle(self) -> LeftVentricle | None:
        """The ventricle that was found here."""
        return self.heart.ventricle if self.heart else None

    @property
    def heart_pixels(self) -> NDArray[np.bool_] | None:
        """The pixels `[view, row, column]` that show the ventricle; None where none was found."""
        if self.ventricle is None:
            return None
        return heart_shadow(self.projections.geometry, self.ventricle.center_mm, HEART_RADIUS_MM)

    def slices(self, volume: Volume) -> Array:
        """Return short-axis slices of an image in the frame of this ventricle; without one, the whole image."""
        if self.ventricle is None:
            return volume.values
        return reoriented(volume, self.ventricle, Orientation.SHORT_AXIS).values

    def compared(self, full: _Read, held_out: Volume) -> ImageRecord:
        """Return how far the slices about the heart lie from the full dose's, and what is read from them."""
        mine, *references = (full.slices(volume) for volume in (self.volume, full.volume, held_out))
        whole, rest = (_nrmse_percent(mine, reference) for reference in references)
        return ImageRecord(whole, rest, HeartRecord.of(self.heart) if self.heart else None)

    def shown(self, full: _Read, dose: float, *, denoised: bool = False) -> Shown:
        """Return this as pictures; what was not denoised is divided by its dose."""
        counts = self.projections.counts[0].sum(axis=0) / (1.0 if denoised else dose)
        return Shown(dose, denoised, counts.astype(np.float32), full.slices(self.volume))


@dataclass(frozen=True)
class _Tried:
    """One dose of a study."""

    record: DoseRecord
    shown: tuple[Shown, Shown]  # thinned, denoised

    @classmethod
    def of(
        cls, full: _Read, acquisition: Acquisition, networks: Sequence[Denoiser], dose: float, rng: np.random.Generator
    ) -> _Tried:
        """Thin a study, denoise what is left, and compare both with the full counts."""
        low = thin(full.projections, dose, rng)
        denoised = denoise(low, dose, networks)
        whole, seen = full.projections.ungated(), low.ungated()
        held_out = HeldOutCounts.of(whole, seen, full.heart_pixels, rng)
        predicted = (1.0 - dose) * denoised.expected.ungated().photopeak_counts().astype(np.float64)
        gaussian_mm, filtered = best_gaussian(seen, (1.0 - dose) / dose, held_out)
        thinned = _Read.of(low, acquisition, dose, full)
        after = _Read.of(denoised.for_images, acquisition, 1.0, full)
        rest = _with(seen, whole.photopeak_counts() - seen.photopeak_counts())
        others = _scaled(prepare(rest, Options(), full.prepared.motion).reconstruct("cpu"), 1.0 - dose)
        record = DoseRecord(
            dose=dose,
            low=_quality(Method.LOW_DOSE, seen, whole),
            gaussian=_quality(Method.GAUSSIAN, _with(seen, seen.photopeak_counts() + filtered), whole),
            full=_quality(Method.FULL, denoised.virtual_full_dose.ungated(), whole),
            noise_rmse=held_out.noise_rmse * GRAY / float(whole.counts.max()),
            gaussian_mm=gaussian_mm,
            held_out=held_out.judge(predicted),
            gaussian_held_out=held_out.judge(filtered),
            low_image=thinned.compared(full, others),
            denoised_image=after.compared(full, others),
        )
        return cls(record, (thinned.shown(full, dose), after.shown(full, dose, denoised=True)))


def _quality(method: Method, image: Projections, whole: Projections) -> ImageQuality:
    return projection_quality(method, Estimate(image), whole)


def _scaled(volume: Volume, share: float) -> Volume:
    """Return a reconstruction of a share of the counts on the scale of all."""
    return replace(volume, values=(volume.values / share).astype(np.float32))


def _nrmse_percent(image: Array, reference: Array) -> float:
    mine, theirs = image.astype(np.float64), reference.astype(np.float64)
    return 100.0 * float(np.sqrt(((mine - theirs) ** 2).sum() / (theirs**2).sum()))


def _with(projections: Projections, counts: NDArray[np.floating]) -> Projections:
    return replace(projections, counts=counts[None].astype(np.float32))
