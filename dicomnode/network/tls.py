"""TLS as the BCP 195 profile asks for it (PS3.15 B.12, RFC 9325): TLS 1.2 or later, forward secrecy, AEAD."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

from dicomnode.config import TlsSettings
from dicomnode.errors import ConfigurationError

log = structlog.get_logger(__name__)

CIPHERS_OF_TLS_1_2 = (
    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
)  # fmt: skip
SECURITY_LEVEL = 2  # of OpenSSL: 112 bits, so RSA keys of 2048 bits and more, and no SHA-1


def server_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return the context of the listener; peers show a certificate of our CA unless the configuration says otherwise.

    Raises ConfigurationError if a file is missing or unusable.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, tls)
    context.verify_mode = ssl.CERT_REQUIRED if tls.require_peer_certificate else ssl.CERT_NONE
    return context


class RenewedContext:
    """The context of the listener, made anew when one of its files has changed: a renewal needs no restart.

    While the new files can't be used (the certificate is there, its key not yet), the old ones stay in effect.
    The constructor raises ConfigurationError if a file is missing or unusable.
    """

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._read = _stamps(tls)
        self._context = server_context(tls)

    def current(self) -> ssl.SSLContext:
        """Return the context for the next connection."""
        stamps = _stamps(self._tls)
        if stamps != self._read:
            self._read = stamps
            try:
                self._context = server_context(self._tls)
                log.info("TLS files read again")
            except ConfigurationError as error:
                log.error("changed TLS files can't be used; the former stay in effect", reason=str(error))
        return self._context


def _stamps(tls: TlsSettings) -> tuple[tuple[int, ...], ...]:
    """Return what tells a changed file from the same: nothing for a file that isn't there."""
    stamps: list[tuple[int, ...]] = []
    for path in (tls.certificate, tls.key, tls.ca):
        try:
            state = path.stat()
            stamps.append((state.st_ino, state.st_size, state.st_mtime_ns))
        except OSError:
            stamps.append(())
    return tuple(stamps)


def client_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return the context of one outgoing Association: the destination shows a certificate of our CA, and we show ours.

    The name in the certificate isn't compared: imaging devices are addressed by number, and their certificates name
    the device; what counts is that the hospital's own CA signed it.
    Raises ConfigurationError if a file is missing or unusable.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, tls)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _context(protocol: int, tls: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join((*CIPHERS_OF_TLS_1_2, f"@SECLEVEL={SECURITY_LEVEL}")))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    for key in ("certificate", "key", "ca"):
        _require_readable(key, getattr(tls, key))
    try:
        context.load_cert_chain(tls.certificate, tls.key, password="")  # asks nobody at a terminal
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"tls.certificate and tls.key: {tls.certificate} and {tls.key} are no matching pair of PEM files ({error});"
            " give the certificate and the private key that belongs to it, without a passphrase"
        ) from error
    try:
        context.load_verify_locations(tls.ca)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"tls.ca: {tls.ca} holds no PEM certificate ({error}); give the certificate of the CA"
        ) from error
    return context


def _require_readable(key: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(
            f"tls.{key}: {path} can't be read ({error.strerror}); give a readable PEM file"
        ) from error
