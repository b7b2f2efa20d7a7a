"""What a model card says of the studies that a network was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.training.denoiser_data import TrainingStudy

VIRTUAL = "virtual patients - not clinical evidence"
OF_A_SITE = "studies of a site, not validated clinically"


def domain_of(studies: Sequence[TrainingStudy]) -> dict[str, object]:
    """Return the training domain: how many studies of how many patients, and the range of what they look like.

    Counts are those of photopeaks, as the guard compares them; a window beside it is a training set, but no study.
    """
    peaks = [study for study in studies if study.photopeak] or list(studies)
    per_view = np.concatenate([study.counts.sum(axis=(0, 2, 3), dtype=np.int64) for study in peaks])
    return {
        "studies": len(peaks),
        "patients": len({study.patient for study in studies}),
        "camera_models": sorted({study.camera_model for study in studies} - {""}),
        "collimators": sorted({study.collimator for study in studies} - {""}),
        "views": sorted({study.views for study in studies}),
        "gates": sorted({study.gates for study in studies}),
        "matrix": sorted({f"{study.counts.shape[-2]} x {study.counts.shape[-1]}" for study in studies}),
        "pixel_size_mm": sorted({round(study.pixel_size_mm, 3) for study in studies}),
        "counts_per_view_percentiles_5_50_95": [round(float(value)) for value in np.percentile(per_view, (5, 50, 95))],
        "brightest_pixel": max(int(study.counts.sum(axis=0, dtype=np.int64).max()) for study in peaks),
    }


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """Return figures with five digits that count."""
    return {name: float(f"{value:.5g}") for name, value in figures.items()}
