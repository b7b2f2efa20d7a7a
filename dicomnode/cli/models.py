"""Which models the rules use, for `status`: as the engine will load them when their next study comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dicomnode.config import RuleSettings


def models_of(rules: Sequence[RuleSettings]) -> list[dict[str, Any]]:
    """Return one row per model: name, version, SHA-256, the pipeline with its version, the rules, what is wrong."""
    rows: dict[str, dict[str, Any]] = {}
    for rule in rules:
        row = _row(rule)
        if row is not None:
            rows.setdefault(repr(row), row | {"rules": []})["rules"].append(rule.name)
    return list(rows.values())


def in_words(row: dict[str, Any]) -> str:
    """Return one of these rows as a line."""
    rules = ", ".join(row["rules"])
    if row["trouble"]:
        return f"model of {rules}: {row['trouble']}"
    return f"model {row['name']} {row['version']}, SHA-256 {row['sha256'][:12]}, for {row['pipeline']} of {rules}"


def _row(rule: RuleSettings) -> dict[str, Any] | None:
    from pipelines import catalog
    from pipelines.contract import NotNow

    found: dict[str, Any] = {"name": rule.options.get("model"), "version": None, "sha256": None}
    version, trouble = None, ""
    try:
        model = catalog.model_of(rule.pipeline, rule.options)
        if model is None:
            return None
        found = vars(model)
        version = catalog.version_of(rule.pipeline, rule.options)
    except (NotNow, ValueError) as error:
        trouble = str(error)
    return {**found, "pipeline": rule.pipeline, "pipeline_version": version, "trouble": trouble}
