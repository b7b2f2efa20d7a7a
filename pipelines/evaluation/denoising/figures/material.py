"""What the denoising figures are drawn from: the records of an evaluation, and the images beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.denoising.arrays import Kind, PatientArrays, arrays_path, read_arrays
from pipelines.evaluation.denoising.figures.methods import PREDICTING
from pipelines.evaluation.denoising.quality_tables import of_method
from pipelines.evaluation.denoising.record import Dose, Method, MethodRecord, PatientRecord
from pipelines.images import Array

LEAST_PATIENTS = 3  # for a spread that means anything

Float = NDArray[np.float64]


class Missing(ValueError):
    """A figure can't be drawn; the message says what it lacks."""


@dataclass(frozen=True)
class Material:
    """Records of all patients, and the folder of their images."""

    records: tuple[PatientRecord, ...]
    folder: Path

    def needed(self) -> int:
        """Return the number of patients; raises Missing where they are too few for a spread."""
        if len(self.records) < LEAST_PATIENTS:
            raise Missing(
                f"it shows a spread over patients: {len(self.records)} are too few, {LEAST_PATIENTS} the least"
            )
        return len(self.records)

    def methods(self, among: Sequence[Method] = tuple(Method)) -> tuple[Method, ...]:
        """Return those methods that any patient has at any dose."""
        present = {name for record in self.records for of_dose in record.methods.values() for name in of_dose}
        return tuple(method for method in among if method.value in present)

    def predicting(self) -> tuple[Method, ...]:
        """Return the networks; raises Missing if there is none."""
        found = self.methods(PREDICTING)
        if not found:
            raise Missing("no network's images are in the records")
        return found

    def values(self, dose: Dose, method: Method, pick: Callable[[MethodRecord], float]) -> Float:
        """Return one number of each patient that has the method."""
        return np.array([pick(one) for one in of_method(self.records, dose, method)], dtype=np.float64)

    def why_none(self, dose: Dose, method: Method) -> str:
        """Return why a method is not shown at a dose."""
        return "read in too few patients" if of_method(self.records, dose, method) else "not trained for this dose"

    def arrays(self, record: PatientRecord) -> PatientArrays:
        """Return the images of a patient; raises Missing if there are none."""
        path = arrays_path(self.folder, record.patient)
        try:
            return read_arrays(path)
        except FileNotFoundError:
            raise Missing(f"there are no images of patient {record.patient} ({path.name})") from None

    def with_images(self) -> tuple[PatientRecord, ...]:
        """Return the patients that have images; raises Missing if none has."""
        found = tuple(record for record in self.records if arrays_path(self.folder, record.patient).exists())
        if not found:
            raise Missing("there are no images of any patient")
        return found


def image(arrays: PatientArrays, kind: Kind, name: str) -> Array:
    """Return an image that a figure can't be without; raises Missing if it was not kept."""
    found = arrays.get(kind, name)
    if found is None:
        raise Missing(f"patient {arrays.patient} has no {kind.value} of {name}")
    return found


def who(record: PatientRecord) -> str:
    """Return a patient in words."""
    sex = {"F": "Woman", "M": "Man"}.get(record.sex, record.sex)
    risk = "healthy" if record.risk == "healthy" else f"{record.risk} risk"
    return f"{sex}, {risk}, at {record.state}, true TPD {record.truth.tpd_percent:.1f} %"


def middle_one(records: Sequence[PatientRecord], value: Callable[[PatientRecord], float]) -> PatientRecord:
    """Return the patient with the median value (the lower one of two); the first of equals."""
    ordered = sorted(records, key=lambda record: (value(record), record.patient))
    return ordered[(len(ordered) - 1) // 2]
