"""The conditions of the acquisition: the source's own, mended; a guess is never written as a code."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.objects import codes
from dicomnode.objects.acquisition_context import acquisition_context
from dicomnode.objects.elements import code, dataset, put
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import CardiacState, DerivedKind
from tests.dicomnode.objects import results
from tests.dicomnode.objects.validator import errors_in
from tests.factories import Change, a_tomo, changed

STATE = ("109054", "DCM", "Patient State")
OF_GE = ("F-05019", "SRT", "Cardiac Stress State")


def item(name: tuple[str, str, str], value_type: str = "", **value: object) -> Dataset:
    """Return a content item, without its type if none is given."""
    ds = dataset(ConceptNameCodeSequence=[code(*name)], **value)
    if value_type:
        put(ds, ValueType=value_type)
    return ds


def stating(*items: Dataset, **elements: object) -> Change:
    """Return a change that gives a source this Acquisition Context."""

    def change(ds: Dataset) -> None:
        ds.AcquisitionContextSequence = list(items)
        for keyword, value in elements.items():
            setattr(ds, keyword, value)

    return change


EXERCISE = item(("109055", "DCM", "Protocol Stage"), "NUMERIC", NumericValue="3",
                MeasurementUnitsCodeSequence=[code("{stage}", "UCUM", "stage")])  # fmt: skip


def test_all_that_the_source_states_is_copied_and_mended(tmp_path: Path) -> None:
    state = item(STATE, ConceptCodeSequence=[code(*OF_GE)])  # as GE writes it: no type, a retired code
    told = item(("109059", "DCM", "Physiological challenge"), TextValue="bicycle")
    source = changed(a_tomo(), stating(state, EXERCISE, told, AcquisitionContextDescription="after 3 minutes"))
    kind = DerivedKind.RECONSTRUCTION
    instance = results.derive(tmp_path, source, kinds=(kind,))[kind.value]
    assert errors_in(instance.file_bytes, tmp_path) == []
    ds = results.dataset(instance)
    assert [one.ValueType for one in ds.AcquisitionContextSequence] == ["CODE", "NUMERIC", "TEXT"]
    assert ds.AcquisitionContextSequence[0].ConceptCodeSequence[0].CodeValue == "109091"
    assert ds.AcquisitionContextSequence[1].NumericValue == 3
    assert ds.AcquisitionContextDescription == "after 3 minutes"


def test_a_state_that_is_neither_stress_nor_rest_stays_what_it_is() -> None:
    source = Dataset()
    stating(item(STATE, "CODE", ConceptCodeSequence=[code("109093", "DCM", "Redistribution State")]))(source)
    (kept,) = acquisition_context(source).AcquisitionContextSequence
    assert kept.ConceptCodeSequence[0].CodeValue == "109093"


@pytest.mark.parametrize(
    "broken",
    [
        dataset(ValueType="TEXT", TextValue="of what?"),
        item(STATE),
        item(STATE, "TEXT", ConceptCodeSequence=[code(*OF_GE)]),
        item(STATE, "CODE", ConceptCodeSequence=[code("X", "", "no scheme")]),
        item(STATE, "NUMERIC", NumericValue="3"),
        Dataset(),
    ],
)
def test_what_can_not_be_mended_is_left_behind(broken: Dataset) -> None:
    source = Dataset()
    stating(broken, EXERCISE)(source)
    (kept,) = acquisition_context(source).AcquisitionContextSequence
    assert kept.ValueType == "NUMERIC"
    stating(broken)(source)
    assert len(acquisition_context(source)) == 0


def test_a_state_that_only_words_tell_is_used_and_told_but_not_written_as_a_code(tmp_path: Path) -> None:
    source = a_tomo(study=VirtualStudy(series_description="Stress"))
    made = results.derive(tmp_path, source)
    assert read_acquisition(tmp_path / "source.dcm").state is CardiacState.STRESS
    for kind, instance in made.items():
        ds = results.dataset(instance)
        assert "AcquisitionContextSequence" not in ds, kind
        names = [element.value[0].CodeValue for element in ds.iterall() if element.keyword == "ConceptNameCodeSequence"]
        assert codes.PATIENT_STATE.value not in names, kind
