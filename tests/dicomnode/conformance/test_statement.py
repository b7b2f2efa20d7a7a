"""The conformance statement says what the code does: it is current, and complete."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from dicomnode import config_file
from dicomnode.cli.main import run
from dicomnode.conformance.services import Service, services
from dicomnode.conformance.statement import statement
from dicomnode.network.presentation import ACCEPTED_TRANSFER_SYNTAXES, accepted_contexts
from dicomnode.objects.examples import created_objects, own_codes
from pipelines.contract import DerivedKind

ROOT = Path(__file__).parents[3]
SECTIONS = (
    "1 Conformance Statement Overview", "2 Table of Contents", "3 Introduction", "4 Networking",
    "4.1 Implementation Model", "4.2 AE Specification", "4.3 Network Interfaces", "4.4 Configuration",
    "5 Media Interchange", "6 Support of Character Sets", "7 Security", "8 Annexes",
    "8.1 IOD Contents: Created SOP Instances", "8.3 Data Dictionary of Private Attributes",
    "8.4 Coded Terminology and Templates",
)  # fmt: skip


@pytest.fixture(scope="module")
def shipped() -> str:
    """The statement of the configuration that the project ships."""
    return statement(config_file.load(ROOT / "config.toml"), version("dicomnode"))


@pytest.fixture(scope="module")
def by_uid() -> dict[str, Service]:
    return {one.uid: one for one in services()}


def test_the_document_is_current(shipped: str) -> None:
    written = (ROOT / "docs" / "conformance.md").read_text()
    assert written == shipped, "the code has changed: dicomnode conformance > docs/conformance.md"


def test_it_has_the_sections_of_the_standard_in_their_order(shipped: str) -> None:
    headings = [line.lstrip("# ") for line in shipped.splitlines() if line.startswith("#")]
    assert [heading for heading in headings if heading in SECTIONS] == list(SECTIONS)


def test_every_context_that_is_accepted_is_named_with_its_transfer_syntaxes(by_uid: dict[str, Service]) -> None:
    for context in accepted_contexts():
        assert by_uid[context.abstract_syntax].provided == tuple(uid.name for uid in context.transfer_syntax)


@pytest.mark.parametrize(
    ("uid", "used", "provided", "fetched"),
    [
        ("1.2.840.10008.1.1", True, True, False),  # Verification
        ("1.2.840.10008.1.20.1", True, True, False),  # Storage Commitment
        ("1.2.840.10008.5.1.4.1.1.20", True, True, True),  # NM
        ("1.2.840.10008.5.1.4.1.1.2", False, True, True),  # CT
        ("1.2.840.10008.5.1.4.1.2.2.1", True, False, False),  # Study Root FIND
        ("1.2.840.10008.5.1.4.1.2.2.3", True, False, False),  # Study Root GET
        ("1.2.840.10008.5.1.4.1.1.104.1", False, True, False),  # PDF: kept, never made
    ],
)
def test_each_service_is_claimed_in_the_role_that_it_has(
    uid: str, used: bool, provided: bool, fetched: bool, by_uid: dict[str, Service]
) -> None:
    one = by_uid[uid]
    assert (bool(one.used), bool(one.provided), bool(one.fetched)) == (used, provided, fetched)


def test_what_is_not_there_is_said(shipped: str) -> None:
    for absent in ("Modality Performed Procedure Step", "Instance Availability Notification", "Modality Worklist"):
        assert absent in shipped
    assert "Deflated" not in {uid.name for uid in ACCEPTED_TRANSFER_SYNTAXES}


def test_every_kind_of_object_is_listed_attribute_by_attribute(shipped: str) -> None:
    made = {one.kind: one for one in created_objects()}
    assert set(made) == {*(kind.value for kind in DerivedKind), "structured report", "report page"}
    for one in made.values():
        for attribute in one.attributes:
            assert f"{'>' * attribute.depth}{attribute.name} | {attribute.tag}" in shipped, (one.kind, attribute)


def test_every_code_of_our_own_is_listed_once(shipped: str) -> None:
    for value, meaning in own_codes():
        assert shipped.count(f"| {value} | {meaning} |") == 1


def test_the_command_tells_the_configuration_in_effect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[node]\nae_title = "HEART"\nport = 11113\n'
        '[tls]\ncertificate = "c"\nkey = "k"\nca = "a"\n'
        '[[destinations]]\nname = "pacs"\nae_title = "VAULT"\nhost = "10.0.0.9"\nport = 2762\ntls = true\n'
    )
    assert run(["conformance", "--config", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "| (this node) | HEART | 127.0.0.1:11113 | yes |" in printed
    assert "| pacs | VAULT | 10.0.0.9:2762 | yes |" in printed
    assert "a peer must show a certificate" in printed


def test_it_holds_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[[peers]]\nname = "s"\nae_title = "S"\nuser = "camera"\npassword = "opensesame"\n')
    assert run(["conformance", "--config", str(file)]) == 0
    assert "opensesame" not in capsys.readouterr().out
