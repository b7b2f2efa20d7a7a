"""The tables of Presentation Contexts hold what a nuclear department sends, and nothing that we don't want."""

from __future__ import annotations

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)

from dicomnode.network.presentation import SENT, accepted_contexts, proposed_contexts

NM = "1.2.840.10008.5.1.4.1.1.20"
ACCEPTED = {str(cx.abstract_syntax): cx.transfer_syntax for cx in accepted_contexts()}


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.1.1",  # Verification
        NM,
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.128",  # PET
        "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
        "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
        "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
        "1.2.840.10008.5.1.4.1.1.88.67",  # X-Ray Radiation Dose SR
        "1.2.840.10008.5.1.4.1.1.88.59",  # Key Object Selection
        "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF
        "1.2.840.10008.5.1.4.1.1.66",  # Raw Data
        "1.2.840.10008.5.1.4.1.1.66.1",  # Spatial Registration
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
    ],
)
def test_what_a_nuclear_department_sends_is_accepted(uid: str) -> None:
    assert uid in ACCEPTED


def test_each_sop_class_is_listed_once() -> None:
    assert len(accepted_contexts()) == len(ACCEPTED)


def test_explicit_vr_is_chosen_before_implicit_and_both_before_anything_compressed() -> None:
    for transfer_syntaxes in ACCEPTED.values():
        assert transfer_syntaxes[:2] == [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def test_images_are_accepted_compressed_as_they_come() -> None:
    assert {RLELossless, JPEGLosslessSV1} <= set(ACCEPTED[NM])


def test_neither_deflated_nor_big_endian_is_accepted() -> None:
    for transfer_syntaxes in ACCEPTED.values():
        assert not {DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian} & set(transfer_syntaxes)


def test_all_that_we_send_we_would_also_accept() -> None:
    assert {str(uid) for uid in SENT} <= set(ACCEPTED)


def test_each_transfer_syntax_is_proposed_in_a_context_of_its_own() -> None:
    contexts = proposed_contexts([(NM, ExplicitVRLittleEndian), (NM, ExplicitVRLittleEndian), (NM, RLELossless)])
    assert [(str(cx.abstract_syntax), cx.transfer_syntax) for cx in contexts] == [
        (NM, [ExplicitVRLittleEndian]),
        (NM, [ImplicitVRLittleEndian]),
        (NM, [RLELossless]),
    ]
