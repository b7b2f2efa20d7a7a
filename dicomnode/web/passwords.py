"""Passwords as salted scrypt hashes (RFC 7914): what stands in the configuration tells nobody the password."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

# OWASP's Password Storage Cheat Sheet: N = 2^15, r = 8, p = 3; 32 MiB of memory per try
_LOG_N, _R, _P = 15, 8, 3
_MOST_MEMORY = 1 << 27
SALT_BYTES = 16


def hash_password(password: str, salt: bytes) -> str:
    """Return the line that goes into the configuration: scrypt$log2 N$r$p$salt$hash."""
    made = _scrypt(password, salt, _LOG_N, _R, _P)
    return f"scrypt${_LOG_N}${_R}${_P}${b64encode(salt).decode()}${b64encode(made).decode()}"


def is_password(password: str, hashed: str) -> bool:
    """Tell whether this is the password that was hashed; False too for a hash that can't be read."""
    try:
        name, log_n, r, p, salt, wanted = hashed.split("$")
        made = _scrypt(password, b64decode(salt), int(log_n), int(r), int(p))
        return name == "scrypt" and hmac.compare_digest(made, b64decode(wanted))
    except (ValueError, TypeError, OverflowError, MemoryError):  # TypeError: a number that scrypt has no room for
        return False


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << log_n, r=r, p=p, maxmem=_MOST_MEMORY, dklen=32)
