"""A study of many instances; `make large-study` does the same with 10,000."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.large_study import receive


def test_a_study_of_many_instances_is_kept_whole_in_bounded_memory(tmp_path: Path) -> None:
    found = receive(tmp_path, 300)
    assert (found.state, found.instances, found.files) == ("IGNORED", 300, 300)
    assert found.peak_mb - found.start_mb < 100
