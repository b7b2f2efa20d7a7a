"""What broken, strange and hostile senders put into a C-STORE, and what the node must answer: one row each.

Statuses are those of PS3.4 Table B.2-1: A900 for an instance that is not what its header or its command says, C000 for
one that can't be understood, 0000 for all that can be kept, however little a pipeline can make of it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from tests.factories import setting, without
from tests.peers.studies import StudyUids, small_tomo

KEPT, NOT_AS_SAID, NOT_UNDERSTOOD = 0x0000, 0xA900, 0xC000
VIEWS = 4
LONG_UID = "1." + "2" * 80
UP_AND_OUT = "../../../../tmp/x"

Spoil = Callable[[Dataset], bytes]


@dataclass(frozen=True)
class Row:
    """One kind of input: `spoil` makes the dataset's bytes out of a sound acquisition; `status` is the answer.

    `sop_instance_uid` overrides the one that the command names; `transfer_syntax` is that of the Presentation Context.
    """

    spoil: Spoil
    status: int
    sop_instance_uid: str | None = None
    transfer_syntax: str = ExplicitVRLittleEndian


def acquisition(uids: StudyUids) -> Dataset:
    """Return the sound acquisition that rows spoil."""
    return small_tomo(uids, views=VIEWS, matrix=8)


def wire(ds: Dataset, transfer_syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """Return a dataset's bytes as they travel, however unsound it is."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, transfer_syntax == ImplicitVRLittleEndian
    with config.disable_value_validation():
        write_dataset(buffer, ds)
    return bytes(buffer.getvalue())


def with_(**elements: Any) -> Spoil:
    """Return a spoiler that sets these elements."""

    def spoil(ds: Dataset) -> bytes:
        setting(**elements)(ds)
        return wire(ds)

    return spoil


def no(*keywords: str) -> Spoil:
    """Return a spoiler that deletes these elements."""

    def spoil(ds: Dataset) -> bytes:
        without(*keywords)(ds)
        return wire(ds)

    return spoil


def before_pixels(element: bytes) -> Spoil:
    """Return a spoiler that puts hand-made bytes in front of the pixels."""

    def spoil(ds: Dataset) -> bytes:
        start, pixels = wire(ds).split(b"\xe0\x7f\x10\x00", 1)
        return start + element + b"\xe0\x7f\x10\x00" + pixels

    return spoil


