"""What is learnt of an instance as it arrives, and what a hostile or broken one is answered."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from dicomnode.errors import InstanceRejected, StoreStatus
from dicomnode.objects.elements import dataset
from dicomnode.objects.header import check_command_uids, read_header
from dicomnode.study import VENDOR_ONLY, InstanceContent
from tests.dicomnode.objects.acquisitions import both, detector
from tests.factories import a_tomo, as_file, changed, quick_dataset, setting, without

CUT = StoreStatus.DOES_NOT_MATCH_SOP_CLASS
UNREADABLE = StoreStatus.CANNOT_UNDERSTAND
LONG_UID = "1." + "2" * 80


def with_element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Return a sound file with one hand-made element put in front of its pixels."""
    file = as_file(quick_dataset())
    before, pixels = file.split(b"\xe0\x7f\x10\x00", 1)
    element = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    element += struct.pack("<HL", 0, len(value) if length is None else length) if vr in (b"UN", b"SQ", b"OB") else b""
    element += struct.pack("<H", len(value) if length is None else length) if vr not in (b"UN", b"SQ", b"OB") else b""
    return before + element + value + b"\xe0\x7f\x10\x00" + pixels


def encapsulated(frames: list[bytes], cut: int = 0) -> bytes:
    ds = quick_dataset(PixelData=encapsulate(frames))
    ds["PixelData"].VR = "OB"
    file = as_file(ds, RLELossless)
    return file[:-cut] if cut else file


def in_transfer_syntax(file: bytes, uid: str) -> bytes:
    """Return a file that names another Transfer Syntax than it is written in."""
    old = b"1.2.840.10008.1.2.1\0"
    new = uid.encode() + b"\0" * (len(uid) % 2)
    at = file.index(old)
    length = struct.unpack_from("<L", file, 140)[0] + len(new) - len(old)
    head = file[:140] + struct.pack("<L", length) + file[144 : at - 2] + struct.pack("<H", len(new)) + new
    return head + file[at + len(old) :]


def a_deflate_bomb() -> bytes:
    file = in_transfer_syntax(as_file(quick_dataset()), DeflatedExplicitVRLittleEndian)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return file[:400] + packer.compress(bytes(50_000_000)) + packer.flush()


def many_elements(count: int) -> bytes:
    elements = b"".join(
        struct.pack("<HH2sH", 0x0011 + 2 * (n >> 15), n & 0x7FFF, b"LO", 2) + b"x " for n in range(count)
    )
    return as_file(quick_dataset(PixelData=None)) + elements


