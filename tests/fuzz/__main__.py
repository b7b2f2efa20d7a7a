"""Fuzzing: `make fuzz SECONDS=60`, or `python -m tests.fuzz --seconds 60 [--target header] [--keep]`.

The targets share the time. Each starts from its seeds and its corpus. An input that makes a target crash is kept in
tests/fuzz/corpus/<target>, where the ordinary tests try it for ever; `--keep` adds the smallest of the inputs that
reached new code, up to MOST_KEPT per target.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.datadict import tag_for_keyword

from tests.fuzz.targets import TARGETS, seeds

CORPUS = Path(__file__).with_name("corpus")
LONGEST_BYTES = 8192
MOST_KEPT = 60  # inputs per target
WORDS = (
    "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "PixelRepresentation", "PixelData",
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameIncrementPointer", "EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector",
    "TimeSlotVector", "RRIntervalVector", "SliceVector", "NumberOfDetectors", "NumberOfEnergyWindows",
    "RotationInformationSequence", "DetectorInformationSequence", "EnergyWindowInformationSequence",
    "EnergyWindowRangeSequence", "StartAngle", "AngularStep", "ScanArc", "RotationDirection", "RadialPosition",
    "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RealWorldValueMappingSequence",
    "SpacingBetweenSlices", "FloatPixelData", "DoubleFloatPixelData",
)  # fmt: skip
TEXTS = (
    b"ISO 2022 IR 87", b"GB18030", b"ISO_IR 192", b"\x1b$B", b"RECON TOMO", b"GATED TOMO", b"TRANSMISSION", b"nan",
    b"1e999", b"-1", b"\\", b"SQ", b"UN", b"OB", b"OW", b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1.99",
    b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.4.90",
    b"\xff\xff\xff\xff", b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What the fuzzing of one target came to."""

    target: str
    inputs: int
    edges: int
    corpus: int
    crashes: tuple[Path, ...]


def fuzz(name: str, seconds: int, keep: bool) -> Outcome:
    """Fuzz one target for so long; a crash is kept in its corpus and ends its run."""
    kept = CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    before = set(kept.iterdir())
    before_names = {file.name for file in before}
    with tempfile.TemporaryDirectory(prefix="dicomnode-fuzz-") as scratch:
        work, words = Path(scratch) / "corpus", Path(scratch) / "words"
        shutil.copytree(kept, work)
        for number, seed in enumerate(seeds(name)):
            (work / f"seed{number}").write_bytes(seed)
        words.write_text("\n".join(_dictionary()))
        options = [f"-max_len={LONGEST_BYTES}", f"-dict={words}", f"-artifact_prefix={kept}/", "-rss_limit_mb=2048"]
        output = _child(
            name, [str(work), *options, f"-max_total_time={seconds}", "-timeout=20", "-print_final_stats=1"]
        )
        found = [file for file in work.iterdir() if not file.name.startswith("seed") and file.name not in before_names]
        for small in sorted(found, key=lambda file: file.stat().st_size)[
            : max(0, MOST_KEPT - len(before)) if keep else 0
        ]:
            shutil.copy(small, kept / small.name)
    crashes = tuple(sorted(set(kept.glob("*-*")) - before))
    inputs = _last(r"stat::number_of_executed_units:\s*(\d+)", output)
    if crashes or not inputs:
        print(output[-4000:])
    return Outcome(name, inputs, _last(r"cov: (\d+)", output), _last(r"corp: (\d+)", output), crashes)


def _child(name: str, options: Sequence[str]) -> str:
    command = [sys.executable, "-m", "tests.fuzz.child", name, *options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout + done.stderr


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def _dictionary() -> list[str]:
    """Return libFuzzer's dictionary: the tags that are read, and texts that mean something."""
    tags = [tag_for_keyword(word) or 0 for word in WORDS]
    words = [(tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") for tag in tags]
    return ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in (*words, *TEXTS)]


def main() -> int:
    """Fuzz, print what came of it, and return 1 if anything crashed, or nothing was tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--target", choices=list(TARGETS), action="append", help="only this one; may be repeated")
    parser.add_argument(
        "--keep", action="store_true", help="add the smallest inputs that reached new code to the corpus"
    )
    asked = parser.parse_args()
    names = asked.target or list(TARGETS)
    outcomes = [fuzz(name, max(1, asked.seconds // len(names)), asked.keep) for name in names]
    for one in outcomes:
        print(f"{one.target}: {one.inputs} inputs, {one.edges} edges, corpus of {one.corpus}", end=", ")
        print(f"{len(one.crashes)} crashes" + "".join(f"\n  {path}" for path in one.crashes))
    return 1 if any(one.crashes or not one.inputs for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
