"""What a rule may set for every pipeline; checked when the configuration is read, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipelines.cardiac.heart_frame import Point
from pipelines.cardiac.left_ventricle import Guidance
from pipelines.cardiac.limits_library import KEYS
from pipelines.contract import OptionValue
from pipelines.networks.model_card import DENOISER, MU_MAP, SHIPPED, checked_card, model_files, read_card
from pipelines.physics.collimator import LEHR, Collimator

SCATTER = ("none", "windows")
EXPECTED, VIRTUAL_FULL_DOSE = "expected", "virtual_full_dose"  # what denoised projections may hold
AUTO, FROM_CT, FROM_VENDOR, FROM_NETWORK = "auto", "ct", "vendor", "network"  # where a mu-map may come from


@dataclass(frozen=True)
class Options:
    """What a rule may set, with the defaults of the denoising paper (Aghakhan Olia et al. 2022).

    `cdr` models the collimator's blur: either `collimator` names a maker of the table, or the three lengths are given.
    The heart's places are "x, y, z" in patient coordinates (LPS, mm), set by a person where the heart was missed.
    """

    iterations: int = 8
    subsets: int = 2
    cutoff: float = 0.45  # of the Nyquist frequency
    order: float = 10.0
    cdr: bool = False
    collimator: str = ""  # a key of LEHR
    hole_mm: float = 0.0
    hole_length_mm: float = 0.0
    intrinsic_fwhm_mm: float = 3.8
    scatter: str = "none"  # or "windows": TEW, DEW
    motion_correction: bool = False
    heart_near_mm: str = ""
    heart_apex_mm: str = ""
    heart_base_mm: str = ""
    normal_limits: str = ""  # a folder with a site's own limits; they replace ours

    @classmethod
    def of(cls, given: Mapping[str, OptionValue]) -> Self:
        """Return the options; raises ValueError on an unknown name or a value that makes no sense."""
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise ValueError(f"there is no option {', '.join(unknown)}; there are {known}")
        chosen = cls(**given)  # type: ignore[arg-type]
        whole = (chosen.iterations, chosen.subsets)
        if any(isinstance(value, bool) or not isinstance(value, int) or value < 1 for value in whole):
            raise ValueError(f"iterations and subsets must be whole and positive, not {whole}")
        if not _is_number(chosen.cutoff) or not 0 < chosen.cutoff <= 1:
            raise ValueError(f"the cut-off is a fraction of the Nyquist frequency in (0, 1], not {chosen.cutoff!r}")
        if not _is_number(chosen.order) or not 0 < chosen.order <= 50:
            raise ValueError(f"the filter's order must lie in (0, 50], not {chosen.order!r}")
        if not isinstance(chosen.cdr, bool) or not isinstance(chosen.motion_correction, bool):
            raise ValueError("cdr and motion_correction are true or false")
        if chosen.scatter not in SCATTER:
            raise ValueError(f"scatter is {' or '.join(SCATTER)}, not {chosen.scatter!r}")
        chosen.camera_collimator()
        chosen.guidance()
        return chosen

    def check_files(self) -> None:
        """Raise ValueError, with the file and the remedy, if a file that the options name can't be used."""
        if self.normal_limits and not Path(self.normal_limits).is_dir():
            raise ValueError(f"normal_limits: there is no folder {self.normal_limits}; name the folder of your limits")

    def fingerprint(self) -> str:
        """Return what tells apart the results of files that the options name by a place alone; empty if none are."""
        return ""

    def files(self) -> Mapping[str, tuple[Path, ...]]:
        """Return the files that a run reads besides the program's own, by the option that names their folder."""
        if not self.normal_limits:
            return {}
        known = (Path(self.normal_limits) / key.file_name for key in KEYS)
        return {"normal_limits": tuple(path for path in known if path.is_file())}

    def guidance(self) -> Guidance:
        """Return what a person said of the heart; raises ValueError on a place that is none."""
        places = (self.heart_near_mm, self.heart_apex_mm, self.heart_base_mm)
        return Guidance(*(_place(words) if words else None for words in places))

    def reconstruction_words(self, corrected: bool) -> str:
        """Return what normal limits must have in common with an image, in words that compare equal where it has.

        `corrected`: for attenuation. A limit's own words may go on after these.
        """
        steps = f"OSEM {self.iterations} x {self.subsets}, Butterworth {self.cutoff:g} of Nyquist, order {self.order:g}"
        made = [
            "corrected for attenuation" if corrected else "",
            "for the collimator's blur" if self.cdr else "",
            "for scatter" if self.scatter != "none" else "",
        ]
        return f"{steps}; {', '.join(one for one in made if one) or 'no corrections'}"

    def camera_collimator(self) -> Collimator | None:
        """Return the collimator whose blur is to be modelled, if any; raises ValueError when it is not described."""
        if not self.cdr:
            return None
        if self.collimator:
            if self.collimator not in LEHR:
                raise ValueError(f"no collimator {self.collimator!r} is known; there are {', '.join(LEHR)}")
            return LEHR[self.collimator]
        lengths = (self.hole_mm, self.hole_length_mm, self.intrinsic_fwhm_mm)
        if not all(_is_number(length) for length in lengths) or min(self.hole_mm, self.hole_length_mm) <= 0:
            raise ValueError(
                f"cdr needs the collimator: collimator = one of {', '.join(LEHR)}, or hole_mm, hole_length_mm and "
                "intrinsic_fwhm_mm"
            )
        return Collimator("collimator as configured", *lengths)


