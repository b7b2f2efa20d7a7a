"""Section 8 of the statement: what is made, attribute by attribute, and our own codes."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.conformance.markdown import listed, section, table
from dicomnode.objects.codes import OWN_SCHEME
from dicomnode.objects.derivation import INSTANCE_CREATOR_UID
from dicomnode.objects.examples import PROJECTIONS, Attribute, CreatedObject, created_objects, own_codes
from dicomnode.objects.frames import NM_IMAGE_STORAGE
from dicomnode.objects.inherited import COPIED
from dicomnode.objects.private_copy import SERIES_NUMBER
from dicomnode.objects.structured_report import COMPREHENSIVE_SR

_HEADER = ("Attribute", "Tag", "VR", "Value")
Block = tuple[Attribute, ...]


def annexes() -> str:
    """Return the section."""
    return section("8", "Annexes", _iods(created_objects()), *_rest())


def _iods(made: Sequence[CreatedObject]) -> str:
    kinds = [(one.kind, one.sop_class, one.series_number, f"... {one.description}") for one in made]
    images = [one for one in made if one.sop_class_uid == NM_IMAGE_STORAGE]
    others = [one for one in made if one.sop_class_uid != NM_IMAGE_STORAGE]
    common = set.intersection(*(set(_blocks(one)) for one in made))
    of_images = set.intersection(*(set(_blocks(one)) for one in images))
    volumes = [one for one in images if one.kind != PROJECTIONS]
    of_volumes = set.intersection(*(set(_blocks(one)) for one in volumes))
    tables = [
        ("All objects", "", _rows(made[0], common)),
        ("All NM images, besides", "", _rows(images[0], of_images - common)),
        ("All volumes, besides", "", _rows(volumes[0], of_volumes - of_images)),
        *(
            (_besides(one), _more(one), _rows(one, set(_blocks(one)) - (of_volumes if one in volumes else of_images)))
            for one in images
        ),
        *((_besides(one), _more(one), _rows(one, set(_blocks(one)) - common)) for one in others),
    ]
    return section(
        "8.1",
        "IOD Contents: Created SOP Instances",
        "Each in a series of its own in the source's study. An attribute without a value here is computed.",
        table(("Object", "SOP Class", "Series Number", "Series Description"), kinds),
        "Series Descriptions are those of a study with a CT; where the attenuation map is the camera's own, `CTAC`"
        " reads `AC`, where networks tell it, `DLAC`.",
        "Copied from the source byte for byte, where it has them (Type 2 ones are otherwise empty):\n\n"
        + ", ".join(sorted(COPIED))
        + ".",
        *(
            section(f"8.1.{number}", title, *filter(None, (words, table(_HEADER, rows))))
            for number, (title, words, rows) in enumerate(tables, 1)
        ),
        *(
            section(f"8.1.{number}", f"{one.kind.capitalize()}, its content", _CONTENT, _content(one))
            for number, one in enumerate((one for one in made if one.content), len(tables) + 1)
        ),
    )


_CONTENT = (
    "Of items that are alike the first is shown; there are as many measurement groups as are named above. A number "
    "that was not measured is left out: perfusion where no normal limits fit (then each segment has its uptake in % of "
    "the highest one), function where the study is not gated."
)


def _content(one: CreatedObject) -> str:
    rows = ((">" * line.depth + line.concept, line.relationship, line.value_type, line.value) for line in one.content)
    return table(("Concept", "Relationship", "Value Type", "Code or unit"), rows)


def _more(one: CreatedObject) -> str:
    if one.kind == PROJECTIONS:
        return (
            "In the frame order of the source, with its detector and rotation items. Of a gated source, Image Type's "
            "third value is GATED TOMO, and R-R Interval and Time Slot Vector and the Gated Information Sequence are "
            "there too."
        )
    if one.sop_class_uid != COMPREHENSIVE_SR:
        return ""
    return (
        "Content of TID 1500 (Measurement Report) with a group of TID 1501 for the left ventricle and each of its 17 "
        "segments, and one for a heart that it is compared with; the sources and derived images as evidence; Algorithm "
        "Identification with name, version and settings."
    )


def _besides(one: CreatedObject) -> str:
    return f"{one.kind.capitalize()}, besides"


def _blocks(one: CreatedObject) -> list[Block]:
    """Return the attributes of an object, each with those of its items."""
    blocks: list[Block] = []
    for attribute in one.attributes:
        if attribute.depth == 0:
            blocks.append(())
        blocks[-1] += (attribute,)
    return blocks


def _rows(one: CreatedObject, wanted: set[Block]) -> list[tuple[str, ...]]:
    return [
        (">" * attribute.depth + attribute.name, attribute.tag, attribute.vr, attribute.value)
        for block in _blocks(one)
        if block in wanted
        for attribute in block
    ]


def _rest() -> tuple[str, ...]:
    return (
        section(
            "8.2",
            "Usage of Attributes from Received Instances",
            listed(
                (
                    "Frames of NM images are assigned by the vectors that Frame Increment Pointer names, never by "
                    "their order; angles, radii and positions are read from the rotation and detector items.",
                    "Rules of the configuration may look at any attribute of the dictionary by its keyword.",
                    "No attribute of a received instance is coerced; it is kept as it came.",
                )
            ),
        ),
        section(
            "8.3",
            "Data Dictionary of Private Attributes",
            "There are none of our own, and no derived instance holds any but this: a destination with "
            "`keep_private = true` gets, in place of denoised projections, a copy of them with private attributes of "
            f"the camera (Series Number {SERIES_NUMBER}, a series and an instance of its own). They keep the camera's "
            "creators and meanings. Kept are numbers and codes that the public dictionary of private attributes "
            "knows, and the names of the camera's corrections; not kept are scales, windows and statistics of pixels, "
            "counts, other text, names, UIDs and bulk data. Without private attributes to keep there is no copy, and "
            "the plain projections are sent.",
        ),
        section(
            "8.4",
            "Coded Terminology and Templates",
            "DCM, SCT, UCUM and LN codes of PS3.16; TID 1500, 1501, 1419, 3471. "
            f"Our own, in the scheme {OWN_SCHEME}, identified in each object that uses it:",
            table(("Code Value", "Code Meaning"), own_codes()),
        ),
        section("8.5", "Grayscale Image Consistency", "The node displays no images by a DICOM presentation state."),
        section(
            "8.6",
            "Standard Extended, Specialized and Private SOP Classes",
            "A copy of projections with private attributes (8.3) is of a Standard Extended SOP Class, and so is no "
            "other. NM images hold two attributes of the General Image and SOP Common modules that not every "
            f"reader knows: Real World Value Mapping and Content Qualification. Instance Creator UID: "
            f"{INSTANCE_CREATOR_UID}.",
        ),
        section("8.7", "Private Transfer Syntaxes", "None."),
    )
