"""Which rule a study follows, and whether it holds all that the rule needs: pure, and explained in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from dicomnode.config import FetchSettings, OptionValue, RuleSettings
from dicomnode.study import VENDOR_ONLY, Instance, InstanceContent, InstanceHeader

# What a pipeline can work on; a rule holds only for a study that has one of these.
PIPELINE_INPUTS: Mapping[str, frozenset[InstanceContent]] = {
    "reconstruction": frozenset({InstanceContent.PROJECTIONS}),
    "denoising": frozenset({InstanceContent.PROJECTIONS}),
    "attenuation_correction": frozenset({InstanceContent.PROJECTIONS, InstanceContent.RECONSTRUCTION}),
}
# What an attenuation correction looks at besides, by its option `map`.
_MAPS: Mapping[str, frozenset[InstanceContent]] = {
    "auto": frozenset({InstanceContent.CT, InstanceContent.MU_MAP}),
    "ct": frozenset({InstanceContent.CT}),
    "vendor": frozenset({InstanceContent.MU_MAP}),
}
OURS = ("dicomnode",)  # Manufacturer and Manufacturer's Model Name of what this node derived
_IDENTITY = ("patient", "otherpatient", "issuerofpatient")
_NEED_WORDS = {
    "projections": "projections",
    "ct": "CT",
    "stress": "the stress study",
    "rest": "the rest study",
}


@dataclass(frozen=True)
class Route:
    """The study is whole: run this pipeline on `sources` and send the derived instances to `destinations`."""

    rule: str
    pipeline: str
    options: Mapping[str, OptionValue]
    destinations: tuple[str, ...]
    priority: int
    sources: tuple[str, ...]  # SOP Instance UIDs that the pipeline runs on, one job part each
    reason: str


@dataclass(frozen=True)
class Wait:
    """Something may still come; look again at `until`. `fetch` is what the rule wants fetched meanwhile."""

    until: datetime
    reason: str
    rule: str = ""
    fetch: tuple[FetchSettings, ...] = ()
    whole: bool = False  # only the Association is still open: look as soon as it has ended


@dataclass(frozen=True)
class Hold:
    """Something is missing or flawed for good; a person must look. `rule` and `pipeline`: what it would follow."""

    reason: str
    rule: str
    pipeline: str


@dataclass(frozen=True)
class Ignore:
    """No rule wants this study."""

    reason: str


Decision = Route | Wait | Hold | Ignore


@dataclass(frozen=True)
class Arrival:
    """What is known of a study's arrival: its instances, when the last came, whether a peer still sends to it."""

    instances: Sequence[Instance]
    last_at: datetime
    being_sent: bool
    version: int = 1
    companions: Sequence[Instance] = ()  # fetched from other studies of the patient
    fetching: frozenset[str] = frozenset()  # needs that are being fetched
    partial: frozenset[str] = frozenset()  # needs that were fetched in part: what is here may not be all
    fetched: Mapping[str, str] = field(default_factory=dict)  # need -> what became of its fetch, in words


def plain(name: str) -> str:
    """Return a keyword in the form that `series_description` and `SeriesDescription` share."""
    return name.replace("_", "").lower()


def assess(rules: Sequence[RuleSettings], arrival: Arrival, now: datetime, quiet_s: float) -> Decision:
    """Decide what is to be done with a study that stands in RECEIVING (house rules c, d, e)."""
    quiet_at = arrival.last_at + timedelta(seconds=quiet_s)
    quiet = now >= quiet_at and not arrival.being_sent
    for rule in rules:
        sources = _sources(rule, arrival.instances)
        if sources:
            return _assess_rule(rule, sources, arrival, now, quiet, quiet_at)
    if not quiet:
        return Wait(max(quiet_at, now), f"no instance matches a rule yet; {_waiting_words(arrival, quiet_at)}")
    return Ignore(f"no rule holds: {why_none(rules, arrival.instances)}")