HOSTILE: dict[str, tuple[StoreStatus, Callable[[], bytes]]] = {
    "nothing at all": (UNREADABLE, lambda: b""),
    "random bytes": (UNREADABLE, lambda: bytes(range(256)) * 20),
    "random bytes behind a preamble": (UNREADABLE, lambda: b"\0" * 128 + b"DICM" + bytes(range(255, 0, -1)) * 9),
    "an empty dataset": (UNREADABLE, lambda: as_file(Dataset())),
    "implicit bytes under an explicit name": (
        UNREADABLE,
        lambda: as_file(quick_dataset(), ImplicitVRLittleEndian).replace(
            b"\x12\x001.2.840.10008.1.2\0", b"\x12\x001.2.840.10008.1.9\0"
        ),
    ),
    "a deflated dataset": (UNREADABLE, a_deflate_bomb),
    "an unknown value representation": (UNREADABLE, lambda: with_element(0x00110010, b"ZZ", b"12")),
    "a length beyond the end": (CUT, lambda: with_element(0x00110010, b"UN", b"0123456789", 0xFFFFFFF0)),
    "an unclosed sequence": (
        UNREADABLE,
        lambda: with_element(0x00400555, b"SQ", b"\xfe\xff\x00\xe0\xff\xff\xff\xff", 0xFFFFFFFF),
    ),
    "2 000 nested sequences": (UNREADABLE, lambda: nested_before_pixels(2_000)),
    "200 000 nested sequences": (UNREADABLE, lambda: nested_before_pixels(200_000)),
    "half a million elements": (UNREADABLE, lambda: many_elements(500_000)),
    "native pixels of undefined length": (UNREADABLE, lambda: native_of_undefined_length()),
    "pixels one frame short": (CUT, lambda: as_file(quick_dataset(NumberOfFrames=2))),
    "pixels one frame too long": (CUT, lambda: as_file(quick_dataset(PixelData=bytes(4 * 6 * 4)))),
    "pixels cut": (CUT, lambda: as_file(quick_dataset())[:-10]),
    "compressed pixels cut": (CUT, lambda: encapsulated([b"12345678"], cut=4)),
    "compressed pixels without a fragment": (CUT, lambda: encapsulated([])),
    "no pixels": (CUT, lambda: as_file(quick_dataset(PixelData=None))),
    "only a private blob": (CUT, lambda: only_a_private_blob()),
    "no Rows": (CUT, lambda: as_file(quick_dataset(Rows=None))),
    "no Columns": (CUT, lambda: as_file(quick_dataset(Columns=None))),
    "Rows of zero": (CUT, lambda: as_file(quick_dataset(Rows=0))),
    "Rows as a word": (CUT, lambda: rows_as_a_word()),
    "a negative number of frames": (CUT, lambda: as_file(quick_dataset(NumberOfFrames="-5"))),
    "two thousand million frames": (
        CUT,
        lambda: as_file(quick_dataset(NumberOfFrames=2**31 - 1, Rows=65535, Columns=65535)),
    ),
    "no Bits Allocated": (CUT, lambda: as_file(quick_dataset(BitsAllocated=None))),
    "no SOP Class": (CUT, lambda: as_file(quick_dataset(SOPClassUID=None))),
    "no SOP Instance UID": (CUT, lambda: as_file(quick_dataset(SOPInstanceUID=None))),
    "no Study Instance UID": (CUT, lambda: as_file(quick_dataset(StudyInstanceUID=None))),
    "no Series Instance UID": (CUT, lambda: as_file(quick_dataset(SeriesInstanceUID=None))),
    "an empty UID": (CUT, lambda: as_file(quick_dataset(StudyInstanceUID=""))),
    "a UID of 82 characters": (CUT, lambda: as_file(quick_dataset(SeriesInstanceUID=LONG_UID))),
    "a UID that climbs out of a folder": (CUT, lambda: as_file(quick_dataset(SOPInstanceUID="../../etc/passwd"))),
    "a UID of dots": (CUT, lambda: as_file(quick_dataset(SOPInstanceUID="1..2"))),
    "a UID with a newline": (CUT, lambda: as_file(quick_dataset(SOPInstanceUID="1.2\n3"))),
    "two UIDs in one": (CUT, lambda: as_file(quick_dataset(SOPInstanceUID=["1.2", "1.3"]))),
}


def nested_before_pixels(levels: int) -> bytes:
    """Return a file in which sequences open and never close."""
    opened = b"\x40\x00\x55\x05SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    before, pixels = as_file(quick_dataset()).split(b"\xe0\x7f\x10\x00", 1)
    return before + opened * levels + b"\xe0\x7f\x10\x00" + pixels


def native_of_undefined_length() -> bytes:
    before, pixels = as_file(quick_dataset()).split(b"\xe0\x7f\x10\x00OW\0\0", 1)
    return before + b"\xe0\x7f\x10\x00OW\0\0\xff\xff\xff\xff" + pixels[4:]


def only_a_private_blob() -> bytes:
    ds = quick_dataset(PixelData=None, Rows=None, Columns=None)
    ds.private_block(0x11, "BLOB", create=True).add_new(0x10, "OB", bytes(5000))
    return as_file(ds)


def rows_as_a_word() -> bytes:
    ds = quick_dataset()
    del ds.Rows
    file = as_file(ds)
    at = file.index(struct.pack("<HH2s", 0x28, 0x11, b"US"))  # Columns
    return file[:at] + struct.pack("<HH2sH", 0x28, 0x10, b"DS", 4) + b"abcd" + file[at:]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_broken_instance_is_refused_with_the_right_status(name: str) -> None:
    status, make = HOSTILE[name]
    with pytest.raises(InstanceRejected) as refused:
        read_header(make())
    assert refused.value.status == status, refused.value.comment
    assert 0 < len(refused.value.comment) <= 64


