"""Instances as PNG files: a page as it is, frames side by side with the highest value black."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dicomnode.objects.pictures import save_picture
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
