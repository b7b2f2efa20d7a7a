"""Virtual patients that several tests look at; making one takes seconds."""

from __future__ import annotations

import pytest

from pipelines.simulation.anatomy import Sex
from pipelines.simulation.uptake import Defect
from pipelines.simulation.virtual_patient import VirtualPatient, make_patient

INFERIOR = Defect(center=(0.31, 0.0, -0.95), half_length_deg=40.0, half_width_deg=40.0, severity=0.8, reversible=0.0)


@pytest.fixture(scope="session")
def man() -> VirtualPatient:
    """A man with a normal heart."""
    return make_patient(7, sex=Sex.MALE, body_mass_index=27.0, defects=(), injected_mbq=814.0)


@pytest.fixture(scope="session")
def woman() -> VirtualPatient:
    """A woman with a large scar in the inferior wall."""
    return make_patient(8, sex=Sex.FEMALE, body_mass_index=26.0, defects=(INFERIOR,), injected_mbq=814.0)
