"""Whether derived instances hold what their acquisition shows: the same pixels for the same heart, others for others.

The journal can't tell: a node that mixed two studies up would have written the mistake there, too. But the campaign
knows which of its hearts each acquisition holds, and a pipeline makes the same pixels of the same counts each time.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from io import BytesIO
from itertools import combinations

from pydicom import dcmread

Signature = tuple[tuple[str, str], ...]  # SOP Class and SHA-256 of the pixels of all that was made of one source


def signatures(files: Iterable[bytes]) -> dict[str, Signature]:
    """Return what was made of each source, by its SOP Instance UID, from the files of an archive."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for content in files:
        ds = dcmread(BytesIO(content))
        source = str(ds.SourceImageSequence[0].ReferencedSOPInstanceUID)
        found[source].append((str(ds.SOPClassUID), hashlib.sha256(ds.get("PixelData", b"")).hexdigest()))
    return {source: tuple(sorted(made)) for source, made in found.items()}


def mixed_up(made: Mapping[str, Signature], hearts: Mapping[str, int]) -> list[str]:
    """Return a sentence for each source whose pixels are not those of its heart, and for hearts that share pixels.

    `hearts` tells the number of the heart by SOP Instance UID.
    """
    by_heart: dict[int, Counter[Signature]] = defaultdict(Counter)
    for source, signature in made.items():
        if source in hearts:
            by_heart[hearts[source]][signature] += 1
    usual = {heart: counts.most_common(1)[0][0] for heart, counts in by_heart.items()}
    told = [f"{source} is no instance of the scanner, and something was made of it" for source in made.keys() - hearts]
    for source, signature in made.items():
        if source in hearts and signature != usual[hearts[source]]:
            whose = [heart for heart, other in usual.items() if other == signature] or "none"
            told.append(f"what was made of {source} are not the pixels of heart {hearts[source]}, but of {whose}")
    shared = [pair for pair in combinations(sorted(usual), 2) if set(usual[pair[0]]) & set(usual[pair[1]])]
    return told + [f"hearts {one} and {other} gave the same pixels" for one, other in shared]
