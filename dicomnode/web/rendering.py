"""Templates to HTML: every value is escaped, a missing one is an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

_STATE_MARKS: Mapping[str, str] = {  # so that a state is told by more than a color
    "RECEIVING": "\N{DOWNWARDS ARROW}", "ROUTED": "\N{HORIZONTAL ELLIPSIS}", "PROCESSING": "\N{WHITE CIRCLE}",
    "DELIVERING": "\N{RIGHTWARDS ARROW}", "DELIVERED": "\N{CHECK MARK}", "IGNORED": "\N{EN DASH}",
    "HELD": "\N{DOUBLE VERTICAL LINE}", "FAILED": "!", "REJECTED": "\N{MULTIPLICATION SIGN}", "PURGED": "\N{EN DASH}",
}  # fmt: skip


class Pages:
    """Renders the templates of this package."""

    def __init__(self) -> None:
        # found without importing the package's parent; autoescape stands for every file, whatever it is called
        loader = PackageLoader("dicomnode.web", "templates")
        self._environment = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters |= {"when": when, "mark": lambda state: _STATE_MARKS.get(state, "")}

    def answer(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page."""
        return HTMLResponse(self._environment.get_template(template).render(**values), status)


def when(moment: datetime | None) -> Markup | str:
    """Return a moment in this machine's time, with the exact one for programs."""
    if moment is None:
        return "-"
    local = moment.astimezone()
    return Markup('<time datetime="{}">{}</time>').format(
        local.isoformat(timespec="seconds"), f"{local:%Y-%m-%d %H:%M:%S}"
    )
