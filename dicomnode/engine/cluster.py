"""How this machine takes part in a Dask cluster: certificates, addresses, and Dask's own settings.

Every connection is mutual TLS; plain TCP is for loopback alone. Dask's messages are pickles, so whoever holds a
certificate of the cluster's CA can run programs on all of its machines.
"""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any

from dicomnode.config import EngineSettings, is_loopback
from dicomnode.errors import ConfigurationError

if TYPE_CHECKING:
    from distributed import Security

CIPHERS_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
LOST_AFTER_S = 30  # a machine that has been silent for so long is taken for gone
_QUIET = {
    "distributed.admin.large-graph-warning-threshold": "1 TB",  # a CT is large, and travels once
    "distributed.comm.timeouts.connect": "5s",
    "distributed.comm.timeouts.tcp": f"{LOST_AFTER_S}s",
    "distributed.diagnostics.nvml": False,  # would take memory of the GPU for a process that computes nothing
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,  # images of patients stay off the disk
    "distributed.worker.memory.pause": False,
}


def load_dask() -> Any:
    """Import Dask with our settings, its errors led to our log. Raises ConfigurationError if it is not installed."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ConfigurationError(
            f'engine: a Dask cluster needs the package {error.name}: pip install "dicomnode[dask]"'
        ) from None
    dask.config.set(_QUIET)
    for name, level in (("distributed", logging.ERROR), ("tornado", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [], True
        logger.setLevel(level)
    for name in ("distributed.client", "distributed.gc", "distributed.core", "distributed.comm", "distributed.utils"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # we tell ourselves how each connection fares
    return distributed


def hush() -> None:
    """Let Dask say no more: it takes the end of a connection for an error, also where it was asked to close it."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def scheduler_address(settings: EngineSettings) -> str:
    """Return where the scheduler is. Raises ConfigurationError if the configuration does not say."""
    if settings.scheduler is None:
        raise ConfigurationError('engine.scheduler: is missing; set scheduler = "tls://host:port" in [engine]')
    return settings.scheduler


def security_of(settings: EngineSettings) -> Security | None:
    """Return how connections are secured; None for plain TCP on loopback.

    Raises ConfigurationError if a file is missing or unusable.
    """
    if not scheduler_address(settings).startswith("tls://"):
        return None
    _check_files(settings)
    certificate, key = str(settings.certificate), str(settings.key)
    files: dict[str, Any] = {f"tls_{role}_cert": certificate for role in ("client", "worker", "scheduler")}
    files |= {f"tls_{role}_key": key for role in ("client", "worker", "scheduler")}
    security: Security = load_dask().Security(
        require_encryption=True, tls_ca_file=str(settings.ca), tls_ciphers=CIPHERS_OF_TLS_1_2, **files
    )
    return security


def check_listening(settings: EngineSettings, host: str | None) -> None:
    """Raise ConfigurationError if a member would listen on `host` for strangers: without TLS, and not on loopback."""
    address = scheduler_address(settings)
    if host is not None and not address.startswith("tls://") and not is_loopback(host):
        raise ConfigurationError(
            f"engine.scheduler: {address} asks nobody for a certificate, and whoever reaches --host {host} could run "
            "programs here; use tls:// with certificate, key and ca, or a loopback host"
        )


def check_engine(settings: EngineSettings) -> None:
    """Raise ConfigurationError if a cluster is configured and can't be talked to from here: no Dask, no certificate."""
    if settings.kind == "dask":
        load_dask()
        security_of(settings)


def _check_files(settings: EngineSettings) -> None:
    """Dask itself would tell of an unusable file by the first connection, and not by its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in ("certificate", "key", "ca"):
        try:
            getattr(settings, name).open("rb").close()
        except OSError as error:
            raise ConfigurationError(
                f"engine.{name}: {getattr(settings, name)} can't be read ({error.strerror}); give a readable PEM file"
            ) from error
    try:
        context.load_cert_chain(str(settings.certificate), str(settings.key), password="")  # asks nobody
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"engine.certificate and engine.key: {settings.certificate} and {settings.key} are no matching pair of PEM "
            f"files ({error}); give the certificate and the private key that belongs to it, without a passphrase"
        ) from error
    try:
        context.load_verify_locations(str(settings.ca))
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"engine.ca: {settings.ca} holds no PEM certificate ({error}); give the certificate of the cluster's CA"
        ) from error
