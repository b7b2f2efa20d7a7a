"""Finds in a folder what a mu-map network can learn from: acquisitions, and the CT or attenuation map of each."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicomnode.errors import InstanceRejected, StudyUnsuitable
from dicomnode.study import InstanceContent, InstanceHeader

PARTS = ("train", "validation", "test")  # a folder of this name lays down what its patients are for
_KEYWORDS = frozenset({"FrameOfReferenceUID", "CorrectedImage"})
_VIRTUAL = "VIRTUAL-"
_EMISSION = (InstanceContent.PROJECTIONS, InstanceContent.RECONSTRUCTION)


@dataclass
class Found:
    """The pairs of a folder, and the files that gave none."""

    pairs: list[Any] = field(default_factory=list)  # of pipelines.training.mu_map_data.MapPair
    passed_over: list[str] = field(default_factory=list)  # file and reason
    files: list[tuple[Any, Path]] = field(default_factory=list)  # pairs that came of DICOM images, and the emission's

    @property
    def virtual(self) -> bool:
        """Whether all patients are virtual ones."""
        return all(pair.patient.startswith(_VIRTUAL) for pair in self.pairs)


@dataclass(frozen=True)
class _File:
    path: Path
    header: InstanceHeader
    part: str

    def attribute(self, keyword: str) -> tuple[str, ...]:
        return self.header.attributes.get(keyword, ())

    @property
    def place(self) -> tuple[str, str]:
        """Study and frame of reference: images that share both are registered to each other."""
        return self.header.study_instance_uid, next(iter(self.attribute("FrameOfReferenceUID")), "")

    @property
    def patient(self) -> str:
        """An opaque name; a virtual patient's own, who has nothing to hide."""
        name = next(iter(self.attribute("PatientID")), "") or self.header.study_instance_uid
        return name if name.startswith(_VIRTUAL) else hashlib.sha256(name.encode()).hexdigest()[:16]


def read_pairs(folder: Path, kept: Path) -> Found:
    """Return all pairs below a folder: files of pairs as they are, DICOM images after a reconstruction.

    What is made of DICOM images is kept in `kept` and not made again. Raises StudyUnsuitable if there is no pair.
    """
    from pipelines.images import UnsuitableAcquisition
    from pipelines.training.mu_map_data import read_pair

    found = Found()
    files: list[_File] = []
    inside = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_relative_to(kept))
    for path in inside:
        try:
            if path.suffix == ".npz":
                found.pairs.append(read_pair(path))
            else:
                files.append(_file(path, folder))
        except (InstanceRejected, UnsuitableAcquisition) as error:
            found.passed_over.append(f"{path.name}: {error}")
    for file, maps in _matched(files, found):
        try:
            pair = _made_once(file, maps, kept)
            found.pairs.append(pair)
            found.files.append((pair, file.path))
        except (StudyUnsuitable, UnsuitableAcquisition) as error:
            found.passed_over.append(f"{file.path.name}: {error}")
    if not found.pairs:
        why = f"; the first of {len(found.passed_over)} files: {found.passed_over[0]}" if found.passed_over else ""
        raise StudyUnsuitable(f"{folder}: found no acquisition with a CT or an attenuation map to learn from{why}")
    return found


def _file(path: Path, folder: Path) -> _File:
    from dicomnode.objects.header import read_header

    part = next((name for name in path.relative_to(folder).parts[:-1] if name in PARTS), "")
    return _File(path, read_header(path, _KEYWORDS), part)


def _matched(files: Iterable[_File], found: Found) -> Iterator[tuple[_File, tuple[_File, ...]]]:
    """Yield each uncorrected acquisition with its attenuation map, or else with the slices of its CT."""
    maps: dict[tuple[str, str], list[_File]] = defaultdict(list)
    slices: dict[tuple[str, str], dict[str, list[_File]]] = defaultdict(lambda: defaultdict(list))
    emissions = []
    for file in files:
        if file.header.content is InstanceContent.MU_MAP:
            maps[file.place].append(file)
        elif file.header.content is InstanceContent.CT:
            slices[file.place][file.header.series_instance_uid].append(file)
        elif reason := _refused(file):
            found.passed_over.append(f"{file.path.name}: {reason}")
        else:
            emissions.append(file)
    for file in emissions:
        chosen = _map_of(file, maps, slices)
        if chosen:
            yield file, chosen
        else:
            found.passed_over.append(f"{file.path.name}: no CT or attenuation map in its frame of reference")


def _refused(file: _File) -> str:
    """Return why a file is no acquisition to learn from; nothing if it is one."""
    if file.header.content not in _EMISSION:
        return "no image to learn from"
    if file.header.content is InstanceContent.PROJECTIONS and file.attribute("ImageType")[:1] == ("DERIVED",):
        return "a derived image holds no counts as they were measured"
    if file.header.content is InstanceContent.RECONSTRUCTION and "ATTN" in file.attribute("CorrectedImage"):
        return "it is corrected for attenuation already"
    if not file.place[1]:
        return "it names no frame of reference, so no CT or attenuation map is known to lie as it does"
    return ""


def _map_of(
    file: _File,
    maps: Mapping[tuple[str, str], list[_File]],
    slices: Mapping[tuple[str, str], Mapping[str, list[_File]]],
) -> tuple[_File, ...]:
    if file.place in maps:
        return (maps[file.place][0],)
    series = slices.get(file.place, {})
    longest = max(series, key=lambda uid: len(series[uid]), default="")
    return tuple(series.get(longest, ()))


def _made_once(file: _File, maps: tuple[_File, ...], kept: Path) -> Any:
    from dicomnode.objects.reader import read_acquisition
    from pipelines.training.mu_map_data import PairMaker, read_pair, write_pair

    uids = [file.header.sop_instance_uid, *sorted(one.header.sop_instance_uid for one in maps), file.part]
    path = kept / f"{hashlib.sha256(' '.join(uids).encode()).hexdigest()[:24]}.npz"
    if not path.exists():
        acquisition = read_acquisition(file.path)
        mu_map, maker = _mu_map(maps), PairMaker()
        if acquisition.projections is not None:
            pair = maker.of_projections(acquisition.projections, mu_map, file.patient, split=file.part)
        elif acquisition.reconstruction is not None:
            pair = maker.of_reconstruction(acquisition.reconstruction, mu_map, file.patient, split=file.part)
        else:
            raise StudyUnsuitable("the image holds neither projections nor a reconstruction")
        write_pair(path, pair)
    return read_pair(path)


def _mu_map(maps: tuple[_File, ...]) -> Any:
    from dicomnode.objects.ct import read_ct
    from dicomnode.objects.reader import read_volume
    from pipelines.training.mu_map_data import mu_from_ct

    paths = [one.path for one in maps]
    return read_volume(paths) if maps[0].header.content is InstanceContent.MU_MAP else mu_from_ct(read_ct(paths))
