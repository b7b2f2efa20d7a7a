"""What every engine offers, wherever it runs: the pipelines of the catalog, in this program's version."""

from __future__ import annotations

from collections.abc import Mapping

from dicomnode.config import OptionValue
from dicomnode.errors import TransientFault
from pipelines import catalog
from pipelines.contract import NotNow


class Offer:
    """The part of an engine that only looks up."""

    def version(self, pipeline: str, options: Mapping[str, OptionValue]) -> str:
        """Return the version of the pipeline and of the weights that it uses under these options.

        Raises TransientFault if the weights are away.
        """
        try:
            return catalog.version_of(pipeline, options)
        except NotNow as error:
            raise TransientFault(str(error)) from None

    def pipelines(self) -> tuple[str, ...]:
        """Return the names of the pipelines there are."""
        return tuple(sorted(catalog.PIPELINES))

    def check_options(self, pipeline: str, options: Mapping[str, OptionValue]) -> None:
        """Raise ValueError, with a sentence, if the pipeline has no such options, or lacks their files."""
        catalog.check_options(pipeline, options)
