"""The DICOM Conformance Statement in the structure of PS3.2 Annex A, made from the tables that the code itself uses.

What the network accepts and proposes, its time-outs and statuses, and the attributes of what is made are read from the
code; nothing of them is written here a second time. Words explain, and state what is not supported.
"""

from __future__ import annotations

from dicomnode.config import Config
from dicomnode.conformance.annexes import annexes
from dicomnode.conformance.markdown import listed, section, table
from dicomnode.conformance.networking import networking
from dicomnode.conformance.security import security
from dicomnode.conformance.services import services
from dicomnode.objects.elements import character_sets

_NOT_SUPPORTED = (
    "Modality Performed Procedure Step, as SCU or SCP: when an acquisition ended is not told to the node; it waits "
    "until a study has been quiet",
    "Instance Availability Notification, as SCU or SCP",
    "Modality Worklist, Unified Procedure Step",
    "Query/Retrieve as SCP: the node is no archive, and what it keeps or has committed to can't be read back from it",
    "Print, Media Storage, DICOMweb",
)


def statement(config: Config, version: str) -> str:
    """Return the statement of this configuration as Markdown."""
    parts = (
        f"# DICOM Conformance Statement: dicomnode {version}\n\n"
        "Made by `dicomnode conformance` from the code's own tables"
        " and the configuration that is in effect; structure after DICOM PS3.2 Annex A.",
        _overview(),
        _introduction(),
        networking(config),
        section("5", "Media Interchange", "None. Files that the command line writes are DICOM files (PS3.10)."),
        _character_sets(),
        security(config),
        annexes(),
    )
    return "\n\n".join(parts) + "\n"


def _overview() -> str:
    rows = [(one.name, _yes(one.used), _yes(one.provided or one.fetched)) for one in services()]
    return section(
        "1",
        "Conformance Statement Overview",
        "dicomnode receives nuclear medicine studies, runs a pipeline on those that a rule names (reconstruction, "
        "denoising, attenuation correction), and sends the derived series to archives. It keeps received instances "
        "unchanged, and for a limited time only.",
        table(("SOP Class", "SCU (user)", "SCP (provider)"), rows),
        "Not supported:\n\n" + listed(_NOT_SUPPORTED),
    )


def _yes(supported: tuple[str, ...]) -> str:
    return "Yes" if supported else "No"


def _introduction() -> str:
    return "\n\n".join(
        (
            section("2", "Table of Contents", listed(_CONTENTS)),
            section(
                "3",
                "Introduction",
                "**Audience.** People who connect devices: DICOM engineers of the hospital and of vendors.",
                "**Remarks.** Conformance does not by itself guarantee that two devices work together. What the "
                "derived objects mean for a patient is the user's to judge: they say of themselves that they are for "
                "research.",
                "**Terms.** Those of PS3: Application Entity (AE), Association, Presentation Context, SOP Class, "
                "Transfer Syntax, Service Class User (SCU) and Provider (SCP). A study is *held* when a person has "
                "to decide.",
                "**References.** NEMA PS3 / ISO 12052, DICOM Standard; RFC 9325 (BCP 195) for TLS.",
            ),
        )
    )


_CONTENTS = (
    "1 Conformance Statement Overview",
    "3 Introduction",
    "4 Networking: implementation model, AE specification, network interfaces, configuration",
    "5 Media Interchange",
    "6 Support of Character Sets",
    "7 Security",
    "8 Annexes: IODs created, private attributes, coded terminology, grayscale consistency, extensions",
)


def _character_sets() -> str:
    return section(
        "6",
        "Support of Character Sets",
        "Every character set is taken in, and received instances are kept byte for byte; a set that is unknown or "
        "wrong does not refuse an instance. Derived instances have the Specific Character Set of their source, and its "
        "texts byte for byte; what the node adds is ASCII. Texts are decoded where rules look at them and for "
        "display. These terms of Specific Character Set (0008,0005) are decoded, also several "
        "with code extensions (ISO 2022):",
        ", ".join(character_sets()) + ".",
        "Of any other term the texts are read as ISO_IR 100.",
    )