@pytest.mark.parametrize("name", HOSTILE)
def test_a_broken_file_on_disk_is_refused_like_one_from_the_wire(name: str, tmp_path: Path) -> None:
    status, make = HOSTILE[name]
    path = tmp_path / "hostile.dcm"
    path.write_bytes(make())
    with pytest.raises(InstanceRejected) as refused:
        read_header(path)
    assert refused.value.status == status


def test_a_refusal_never_quotes_the_dataset() -> None:
    with pytest.raises(InstanceRejected) as refused:
        read_header(as_file(quick_dataset(PatientName="Secret^Name", SOPInstanceUID="Secret")))
    assert "Secret" not in str(refused.value)


HARMLESS: dict[str, Callable[[], bytes]] = {
    "an ordinary image": lambda: as_file(quick_dataset()),
    "implicit value representations": lambda: as_file(quick_dataset(), ImplicitVRLittleEndian),
    "a patient ID of shell and HTML": lambda: as_file(quick_dataset(PatientID="<b>; rm -rf $HOME\n'")),
    "a character set that nobody knows": lambda: changed(
        as_file(quick_dataset()), setting(SpecificCharacterSet="ISO_IR 999")
    ),
    "negative pixels": lambda: as_file(quick_dataset(PixelRepresentation=1, PixelData=b"\xff" * 48)),
    "compressed pixels": lambda: encapsulated([b"12345678"]),
    "an odd number of pixel bytes, padded": lambda: as_file(
        quick_dataset(Rows=3, Columns=3, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(10))
    ),
    "a spacing that is not a number": lambda: changed(a_tomo(), setting(PixelSpacing=["nan", "inf"])),
    "a birth date of zeros": lambda: as_file(quick_dataset(PatientBirthDate="00000000")),
}


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.filterwarnings("ignore")
def test_what_can_be_kept_is_kept(name: str) -> None:
    assert read_header(HARMLESS[name]()).study_instance_uid


def a_subsampled_image(photometric: str, pixel_bytes: int, **elements: object) -> bytes:
    ds = quick_dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1", SamplesPerPixel=3, PhotometricInterpretation=photometric,
        PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(pixel_bytes), **elements,
    )  # fmt: skip
    return as_file(ds)


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_PARTIAL_422"])
@pytest.mark.parametrize(
    ("rows", "columns", "pixel_bytes"),
    [
        (16, 16, 16 * 16 * 2),
        (3, 2, 3 * 2 * 2),
        (16, 16, 16 * 16 * 3),  # decompressed, and the name of the subsampling left as it was
    ],
)
def test_an_ultrasound_image_with_subsampled_color_is_kept(
    photometric: str, rows: int, columns: int, pixel_bytes: int
) -> None:
    read_header(a_subsampled_image(photometric, pixel_bytes, Rows=rows, Columns=columns))
    read_header(a_subsampled_image(photometric, 5 * pixel_bytes, Rows=rows, Columns=columns, NumberOfFrames=5))


@pytest.mark.parametrize(("photometric", "pixel_bytes"), [("YBR_FULL_422", 500), ("RGB", 512), ("YBR_FULL", 512)])
def test_subsampled_color_excuses_no_missing_pixels(photometric: str, pixel_bytes: int) -> None:
    with pytest.raises(InstanceRejected, match="bytes of pixels, expected") as refused:
        read_header(a_subsampled_image(photometric, pixel_bytes, Rows=16, Columns=16))
    assert refused.value.status is CUT


def test_the_uids_of_command_and_dataset_must_agree() -> None:
    header = read_header(as_file(quick_dataset()))
    check_command_uids(header, header.sop_class_uid, header.sop_instance_uid)
    for wrong in ((CTImageStorage, header.sop_instance_uid), (header.sop_class_uid, "1.2.3")):
        with pytest.raises(InstanceRejected) as refused:
            check_command_uids(header, *wrong)
        assert refused.value.status == CUT


