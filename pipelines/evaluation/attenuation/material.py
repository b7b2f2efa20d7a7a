"""What tables and figures of the attenuation evaluation are made from: the records, and the images beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.agreement.polar_maps import PolarMapAgreement, percent_of, polar_map_agreement
from pipelines.cardiac.polar_map import as_disk
from pipelines.evaluation.attenuation.arrays import ScanArrays, read_arrays
from pipelines.evaluation.attenuation.record import Frame, HeartFigures, Method, Road, ScanRecord
from pipelines.evaluation.attenuation.run import CAMERA

Float = NDArray[np.float64]

DISK = 512  # pixels, as in the paper
NO_PAPER = "not tried"  # in place of the size of the paper's network
LEAST_SCANS = 4  # for a correlation


@dataclass(frozen=True)
class Material:
    """Records of all scans, the images by the scans' names, and what the paper's network is to be called."""

    records: tuple[ScanRecord, ...]
    images: Mapping[str, ScanArrays]
    paper_size: str = NO_PAPER
    pixels: int = DISK  # of a polar map along each side, where pixels are compared

    @classmethod
    def of(cls, records: Sequence[ScanRecord], folder: Path, paper_size: str, pixels: int = DISK) -> Material:
        """Read the images of records; raises FileNotFoundError if one's are missing."""
        images = {record.name: read_arrays(folder / f"{record.name}.npz") for record in records}
        return cls(tuple(records), images, paper_size, pixels)

    @property
    def main(self) -> tuple[ScanRecord, ...]:
        """The scans of the camera that everything was tried on."""
        return self.on(CAMERA)

    def on(self, camera: str) -> tuple[ScanRecord, ...]:
        """Return the scans of a camera."""
        return tuple(record for record in self.records if record.camera == camera)

    def label(self, method: Method) -> str:
        """Return a method's name in tables and figures."""
        return f"{method.value} ({self.paper_size})" if method is Method.PAPER else method.value

    def arrays(self, record: ScanRecord) -> ScanArrays:
        """Return the images of a scan."""
        return self.images[record.name]

    def agreement(
        self, records: Sequence[ScanRecord], road: Road, frame: Frame, method: Method, reference: Road | None = None
    ) -> PolarMapAgreement | None:
        """Return how a method's polar maps agree with the reference's; None where too few scans have both.

        The reference comes by the same road, unless another is named.
        """
        pairs = heart_pairs(records, road, frame, method, reference)
        if len(pairs) < 2:
            return None
        ours, theirs = (np.array([one[side].segments_percent for _, *one in pairs]) for side in (0, 1))
        chosen = [record for record, _, _ in pairs]
        return polar_map_agreement(
            self.disks(chosen, road, frame, method),
            self.disks(chosen, reference or road, frame, Method.CTAC),
            ours,
            theirs,
        )

    def disks(self, records: Sequence[ScanRecord], road: Road, frame: Frame, method: Method) -> Float:
        """Return polar maps `[scan, row, column]` in percent of each one's maximum, NaN outside of the circle."""
        found = []
        for record in records:
            counts = self.arrays(record).polar(road, frame, method)
            if counts is None:
                raise KeyError(f"{record.name}: no polar map of {method.value} by {road.value}")
            found.append(as_disk(percent_of(counts, max(float(counts.max()), 1e-12)), self.pixels))
        return np.stack(found)


Pair = tuple[ScanRecord, HeartFigures, HeartFigures]


def heart_pairs(
    records: Sequence[ScanRecord], road: Road, frame: Frame, method: Method, reference: Road | None = None
) -> list[Pair]:
    """Return the scans in which a ventricle was found in a method's image and in the reference: ours, theirs.

    The reference comes by the same road, unless another is named.
    """
    found = []
    for record in records:
        ours = record.reading(road, frame, method)
        theirs = record.reading(reference or road, frame, Method.CTAC)
        if ours is not None and theirs is not None:
            found.append((record, ours, theirs))
    return found


def segment_apes(ours: HeartFigures, theirs: HeartFigures) -> Float:
    """Return the absolute percentage error of each segment."""
    mine, reference = (np.array(one.segments_percent) for one in (ours, theirs))
    return np.asarray(100.0 * np.abs(mine - reference) / np.maximum(reference, 1e-9))


def tried(records: Sequence[ScanRecord], road: Road) -> tuple[Method, ...]:
    """Return those methods that any scan has by a road, the reference left out."""
    present = {name for record in records for name in record.hearts.get(road.value, {}).get(Frame.OWN.value, {})}
    return tuple(method for method in Method if method.value in present and method is not Method.CTAC)
