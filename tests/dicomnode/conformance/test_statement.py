"""The conformance statement says what the code does: it is current, and complete."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from dicomnode import config_file
from dicomnode.cli.main import run
from dicomnode.conformance.services import Service, services
from dicomnode.conformance.statement import statement
from dicomnode.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomnode.network.presentation import ACCEPTED_TRANSFER_SYNTAXES, accepted_contexts
from dicomnode.network.tls import CIPHERS_OF_TLS_1_2
from dicomnode.objects.elements import dataset, file_bytes
from dicomnode.objects.examples import created_objects, own_codes
from dicomnode.stages.promise import GIVE_UP
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


def test_the_report_is_listed_with_its_own_attributes_and_its_content(shipped: str) -> None:
    (report,) = (one for one in created_objects() if one.kind == "structured report")
    names = {attribute.name for attribute in report.attributes}
    assert {"Completion Flag", "Content Template Sequence", "Current Requested Procedure Evidence Sequence"} <= names
    concepts = [line.concept for line in report.content]
    assert concepts.count("(125007, DCM, Measurement Group)") == 2, "the ventricle's, and the first segment's"
    for line in report.content:
        assert (
            f"| {'>' * line.depth}{line.concept} | {line.relationship} | {line.value_type} | {line.value} |" in shipped
        )


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
    assert "| (this node) | HEART | any of its addresses | 127.0.0.1:11113 | yes |" in printed
    assert "| pacs | VAULT | nowhere | 10.0.0.9:2762 | yes |" in printed
    assert "a peer must show a certificate" in printed


def test_it_holds_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[[peers]]\nname = "s"\nae_title = "S"\nuser = "camera"\npassword = "opensesame"\n')
    assert run(["conformance", "--config", str(file)]) == 0
    assert "opensesame" not in capsys.readouterr().out


FULL = """
[node]
ae_title = "HEART"
receive_memory_gb = 3
min_free_gb = 7
require_known_peers = false
[[peers]]
name = "camera"
ae_title = "SPECT1"
host = "10.0.0.5"
port = 104
user = "cam"
password = "opensesame"
[[destinations]]
name = "pacs"
ae_title = "VAULT"
host = "10.0.0.9"
port = 104
storage_commitment = true
commitment_wait_s = 1234
[[destinations]]
name = "second"
ae_title = "OTHER"
host = "10.0.0.10"
port = 105
[[rules]]
name = "hybrid"
pipeline = "reconstruction"
needs = ["projections", "ct"]
fetch = [{ need = "ct", source = "pacs", series_description = "*AC*", timeout_s = 77 }]
destinations = ["pacs", "second"]
[retention]
promised_days = 99
[audit]
syslog = "udp://10.0.0.7:514"
identity = true
[notify]
webhook = "https://hooks.example/secret-part"
"""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The statement of a configuration that uses everything."""
    file = tmp_path_factory.mktemp("full") / "config.toml"
    file.write_text(FULL)
    return statement(config_file.load(file), version("dicomnode"))


def test_files_bear_the_implementation_that_the_network_states(shipped: str) -> None:
    made = dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.20", SOPInstanceUID="1.2.3")
    meta = dcmread(BytesIO(file_bytes(made))).file_meta
    assert (meta.ImplementationClassUID, meta.ImplementationVersionName) == (
        IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME,
    )  # fmt: skip
    assert f"| Implementation Class UID | {IMPLEMENTATION_CLASS_UID} |" in shipped
    assert f"| Implementation Version Name | {IMPLEMENTATION_VERSION_NAME} |" in shipped


def test_audit_messages_are_stated_as_they_are_configured(full: str, shipped: str) -> None:
    assert "No audit messages" not in shipped + full
    assert "No place for them is configured" in shipped
    assert "In this configuration they go to the syslog server udp://10.0.0.7:514; Patient IDs are in them" in full
    assert "DICOM Instances Transferred" in full


def test_every_association_that_may_be_opened_at_once_is_counted(full: str, shipped: str) -> None:
    assert "5 in this configuration: 2 to deliver, 1 to ask for commitment, 1 to query and retrieve" in full
    assert "1 to report commitment to peers" in full
    assert "1 in this configuration: 1 to deliver, 0 to ask for commitment, 0 to query and retrieve" in shipped


@pytest.mark.parametrize(
    "row",
    [
        "| camera | SPECT1 | 10.0.0.5 | 10.0.0.5:104 | no |",
        "| pacs | VAULT | 10.0.0.9 | 10.0.0.9:104 | no |",  # it reports, and is fetched from
        "| second | OTHER | nowhere | 10.0.0.10:105 | no |",
        "| For a commitment report of pacs, until it is asked again | 1234.0 |",
        "for each instance by C-GET, rule 'hybrid' | 77.0 |",
        "| Silence inside a PDU, in either role | 5.0 |",
        "| One PDU from its first byte to its last, in either role | 60.0 |",
        "| Sending to a peer that does not read, in either role | 30.0 |",
        "| receive_memory_gb | 3.0 |",
        "| Memory for all datasets that are being received | 3 GB;",
        '| needs | ["projections", "ct"] |',
        '"series_description": "*AC*"',
        "| promised_days | 99.0 |",
        "| syslog | udp://10.0.0.7:514 |",
        "| password | ********** |",
    ],
)
def test_what_takes_effect_is_printed_whole(row: str, full: str) -> None:
    assert row in full


def test_what_says_nothing_about_dicom_stays_out(full: str) -> None:
    assert "hooks.example" not in full
    assert "opensesame" not in full


def test_how_long_and_how_much_is_committed_to_is_said_and_that_nothing_can_be_read_back(full: str) -> None:
    assert timedelta(hours=72) == GIVE_UP
    assert "sent again, later and later, for 72 hours" in full
    assert "for 99 days from the report on (`promised_days`)" in full
    assert "with less than 7 GB free (`min_free_gb`)" in full
    assert "Instances can't be retrieved over the network, as there is no Query/Retrieve SCP" in full


def test_who_may_associate_is_told_as_it_is_configured(full: str, shipped: str) -> None:
    assert "any calling one is let in" in full
    assert "The calling one must be that of a configured peer" in shipped


def test_the_character_sets_that_are_decoded_are_named(shipped: str) -> None:
    section_6 = shipped.partition("## 6 ")[2].partition("## 7 ")[0]
    for term in ("ISO_IR 6", "ISO_IR 100", "ISO_IR 192", "ISO_IR 203", "ISO 2022 IR 87", "GB18030", "GBK"):
        assert f" {term}," in section_6 or f" {term}." in section_6 or f"\n{term}," in section_6


def test_the_one_tls_profile_that_is_kept_is_claimed_with_its_suites(shipped: str) -> None:
    assert "PS3.15 B.12" in shipped
    assert "B.13" not in shipped
    assert ", ".join(CIPHERS_OF_TLS_1_2) in shipped
