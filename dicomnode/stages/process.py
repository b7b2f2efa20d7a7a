"""Claims a routed study, runs its pipeline on each source, and writes the derived instances to the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from dicomnode.errors import EngineAway, StudyUnsuitable, TransientFault
from dicomnode.objects.derivation import DerivationContext, run_key
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.run_input import RunSources, read_input, run_sources
from dicomnode.routing import companion, instead_of_projections
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox, Stored
from dicomnode.store.rows import Claim
from dicomnode.store.spool import Spool, dataset_sha256
from dicomnode.study import DerivedInstance, Event
from pipelines.contract import Finding, Measurement, OptionValue, PipelineInput, PipelineResult, Verdict
from pipelines.images import UnsuitableAcquisition

log = structlog.get_logger(__name__)

LEASE_MARGIN_S = 120.0  # reading, writing and committing, on top of the engine's own time limit
BACK_OFF_S = 5.0  # before the second attempt; doubled for each further one
AWAY_S = 20.0  # before a study is taken again that found no engine


class Engine(Protocol):
    """Where pipelines run; handed in by the node."""

    def version(self, pipeline: str, options: Mapping[str, OptionValue]) -> str:
        """Return the version of the pipeline and of the weights that it uses under these options."""

    def run(self, pipeline: str, pipeline_input: PipelineInput) -> PipelineResult:
        """Run the pipeline; raises UnsuitableAcquisition, TransientFault for a crash, a time-out, a lost worker.

        EngineAway says that it was not run for want of a worker; runs of several threads go on side by side.
        """


@dataclass(frozen=True)
class Derivation:
    """What a pipeline made of one source."""

    instances: tuple[DerivedInstance, ...]
    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]
    verdict: Verdict


def derive(sources: RunSources, engine: Engine, context: DerivationContext) -> Derivation:
    """Read the sources of one run, run the context's pipeline on them and return the derived instances.

    Raises StudyUnsuitable with a sentence for the physicist, TransientFault if the engine failed, or if it works with
    another version than the context names: UIDs follow from that, so other pixels must not come under them.
    """
    pipeline_input = read_input(sources, context.options)
    try:
        result = engine.run(context.pipeline, pipeline_input)
    except UnsuitableAcquisition as error:
        raise StudyUnsuitable(str(error)) from error
    if (made := result.provenance.version) != context.pipeline_version:
        raise TransientFault(f"the pipeline's version changed from {context.pipeline_version} to {made} in the attempt")
    instances = derived_instances(sources.paths, pipeline_input, result, context)
    return Derivation(instances, result.findings, result.measurements, result.verdict)


@dataclass(frozen=True)
class Processor:
    """The stage: ROUTED -> DELIVERING, HELD or FAILED; back to ROUTED after a passing fault.

    Several threads may run it side by side: the journal gives each study to one of them.
    """

    journal: Journal
    spool: Spool
    outbox: Outbox
    engine: Engine
    node_version: str
    attempts: int
    lease_s: float
    stopping: Callable[[], bool]
    clock: Callable[[], datetime]  # an attempt takes minutes: its end is not at the time of its start
    derived: Callable[[], None]  # wakes the next stage

    def run_once(self, now: datetime) -> bool:
        """Make one attempt at the most urgent study that is due; tells whether there was one."""
        if self.stopping():
            return False
        self.return_lost_claims(now)
        claim = self.journal.claim(now, self.lease_s)
        if claim is None:
            return False
        try:
            self._attempt(claim)
        except StudyUnsuitable as error:
            self.journal.end_attempt(claim, Event.UNSUITABLE, str(error), self.clock())
        except EngineAway as error:
            self._uncounted(claim, str(error), AWAY_S)
        except (TransientFault, OSError) as error:
            self._failed(claim, str(error))
        except Exception as error:
            # the stage's outer wall: a fault in one study must not stop the road for the others
            log.exception("attempt failed", study=claim.study.study_instance_uid, state=claim.study.state.value)
            self._failed(claim, f"internal error ({type(error).__name__}); see the log")
        self.derived()
        return True

    def return_lost_claims(self, now: datetime | None) -> None:
        """Give back the claims whose lease ran out; None: all of them, since the node was just started."""
        for claim in self.journal.expired_claims(now):
            self._give_back(claim, "the node or its worker died in the attempt")

    def _attempt(self, claim: Claim) -> None:
        study = claim.study
        assert study.pipeline is not None  # noqa: S101 - a routed study has a route
        made: list[Stored] = []
        held: list[str] = []
        here = {i.header.sop_instance_uid: i for i in self.journal.instances(study.study_instance_uid)}
        companions = [
            self.spool.path(i.path) for i in here.values() if companion(study.pipeline, study.options, i.header)
        ]
        version = self.engine.version(study.pipeline, study.options)
        for source in claim.sources:
            if source not in here:
                raise StudyUnsuitable(f"the source instance {source} is no longer in the spool")
            context = DerivationContext(
                study.pipeline, version, self.node_version, study.options, self.clock(),
                keep_private=not self.outbox.keep_private().isdisjoint(study.destinations),
            )  # fmt: skip
            why = instead_of_projections(study.pipeline, here[source].header, [i.header for i in here.values()])
            sources = run_sources(self.spool.path(here[source].path), source, companions, why)
            key = run_key(sources.uids, context)
            if self.outbox.has(key):
                continue
            self.journal.renew(claim, self.clock() + timedelta(seconds=self.lease_s))
            derivation = derive(sources, self.engine, context)
            if derivation.verdict is Verdict.QUARANTINE:
                held += [f.text for f in derivation.findings if f.verdict is Verdict.QUARANTINE]
            made += [self._store(study.study_instance_uid, instance, key) for instance in derivation.instances]
        reason = f"{len(made)} derived instances" if made else "nothing new to derive"
        committed = self.outbox.commit(claim, made, "; ".join(held) or None, reason, self.clock())
        log.info(
            "attempt ended",
            study=study.study_instance_uid,
            pipeline=study.pipeline,
            count=len(made),
            outcome="committed" if committed else "the claim was lost; nothing committed",
        )

    def _store(self, study_uid: str, instance: DerivedInstance, key: str) -> Stored:
        sha256 = dataset_sha256(instance.file_bytes)
        path = self.outbox.spool.store(
            study_uid, instance.series_instance_uid, instance.sop_instance_uid, instance.file_bytes, sha256
        )
        return Stored(instance, path, sha256, key)

    def _failed(self, claim: Claim, reason: str) -> None:
        if self.stopping():
            self._uncounted(claim, reason)
        else:
            self._give_back(claim, reason)

    def _uncounted(self, claim: Claim, reason: str, pause_s: float = 0.0) -> None:
        """Give a study back as if the attempt had not been: it was not the study's fault."""
        if self.stopping():
            reason, pause_s = "the node was stopped", 0.0
        now = self.clock()
        next_at = now + timedelta(seconds=pause_s)
        self.journal.end_attempt(claim, Event.ATTEMPT_FAILED, reason, now, next_at, uncounted=True)
        log.info("attempt not counted", study=claim.study.study_instance_uid, reason=reason)

    def _give_back(self, claim: Claim, reason: str) -> None:
        attempts = claim.study.attempts
        now = self.clock()
        if attempts >= self.attempts:
            event, next_at = Event.ATTEMPTS_SPENT, None
            reason = f"set aside after {attempts} attempts; the last: {reason}"
        else:
            event, next_at = Event.ATTEMPT_FAILED, now + timedelta(seconds=BACK_OFF_S * 2 ** (attempts - 1))
        self.journal.end_attempt(claim, event, reason, now, next_at)
        log.warning("attempt failed", study=claim.study.study_instance_uid, attempt=attempts, reason=reason)


def remove_unrecorded(outbox: Outbox) -> int:
    """Delete derived files that no row knows (an attempt died before its commit); only before the stages start."""
    known = outbox.known_paths()
    lost = [path for path in outbox.spool.sweep() if path not in known]
    for path in lost:
        outbox.spool.remove(path)
    return len(lost)
