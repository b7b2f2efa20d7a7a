"""The tables of config.toml as frozen models; unknown keys are refused. `config_file` reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    SecretStr,
    StringConstraints,
)  # fmt: skip

from dicomnode.errors import ConfigurationError

OptionValue = bool | int | float | str
AETitle = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$")
]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*(?!\d+\.?$){_LABEL}\.?")  # a number at the end is no name


def _host(text: str) -> str:
    """Return a host as it is written. Raises ValueError for what can be neither an address nor a name (RFC 1123)."""
    try:
        ip_address(text)
    except ValueError:
        if not _HOST_NAME.fullmatch(text):
            raise ValueError("is neither an address nor the name of a host; write for example 10.0.0.5") from None
    return text


def _condition(value: object) -> object:
    """Return what a rule compares an attribute with: text, or a list of texts. Numbers are compared as text, too."""
    values = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in values):
        raise ValueError('is compared as text; write "words", or a list of which any may hold: ["words", "others"]')
    texts = tuple(str(one) for one in values)
    return texts if isinstance(value, list | tuple) else texts[0]


Host = Annotated[str, AfterValidator(_host)]
Condition = Annotated[str | tuple[str, ...], BeforeValidator(_condition)]
NodeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]  # part of a file's name


def is_loopback(host: str) -> bool:
    """Tell whether only programs of this machine reach the host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Section(BaseModel):
    """Base of every table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class NodeSettings(Section):
    """[node]: who we are, where we listen, where the data lie."""

    ae_title: AETitle = "DICOMNODE"
    host: Host = "127.0.0.1"  # an address of this machine to listen on
    port: Port = 11112
    data_dir: Path = Path("./data")  # spool, journal, outbox; one running node per folder
    journal: str | None = None  # address of a PostgreSQL database, in place of a file in data_dir
    standby: bool = False  # share journal and data_dir with another node, and wait while that one is active
    name: NodeName | None = None  # by which the nodes of one journal are told apart; else that of the machine
    takeover_s: Annotated[float, Field(ge=2, le=3600)] = 10  # silence of the active node, then the standby takes over
    quiet_s: Annotated[float, Field(ge=0)] = 30  # a study is quiet when nothing came, and nobody sends it, for so long
    max_associations: Annotated[int, Field(ge=1)] = 16  # at the same time
    max_pdu: Annotated[int, Field(ge=4096, le=1_048_576)] = 131072
    receive_memory_gb: Annotated[float, Field(ge=0.01)] | None = None  # of instances on their way to the disk
    require_known_peers: bool = True  # only [[peers]] may associate
    min_free_gb: Annotated[float, Field(ge=0)] = 5  # less room: instances are refused with A700


class TlsSettings(Section):
    """[tls]: certificate and key of this node, and whom it trusts."""

    certificate: Path
    key: Path
    ca: Path
    require_peer_certificate: bool = True


class PeerSettings(Section):
    """[[peers]]: an AE that may open an Association with us; with a port, one that may ask us for commitment."""

    name: str
    ae_title: AETitle
    host: Host | None = None
    port: Port | None = None  # where its Storage Commitment reports go
    tls: bool = False  # of those reports
    user: str | None = None  # set: it must say who it is (User Identity Negotiation, PS3.7 D.3.3.7)
    password: SecretStr | None = None


class DestinationSettings(Section):
    """[[destinations]]: a Storage SCP that we send derived instances to."""

    name: str
    ae_title: AETitle
    host: Host
    port: Port
    tls: bool = False
    keep_private: bool = False  # send denoised projections with the camera's private elements in place of plain ones
    storage_commitment: bool = False
    commitment_wait_s: Seconds = 3600  # for its report; then it is asked again
    commitment_resends: Annotated[int, Field(ge=0)] = 3  # of an instance that it says it does not have
    retry_s: tuple[Seconds, ...] = (5, 30, 120, 600, 3600)
    give_up_h: Annotated[float, Field(gt=0)] = 72


PipelineName = Literal["denoising", "attenuation_correction", "reconstruction"]
Need = Literal["projections", "ct", "stress", "rest"]


class FetchSettings(Section):
    """One entry of a rule's `fetch`: what of `needs` is asked for at which destination when it does not come."""

    need: Literal["ct", "stress", "rest"]
    source: str  # the name of a destination that answers queries
    method: Literal["move", "get"] = "move"
    series_description: str = "*"  # wildcard, without regard to case: which series are fetched
    days: Annotated[int, Field(ge=0)] = 0  # how far from this study another one of the patient may be; 0: this one only
    max_instances: Annotated[int, Field(ge=1)] = 2000
    timeout_s: Seconds = 600  # silence of the source, after which the fetch is tried again
    retry_s: tuple[Seconds, ...] = (30, 120, 600)  # then this study's fetch is given up


class RuleSettings(Section):
    """[[rules]]: which studies go through which pipeline to which destinations; the first that matches wins."""

    name: str
    when: Mapping[str, Condition] = Field(default_factory=dict)
    pipeline: PipelineName
    needs: tuple[Need, ...] = ()  # besides something that the pipeline can work on
    fetch: tuple[FetchSettings, ...] = ()
    wait_s: Annotated[float, Field(ge=0)] = 1800  # for what `needs` names and is not here yet
    options: Mapping[str, OptionValue] = Field(default_factory=dict)
    destinations: Annotated[tuple[str, ...], Field(min_length=1)]
    priority: int = 0


