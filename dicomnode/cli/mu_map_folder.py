"""Finds in a folder what a mu-map network can learn from: acquisitions, and the CT or attenuation map of each."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicomnode.errors import InstanceRejected, StudyUnsuitable
from dicomnode.study import InstanceContent, InstanceHeader

if TYPE_CHECKING:
    from dicomnode.objects.run_input import RunSources

PARTS = ("train", "validation", "test")  # a folder of this name lays down what its patients are for
_KEYWORDS = frozenset({"FrameOfReferenceUID", "CorrectedImage"})
_VIRTUAL = "VIRTUAL-"
_MAPS = (InstanceContent.CT, InstanceContent.MU_MAP)
_EMISSION = (InstanceContent.PROJECTIONS, InstanceContent.RECONSTRUCTION)


@dataclass
class Found:
    """The pairs of a folder, and the files that gave none."""

    pairs: list[Any] = field(default_factory=list)  # of pipelines.training.mu_map_data.MapPair
    passed_over: list[str] = field(default_factory=list)  # file and reason
    ours: int = 0  # files that a node like this one derived: nobody learns from what was told by a network
    files: list[tuple[Any, Path]] = field(default_factory=list)  # pairs that came of DICOM images, and the emission's

    @property
    def words(self) -> str:
        """How many pairs there are, and how many files gave none."""
        ours = f"; {self.ours} of what a dicomnode derived were left out" if self.ours else ""
        return f"{len(self.pairs)} pairs; {len(self.passed_over)} other files were passed over{ours}"

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
    for file, sources in _matched(files, found):
        try:
            pair = _made_once(file, sources, kept)
            found.pairs.append(pair)
            found.files.append((pair, file.path))
        except (StudyUnsuitable, UnsuitableAcquisition) as error:
            found.passed_over.append(f"{file.path.name}: {error}")
    if not found.pairs:
        why = f"; the first of {len(found.passed_over)} files: {found.passed_over[0]}" if found.passed_over else ""
        ours = f"; {found.ours} files are what a dicomnode derived" if found.ours else ""
        words = "found no acquisition with a CT or an attenuation map to learn from"
        raise StudyUnsuitable(f"{folder}: {words}{ours}{why}")
    return found


def _file(path: Path, folder: Path) -> _File:
    from dicomnode.objects.header import read_header

    part = next((name for name in path.relative_to(folder).parts[:-1] if name in PARTS), "")
    return _File(path, read_header(path, _KEYWORDS), part)


def _matched(files: Iterable[_File], found: Found) -> Iterator[tuple[_File, RunSources]]:
    """Yield each uncorrected acquisition with the CT series and attenuation maps that the node itself would choose."""
    from dicomnode.objects.run_input import run_sources
    from dicomnode.routing import is_ours

    beside: dict[str, list[Path]] = defaultdict(list)
    emissions = []
    for file in files:
        if is_ours(file.header):
            found.ours += 1
        elif file.header.content in _MAPS:
            beside[file.header.study_instance_uid].append(file.path)
        elif reason := _refused(file):
            found.passed_over.append(f"{file.path.name}: {reason}")
        else:
            emissions.append(file)
    for file in emissions:
        companions = beside[file.header.study_instance_uid]
        try:
            yield file, run_sources(file.path, file.header.sop_instance_uid, companions)
        except StudyUnsuitable as error:
            found.passed_over.append(f"{file.path.name}: {error}")


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


def _made_once(file: _File, sources: RunSources, kept: Path) -> Any:
    from pipelines.training.mu_map_data import PairMaker, read_pair, write_pair

    ct = tuple(one for one in sources.choice.ct if one.shares_frame)  # registered: no other is a truth to learn from
    sources = replace(sources, choice=replace(sources.choice, ct=ct))
    if not sources.choice.paths:
        raise StudyUnsuitable("no CT or attenuation map in its frame of reference")
    uids = [file.header.sop_instance_uid, *sorted(sources.uids[1:]), file.part]
    path = kept / f"{hashlib.sha256(' '.join(uids).encode()).hexdigest()[:24]}.npz"
    if not path.exists():
        acquisition, mu_map = _read(sources)
        maker = PairMaker()
        if acquisition.projections is not None:
            pair = maker.of_projections(acquisition.projections, mu_map, file.patient, split=file.part)
        elif acquisition.reconstruction is not None:
            pair = maker.of_reconstruction(acquisition.reconstruction, mu_map, file.patient, split=file.part)
        else:
            raise StudyUnsuitable("the image holds neither projections nor a reconstruction")
        write_pair(path, pair)
    return read_pair(path)


def _read(sources: RunSources) -> tuple[Any, Any]:
    """Return an acquisition and its map: of the best CT that can be read, else the best vendor's map."""
    from dicomnode.objects.run_input import read_input
    from pipelines.contract import MapSource
    from pipelines.training.mu_map_data import mu_from_ct

    found = read_input(sources, {})
    if not found.maps:
        raise StudyUnsuitable("; ".join(finding.text for finding in found.findings))
    best = found.maps[0]
    return found.acquisition, mu_from_ct(best.volume) if best.source is MapSource.CT else best.volume
