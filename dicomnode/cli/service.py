"""`serve`, `check`, `status`: the node itself."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dicomnode.cli.app import ConfigOption, JsonOption, app, config_path, load_config
from dicomnode.cli.models import in_words, models_of
from dicomnode.config import Config
from dicomnode.config_file import placed
from dicomnode.errors import ConfigurationError, TransientFault
from dicomnode.telemetry import configure_logging


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Run the node in the foreground until SIGTERM or SIGINT."""
    _keep_decoders_out()
    settings = usable_config(config)
    configure_logging(settings.log.level, settings.log.format)
    from dicomnode.node import Node  # loads the network and the journal, which the other commands do not need
    from dicomnode.systemd import ServiceManager

    node = Node(settings, lambda: usable_config(config), ServiceManager.from_environment(os.environ))
    node.stop_on_signals()
    if not node.take_turn():  # told to stop while another node was the active one
        return
    node.start()
    print("ready", flush=True)
    node.wait()
    node.stop()


def _keep_decoders_out() -> None:
    """Let no import find the decoders of compressed pixels: pydicom loads all that are installed.

    That is 18 MB of C++ and an OpenSSL of their own, which no peer's bytes may reach here. The child that decodes
    (`objects/decoding.py`) starts anew and finds them.
    """
    for library in ("gdcm", "jpeg_ls"):
        sys.modules[library] = None  # type: ignore[assignment] # what the import system takes for "not to be found"


@app.command()
def check(config: ConfigOption = None) -> None:
    """Read and validate the configuration and print it as it takes effect."""
    settings = usable_config(config)
    with _placed(config):
        if settings.tls is not None:
            from dicomnode.network.tls import server_context

            server_context(settings.tls)
        if settings.web.port:
            from dicomnode.web.server import check_certificate

            check_certificate(settings.web)
        if settings.node.journal is not None:
            from dicomnode.store.postgres import connect

            connect(settings.node.journal).dispose()  # whether it could be used; nobody is asked for anything
    json.dump(settings.model_dump(mode="json"), sys.stdout, indent=2)
    print()


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Tell whether the node is up, what waits, studies per state, free disk, engine, models."""
    facts = _status(load_config(config))
    if as_json:
        print(json.dumps(facts))
        return
    print(f"{facts['ae_title']} at {facts['host']}:{facts['port']} is {_in_words(facts)}")
    if facts["trouble"]:
        print(f"  {facts['trouble']}")
    for state, number in facts["studies"].items():
        print(f"  {state:<11} {number}")
    for destination, number in facts["queues"]["deliveries"].items():
        print(f"  waiting for {destination}: {number}")
    for destination, number in facts["queues"]["commitments"].items():
        print(f"  not yet committed by {destination}: {number}")
    print(f"  engine {facts['engine']['kind']} on {facts['engine']['device']}; free disk {facts['free_gb']} GB")
    for model in facts["models"]:
        print(f"  {in_words(model)}")
    if facts["engine"]["trouble"]:
        print(f"  studies wait: {facts['engine']['trouble']}")


def _in_words(facts: dict[str, Any]) -> str:
    if facts["role"] == "standby":
        return f"up and waits ({facts['process'].get('waits', '')})"
    return "up" if facts["up"] else "not running"


def _status(settings: Config) -> dict[str, Any]:
    from dicomnode.store.folder import DataFolder, running
    from dicomnode.store.looking import active_node
    from dicomnode.store.opened import existing
    from dicomnode.store.outbox import DeliveryState

    folder = DataFolder.of(settings.node)
    process = running(folder.lock)
    active = None
    counts: dict[str, int] = {}
    waiting = dict.fromkeys((destination.name for destination in settings.destinations), 0)
    unpromised = dict.fromkeys((one.name for one in settings.destinations if one.storage_commitment), 0)
    trouble = ""
    try:
        with existing(folder) as stores:
            if stores is not None:
                active = active_node(stores.journal)
                counts = stores.journal.counts()
                waiting |= stores.outbox.waiting()
                unpromised |= stores.outbox.waiting(DeliveryState.UNCOMMITTED)
    except (TransientFault, ConfigurationError) as error:  # whether the node is up can be told all the same
        trouble = str(error)
    place = folder.root if folder.root.exists() else folder.root.absolute().parent
    return {
        "up": process is not None,
        "role": None if process is None else process.get("role"),
        "active_node": None if active is None else active.name,
        "process": process,
        "trouble": trouble,
        "ae_title": settings.node.ae_title,
        "host": settings.node.host,
        "port": settings.node.port,
        "studies": counts,
        "queues": {
            "assemble": counts.get("RECEIVING", 0),
            "process": counts.get("ROUTED", 0) + counts.get("PROCESSING", 0),
            "deliveries": waiting,
            "commitments": unpromised,
        },
        "free_gb": round(shutil.disk_usage(place).free / 1e9, 1) if place.exists() else None,
        "engine": {
            "kind": settings.engine.kind,
            "device": settings.engine.device,
            "trouble": (process or {}).get("engine", ""),
        },
        "models": models_of(settings.rules),
    }


def usable_config(option: Path | None) -> Config:
    """Return the configuration that takes effect. Raises ConfigurationError, also for what only the node can tell."""
    settings = load_config(option)
    from dicomnode.engine.cluster import check_engine
    from dicomnode.engine.local import check_rules
    from dicomnode.objects.keywords import rule_keywords

    with _placed(option):
        check_rules(settings.rules)
        check_engine(settings.engine)
        rule_keywords(settings.rules)
    return settings


@contextmanager
def _placed(option: Path | None) -> Iterator[None]:
    """Tell also of what is found after reading in which line of which file it stands."""
    try:
        yield
    except ConfigurationError as error:
        raise placed(config_path(option), error) from None
