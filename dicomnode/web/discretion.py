"""What is told to whom: patients' names and IDs only to users who may see them, also where they hide in a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dicomnode.store.looking import Identity
from dicomnode.store.outbox import in_our_words

_SHORTEST = 3  # letters; shorter parts of a name stand in too many other words
HIDDEN = "[hidden]"


@dataclass(frozen=True)
class Discretion:
    """How one study's sentences are told to one viewer."""

    identity: Identity
    shown: bool

    def tell(self, sentence: str) -> str:
        """Return a sentence of the journal; without the right to identity, what a peer wrote itself is left out."""
        if self.shown:
            return sentence
        told = in_our_words(sentence)
        for secret in sorted(self._secrets(), key=len, reverse=True):
            told = re.sub(re.escape(secret), HIDDEN, told, flags=re.IGNORECASE)
        return told

    def _secrets(self) -> set[str]:
        whole = (self.identity.name, self.identity.patient_id, self.identity.accession)
        parts = re.split(r"[\^= \\]+", self.identity.name)
        return {secret for secret in (*whole, *parts) if len(secret) >= _SHORTEST}
