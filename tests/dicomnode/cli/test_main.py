"""The command line: what a script can rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from dicomnode.cli.main import run
from tests.dicomnode.objects.spect_ct import STUDY, ct, reconstruction
from tests.factories import a_tomo, as_file, quick_dataset
from tests.peers.process import free_port


@pytest.fixture
def a_config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text(
        f'[node]\ndata_dir = "{tmp_path / "data"}"\n[[destinations]]\nname = "pacs"\nae_title = "PACS"\n'
        f'host = "127.0.0.1"\nport = {free_port()}\n'
    )
    return str(path)


def test_wrong_usage_ends_with_64(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["no-such-command"]) == 64
    assert run(["studies", "--state", "LOST"]) == 64
    assert "LOST" in capsys.readouterr().err


def test_help_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "serve" in capsys.readouterr().out


def test_a_wrong_configuration_ends_with_78_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[node]\nprot = 104\n")
    assert run(["check", "--config", str(bad)]) == 78
    assert f"{bad}:2: node.prot: unknown key" in capsys.readouterr().err


@pytest.mark.parametrize("keyword", ["patient_nam", "modality_type"])
def test_a_rule_with_a_keyword_that_dicom_does_not_know_ends_with_78(
    tmp_path: Path, keyword: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(
        '[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "h"\nport = 1\n'
        f'[[rules]]\nname = "r"\npipeline = "reconstruction"\ndestinations = ["pacs"]\nwhen = {{ {keyword} = "x" }}\n'
    )
    assert run(["check", "--config", str(bad)]) == 78
    assert f"{bad}:10: rules.0.when.{keyword}: no DICOM attribute has this keyword; " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "h"\nport = 1\n[[rules]]\nname = "r"\n'
            'pipeline = "reconstruction"\ndestinations = ["pacs"]\n[rules.options]\nturns = 4\n',
            "bad.toml:10: rules.0.options: there is no option turns; there are",
        ),
        (
            '[tls]\ncertificate = "/nowhere/c.pem"\nkey = "/nowhere/k.pem"\nca = "/nowhere/ca.pem"\n',
            "bad.toml:2: tls.certificate: /nowhere/c.pem can't be read (No such file or directory); give a readable",
        ),
        (
            '[web]\nport = 8443\ncertificate = "/nowhere/c.pem"\nkey = "/nowhere/k.pem"\n',
            "bad.toml:3: web.certificate, web.key: can't be used ([Errno 2] No such file or directory)",
        ),
    ],
)
def test_what_only_other_parts_can_tell_is_given_its_line_too(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(text)
    assert run(["check", "--config", str(bad)]) == 78
    assert told in capsys.readouterr().err


def test_check_prints_the_configuration_as_it_takes_effect(a_config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", a_config]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["node"]["quiet_s"] == 30
    assert printed["destinations"][0]["retry_s"] == [5, 30, 120, 600, 3600]


def test_a_destination_that_does_not_answer_ends_with_69(a_config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["echo", "pacs", "--config", a_config]) == 69
    assert "pacs" in capsys.readouterr().err


def test_an_unknown_destination_ends_with_78(a_config: str) -> None:
    assert run(["echo", "archive", "--config", a_config]) == 78


def test_before_a_node_ever_ran_there_are_no_studies(a_config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["studies", "--json", "--config", a_config]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(["status", "--json", "--config", a_config]) == 0
    assert json.loads(capsys.readouterr().out)["up"] is False
    assert run(["show", "1.2.3", "--config", a_config]) == 65
    assert not Path(a_config).with_name("data").exists()


def test_run_writes_the_derived_instances_and_a_result(tmp_path: Path, a_config: str) -> None:
    source = tmp_path / "tomo.dcm"
    source.write_bytes(a_tomo(views=30, rows=16, columns=16))
    out = tmp_path / "out"
    options = ["--set", "iterations=2", "--config", a_config]
    assert run(["run", "reconstruction", str(source), "--out", str(out), *options]) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["options"] == {"iterations": 2}
    derived = result["results"][0]["derived"]
    assert {row["kind"] for row in derived} == {"reconstruction", "report page"}
    for row in derived:
        assert dcmread(out / row["file"]).SOPInstanceUID == row["sop_instance_uid"]


def test_run_takes_the_ct_of_the_same_study_and_leaves_out_a_reconstruction_beside_its_projections(
    tmp_path: Path, a_config: str
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "tomo.dcm").write_bytes(a_tomo(study=STUDY, views=30, rows=16, columns=16))
    reconstruction(given)
    ct(given)
    ct(given, number=3, study=replace(STUDY, patient_id="VIRTUAL-8"))  # another patient's
    out = tmp_path / "out"
    options = [f"--set={one}" for one in ("map=ct", "registration=false", "iterations=1")]
    command = ["run", "attenuation_correction", str(given), "--out", str(out), *options, "--config", a_config]
    assert run(command) == 0
    (result,) = json.loads((out / "result.json").read_text())["results"]
    assert result["source"] == "tomo.dcm"
    assert {"reconstruction", "attenuation-corrected reconstruction", "attenuation map", "report page"} <= {
        row["kind"] for row in result["derived"]
    }
    told = [finding["text"] for finding in result["findings"] if "the CT of series" in finding["text"]]
    assert told == ["the rule asks for it (map = ct): the CT of series 2 (CT for AC), 6 slices is used"]


def test_run_on_what_is_no_projection_set_ends_with_65_and_says_what_was_found(
    tmp_path: Path, a_config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "page.dcm"
    source.write_bytes(as_file(quick_dataset()))
    assert run(["run", "reconstruction", str(source), "--out", str(tmp_path / "out"), "--config", a_config]) == 65
    assert "reconstruction needs projections; found page.dcm: is other" in capsys.readouterr().err


def test_run_of_an_unknown_pipeline_ends_with_64(tmp_path: Path, a_config: str) -> None:
    source = tmp_path / "tomo.dcm"
    source.write_bytes(a_tomo())
    assert run(["run", "magic", str(source), "--out", str(tmp_path), "--config", a_config]) == 64