def _assess_rule(
    rule: RuleSettings,
    sources: Sequence[Instance],
    arrival: Arrival,
    now: datetime,
    quiet: bool,
    quiet_at: datetime,
) -> Decision:
    have = _have(sources, arrival) - arrival.partial
    needs = [need for need in rule.needs if need not in have]
    missing = [_NEED_WORDS[need] for need in needs]
    flawed = [source for source in sources if source.header.flaw]
    title = f"rule {rule.name!r}"
    if missing:
        deadline = arrival.last_at + timedelta(seconds=rule.wait_s)
        told = "".join(f"; {arrival.fetched[need]}" for need in needs if need in arrival.fetched)
        words = f"{title}: have {_list(sorted(have))}, waiting for {_list(missing)} until {_clock(deadline)}{told}"
        fetch = tuple(one for one in rule.fetch if one.need in needs)
        if fetch and not quiet:  # the scanner may still send it
            return Wait(max(quiet_at, now), words)
        if quiet and now >= deadline and not arrival.fetching & set(needs):
            missed = f"{_list(missing)} did not come by {_clock(deadline)}"
            return Hold(f"{title}: have {_list(sorted(have))}; {missed}{told}", rule.name, rule.pipeline)
        return Wait(max(deadline, quiet_at), words, rule.name, fetch)
    if flawed:
        if quiet:
            return Hold(f"{title}: {flawed[0].header.flaw}", rule.name, rule.pipeline)
        return Wait(max(quiet_at, now), f"{title}: {flawed[0].header.flaw}; {_waiting_words(arrival, quiet_at)}")
    if _may_still_grow(rule, sources, arrival) and not quiet:
        return Wait(max(quiet_at, now), f"{title}: have {_list(sorted(have))}; {_waiting_words(arrival, quiet_at)}")
    if arrival.being_sent and now < quiet_at:  # what else it brings is processed together with this
        words = f"{title}: have {_list(sorted(have))}; {_waiting_words(arrival, quiet_at)}"
        return Wait(quiet_at, words, rule.name, whole=True)
    reason = f"{title} holds: have {_list(sorted(have))} from {sources[0].calling_ae_title}"
    passed_over = why_not_projections([i.header for i in _usable(rule, arrival.instances) if matches(rule.when, i)])
    return _route(rule, sources, f"{reason}; {passed_over}" if passed_over else reason)


def _route(rule: RuleSettings, sources: Sequence[Instance], reason: str) -> Route:
    return Route(
        rule=rule.name,
        pipeline=rule.pipeline,
        options=dict(rule.options),
        destinations=rule.destinations,
        priority=rule.priority,
        sources=tuple(sorted(source.header.sop_instance_uid for source in sources)),
        reason=reason,
    )


def route_columns(route: Route, now: datetime) -> dict[str, Any]:
    """Return what the journal keeps of a route."""
    return {
        "rule": route.rule,
        "pipeline": route.pipeline,
        "options": dict(route.options),
        "destinations": list(route.destinations),
        "sources": list(route.sources),
        "priority": route.priority,
        "attempts": 0,
        "next_at": now,
    }


def force_route(rules: Sequence[RuleSettings], instances: Sequence[Instance]) -> Route | None:
    """Return the route of the first rule that has a source, whatever else it needs: an operator decided not to wait."""
    for rule in rules:
        sources = _sources(rule, instances)
        if sources:
            return _route(rule, sources, f"rule {rule.name!r} with what is here")
    return None


def _sources(rule: RuleSettings, instances: Iterable[Instance]) -> list[Instance]:
    """Return the instances that the rule's pipeline would run on; projections go before reconstructions."""
    found = [i for i in _usable(rule, instances) if matches(rule.when, i)]
    projections = [i for i in found if i.header.content is InstanceContent.PROJECTIONS]
    if "projections" not in rule.needs and why_not_projections([i.header for i in found]):
        return [i for i in found if i not in projections]
    return projections or found


def why_not_projections(headers: Sequence[InstanceHeader]) -> str:
    """Return why a study's reconstructions are worked on although it has projections; nothing where these go first.

    `headers` are those that the pipeline can work on. Projections that only their vendor can reconstruct (IQ-SPECT's)
    stand back behind what the vendor made of them.
    """
    of_content = {content: [one for one in headers if one.content is content] for content in InstanceContent}
    reasons = [one.attributes.get(VENDOR_ONLY) for one in of_content[InstanceContent.PROJECTIONS]]
    if not of_content[InstanceContent.RECONSTRUCTION] or not reasons or not all(reasons):
        return ""
    return f"only the vendor can reconstruct the projections that are here ({(reasons[0] or ('',))[0]})"


def instead_of_projections(pipeline: str, source: InstanceHeader, study: Sequence[InstanceHeader]) -> str:
    """Return what a report is to say of a reconstruction that is worked on although its study has projections."""
    if source.content is not InstanceContent.RECONSTRUCTION:
        return ""
    why = why_not_projections([one for one in study if usable(pipeline, one)])
    return f"{why}: the vendor's reconstruction is used instead" if why else ""


def _usable(rule: RuleSettings, instances: Iterable[Instance]) -> list[Instance]:
    """Return the instances that the rule's pipeline can work on."""
    return [instance for instance in instances if usable(rule.pipeline, instance.header)]


def usable(pipeline: str, header: InstanceHeader) -> bool:
    """Tell whether a pipeline can work on an instance: what we derived ourselves never goes round again."""
    return header.content in PIPELINE_INPUTS[pipeline] and not is_ours(header) and not _corrected(header)


def companion(pipeline: str, options: Mapping[str, OptionValue], header: InstanceHeader) -> bool:
    """Tell whether a pipeline looks at an instance besides its source: at a CT, at an attenuation map."""
    return header.content in _companions(pipeline, options) and not is_ours(header)


