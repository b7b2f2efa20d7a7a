"""The page's web server, in a thread of the node's process."""

from __future__ import annotations

import socket
import ssl
import threading

import structlog
import uvicorn

from dicomnode.config import WebSettings
from dicomnode.errors import ConfigurationError
from dicomnode.web.app import Page
from dicomnode.web.door import Door

log = structlog.get_logger(__name__)

_CONNECTIONS = 64
_GRACE_S = 2


def check_certificate(settings: WebSettings) -> None:
    """Raise ConfigurationError if the page is to have a certificate, and it or its key can't be used."""
    if settings.certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.certificate, settings.key, password="")
    except (OSError, ssl.SSLError) as error:  # with an empty passphrase, nobody is asked for one at a terminal
        raise ConfigurationError(
            f"web.certificate, web.key: can't be used ({error}); give the PEM files of a certificate and of the "
            "private key that belongs to it, without a passphrase"
        ) from error


class PageServer:
    """Serves the page from `start` to `stop`."""

    def __init__(self, settings: WebSettings, door: Door) -> None:
        self._settings = settings
        self._config = uvicorn.Config(
            Page(door).app(),
            log_config=None,
            log_level="warning",
            access_log=False,  # an address names a study
            server_header=False,
            proxy_headers=False,  # who a request is from is decided by its connection alone
            http="h11",
            ws="none",
            lifespan="on",
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.key,
        )
        self._server = uvicorn.Server(self._config)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1]) if self._socket else self._settings.port

    def start(self) -> None:
        """Listen; returns at once. Raises ConfigurationError if port or certificate can't be used."""
        check_certificate(self._settings)
        self._config.load()
        if self._config.ssl is not None:
            self._config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            raise ConfigurationError(
                f"web.port: {host}:{port} can't be listened on ({error.strerror}); name a free port, or 0 for no page"
            ) from error
        run = self._server.run
        self._thread = threading.Thread(target=run, args=([self._socket],), name="page", daemon=True)
        self._thread.start()
        log.info("page listening", host=host, port=self.port, tls=self._config.ssl is not None)

    def stop(self) -> None:
        """End running answers within two seconds and close the port."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_GRACE_S + 3)
        if self._socket is not None:
            self._socket.close()
