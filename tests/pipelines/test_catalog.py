"""The catalog finds pipelines by name, stays cheap to import, and says clearly what it does not have."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines import catalog
from pipelines.contract import Acquisition, PipelineInput

NOTHING = PipelineInput(Acquisition("a"))


def test_an_unknown_pipeline_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no pipeline 'sharpening'; there are .*reconstruction"):
        catalog.run("sharpening", NOTHING)
    with pytest.raises(ValueError, match="no pipeline"):
        catalog.version_of("sharpening")


@pytest.mark.parametrize(("device", "message"), [("tpu", "no device 'tpu'"), ("cuda:99", "cuda")])
def test_a_device_that_cannot_be_had_is_refused(device: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        catalog.run("reconstruction", NOTHING, device=device)


def test_importing_the_catalog_loads_no_torch() -> None:
    code = "import sys, pipelines.catalog, pipelines.contract; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_warming_up_loads_torch_and_limits_its_threads() -> None:
    code = (
        "import sys, pipelines.catalog as catalog; catalog.warm_up('cpu', threads=1);"
        "sys.exit(sys.modules['torch'].get_num_threads() != 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