def _companions(pipeline: str, options: Mapping[str, OptionValue]) -> frozenset[InstanceContent]:
    wanted = _MAPS.get(str(options.get("map", "auto")), frozenset())
    return wanted if pipeline == "attenuation_correction" else frozenset()


def is_ours(header: InstanceHeader) -> bool:
    """Tell whether we derived an instance: archives send on what they receive."""
    return header.attributes.get("Manufacturer") == header.attributes.get("ManufacturerModelName") == OURS


def _corrected(header: InstanceHeader) -> bool:
    """Tell whether an instance says of itself that attenuation is corrected in it: that must not be done twice."""
    return "ATTN" in header.attributes.get("CorrectedImage", ())


def matches(when: Mapping[str, str | tuple[str, ...]], instance: Instance) -> bool:
    """Tell whether one instance satisfies every condition of a rule."""
    return all(_holds(key, wanted, instance) for key, wanted in when.items())


def _holds(key: str, wanted: str | tuple[str, ...], instance: Instance) -> bool:
    patterns = [wanted] if isinstance(wanted, str) else wanted
    values = _values(key, instance)
    return any(fnmatchcase(value.lower(), pattern.lower()) for pattern in patterns for value in values)


def _values(key: str, instance: Instance) -> tuple[str, ...]:
    if plain(key) == "callingaetitle":
        return (instance.calling_ae_title,)
    for keyword, values in instance.header.attributes.items():
        if plain(keyword) == plain(key):
            return values or ("",)
    return ("",)


def _have(sources: Sequence[Instance], arrival: Arrival) -> set[str]:
    have = (
        {"projections"} if any(s.header.content is InstanceContent.PROJECTIONS for s in sources) else {"reconstruction"}
    )
    if any(instance.header.content is InstanceContent.CT for instance in arrival.instances):
        have.add("ct")
    for source in (*sources, *arrival.companions):
        have.update(source.header.attributes.get("CardiacState", ()))
    return have & {"projections", "reconstruction", "ct", "stress", "rest"}


def _may_still_grow(rule: RuleSettings, sources: Sequence[Instance], arrival: Arrival) -> bool:
    """Tell whether more could belong to what the rule needs, so that only quiet shows the end.

    A projection set is one instance and checks itself; a CT is many instances and never says how many, nor does a
    reconstruction whether its projections follow. In a study that was taken before, an instance that is no source
    itself shows that a peer is still sending the rest.
    """
    if "ct" in rule.needs or rule.pipeline == "attenuation_correction":
        return True
    newest = max(arrival.instances, key=lambda instance: (instance.version, instance.received_at))
    return arrival.version > 1 and newest not in sources


def why_none(rules: Sequence[RuleSettings], instances: Sequence[Instance]) -> str:
    """Say in words, per rule, why no instance of the study satisfies it."""
    if not rules:
        return "no rules are configured"
    return "; ".join(f"{rule.name!r}: {_why_not(rule, instances)}" for rule in rules)[:500]


def _why_not(rule: RuleSettings, instances: Sequence[Instance]) -> str:
    usable = _usable(rule, instances)
    if not usable:
        found = sorted({_what(instance) for instance in instances})
        wanted_words = _list(sorted(content.value for content in PIPELINE_INPUTS[rule.pipeline]), "or")
        return f"{rule.pipeline} needs {wanted_words}, found {_list(found)}"
    for key, wanted in rule.when.items():
        if not any(_holds(key, wanted, instance) for instance in usable):
            found = sorted({"\\".join(_values(key, instance)) or "(empty)" for instance in usable})
            if plain(key).startswith(_IDENTITY):
                found = ["something else"]  # the reason goes to the log, where nobody's identity belongs
            shown = wanted if isinstance(wanted, str) else " or ".join(wanted)
            return f"{key} is {_list(found)}, wanted {shown}"
    return "no single instance satisfies all conditions"


def _what(instance: Instance) -> str:
    """Name an instance for a person: what it is to us, else its Modality and the third value of its Image Type."""
    if is_ours(instance.header):
        return "what this node derived"
    if _corrected(instance.header):
        return f"{instance.header.content.value} that is corrected for attenuation"
    if instance.header.content is not InstanceContent.OTHER:
        return str(instance.header.content.value)
    modality = "\\".join(instance.header.attributes.get("Modality", ())) or "no modality"
    return " ".join((modality, *instance.header.attributes.get("ImageType", ())[2:3]))


def _waiting_words(arrival: Arrival, quiet_at: datetime) -> str:
    return "a peer is still sending" if arrival.being_sent else f"waiting for quiet at {_clock(quiet_at)}"


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M:%S")


def _list(words: Sequence[str], last: str = "and") -> str:
    shown = ["CT" if word == "ct" else word for word in words]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"
