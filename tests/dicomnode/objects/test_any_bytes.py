"""Whatever bytes an element holds, reading it gives a value or nothing; frames are sound or have a flaw in words."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomnode.objects.elements import integer, items, number, numbers, text, texts, vr_of
from dicomnode.objects.frames import TOMO_AXES, index_frames

KEYWORDS = (
    "PatientName", "ImageType", "NumberOfFrames", "Rows", "PixelSpacing", "AngularViewVector", "FrameIncrementPointer",
    "StudyDate", "RotationInformationSequence", "SpecificCharacterSet", "ImageComments", "RealWorldValueSlope",
)  # fmt: skip
VRS = ("PN", "CS", "IS", "US", "DS", "AT", "DA", "SQ", "UN", "LT", "FD", "OB", "ZZ", None)
CHARACTER_SETS = (b"", b"ISO_IR 192", b"\\ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"GB18030", b"ISO_IR 203", b"\xff\\?")

quickly = settings(max_examples=300, deadline=None, derandomize=True, database=None)


def holding(keyword: str, vr: str | None, value: bytes, character_set: bytes) -> Dataset:
    """Return a dataset of one element as it came from the wire, and a character set."""
    ds = Dataset()
    for word, kind, content in (("SpecificCharacterSet", "CS", character_set), (keyword, vr, value)):
        tag = BaseTag(tag_for_keyword(word) or 0)
        ds._dict[tag] = RawDataElement(tag, kind, len(content), content, 0, vr is None, True)
    return ds


@quickly
@given(st.sampled_from(KEYWORDS), st.sampled_from(VRS), st.binary(max_size=80), st.sampled_from(CHARACTER_SETS))
def test_any_value_of_any_representation_is_read_as_something(
    keyword: str, vr: str | None, value: bytes, character_set: bytes
) -> None:
    ds = holding(keyword, vr, value, character_set)
    assert all(isinstance(one, str) for one in texts(ds, keyword))
    assert "\x1b$" not in text(ds, keyword)
    assert all(map(math.isfinite, numbers(ds, keyword)))
    found = number(ds, keyword)
    assert found is None or integer(ds, keyword) in (None, found)
    assert all(isinstance(item, Dataset) for item in items(ds, keyword))


@st.composite
def acquisitions(draw: st.DrawFn) -> Dataset:
    """Draw an NM header whose counts and vectors may or may not fit each other."""
    ds = Dataset()
    ds.NumberOfFrames = draw(st.integers(0, 13))
    for axis in TOMO_AXES:
        if draw(st.booleans()):
            vector = draw(st.lists(st.integers(0, 5), min_size=0, max_size=13))
            ds.add_new(axis.tag, "US", vector)
        if not axis.sequence and draw(st.booleans()) and vr_of(tag_for_keyword(axis.count) or 0) in ("US", "IS"):
            setattr(ds, axis.count, draw(st.integers(0, 5)))
    return ds


@quickly
@given(acquisitions())
def test_frames_without_a_flaw_have_each_place_once(ds: Dataset) -> None:
    frames = index_frames(ds, TOMO_AXES)
    if frames.flaw is None:
        places = [tuple(row) for row in frames.index.tolist()]
        assert len(places) == int(ds.NumberOfFrames or 1)
        assert len(set(places)) == len(places)
        assert min(min(place) for place in places) >= 0
    else:
        assert frames.flaw.isprintable()
