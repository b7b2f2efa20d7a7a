"""Sound files with a few bytes damaged: whatever happens is one of our own errors, never another."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dicomnode.errors import InstanceRejected, StudyUnsuitable
from dicomnode.objects.derivation import DerivationContext, read_sources
from dicomnode.objects.header import read_header
from dicomnode.objects.nuclear import write_derived
from dicomnode.objects.reader import read_acquisition
from pipelines.contract import Derived, DerivedKind, PipelineResult, Provenance
from tests.factories import NOON, REAL_DATA, a_tomo

HEADER_BYTES = 6000
CONTEXT = DerivationContext("p", "1", "0.1.0", {}, NOON)


def damaged(file: bytes, chance: random.Random) -> bytes:
    """Return a file with one to six bytes or runs of bytes of its header changed, lost or added."""
    spoilt = bytearray(file)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(132, min(len(spoilt), HEADER_BYTES) - 20)
        run = bytes(chance.randrange(256) for _ in range(chance.randint(1, 20)))
        start, end, new = chance.choice(
            [
                (at, at + 1, run[:1]),
                (at, at + len(run), b""),
                (at, at, run),
                (at, at + 4, chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\x00\xe0", b"9999"])),
            ]
        )
        spoilt[start:end] = new
    return bytes(spoilt)


def sources() -> list[bytes]:
    files = [a_tomo(gates=2, windows=2, detectors=2), a_tomo()]
    real = REAL_DATA / "ge_xeleris_tomo_stress.dcm"
    return [*files, real.read_bytes()] if real.exists() else files


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(4))
def test_damage_is_answered_by_our_own_errors_alone(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    files, path = sources(), tmp_path / "damaged.dcm"
    taken = refused = 0
    for _ in range(250):
        path.write_bytes(damaged(chance.choice(files), chance))
        try:
            read_header(path)
            acquisition = read_acquisition(path)
            projections = acquisition.projections
            assert projections is not None
            derived = Derived(DerivedKind.DENOISED_PROJECTIONS, projections, "denoised")
            result = PipelineResult((derived,), Provenance("p", "1"))
            made = write_derived(read_sources([path]), path, acquisition, derived, result, CONTEXT)
            assert read_header(made.file_bytes).flaw is None
            taken += 1
        except (InstanceRejected, StudyUnsuitable):
            refused += 1
    assert taken > 10
    assert refused > 100