@pytest.mark.parametrize(
    ("image_type", "content"),
    [
        (("ORIGINAL", "PRIMARY", "TOMO", "EMISSION"), InstanceContent.PROJECTIONS),
        (("DERIVED", "PRIMARY", "GATED TOMO", "EMISSION"), InstanceContent.PROJECTIONS),
        (("ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"), InstanceContent.RECONSTRUCTION),
        (("ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"), InstanceContent.RECONSTRUCTION),
        (("DERIVED", "PRIMARY", "RECON TOMO", "TRANSMISSION"), InstanceContent.MU_MAP),
        (("ORIGINAL", "PRIMARY", "STATIC", "EMISSION"), InstanceContent.OTHER),
        (("ORIGINAL",), InstanceContent.OTHER),
    ],
)
def test_image_type_tells_what_an_nm_instance_is(image_type: tuple[str, ...], content: InstanceContent) -> None:
    nowhere = setting(ImageType=list(image_type), DetectorInformationSequence=[])
    assert read_header(a_tomo(change=nowhere)).content is content


@pytest.mark.parametrize(
    ("orientation", "content"),
    [
        ((1, 0, 0, 0, 1, 0), InstanceContent.RECONSTRUCTION),
        ((-1, 0, 0, 0, 1, 0), InstanceContent.RECONSTRUCTION),
        ((0.99, 0.14, 0, -0.14, 0.99, 0), InstanceContent.RECONSTRUCTION),
        ((0.7, -0.7, 0, 0, 0, -1), InstanceContent.OTHER),
        ((0, 1, 0, 0, 0, -1), InstanceContent.OTHER),
    ],
)
def test_slices_that_do_not_lie_across_the_patient_are_no_reconstruction_to_work_on(
    orientation: tuple[float, ...], content: InstanceContent
) -> None:
    lying = setting(
        ImageType=["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"],
        DetectorInformationSequence=[dataset(ImageOrientationPatient=[float(one) for one in orientation])],
    )
    assert read_header(a_tomo(change=lying)).content is content