def nested(levels: int) -> Spoil:
    """Return a spoiler that opens so many sequences inside each other."""
    return before_pixels(b"\x40\x00\x55\x05SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * levels)


def retyped(tag: int, vr: bytes, value: bytes) -> Spoil:
    """Return a spoiler that writes one short element with another VR and value."""

    def spoil(ds: Dataset) -> bytes:
        plain = wire(ds)
        at = plain.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
        length = struct.unpack_from("<H", plain, at + 6)[0]
        made = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
        return plain[:at] + made + plain[at + 8 + length :]

    return spoil


def undefined_length(ds: Dataset) -> bytes:
    """Say that plain pixels have no length, which only encapsulated ones may."""
    start, pixels = wire(ds).split(b"\xe0\x7f\x10\x00OW\0\0", 1)
    return start + b"\xe0\x7f\x10\x00OW\0\0\xff\xff\xff\xff" + pixels[4:]


def signed(*first: int) -> Spoil:
    """Return a spoiler that makes the pixels signed, these the first ones and all others -1."""

    def spoil(ds: Dataset) -> bytes:
        ds.PixelRepresentation = 1
        pixels = [*first, *[-1] * (len(ds.PixelData) // 2 - len(first))]
        ds.PixelData = struct.pack(f"<{len(pixels)}h", *pixels)
        return wire(ds)

    return spoil


def private_multi_frame(ds: Dataset) -> bytes:
    """Keep the frames in a private element alone."""
    pixels = ds.PixelData
    del ds.PixelData
    ds.private_block(0x7FE1, "VENDOR", create=True).add_new(0x10, "OW", pixels)
    return wire(ds)


def private_only(ds: Dataset) -> bytes:
    """Keep nothing but the UIDs and a private blob."""
    kept = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        kept[keyword] = ds[keyword]
    kept.private_block(0x11, "BLOB", create=True).add_new(0x10, "OB", bytes(50_000))
    return wire(kept)


def many_elements(ds: Dataset) -> bytes:
    """Add half a million private elements, eight to ten bytes each."""
    return before_pixels(
        b"".join(struct.pack("<HH2sH", 0x11 + 2 * (n >> 15), n & 0x7FFF, b"LO", 2) + b"x " for n in range(500_000))
    )(ds)


def deflate_bomb(_ds: Dataset) -> bytes:
    """Return 1.5 MB that inflate to 1.5 GB: one block of 50 MB of nothing, thirty times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(50_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * 30 + packer.flush()


def compressed(ds: Dataset, transfer_syntax: UID = JPEGLSLossless) -> Dataset:
    """Return the acquisition compressed without loss."""
    ds.compress(transfer_syntax, generate_instance_uid=False)
    return ds


def jpeg_bomb(ds: Dataset) -> bytes:
    """Let the first compressed frame claim 65535 x 65535 pixels (SOF55: length, precision, height, width)."""
    frames = [bytearray(frame) for frame in generate_frames(compressed(ds).PixelData, number_of_frames=VIEWS)]
    at = frames[0].index(b"\xff\xf7")
    frames[0][at + 5 : at + 9] = b"\xff" * 4
    ds.PixelData = encapsulate([bytes(frame) for frame in frames])
    return wire(ds, JPEGLSLossless)


def run_length_bomb(ds: Dataset) -> bytes:
    """Let each compressed frame run to 64 MB out of 1 MB (PS3.5 G: byte -127 repeats the next 128 times)."""
    frame = struct.pack("<16L", 2, 64, 64 + 1_000_000, *(0,) * 13) + b"\x81\x00" * 1_000_000
    ds.PixelData = encapsulate([frame] * VIEWS)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return wire(ds, RLELossless)


_SQ = b"\x40\x00\x55\x05SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"

ROWS: Mapping[str, Row] = {
    # pixels that are not what the header says
    "pixels cut in the middle": Row(lambda ds: wire(ds)[:-77], NOT_AS_SAID),
    "pixels one frame short": Row(with_(NumberOfFrames=VIEWS + 1), NOT_AS_SAID),
    "pixels one frame too long": Row(with_(NumberOfFrames=VIEWS - 1), NOT_AS_SAID),
    "no Rows": Row(no("Rows"), NOT_AS_SAID),
    "Rows as a word": Row(retyped(0x00280010, b"DS", b"abcd"), NOT_AS_SAID),
    "Rows of zero": Row(with_(Rows=0), NOT_AS_SAID),
    "two thousand million frames": Row(with_(NumberOfFrames=2**31 - 1, Rows=65535, Columns=65535), NOT_AS_SAID),
    "minus five frames": Row(with_(NumberOfFrames="-5"), NOT_AS_SAID),
    "frames that are not a number": Row(retyped(0x00280008, b"IS", b"many"), NOT_AS_SAID),
    "no pixels": Row(no("PixelData"), NOT_AS_SAID),
    "frames in a private element alone": Row(private_multi_frame, NOT_AS_SAID),
    "a private blob and nothing else": Row(private_only, NOT_AS_SAID),
    "compressed pixels cut": Row(
        lambda ds: wire(compressed(ds), JPEGLSLossless)[:-30], NOT_AS_SAID, transfer_syntax=JPEGLSLossless
    ),
    # bytes that are no dataset
    "random bytes": Row(lambda _ds: bytes(range(255, -1, -1)) * 40, NOT_UNDERSTOOD),
    "an unknown value representation": Row(before_pixels(b"\x11\x00\x10\x00ZZ\x02\x0012"), NOT_UNDERSTOOD),
    "a length far beyond the end": Row(before_pixels(b"\x11\x00\x10\x00UN\0\0\xf0\xff\xff\xff0123456789"), NOT_AS_SAID),
    "plain pixels of undefined length": Row(undefined_length, NOT_UNDERSTOOD),
    "a deflate bomb in an uncompressed context": Row(deflate_bomb, NOT_UNDERSTOOD),
    "implicit bytes in an explicit context": Row(lambda ds: wire(ds, ImplicitVRLittleEndian), NOT_UNDERSTOOD),
    "explicit bytes in an implicit context": Row(wire, NOT_UNDERSTOOD, transfer_syntax=ImplicitVRLittleEndian),
    "2 000 sequences inside each other": Row(nested(2_000), NOT_UNDERSTOOD),
    "200 000 sequences inside each other": Row(nested(200_000), NOT_UNDERSTOOD),
    "a sequence that never closes": Row(before_pixels(_SQ), NOT_UNDERSTOOD),
    "half a million elements": Row(many_elements, NOT_UNDERSTOOD),
    "an empty dataset": Row(lambda _ds: b"", NOT_UNDERSTOOD),
    # names that lead astray
    "a UID that climbs out of its folder": Row(with_(SOPInstanceUID=UP_AND_OUT), NOT_AS_SAID),
    "a command whose UID climbs out of its folder": Row(wire, NOT_UNDERSTOOD, sop_instance_uid=UP_AND_OUT),
    "another instance than the command's": Row(wire, NOT_AS_SAID, sop_instance_uid="1.2.3"),
    "another SOP Class than the command's": Row(with_(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), NOT_AS_SAID),
    "no Study Instance UID": Row(no("StudyInstanceUID"), NOT_AS_SAID),
    "an empty Series Instance UID": Row(with_(SeriesInstanceUID=""), NOT_AS_SAID),
    "a Study Instance UID of 82 characters": Row(with_(StudyInstanceUID=LONG_UID), NOT_AS_SAID),
    "a Study Instance UID with a newline": Row(with_(StudyInstanceUID="1.2\n3"), NOT_AS_SAID),
    "a patient ID of shell and HTML": Row(with_(PatientID="<img src=x>; rm -rf $HOME\n'\"`id`"), KEPT),
    "a name of terminal codes": Row(with_(PatientName="\x1b]0;gone\x07\x1b[2J^X"), KEPT),
    # strange, and kept
    "implicit value representations": Row(
        lambda ds: wire(ds, ImplicitVRLittleEndian), KEPT, transfer_syntax=ImplicitVRLittleEndian
    ),
    "signed counts, most of them below zero": Row(signed(-3, 90, 40, 70), KEPT),
    "frames as another value representation": Row(retyped(0x00280008, b"SH", b"4 "), KEPT),
    "rows as text": Row(retyped(0x00280010, b"IS", b"8 "), KEPT),
    "a character set that nobody knows": Row(with_(SpecificCharacterSet="ISO_IR 999"), KEPT),
    "a birth date of zeros": Row(with_(PatientBirthDate="00000000"), KEPT),
    "a description of ten thousand letters": Row(with_(SeriesDescription="x" * 10_000), KEPT),
}

# kept, and then held by the pipeline with a sentence in which these words stand
HELD: Mapping[str, tuple[Row, str]] = {
    "signed counts that are all below zero": (Row(signed(-5), KEPT), "no counts"),
    "no counts at all": (Row(with_(PixelData=bytes(2 * 8 * 8 * VIEWS)), KEPT), "no counts"),
    "a view vector that is too short": (Row(with_(AngularViewVector=[1, 2, 3]), KEPT), "3 entries for 4 frames"),
    "view 999": (Row(with_(AngularViewVector=[1, 2, 3, 999]), KEPT), "from 1 to 999"),
    "no view vector": (Row(no("AngularViewVector"), KEPT), "AngularViewVector is missing"),
    "twice the same view": (Row(with_(AngularViewVector=[1, 2, 3, 3]), KEPT), "two frames claim"),
    "detectors that sent nothing": (Row(with_(NumberOfDetectors=2), KEPT), "expected 8"),
    "a pixel spacing of nan": (Row(with_(PixelSpacing=["nan", "inf"]), KEPT), "Pixel Spacing"),
    "no rotation": (Row(no("RotationInformationSequence"), KEPT), "Rotation Information Sequence"),
    "a frame that claims 65535 x 65535 once decoded": (
        Row(jpeg_bomb, KEPT, transfer_syntax=JPEGLSLossless), "compressed pixels",
    ),
    "frames that run to 64 MB each": (Row(run_length_bomb, KEPT, transfer_syntax=RLELossless), "no counts"),
}  # fmt: skip

# Specific Character Set (PS3.3 C.12.1.1.2), a patient's name, and its bytes; those with escapes as PS3.5 H to K print
# them. Japanese, Korean and Chinese ones hold the three ways to write one name: alphabet, ideographs, sounds.
CHARACTER_SETS: Mapping[str, tuple[str, bytes]] = {
    "ISO_IR 100": ("Müller^Jürgen", "Müller^Jürgen".encode("latin_1")),
    "ISO_IR 101": ("Łukasz^Żółw", "Łukasz^Żółw".encode("iso8859_2")),
    "ISO_IR 109": ("Ĝorĝ^Ĉarli", "Ĝorĝ^Ĉarli".encode("iso8859_3")),
    "ISO_IR 110": ("Ķēniņš^Jānis", "Ķēniņš^Jānis".encode("iso8859_4")),
    "ISO_IR 144": ("Люкceмбypг", "Люкceмбypг".encode("iso8859_5")),
    "ISO_IR 127": ("قباني^لنزار", "قباني^لنزار".encode("iso8859_6")),
    "ISO_IR 126": ("Διονυσιος", "Διονυσιος".encode("iso8859_7")),
    "ISO_IR 138": ("שרון^דבורה", "שרון^דבורה".encode("iso8859_8")),
    "ISO_IR 148": ("Çavuşoğlu", "Çavuşoğlu".encode("iso8859_9")),
    "ISO_IR 203": ("Lœuf^Žoë", "Lœuf^Žoë".encode("iso8859_15")),
    "ISO_IR 13": ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis")),
    "ISO_IR 166": ("สมชาย^ใจดี", "สมชาย^ใจดี".encode("tis_620")),
    "ISO_IR 192": ("王^小东", "王^小东".encode()),
    "GB18030": ("王^小东", "王^小东".encode("gb18030")),
    "GBK": ("王^小东", "王^小东".encode("gbk")),
    "\\ISO 2022 IR 87": (
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    "ISO 2022 IR 13\\ISO 2022 IR 87": (
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    ),
    "\\ISO 2022 IR 149": (
        "Hong^Gildong=洪^吉洞=홍^길동",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    "\\ISO 2022 IR 58": ("Zhang^XiaoDong=张^小东=", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="),
}
_PLACE = b"#" * 80


def named(character_set: str, name: bytes) -> Spoil:
    """Return a spoiler that writes a patient's name as these bytes."""

    def spoil(ds: Dataset) -> bytes:
        setting(PatientName=_PLACE.decode())(ds)
        ds.SpecificCharacterSet = character_set.split("\\")
        return wire(ds).replace(_PLACE, name.ljust(len(_PLACE)))

    return spoil
