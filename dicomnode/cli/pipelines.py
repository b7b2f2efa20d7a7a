"""`run`: a pipeline on files; no network, no journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicomnode.cli.app import ConfigOption, app, load_config
from dicomnode.cli.folders import output_folder
from dicomnode.errors import StudyUnsuitable

if TYPE_CHECKING:
    from dicomnode.study import InstanceHeader

    _File = tuple[Path, InstanceHeader]


@app.command("run")
def run_pipeline(
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name, for example reconstruction.")],
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT...", help="DICOM files, or folders of them; a CT of the same study too."),
    ],
    out: Annotated[Path, output_folder("Where the derived instances and result.json go.")],
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option.")] = None,
    config: ConfigOption = None,
) -> None:
    """Run a pipeline on DICOM files and write the derived instances beside a result.json."""
    options = dict(parsed_option(text) for text in settings or [])
    files = _files(inputs)
    engine_settings = load_config(config).engine
    from dicomnode.engine.local import LocalEngine
    from dicomnode.objects.derivation import DerivationContext
    from dicomnode.objects.run_input import run_sources
    from dicomnode.routing import instead_of_projections
    from dicomnode.stages.process import derive

    engine = LocalEngine(engine_settings.device, engine_settings.timeout_s)
    if pipeline not in engine.pipelines():
        raise typer.BadParameter(f"there is no pipeline {pipeline!r}; there are {', '.join(engine.pipelines())}")
    try:
        engine.check_options(pipeline, options)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from None
    sources, others, passed_over = _sorted(files, pipeline, options)
    out.mkdir(parents=True, exist_ok=True)
    try:
        results = []
        for path, header in sources:
            made_by = engine.version(pipeline, options)
            context = DerivationContext(pipeline, made_by, _version(), options, datetime.now(UTC))
            maps = [other for other, theirs in others if theirs.study_instance_uid == header.study_instance_uid]
            study = [one for one in (header, *passed_over) if one.study_instance_uid == header.study_instance_uid]
            why = instead_of_projections(pipeline, header, study)
            derivation = derive(run_sources(path, header.sop_instance_uid, maps, why), engine, context)
            results.append(_write(path, derivation, out))
    finally:
        engine.stop()
    (out / "result.json").write_text(
        json.dumps({"pipeline": pipeline, "options": options, "results": results}, indent=2)
    )
    for result in results:
        for row in result["derived"]:
            print(f"{row['kind']}: {out / row['file']}")


def parsed_option(text: str) -> tuple[str, str | int | float | bool]:
    """Return key and value of KEY=VALUE; raises typer.BadParameter for anything else."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    if value.lower() in ("true", "false"):
        return key, value.lower() == "true"
    for number in (int, float):
        try:
            return key, number(value)
        except ValueError:
            continue
    return key, value


def _files(inputs: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise typer.BadParameter(f"{path} does not exist", param_hint="INPUT")
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return files


def _sorted(
    files: list[Path], pipeline: str, options: Mapping[str, Any]
) -> tuple[list[_File], list[_File], list[InstanceHeader]]:
    """Return the files that the pipeline runs on, those that it looks at besides (a CT's slices), and what is flawed.

    As in the node, a study's projections go before its reconstructions, unless only their vendor can reconstruct them.
    Raises StudyUnsuitable if there are none.
    """
    from dicomnode.errors import InstanceRejected
    from dicomnode.objects.header import read_header
    from dicomnode.routing import PIPELINE_INPUTS, companion, usable

    sources: list[_File] = []
    others: list[_File] = []
    flawed: list[InstanceHeader] = []
    reasons = []
    for path in files:
        try:
            header = read_header(path)
        except InstanceRejected as error:
            reasons.append(f"{path.name}: {error.comment}")
            continue
        if companion(pipeline, options, header):
            others.append((path, header))
        elif not usable(pipeline, header):
            reasons.append(f"{path.name}: is {header.content.value}")
        elif header.flaw:
            reasons.append(f"{path.name}: {header.flaw}")
            flawed.append(header)
        else:
            sources.append((path, header))
    if not sources:
        wanted = " or ".join(sorted(content.value for content in PIPELINE_INPUTS[pipeline]))
        raise StudyUnsuitable(f"{pipeline} needs {wanted}; found {'; '.join(reasons) or 'no files'}")
    return _projections_first(sources), others, flawed


def _projections_first(sources: list[_File]) -> list[_File]:
    """Leave out the reconstructions of studies whose projections are there."""
    from dicomnode.study import InstanceContent

    projections = {header.study_instance_uid for _, header in sources if header.content is InstanceContent.PROJECTIONS}
    return [
        (path, header)
        for path, header in sources
        if header.content is InstanceContent.PROJECTIONS or header.study_instance_uid not in projections
    ]


def _write(source: Path, derivation: Any, out: Path) -> dict[str, Any]:
    rows = []
    for instance in derivation.instances:
        name = f"{instance.kind.replace(' ', '_')}-{instance.sop_instance_uid[-12:]}.dcm"
        (out / name).write_bytes(instance.file_bytes)
        rows.append(
            {
                "kind": instance.kind,
                "file": name,
                "sop_instance_uid": instance.sop_instance_uid,
                "series_instance_uid": instance.series_instance_uid,
                "sop_class_uid": instance.sop_class_uid,
            }
        )
    findings = [{"verdict": f.verdict.value, "text": f.text} for f in derivation.findings]
    measurements = [{"name": m.name, "value": m.value, "unit": m.unit} for m in derivation.measurements]
    return {
        "source": source.name,
        "verdict": derivation.verdict.value,
        "findings": findings,
        "measurements": measurements,
        "derived": rows,
    }


def _version() -> str:
    from importlib.metadata import version

    return version("dicomnode")