def test_a_ct_slice_is_ct_and_its_localizer_is_not() -> None:
    axial = quick_dataset(SOPClassUID=CTImageStorage, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    scout = quick_dataset(SOPClassUID=CTImageStorage, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert read_header(as_file(axial)).content is InstanceContent.CT
    assert read_header(as_file(scout)).content is InstanceContent.OTHER


def test_a_tomo_of_another_sop_class_is_none_of_ours() -> None:
    captured = quick_dataset(Modality="NM", ImageType=["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"])
    assert read_header(as_file(captured)).content is InstanceContent.OTHER


def test_an_instance_without_pixels_of_its_kind_is_kept() -> None:
    report = quick_dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Rows=None, Columns=None, PixelData=None)
    assert read_header(as_file(report)).content is InstanceContent.OTHER


def test_attributes_hold_what_rules_use_and_what_they_ask_for_besides() -> None:
    file = as_file(quick_dataset(ImageType=["DERIVED", "SECONDARY"], PatientWeight="71.5", OperatorsName="Nobody"))
    plain = read_header(file)
    asked = read_header(file, frozenset({"PatientWeight", "NoSuchKeyword"}))
    assert plain.attributes["ImageType"] == ("DERIVED", "SECONDARY")
    assert plain.attributes["PatientID"] == ("VIRTUAL-0001",)
    assert "PatientWeight" not in plain.attributes
    assert asked.attributes["PatientWeight"] == ("71.5",)
    assert "OperatorsName" not in asked.attributes


@pytest.mark.parametrize(
    ("character_set", "encoding", "name"),
    [
        ("ISO_IR 100", "latin-1", "Müller^Jürgen"),
        ("ISO_IR 101", "iso8859-2", "Łukasz^Żółw"),
        ("ISO_IR 144", "iso8859-5", "Люкceмбypг"),
        ("ISO_IR 192", "utf-8", "山田^太郎"),
        ("GB18030", "gb18030", "王^小东"),
    ],
)
def test_names_are_read_in_the_character_set_that_the_instance_names(
    character_set: str, encoding: str, name: str
) -> None:
    file = as_file(quick_dataset(PatientName="#" * 40))
    raw = name.encode(encoding).ljust(40)
    file = file.replace(b"#" * 40, raw)
    at = file.index(struct.pack("<HH", 0x0008, 0x0016))
    value = character_set.encode() + b" " * (len(character_set) % 2)
    file = file[:at] + struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", len(value)) + value + file[at:]
    assert read_header(file).attributes["PatientName"] == (name,)


def test_projections_with_all_frames_have_no_flaw() -> None:
    assert read_header(a_tomo(views=6, gates=4, windows=2, detectors=2)).flaw is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("AngularViewVector"), "AngularViewVector is missing"),
        (setting(AngularViewVector=[1, 2, 3, 4, 5]), "AngularViewVector has 5 entries for 6 frames"),
        (setting(AngularViewVector=[1, 2, 3, 4, 5, 5]), "two frames claim"),
        (setting(AngularViewVector=[1, 2, 3, 4, 5, 999]), "runs from 1 to 999, expected 1 to 6"),
        (setting(AngularViewVector=[0, 1, 2, 3, 4, 5]), "runs from 0 to 5"),
        (setting(NumberOfDetectors=2), "there are 6 frames, expected 12 (2 detectors x 6 views)"),
        (setting(NumberOfEnergyWindows=65535, NumberOfRotations=65535), "there are 6 frames"),
    ],
)
def test_projections_that_can_not_be_whole_say_why(change: Callable[[Dataset], None], words: str) -> None:
    header = read_header(a_tomo(views=6, change=change))
    assert header.content is InstanceContent.PROJECTIONS
    assert header.flaw is not None
    assert words in header.flaw


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (detector(CollimatorType="CONE"), "Collimator Type: found CONE, expected PARA (parallel holes)"),
        (detector(1, CollimatorType="ASTG"), "Collimator Type: found ASTG"),
        (detector(CollimatorType="", CollimatorGridName="SMARTZOOM"), "Collimator/Grid Name: found SMARTZOOM"),
        (detector(CollimatorType="UNKN", CollimatorGridName="Smart-Zoom"), "Collimator/Grid Name: found Smart-Zoom"),
        (detector(CollimatorType=None, CollimatorGridName="IQ SPECT"), "whose holes are not parallel"),
    ],
)
def test_projections_that_only_their_vendor_can_reconstruct_say_so(
    change: Callable[[Dataset], None], words: str
) -> None:
    header = read_header(a_tomo(views=6, detectors=2, change=change))
    assert header.flaw is not None
    assert words in header.flaw
    assert header.attributes[VENDOR_ONLY] == (header.flaw,)


@pytest.mark.parametrize("kind", ["", "UNKN", "PARA"])
def test_a_collimator_that_nothing_speaks_against_is_no_flaw(kind: str) -> None:
    change = both(detector(CollimatorType=kind), detector(CollimatorGridName="LEHR"))
    header = read_header(a_tomo(views=6, change=change))
    assert header.flaw is None
    assert VENDOR_ONLY not in header.attributes


def test_reading_a_header_costs_no_copy_of_what_it_skips() -> None:
    ds = quick_dataset()
    ds.private_block(0x11, "BLOB", create=True).add_new(0x10, "OB", bytes(20_000_000))
    ds.OtherPatientIDsSequence = Sequence([Dataset()])
    file = as_file(ds)
    tracemalloc.start()
    read_header(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_compressed_image_that_would_not_fit_in_memory_is_refused() -> None:
    ds = quick_dataset(Rows=65535, Columns=65535, PixelData=encapsulate([b"12345678"]))
    ds["PixelData"].VR = "OB"
    with pytest.raises(InstanceRejected) as refused:
        read_header(as_file(ds, RLELossless))
    assert refused.value.status == CUT
    assert "implausibly large" in refused.value.comment
