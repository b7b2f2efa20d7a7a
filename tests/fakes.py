"""Stand-ins for what the node hands to its stages: an engine and a destination that do as they are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dicomnode.config import DestinationSettings
from dicomnode.errors import TransientFault
from dicomnode.study import Instance, InstanceContent, InstanceHeader, SendOutcome, SendReport
from pipelines.contract import OptionValue, PipelineInput, PipelineResult

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """Return a moment after noon, the start of every test's day."""
    return NOON + timedelta(seconds=seconds)


def an_instance(
    sop_instance_uid: str = "1.2.3",
    study: str = "1.2",
    content: InstanceContent = InstanceContent.PROJECTIONS,
    sha256: str = "a" * 64,
    received_at: datetime = NOON,
    calling_ae_title: str = "SPECT1",
    version: int = 1,
    flaw: str | None = None,
    **attributes: str | tuple[str, ...],
) -> Instance:
    """Return an instance as the journal would know it; attributes are DICOM keywords."""
    values = {keyword: (value,) if isinstance(value, str) else value for keyword, value in attributes.items()}
    header = InstanceHeader(study, f"{study}.1", sop_instance_uid, "1.2.840.10008.5.1.4.1.1.20", content, values, flaw)
    path = f"{sop_instance_uid}-{sha256[:8]}.dcm"
    return Instance(header, "1.2.840.10008.1.2.1", path, sha256, 1000, received_at, calling_ae_title, version)


@dataclass
class FakeEngine:
    """Answers each run with the next of `answers`; an exception is raised."""

    answers: list[PipelineResult | Exception]
    inputs: list[PipelineInput] = field(default_factory=list)

    def version(self, pipeline: str, options: Mapping[str, OptionValue]) -> str:
        """Return a fixed version."""
        return "1.0.0"

    def run(self, pipeline: str, pipeline_input: PipelineInput) -> PipelineResult:
        """Remember the input and give the next answer."""
        self.inputs.append(pipeline_input)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class FakeSender:
    """Answers every instance with the next outcome; "away" is a destination that can't be reached."""

    uid_of: dict[Path, str]
    outcomes: list[SendOutcome | str]
    sent: list[str] = field(default_factory=list)

    def __call__(self, destination: DestinationSettings, paths: Sequence[Path]) -> Iterator[SendReport]:
        """Send as the real sender does: reports one by one, TransientFault when nobody is there."""
        for path in paths:
            outcome = self.outcomes.pop(0)
            if not isinstance(outcome, SendOutcome):
                raise TransientFault("nobody answers")
            self.sent.append(self.uid_of[path])
            yield SendReport(self.uid_of[path], outcome, 0 if outcome is SendOutcome.DELIVERED else 0xA700, "")
