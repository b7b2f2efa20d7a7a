"""Which radionuclide and which photopeak a reconstruction states, in the ways that stations write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.objects.elements import code, dataset
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.tracer import radionuclide
from tests.dicomnode.objects.spect_ct import reconstruction
from tests.factories import changed


def named(meaning: str = "", value: str = "1", drug: str = "") -> Dataset:
    item = dataset(Radiopharmaceutical=drug) if drug else Dataset()
    if meaning or value != "1":
        item.RadionuclideCodeSequence = [code(value, "SCT", meaning)]
    return item


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (named("^99m^Technetium"), "Tc-99m"),
        (named("Technetium Tc^99m^"), "Tc-99m"),
        (named("", "C-163A8"), "Tc-99m"),
        (named("^201^Thallium"), "Tl-201"),
        (named(drug="TL201"), "Tl-201"),
        (named(drug="Thallous chloride"), "Tl-201"),
        (named(drug="99mTc-sestamibi"), "Tc-99m"),
        (named(drug="Tc-99m Tetrofosmin"), "Tc-99m"),
        (named("^123^Iodine"), "I-123"),
        (named("I^123^"), "I-123"),
        (named("^131^Iodine"), "^131^Iodine"),
        (named("^111^Indium"), "^111^Indium"),
        (named(drug="C-163AB"), ""),
        (named(drug="MIBI 123"), ""),
        (named(), ""),
    ],
)
def test_stations_name_their_radionuclide_in_many_ways(item: Dataset, name: str) -> None:
    assert radionuclide(dataset(RadiopharmaceuticalInformationSequence=[item])) == name


def test_of_two_radionuclides_none_is_told_and_of_one_twice_that_one() -> None:
    technetium, thallium = named("^99m^Technetium"), named("^201^Thallium")
    assert radionuclide(dataset(RadiopharmaceuticalInformationSequence=[technetium, thallium])) == ""
    assert radionuclide(dataset(RadiopharmaceuticalInformationSequence=[thallium, thallium])) == "Tl-201"


def ranges(*limits: tuple[float, float]) -> Dataset:
    each = [dataset(EnergyWindowLowerLimit=low, EnergyWindowUpperLimit=high) for low, high in limits]
    return dataset(EnergyWindowRangeSequence=each)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([ranges((126.45, 154.55))], (126.45, 154.55)),
        ([ranges((150.0, 184.0), (63.0, 78.0))], (63.0, 78.0)),  # thallium: nothing between its lines was counted
        ([ranges((63.0, 78.0)), ranges((126.45, 154.55))], None),
        ([ranges()], None),
        ([], None),
    ],
)
def test_a_reconstruction_comes_with_the_window_that_it_states(
    windows: list[Dataset], expected: tuple[float, float] | None, tmp_path: Path
) -> None:
    def state(ds: Dataset) -> None:
        ds.EnergyWindowInformationSequence = windows
        ds.RadiopharmaceuticalInformationSequence = [named("^201^Thallium")]

    path = reconstruction(tmp_path)
    path.write_bytes(changed(path.read_bytes(), state))
    found = read_acquisition(path)
    window = found.window
    assert (None if window is None else (window.lower_kev, window.upper_kev)) == expected
    assert found.radionuclide == "Tl-201"
