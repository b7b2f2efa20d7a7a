"""Records and images of a scan: they come back from their files as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.evaluation.attenuation.arrays import Plane, read_arrays, write_arrays
from pipelines.evaluation.attenuation.record import Frame, Method, Road, read_record, scan_name, write_record
from tests.pipelines.evaluation.attenuation.records import a_scan


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record, _ = a_scan()
    hearts = {**record.hearts, "OSEM": {"own": {"nAC": None}, "common": {}}}
    record = replace(record, hearts=hearts)
    write_record(tmp_path / "one.json", record)
    back = read_record(tmp_path / "one.json")
    assert back == record
    assert back.reading(Road.OSEM, Frame.OWN, Method.NONE) is None
    assert back.reading(Road.PRAC, Frame.OWN, Method.OURS) is not None


def test_images_come_back_as_they_were_and_what_is_missing_is_none(tmp_path: Path) -> None:
    _, arrays = a_scan()
    write_arrays(tmp_path / "one.npz", arrays)
    back = read_arrays(tmp_path / "one.npz")
    assert back.voxel_mm == 6.6
    polar = back.polar(Road.PRAC, Frame.COMMON, Method.CTAC)
    assert polar is not None
    np.testing.assert_array_equal(polar, arrays.images["polar|PRAC|common|CTAC"])
    assert back.plane(Plane.CORONAL, None) is not None
    assert back.plane(Plane.AXIAL, Method.NONE) is None


def test_no_two_scans_share_a_file() -> None:
    made = [(number, camera, study) for number in (1, 2) for camera in ("symbia", "prospect") for study in (0, 1)]
    assert len({scan_name(camera, number, study) for number, camera, study in made}) == 8