_SCHEDULER = r"^(tls|tcp)://([^/:\s\[\]]+|\[[0-9A-Fa-f:]+\]):\d{1,5}$"


class EngineSettings(Section):
    """[engine]: where pipelines run."""

    kind: Literal["local", "dask"] = "local"  # on this machine, or on workers of a Dask cluster
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    timeout_s: Seconds = 600  # for one run of a pipeline
    attempts: Annotated[int, Field(ge=1)] = 3  # then the study is FAILED
    scheduler: Annotated[str, StringConstraints(pattern=_SCHEDULER)] | None = None  # kind = "dask": tls://host:port
    certificate: Path | None = None  # of this machine, for tls://
    key: Path | None = None
    ca: Path | None = None  # a CA for the cluster alone: whoever holds a certificate of it can run programs there
    studies_at_once: Annotated[int, Field(ge=1, le=64)] = 8  # kind = "dask": at most, and no more than workers


UserName = Annotated[str, StringConstraints(min_length=1, max_length=48, pattern=r"^[\w.@\\+-]+$")]
_THIS_MACHINE = (ip_address("127.0.0.1"), ip_address("::1"))


class UserSettings(Section):
    """[[web.users]]: a person who may look at the page."""

    name: UserName
    password: SecretStr | None = None  # a hash, made by `dicomnode password`
    identity: bool = False  # see patients' names and IDs
    decide: bool = True  # requeue, release and reject studies


class WebSettings(Section):
    """[web]: the status page; port 0 turns it off."""

    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    auth: Literal["none", "password", "proxy"] = "none"
    users: tuple[UserSettings, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    user_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")] = "X-Remote-User"
    proxies: tuple[IPvAnyAddress, ...] = _THIS_MACHINE  # whose header is believed
    metrics_from: tuple[IPvAnyAddress, ...] = _THIS_MACHINE  # who may read /metrics without being a user


class RetentionSettings(Section):
    """[retention]: how long files are kept once a study has ended."""

    received_days: Annotated[float, Field(ge=0)] = 7
    derived_days: Annotated[float, Field(ge=0)] = 7
    promised_days: Annotated[float, Field(ge=0)] = 365  # received instances whose keeping we promised to a scanner
    early_below_gb: Annotated[float, Field(ge=0)] = 0  # less room: ended studies go before their time, oldest first


class AuditSettings(Section):
    """[audit]: who did what with whose images (DICOM PS3.15 A.5), to a file, a syslog server, or both."""

    file: Path | None = None
    syslog: Annotated[str, StringConstraints(pattern=r"^(udp|tcp)://[^/:]+:\d+$|^unix:///.+$")] | None = None
    identity: bool = False  # patients' IDs in the messages, as the standard has it; else they say "withheld"


class MailSettings(Section):
    """[notify.mail]: the mail server, and who is told."""

    host: Host
    port: Port = 587
    starttls: bool = True
    user: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None  # in place of password; for instance a credential of systemd
    sender: str
    to: Annotated[tuple[str, ...], Field(min_length=1)]


Occasion = Literal["held", "failed", "destination_down", "disk_low", "silent"]


class NotifySettings(Section):
    """[notify]: whom to tell what needs a person; without mail and webhook, nobody."""

    on: tuple[Occasion, ...] = ("held", "failed", "destination_down", "disk_low", "silent")
    mail: MailSettings | None = None
    webhook: Annotated[str, StringConstraints(pattern=r"^https?://")] | None = None  # is sent JSON by POST
    destination_down_s: Seconds = 1800  # a delivery that was tried has waited for so long
    disk_low_gb: Annotated[float, Field(ge=0)] = 20  # above node.min_free_gb, so that there is time
    silent_h: Annotated[float, Field(ge=0)] = 0  # nothing was received for so long; 0: never said


class LogSettings(Section):
    """[log]: how much, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json", "journald"] = "auto"


class Config(Section):
    """The whole file as it takes effect."""

    node: NodeSettings = NodeSettings()
    tls: TlsSettings | None = None
    peers: tuple[PeerSettings, ...] = ()
    destinations: tuple[DestinationSettings, ...] = ()
    rules: tuple[RuleSettings, ...] = ()
    engine: EngineSettings = EngineSettings()
    web: WebSettings = WebSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    audit: AuditSettings = AuditSettings()
    notify: NotifySettings = NotifySettings()

    def destination(self, name: str) -> DestinationSettings:
        """Return the destination of this name.

        Raises ConfigurationError if there is none.
        """
        for destination in self.destinations:
            if destination.name == name:
                return destination
        known = ", ".join(d.name for d in self.destinations) or "none"
        raise ConfigurationError(f"there is no destination named {name!r} (configured: {known})")

    @property
    def keep_private(self) -> frozenset[str]:
        """The names of the destinations that want the camera's private elements."""
        return frozenset(one.name for one in self.destinations if one.keep_private)

    @property
    def known_peers(self) -> tuple[PeerSettings, ...]:
        """All that may associate: [[peers]], and destinations that come to us by themselves when we asked them to."""
        sources = {fetch.source for rule in self.rules for fetch in rule.fetch}
        return (
            *self.peers,
            *(
                PeerSettings(name=f"destination {d.name}", ae_title=d.ae_title, host=d.host)
                for d in self.destinations
                if d.storage_commitment or d.name in sources
            ),
        )
