"""All that one run of a pipeline may look at: from the files of a study to a PipelineInput.

An acquisition comes first; for attenuation correction the CTs and attenuation maps that belong to it are read with it,
the best first. A CT that can't be read does not lose the study: the next source of a map is taken, and the report says
why. Which of those that can be read is used, the pipeline tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom import dcmread

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.ct import read_ct
from dicomnode.objects.elements import PARSE_ERRORS, texts
from dicomnode.objects.map_choice import MapChoice, MapSeries, choose_maps, why_chosen
from dicomnode.objects.reader import read_acquisition, read_noted_volume
from pipelines.contract import (
    Acquisition,
    Finding,
    MapCandidate,
    MapSource,
    OptionValue,
    PipelineInput,
    Verdict,
)
from pipelines.images import Volume

ATTENUATION = "ATTN"  # of Corrected Image
_MOST = 2  # of a kind that are read: where the best does not fit the next may; each fills up to hundreds of MB
_WITHOUT_A_PLACE = (
    "Image Position (Patient) doesn't tell where the acquisition lies, so only the registration tells how a CT or an "
    "attenuation map fits it"
)


@dataclass(frozen=True)
class RunSources:
    """The instances that one run may use: the acquisition's, then those that a map of its attenuation is made of."""

    acquisition: Path
    uid: str  # SOP Instance UID of the acquisition
    choice: MapChoice = field(default_factory=MapChoice)
    findings: tuple[Finding, ...] = ()  # why this acquisition, where another might have been expected

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files, the acquisition's first."""
        return (self.acquisition, *self.choice.paths)

    @property
    def uids(self) -> tuple[str, ...]:
        """Their SOP Instance UIDs."""
        return (self.uid, *self.choice.uids)


def run_sources(acquisition: Path, uid: str, companions: Sequence[Path], why: str = "") -> RunSources:
    """Return what a run uses of a study; `companions` are its CT slices and attenuation maps, if the pipeline asks.

    `why` is told as a finding: what led to this acquisition, where another might have been expected. Raises
    StudyUnsuitable if the acquisition's header can't be read.
    """
    findings = (Finding(Verdict.PASS, why),) if why else ()
    if not companions:
        return RunSources(acquisition, uid, findings=findings)
    try:
        header = dcmread(acquisition, stop_before_pixels=True)
    except PARSE_ERRORS as error:
        raise StudyUnsuitable(f"the acquisition can't be read as DICOM ({type(error).__name__})") from None
    return RunSources(acquisition, uid, choose_maps(header, companions), findings)


def read_input(sources: RunSources, options: Mapping[str, OptionValue]) -> PipelineInput:
    """Return the arrays of a run's sources.

    Raises StudyUnsuitable if the acquisition can't be used, or if the rule's option `map` insists on a CT or a vendor's
    map and none of those that are there can be read.
    """
    acquisition = read_acquisition(sources.acquisition)
    if acquisition.reconstruction is not None:
        acquisition = _not_corrected(acquisition, sources.acquisition)
    choice = sources.choice
    findings = [*sources.findings, *choice.findings]
    wanted = options.get("map", "auto")
    series = next(iter(choice.ct), None)  # all share the acquisition's frame, or none does
    ct = _readable(MapSource.CT, choice.ct, _read_ct, findings, insisted=wanted == "ct")
    mu_map = _readable(MapSource.VENDOR, choice.maps, read_noted_volume, findings, insisted=wanted == "vendor")
    if not acquisition.position_known and (ct or mu_map):
        findings.append(Finding(Verdict.WARN, _WITHOUT_A_PLACE))
    return PipelineInput(
        acquisition,
        (*ct, *mu_map),
        options,
        ct_shares_frame=series is None or (series.shares_frame and acquisition.position_known),
        findings=tuple(findings),
    )


def _read_ct(paths: Sequence[Path]) -> tuple[Volume, tuple[str, ...]]:
    return read_ct(paths), ()  # of a CT nothing is assumed


def _readable(
    source: MapSource,
    candidates: Sequence[MapSeries],
    read: Callable[[Sequence[Path]], tuple[Volume, tuple[str, ...]]],
    findings: list[Finding],
    *,
    insisted: bool,
) -> tuple[MapCandidate, ...]:
    """Return the best candidates that can be read, and tell what is wrong with those before them."""
    found: list[MapCandidate] = []
    refused = []
    for place, series in enumerate(candidates):
        if len(found) == _MOST:
            break
        try:
            volume, assumptions = read(series.paths)
        except StudyUnsuitable as error:
            refused.append(f"{series.name} can't be used: {error}")
            continue
        chosen = why_chosen(series, candidates[place + 1 :])
        found.append(MapCandidate(source, volume, series.name, chosen, assumptions, series.key))
    if refused and insisted and not found:
        raise StudyUnsuitable("; ".join(refused))
    findings += [Finding(Verdict.WARN, words) for words in refused]
    return tuple(found)


def _not_corrected(acquisition: Acquisition, path: Path) -> Acquisition:
    """Return a camera's reconstruction, with the assumption that was made of it.

    Raises StudyUnsuitable if it says that attenuation is corrected already: a second correction would be wrong.
    """
    stated = texts(dcmread(path, stop_before_pixels=True, specific_tags=["CorrectedImage"]), "CorrectedImage")
    if ATTENUATION in stated:
        raise StudyUnsuitable("the reconstruction is corrected for attenuation already (Corrected Image holds ATTN)")
    if stated:
        return acquisition
    words = "Corrected Image is not stated: the reconstruction is taken as not corrected for attenuation"
    return replace(acquisition, assumptions=(*acquisition.assumptions, words))
