"""`run`: which of the files that it is given a pipeline runs on."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.cli.pipelines import _sorted
from dicomnode.errors import StudyUnsuitable
from tests.dicomnode.objects.acquisitions import detector
from tests.dicomnode.objects.spect_ct import acquisition, ct, reconstruction
from tests.factories import changed


def test_projections_go_before_reconstructions_and_a_ct_stands_beside(tmp_path: Path) -> None:
    tomo, slices = acquisition(tmp_path), ct(tmp_path)
    sources, others, flawed = _sorted([tomo, reconstruction(tmp_path), *slices], "attenuation_correction", {})
    assert [path for path, _ in sources] == [tomo]
    assert [path for path, _ in others] == slices
    assert not flawed


def test_projections_that_only_their_vendor_can_reconstruct_stand_back(tmp_path: Path) -> None:
    tomo, recon = acquisition(tmp_path), reconstruction(tmp_path)
    tomo.write_bytes(changed(tomo.read_bytes(), detector(CollimatorType="", CollimatorGridName="SMARTZOOM")))
    sources, _, flawed = _sorted([tomo, recon], "attenuation_correction", {})
    assert [path for path, _ in sources] == [recon]
    assert "SMARTZOOM" in str(flawed[0].flaw)
    with pytest.raises(StudyUnsuitable, match="SMARTZOOM"):
        _sorted([tomo], "attenuation_correction", {})
