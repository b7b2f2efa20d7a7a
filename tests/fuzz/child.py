"""One target under atheris, in a process of its own: `python -m tests.fuzz.child TARGET [options of libFuzzer]`.

Coverage is that of the Python code, ours and that of the two DICOM libraries; a crash is an exception that escapes the
target, an input that takes longer than libFuzzer's time-out, or one that takes more memory than its limit.
"""

from __future__ import annotations

import logging
import sys
import warnings

import atheris  # type: ignore[import-untyped]
import structlog


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    name = sys.argv[1]
    warnings.simplefilter("ignore")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with atheris.instrument_imports(include=["dicomnode", "pydicom", "pynetdicom"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
