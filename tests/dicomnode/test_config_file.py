"""The configuration: one clear line per mistake, with file, line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.config import Config
from dicomnode.config_file import find, load, placed
from dicomnode.errors import ConfigurationError

A_DESTINATION = '[[destinations]]\nname = "pacs"\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nport = 4242\n'
A_RULE = '[[rules]]\nname = "all"\npipeline = "reconstruction"\ndestinations = ["pacs"]\n'
A_CLUSTER = '[engine]\nkind = "dask"\nscheduler = "{}"\n'


def mistakes(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    return [line.replace(str(path), "config.toml") for line in str(caught.value).splitlines()]


def test_no_file_means_all_defaults() -> None:
    config = load(None)
    assert config == Config()
    assert (config.node.ae_title, config.node.port, config.node.host) == ("DICOMNODE", 11112, "127.0.0.1")


def test_the_example_in_the_repository_is_valid() -> None:
    load(Path(__file__).parents[2] / "config.toml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[node]\nprot = 104\n", "config.toml:2: node.prot: unknown key; known here are: ae_title, host, port"),
        ("[nod]\nport = 104\n", "config.toml:1: nod: unknown key; known here are: node, tls, peers"),
        ('\n[node]\n\nport = "abc"\n', "config.toml:4: node.port: Input should be a valid integer"),
        ("[node]\nport = 70000\n", "config.toml:2: node.port: Input should be less than or equal to 65535"),
        ('[node]\nae_title = "SEVENTEEN-LETTERS"\n', "config.toml:2: node.ae_title: String should have at most 16"),
        ('[[destinations]]\nname = "pacs"\n', "config.toml:1: destinations.0.ae_title: is missing and has no default"),
        (A_RULE, "config.toml:4: rules.0.destinations: no destination is named 'pacs'; there is no [[destinations]]"),
        (A_DESTINATION + A_DESTINATION, "config.toml:7: destinations.1.name: the name 'pacs' is used twice"),
        (
            A_DESTINATION + A_RULE + "piority = 1\n",
            "config.toml:10: rules.0.piority: unknown key; known here are: name",
        ),
        (A_DESTINATION.replace("port", "tls = true\nport"), "config.toml:5: destinations.0.tls: needs a [tls] table"),
        (
            A_DESTINATION + A_RULE + 'needs = ["ct"]\nfetch = [{ need = "ct", source = "vna" }]\n',
            "config.toml:11: rules.0.fetch: no destination is named 'vna' to fetch from",
        ),
        (
            A_DESTINATION + A_RULE + 'fetch = [{ need = "ct", source = "pacs" }]\n',
            "config.toml:10: rules.0.fetch: fetches 'ct', which `needs` does not name; add it",
        ),
        (
            A_DESTINATION + A_RULE + 'needs = ["ct"]\nfetch = [{ need = "ct", source = "pacs", days = 3 }]\n',
            "config.toml:11: rules.0.fetch: days is for stress and rest",
        ),
        ('[[peers]]\nname = "s"\nae_title = "S"\nport = 104\n', "config.toml:4: peers.0.port: needs a host"),
        ('[[peers]]\nname = "s"\nae_title = "S"\npassword = "x"\n', "config.toml:4: peers.0.password: needs a user"),
        ('[engine]\nkind = "dask"\n', 'config.toml:2: engine.kind: kind = "dask" needs engine.scheduler'),
        ("[node]\nstandby = true\n", "config.toml:2: node.standby: needs a journal that both nodes reach"),
        ('[node]\njournal = "mysql://a@h/d"\n', "config.toml:2: node.journal: is no address of PostgreSQL"),
        ('[node]\nname = "../x"\n', "config.toml:2: node.name: String should match pattern"),
        (A_CLUSTER.format("tls://gpu:8786"), "config.toml:3: engine.scheduler: tls:// needs certificate, key, ca"),
        (A_CLUSTER.format("tcp://gpu:8786"), "config.toml:3: engine.scheduler: whoever reaches gpu could run programs"),
        (A_CLUSTER.format("gpu:8786"), "config.toml:3: engine.scheduler: String should match pattern"),
        ("[engine]\nstudies_at_once = 0\n", "config.toml:2: engine.studies_at_once: Input should be greater than"),
        ("[node\n", "config.toml:1: is not valid TOML: Expected"),
        ("[node]\nport = [1\n", "config.toml:2: is not valid TOML: Unclosed array"),
        ('[node]\nhost = ""\n', "config.toml:2: node.host: is neither an address nor the name of a host; write"),
        ('[web]\nhost = "not a host"\n', "config.toml:2: web.host: is neither an address nor the name of a host"),
        (
            A_DESTINATION.replace("127.0.0.1", "300.1.1.1"),
            "config.toml:4: destinations.0.host: is neither an address nor the name of a host",
        ),
        ('[[peers]]\nname = "s"\nae_title = "S"\nhost = ""\n', "config.toml:4: peers.0.host: is neither an address"),
        (
            A_DESTINATION + A_RULE + "when = { modality = true }\n",
            "config.toml:10: rules.0.when.modality: is compared as text; write",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_its_key_and_what_to_do(tmp_path: Path, text: str, line: str) -> None:
    found = mistakes(tmp_path, text)
    assert any(row.startswith(line) for row in found), found


@pytest.mark.parametrize(
    "address", ["postgresql://a:hush@h/d", "postgresql+psycopg://a@h/d?password=hush", "x://a:hush@h"]
)
def test_a_password_in_the_address_of_the_journal_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    (line,) = [row for row in mistakes(tmp_path, f'[node]\njournal = "{address}"\n') if "holds a password" in row]
    assert line.startswith("config.toml:2: node.journal: holds a password; put it into a file")
    assert "hush" not in str(mistakes(tmp_path, f'[node]\njournal = "{address}"\n'))


def test_a_standby_needs_a_postgresql_journal_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[node]\njournal = "postgresql+psycopg://dicomnode@db/dicomnode"\nstandby = true\n')
    assert load(path).node.standby


@pytest.mark.parametrize(
    "text",
    [
        A_CLUSTER.format("tls://10.0.0.9:8786") + 'certificate = "a"\nkey = "b"\nca = "c"\n',
        A_CLUSTER.format("tcp://127.0.0.1:8786"),
        A_CLUSTER.format("tcp://[::1]:8786"),
        A_CLUSTER.format("tcp://localhost:8786"),
    ],
)
def test_a_cluster_is_joined_by_mutual_tls_or_on_loopback(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    assert load(tmp_path / "config.toml").engine.kind == "dask"


@pytest.mark.parametrize(
    "host", ["::1", "10.0.0.5", "pacs", "pacs.clinic.example", "fe80::1%eth0", "node_1", "3com.com"]
)
def test_hosts_are_addresses_or_names(tmp_path: Path, host: str) -> None:
    (tmp_path / "config.toml").write_text(A_DESTINATION.replace("127.0.0.1", host))
    assert load(tmp_path / "config.toml").destinations[0].host == host


def test_numbers_in_a_condition_are_compared_as_text(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(A_DESTINATION + A_RULE + "when = { number_of_frames = 60, rows = [64, 128] }\n")
    assert load(path).rules[0].when == {"number_of_frames": "60", "rows": ("64", "128")}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("rules.0.when.modality: is wrong", "config.toml:10: rules.0.when.modality: is wrong"),
        ("rules.0.options: is wrong", "config.toml:6: rules.0.options: is wrong"),
        ("destinations.0: is wrong", "config.toml:1: destinations.0: is wrong"),
        ("something else. is wrong", "something else. is wrong"),
        ("some.thing is wrong", "some.thing is wrong"),
    ],
)
def test_a_mistake_that_was_found_after_reading_is_given_its_line(tmp_path: Path, found: str, told: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(A_DESTINATION + A_RULE + 'when = { modality = "NM" }\n')
    assert str(placed(path, ConfigurationError(found))).replace(str(path), "config.toml") == told
    assert str(placed(None, ConfigurationError(found))) == found


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    assert len(mistakes(tmp_path, '[node]\nprot = 1\nport = "x"\n[web]\nprot = 2\n')) == 3


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: cannot be read"):
        load(tmp_path / "nowhere.toml")


def test_the_option_goes_before_the_environment(tmp_path: Path) -> None:
    environment = {"DICOMNODE_CONFIG": "/from/environment.toml"}
    assert find(tmp_path / "option.toml", environment) == tmp_path / "option.toml"
    assert find(None, environment) == Path("/from/environment.toml")


def test_a_configuration_can_not_be_changed_after_it_was_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().node.port = 1  # type: ignore[misc]
