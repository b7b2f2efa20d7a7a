"""Instances as PNG files: a page as it is, frames side by side with the highest value black."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dicomnode.objects.pictures import save_comparison, save_picture
from tests.dicomnode.objects.results import a_page, derive
from tests.factories import a_tomo, some_projections


def test_a_page_is_saved_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.dcm"
    page.write_bytes(derive(tmp_path, kinds=())["report page"].file_bytes)
    save_picture(page, tmp_path / "page.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "page.png"))[70:], a_page())


def test_frames_are_laid_side_by_side_in_rows_of_ten(tmp_path: Path) -> None:
    projections = some_projections(views=12)
    source = tmp_path / "tomo.dcm"
    source.write_bytes(a_tomo(projections))
    save_picture(source, tmp_path / "frames.png")
    picture = np.asarray(Image.open(tmp_path / "frames.png"))
    assert picture.shape == (2 * 2 * 5, 10 * 2 * 8)
    frames = projections.counts[0, 0]
    assert np.allclose(picture[10:20:2, 16:32:2], 255 * (1 - frames[11] / frames.max()), atol=0.51)
    assert (picture[10:, 32:] == 255).all()  # no frame: white


def test_a_comparison_shows_ten_frames_of_each_instance_under_its_words(tmp_path: Path) -> None:
    few, many = tmp_path / "few.dcm", tmp_path / "many.dcm"
    few.write_bytes(a_tomo(some_projections(views=3)))
    many.write_bytes(a_tomo(some_projections(views=40)))
    save_comparison("title", [("few", few), ("many", many)], tmp_path / "comparison.png")
    picture = np.asarray(Image.open(tmp_path / "comparison.png"))
    assert picture.shape == (26 + 2 * (26 + 128), 1280)
    for top in (52, 52 + 154):
        tiles = picture[top : top + 128].reshape(128, 10, 128).transpose(1, 0, 2)
        assert all(tile.std() > 20 for tile in tiles)
