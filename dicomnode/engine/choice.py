"""Which engine runs the pipelines, as the configuration says. Dask is loaded only where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomnode.config import EngineSettings
from dicomnode.engine.local import LocalEngine

if TYPE_CHECKING:
    from dicomnode.engine.distributed import DistributedEngine

    AnyEngine = LocalEngine | DistributedEngine


def engine_of(settings: EngineSettings, release: str) -> AnyEngine:
    """Return the engine that is configured; `release` is this program's version.

    Raises ConfigurationError if it needs something that is not here.
    """
    if settings.kind == "local":
        return LocalEngine(settings.device, settings.timeout_s)
    from dicomnode.engine.distributed import DistributedEngine

    return DistributedEngine(settings, release)


def lanes(settings: EngineSettings) -> int:
    """Return how many studies may be in work side by side at most, whatever the engine has room for."""
    return 1 if settings.kind == "local" else settings.studies_at_once
