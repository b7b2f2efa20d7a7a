"""What a derived instance takes over from its source byte for byte: whose it is, in which study, on whose request."""

from __future__ import annotations

from pydicom.dataset import Dataset

from dicomnode.objects.elements import (
    copied,
    copied_item,
    dataset,
    items,
    put,
    raw_bytes,
    text,
    without_empty_sequences,
)
from dicomnode.objects.times import stated_zone

_CLINICAL_TRIAL = (
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName",
    "IssuerOfClinicalTrialProtocolID", "OtherClinicalTrialProtocolIDsSequence", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "IssuerOfClinicalTrialSiteID", "ClinicalTrialSubjectID", "IssuerOfClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID", "IssuerOfClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName", "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
)  # fmt: skip
_PATIENT_AND_STUDY = (
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate", "PatientSex", "PatientBirthTime", "OtherPatientNames", "OtherPatientIDsSequence", "EthnicGroup",
    "PatientComments", "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "QualityControlSubject", "PatientAge", "PatientSize", "PatientWeight", "AdmittingDiagnosesDescription",
    "Occupation", "AdditionalPatientHistory", "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber", "IssuerOfAccessionNumberSequence", "StudyDescription", "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy", "ProcedureCodeSequence", "ReferencedStudySequence", *_CLINICAL_TRIAL,
)  # fmt: skip
# besides these, an image copies what tells on whose request, where, when and under which drugs it was acquired
COPIED = frozenset(_PATIENT_AND_STUDY) | {
    "SyntheticData", "InstitutionName", "ProtocolName", "AcquisitionDate", "AcquisitionTime", "TimezoneOffsetFromUTC",
    "RequestAttributesSequence", "InterventionDrugInformationSequence", "AcquisitionContextDescription",
}  # fmt: skip
_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
_TYPE_2_OF_A_TRIAL = ("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName")


def patient_and_study(source: Dataset) -> Dataset:
    """Return patient and study as the source has them; what the standard wants at least empty is empty.

    A date of zeros, which some cameras write for one that they don't know, is no date: it becomes empty too.
    """
    ds = copied(source, *_PATIENT_AND_STUDY)
    in_a_trial = any(keyword in ds for keyword in _CLINICAL_TRIAL)
    for keyword in (*_TYPE_2, *(_TYPE_2_OF_A_TRIAL if in_a_trial else ())):
        if keyword not in ds or raw_bytes(ds, keyword) == b"00000000":
            put(ds, **{keyword: None})
    return ds


def zone(source: Dataset) -> Dataset:
    """Return the zone of all times, if the source states one that can be."""
    return copied(source, "TimezoneOffsetFromUTC") if stated_zone(source) is not None else Dataset()


def request(source: Dataset) -> Dataset:
    """Return the Request Attributes Sequence, without items that name neither procedure nor step (Type 1C)."""
    asked = [
        without_empty_sequences(copied_item(item))
        for item in items(source, "RequestAttributesSequence")
        if text(item, "RequestedProcedureID") or text(item, "ScheduledProcedureStepID")
    ]
    return dataset(RequestAttributesSequence=asked) if asked else Dataset()
