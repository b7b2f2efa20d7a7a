"""Which part of a configuration that was read again takes effect while the node runs, and which needs a restart."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.config import Config

# These hold ports, folders, keys and processes: to change them under an open Association would drop it.
NEEDS_RESTART = ("node", "tls", "engine", "web")


@dataclass(frozen=True)
class Reloaded:
    """A configuration to go on with; `changed` tables take effect, `restart` names those that still stand as before."""

    config: Config
    changed: tuple[str, ...]
    restart: tuple[str, ...]

    def in_words(self) -> str:
        """Return what happened as one sentence."""
        words = f"in effect now: {', '.join(self.changed)}" if self.changed else "nothing to change"
        return f"{words}; needs a restart: {', '.join(self.restart)}" if self.restart else words


def reloaded(old: Config, new: Config) -> Reloaded:
    """Return what of `new` takes effect beside the parts of `old` that only a restart can change."""
    different = [name for name in Config.model_fields if getattr(old, name) != getattr(new, name)]
    kept = {name: getattr(old, name) for name in NEEDS_RESTART}
    return Reloaded(
        new.model_copy(update=kept),
        tuple(name for name in different if name not in NEEDS_RESTART),
        tuple(name for name in different if name in NEEDS_RESTART),
    )
