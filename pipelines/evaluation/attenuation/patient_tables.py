"""The paper's Tables 1 and 2: what was known before, and who the patients are."""

from __future__ import annotations

from pipelines.evaluation.attenuation.paper import LITERATURE, PATIENTS, SCANS
from pipelines.evaluation.layout import Cell, Spread, Table, spread
from pipelines.simulation.anatomy import Anatomy, Sex
from pipelines.simulation.cohort import Split, StudyPlan, plan_attenuation_cohort
from pipelines.simulation.virtual_patient import draw_body


def literature_table() -> Table:
    """Return Table 1."""
    rows = tuple((one.reference, one.approach, one.remark) for one in LITERATURE)
    words = (
        "The works that the paper's text and references name; the cells of the printed table were not at hand. Direct: "
        "from image to corrected image. Indirect: by way of an attenuation map."
    )
    return Table("table 1", "Table 1. Existing research", ("work", "approach", "remark"), rows, words)


def patients_table(seed: int) -> Table:
    """Return Table 2 of the cohort whose test patients are evaluated."""
    plans = plan_attenuation_cohort(seed)
    rows = tuple(_row(split.value, [plan for plan in plans if plan.split is split]) for split in Split)
    return Table(
        "table 2",
        "Table 2. Patients by split",
        ("split", "scans", "patients", "M / F", "age, years", "range of age", "height, cm", "range of height",
         "weight, kg", "range of weight", "stress / rest / both"),
        rows,
        f"Drawn like the paper's {SCANS} scans of {PATIENTS} patients, split by patient 70 : 15 : 15. Only the test "
        "patients are scanned here: the networks learned from another cohort.",
    )  # fmt: skip


def _row(split: str, plans: list[StudyPlan]) -> tuple[Cell, ...]:
    of = {plan.patient: plan for plan in plans}
    bodies: list[Anatomy] = [draw_body(one.patient, one.sex, one.position).anatomy for one in of.values()]
    men = sum(one.sex is Sex.MALE for one in of.values())
    states = [{plan.state.value for plan in plans if plan.patient == number} for number in of]
    alone = [sum(one == {state} for one in states) for state in ("stress", "rest")]
    cells: list[Cell] = []
    for values in (
        [float(one.age_years) for one in bodies],
        [100.0 * one.height_m for one in bodies],
        [one.bmi * one.height_m**2 for one in bodies],
    ):
        mean: Spread | None = spread(values, 0)
        cells += [mean, f"{min(values):.0f} to {max(values):.0f}" if values else None]
    protocols = f"{alone[0]} / {alone[1]} / {len(of) - sum(alone)}"
    return (split, str(len(plans)), str(len(of)), f"{men} / {len(of) - men}", *cells, protocols)
