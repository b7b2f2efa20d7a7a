"""[web]: what would open the page to people whom nobody asked who they are is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.config_file import load
from dicomnode.errors import ConfigurationError
from tests.dicomnode.web.browsing import HASH

ANNA = f'[[web.users]]\nname = "anna"\npassword = "{HASH}"\n'
OPEN = 'host = "10.0.0.5"\n'
TLS = 'certificate = "page.pem"\nkey = "page.key"\n'


def written(folder: Path, web: str) -> Path:
    path = folder / "config.toml"
    path.write_text(f"[web]\n{web}")
    return path


@pytest.mark.parametrize(
    ("web", "mistake"),
    [
        (OPEN, 'config.toml:2: web.host: 10.0.0.5 can be reached by others; set auth = "password" or "proxy"'),
        ('host = "0.0.0.0"\n', "config.toml:2: web.host: 0.0.0.0 can be reached by others"),
        (OPEN + 'auth = "password"\n' + ANNA, "config.toml:3: web.auth: passwords would cross the network"),
        ('auth = "password"\n', 'config.toml:2: web.auth: auth = "password" needs a [[web.users]] table'),
        ('auth = "proxy"\n', 'config.toml:2: web.auth: auth = "proxy" needs a [[web.users]] table'),
        ('auth = "password"\n[[web.users]]\nname = "anna"\n', "config.toml:3: web.users.0.password: is no hash"),
        (
            'auth = "password"\n[[web.users]]\nname = "anna"\npassword = "secret"\n',
            "config.toml:5: web.users.0.password: is no hash of a password; make one with `dicomnode password`",
        ),
        ('auth = "password"\n' + ANNA + ANNA, "config.toml:7: web.users.1.name: the name 'anna' is used twice"),
        ('certificate = "page.pem"\n', "config.toml:2: web.certificate: certificate and key belong together"),
        ('[[web.users]]\nname = "a b"\n', "config.toml:3: web.users.0.name: String should match pattern"),
        ('proxies = ["everywhere"]\n', "config.toml:2: web.proxies.0: value is not a valid IPv4 or IPv6 address"),
    ],
)
def test_a_dangerous_page_is_refused_with_the_remedy(tmp_path: Path, web: str, mistake: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(written(tmp_path, web))
    told = str(caught.value).replace(f"{tmp_path}/", "")
    assert told.startswith(mistake), told


@pytest.mark.parametrize(
    "web",
    [
        'host = "::1"\n', 'host = "localhost"\n', 'host = "10.0.0.5"\nport = 0\n', 'auth = "password"\n' + ANNA,
        OPEN + TLS + 'auth = "password"\n' + ANNA, OPEN + 'auth = "proxy"\n[[web.users]]\nname = "anna"\n',
    ],
)  # fmt: skip
def test_a_page_that_is_closed_to_strangers_is_taken(tmp_path: Path, web: str) -> None:
    load(written(tmp_path, web))


def test_a_password_is_printed_nowhere_not_even_as_its_hash(tmp_path: Path) -> None:
    config = load(written(tmp_path, 'auth = "password"\n' + ANNA))
    assert HASH not in config.model_dump_json()
    assert HASH not in repr(config)