@dataclass(frozen=True)
class DenoisingOptions(Options):
    """What a rule may set for the pipeline `denoising` besides.

    The share of the full dose is `dose_fraction`; where that is 0, the injected activity over `full_dose_mbq`; where
    the study or the rule doesn't say, its counts over `full_dose_counts`; else the study counts as full dose.
    """

    dose_fraction: float = 0.0
    full_dose_mbq: float = 0.0  # the site's usual activity
    full_dose_counts: float = 0.0  # in the photopeak of the site's usual study
    projections: str = EXPECTED  # that are sent; or VIRTUAL_FULL_DOSE: as measured, plus what the missing dose adds
    model: str = "denoiser"
    models: str = ""  # a folder with a site's own models; empty: those that are shipped

    @classmethod
    def of(cls, given: Mapping[str, OptionValue]) -> Self:
        """Return the options; raises ValueError on an unknown name or a value that makes no sense."""
        chosen = super().of(given)
        if not _is_number(chosen.dose_fraction) or not 0 <= chosen.dose_fraction <= 1:
            raise ValueError(f"dose_fraction must lie in (0, 1], or be 0 if unknown, not {chosen.dose_fraction!r}")
        for name in ("full_dose_mbq", "full_dose_counts"):
            value = getattr(chosen, name)
            if not _is_number(value) or not 0 <= value < math.inf:
                raise ValueError(f"{name} is a positive number, or 0 if unknown, not {value!r}")
        if chosen.projections not in (EXPECTED, VIRTUAL_FULL_DOSE):
            raise ValueError(f"projections is {EXPECTED} or {VIRTUAL_FULL_DOSE}, not {chosen.projections!r}")
        _check_model(chosen.model, chosen.models)
        return chosen

    @property
    def folder(self) -> Path | None:
        """The folder of a site's own models; None for those that are shipped."""
        return Path(self.models) if self.models else None

    def check_files(self) -> None:
        """Raise ValueError, with the file and the remedy, if the model's files are missing or can't be used."""
        super().check_files()
        checked_card(self.model, self.folder, DENOISER)

    def fingerprint(self) -> str:
        """Return the beginning of the SHA-256 of the model's weights: other weights give other results."""
        return read_card((self.folder or SHIPPED) / f"{self.model}.json").sha256[:12]

    def files(self) -> Mapping[str, tuple[Path, ...]]:
        """Return the files that a run reads besides the program's own, the model's among them."""
        return {**super().files(), "models": model_files(self.model, self.folder)}


@dataclass(frozen=True)
class AttenuationOptions(Options):
    """What a rule may set for the pipeline `attenuation_correction` besides.

    `map` names the mu-map's source; "auto" takes what the study holds: CT, else a vendor's map, else the network.
    `registration` lays a CT over the emission; a vendor's map was aligned when it was made, so it is only compared,
    unless `register_vendor_map` says otherwise. `map_shift_mm`, "x, y, z" (LPS, mm), is a person's and replaces both.
    """

    map: str = AUTO
    registration: bool = True
    register_vendor_map: bool = False
    map_shift_mm: str = ""
    model: str = "mu-map"
    models: str = ""  # a folder with a site's own models; empty: those that are shipped

    @classmethod
    def of(cls, given: Mapping[str, OptionValue]) -> Self:
        """Return the options; raises ValueError on an unknown name or a value that makes no sense."""
        chosen = super().of(given)
        sources = (AUTO, FROM_CT, FROM_VENDOR, FROM_NETWORK)
        if chosen.map not in sources:
            raise ValueError(f"map is {', '.join(sources[:-1])} or {sources[-1]}, not {chosen.map!r}")
        if not isinstance(chosen.registration, bool) or not isinstance(chosen.register_vendor_map, bool):
            raise ValueError("registration and register_vendor_map are true or false")
        if chosen.map_shift() is not None and chosen.map not in (FROM_CT, FROM_VENDOR):
            raise ValueError(f"map_shift_mm moves one map: say which by map = {FROM_CT} or {FROM_VENDOR}")
        _check_model(chosen.model, chosen.models)
        return chosen

    def map_shift(self) -> Point | None:
        """Return how a person moves the map (LPS mm), if so; raises ValueError on what is no shift."""
        return _place(self.map_shift_mm) if self.map_shift_mm else None

    @property
    def folder(self) -> Path | None:
        """The folder of a site's own models; None for those that are shipped."""
        return Path(self.models) if self.models else None

    @property
    def may_predict(self) -> bool:
        """Whether a network may be asked for the map, so that its files must be there."""
        return self.map in (AUTO, FROM_NETWORK)

    def check_files(self) -> None:
        """Raise ValueError, with the file and the remedy, if the model's files are missing or can't be used."""
        super().check_files()
        if self.may_predict:
            checked_card(self.model, self.folder, MU_MAP)

    def fingerprint(self) -> str:
        """Return the beginning of the SHA-256 of the model's weights, if it may be asked: others give other results."""
        if not self.may_predict:
            return ""
        return read_card((self.folder or SHIPPED) / f"{self.model}.json").sha256[:12]

    def files(self) -> Mapping[str, tuple[Path, ...]]:
        """Return the files that a run reads besides the program's own, the model's if it may be asked."""
        if not self.may_predict:
            return super().files()
        return {**super().files(), "models": model_files(self.model, self.folder)}


def _check_model(model: object, models: object) -> None:
    """Raise ValueError unless these are a model's name and the name of a folder."""
    if not isinstance(model, str) or not isinstance(models, str) or not model.replace("-", "_").isidentifier():
        raise ValueError(f"model is a name of letters and digits, models a folder, not {model!r}")


def _place(words: str) -> Point:
    try:
        x, y, z = (float(word) for word in words.split(","))
    except (AttributeError, ValueError):
        raise ValueError(f'a place is "x, y, z" in mm, not {words!r}') from None
    if not all(map(math.isfinite, (x, y, z))):
        raise ValueError(f"a place is finite, not {words!r}")
    return x, y, z


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
