"""What is made from the code is as the code is now: the reference of the configuration, the pinned versions."""

from __future__ import annotations

import tomllib
from pathlib import Path

from dicomnode.config import Config
from release.configuration import reference
from release.lock import pinned

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_in_the_docs_is_that_of_the_models() -> None:
    found = (ROOT / "docs/configuration-keys.md").read_text("utf-8")
    assert found == reference(), "make configuration"


def test_the_reference_names_every_table_and_key() -> None:
    text = reference()
    for name, field in Config.model_fields.items():
        assert f"[{name}]" in text
        keys = getattr(type(field.default), "model_fields", ())
        assert all(f"`{key}`" in text or f"[{name}.{key}]" in text for key in keys)


def test_every_dependency_is_pinned_in_the_constraints() -> None:
    lines = (ROOT / "release/constraints.txt").read_text("utf-8").splitlines()
    names = {line.partition("==")[0] for line in lines if not line.startswith("#")}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert {requirement.lower().split("=")[0].split(">")[0] for requirement in wanted} <= names


def test_what_a_dependency_needs_is_pinned_too() -> None:
    names = {line.partition("==")[0] for line in pinned(ROOT / "pyproject.toml")}
    assert {"numpy", "pydantic-core", "typing-extensions"} <= names
