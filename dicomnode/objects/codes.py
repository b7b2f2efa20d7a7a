"""The codes of the structured report: standard ones where they exist, else our own with their meaning in words."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicomnode.objects.elements import dataset
from pipelines.contract import CardiacState

OWN_SCHEME = "99DICOMNODE"


def coding_schemes() -> Dataset:
    """Return the Coding Scheme Identification Sequence that says whose our own codes are (PS3.3 C.12.1)."""
    scheme = dataset(
        CodingSchemeDesignator=OWN_SCHEME,
        CodingSchemeName="dicomnode: numbers of myocardial perfusion SPECT",
        CodingSchemeResponsibleOrganization="dicomnode",
    )
    return dataset(CodingSchemeIdentificationSequence=[scheme])


LEFT_VENTRICLE = Code("87878005", "SCT", "Left ventricle")
# the 17 segments in the order of the American Heart Association (PS3.16 CID 3717)
SEGMENTS = (
    Code("264850008", "SCT", "Left ventricle basal anterior segment"),
    Code("396482007", "SCT", "Left ventricle basal anteroseptal segment"),
    Code("396646008", "SCT", "Left ventricle basal inferoseptal segment"),
    Code("264846001", "SCT", "Left ventricle basal inferior segment"),
    Code("396652009", "SCT", "Left ventricle basal inferolateral segment"),
    Code("396654005", "SCT", "Left ventricle basal anterolateral segment"),
    Code("264848000", "SCT", "Left ventricle mid anterior segment"),
    Code("396647004", "SCT", "Left ventricle mid anteroseptal segment"),
    Code("396649001", "SCT", "Left ventricle mid inferoseptal segment"),
    Code("264847005", "SCT", "Left ventricle mid inferior segment"),
    Code("396655006", "SCT", "Left ventricle mid inferolateral segment"),
    Code("396656007", "SCT", "Left ventricle mid anterolateral segment"),
    Code("264844003", "SCT", "Left ventricle apical anterior segment"),
    Code("264845002", "SCT", "Left ventricle apical septal segment"),
    Code("264849008", "SCT", "Left ventricle apical inferior segment"),
    Code("264853005", "SCT", "Left ventricle apical lateral segment"),
    Code("128564006", "SCT", "Apex of left ventricle"),
)

PERCENT = Code("%", "UCUM", "percent")
MILLILITER = Code("ml", "UCUM", "milliliter")
NO_UNIT = Code("1", "UCUM", "no units")

PERFUSION_STUDY = Code("252432008", "SCT", "Radionuclide myocardial perfusion study")
MYOCARDIAL_PERFUSION = Code("251053005", "SCT", "Myocardial perfusion")
EXTENT = Code("427751006", "SCT", "Extent of cardiac perfusion defect")
SEVERITY = Code("defect-severity", OWN_SCHEME, "Severity of perfusion defect, mean loss in % of normal")
TOTAL_PERFUSION_DEFICIT = Code("TPD", OWN_SCHEME, "Total perfusion deficit")
SUMMED_SCORE = {
    CardiacState.STRESS: Code("SSS", OWN_SCHEME, "Summed stress score, of 68"),
    CardiacState.REST: Code("SRS", OWN_SCHEME, "Summed rest score, of 68"),
    CardiacState.UNKNOWN: Code("summed-score", OWN_SCHEME, "Summed score, of 68; stress or rest not known"),
}
SUMMED_PERCENT = Code("summed-percent", OWN_SCHEME, "Summed score in % of the worst")
SEGMENT_SCORE = Code("perfusion-score", OWN_SCHEME, "Perfusion score, 0 normal to 4 absent")
PERCENT_OF_NORMAL = Code("pct-of-normal", OWN_SCHEME, "Uptake in % of normal")
PERCENT_OF_HIGHEST = Code("pct-of-highest", OWN_SCHEME, "Uptake in % of the highest segment")
END_DIASTOLIC_VOLUME = Code("8821-1", "LN", "Left Ventricular ED Volume")
END_SYSTOLIC_VOLUME = Code("8823-7", "LN", "Left Ventricular ES Volume")
EJECTION_FRACTION = Code("70822001", "SCT", "Cardiac ejection fraction")  # its finding site is the left ventricle
THICKENING = Code("59092-7", "LN", "% Thickening")
CAVITY_VOLUME = Code("cavity-volume", OWN_SCHEME, "Left ventricular cavity volume, mean over the beat")
WALL_VOLUME = Code("wall-volume", OWN_SCHEME, "Left ventricular wall volume, mean over the beat")
ECCENTRICITY = Code("eccentricity", OWN_SCHEME, "Left ventricular eccentricity, 0 is a sphere")
SHAPE_INDEX = Code("shape-index", OWN_SCHEME, "Left ventricular shape index, width / length of the cavity")

PATIENT_STATE = Code("109054", "DCM", "Patient State")
STATES = {
    CardiacState.STRESS: Code("109091", "DCM", "Cardiac Stress State"),
    CardiacState.REST: Code("128975004", "SCT", "Resting State"),
}
ATTENUATION_METHOD = Code("122713", "DCM", "Attenuation correction method")
NOT_CORRECTED = Code("122729", "DCM", "No Attenuation Correction")
CORRECTED_BY_CT = Code("122728", "DCM", "CT-based Attenuation Correction")
CORRECTED_BY_ALGORITHM = Code("122726", "DCM", "Algorithmic Attenuation Correction")
CORRECTED_BY_GIVEN_MAP = Code("given-map", OWN_SCHEME, "Correction by an attenuation map that came with the study")

POPULATION = Code("121405", "DCM", "Population description")
FINDING = Code("121071", "DCM", "Finding")
COMMENT = Code("121106", "DCM", "Comment")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
