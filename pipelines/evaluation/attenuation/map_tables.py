"""Tables of the maps themselves: error, attenuation on the way out of the heart, tissues."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.evaluation.attenuation.material import Material
from pipelines.evaluation.attenuation.paper import NMAE
from pipelines.evaluation.attenuation.record import MapFigures, Method, ScanRecord
from pipelines.evaluation.layout import Cell, Spread, Table, spread

FROM_EMISSION = (Method.PAPER, Method.OURS, Method.OURS_PEAK, Method.OURS_BARE)  # what stands beside the paper's
NMAE_WORDS = (
    "NMAE: mean absolute error over the range of the reference (Shi et al. 2020), over all voxels of the slices that "
    "both images and map have, air included; the table is the reference's in both, as the paper put it back. How much "
    "air lies around the body makes it small: in the box, only the smallest box about the body counts, without table. "
)


def map_figures_of(records: Sequence[ScanRecord], method: Method) -> list[MapFigures]:
    """Return a method's figures in each scan that has its map."""
    return [record.maps[method.value] for record in records if method.value in record.maps]


def map_table(material: Material) -> Table:
    """Return all figures of the maps on the main camera."""
    rows: list[tuple[Cell, ...]] = []
    for method in Method:
        found = map_figures_of(material.main, method)
        if not found or method is Method.CTAC:
            continue

        def of(value: Callable[[MapFigures], float | None], digits: int, found: list[MapFigures] = found) -> Cell:
            return spread([one for figures in found if (one := value(figures)) is not None], digits)

        tissues = [of(lambda one, tissue=tissue: one.dice[tissue], 3) for tissue in found[0].dice]  # type: ignore[misc]
        rows.append(
            (
                material.label(method), str(len(found)), of(lambda one: one.nmae, 4),
                Spread(NMAE.mean, NMAE.sd, 3) if method in FROM_EMISSION else None, of(lambda one: one.nmae_box, 4),
                of(lambda one: one.heart_factor, 2), of(lambda one: one.heart_bias, 2), *tissues,
            )
        )  # fmt: skip
    tissues_named = [f"Dice, {name}" for name in material.main[0].maps[Method.CTAC.value].dice]
    return Table(
        "maps",
        "Attenuation maps against the map in register",
        ("map", "scans", "NMAE", "NMAE, paper", "NMAE in the box", "factor of the heart, abs. error, %",
         "factor of the heart, error, %", *tissues_named),
        tuple(rows),
        f"{NMAE_WORDS}Factor of the heart: which share of the photons leaves the patient from the left ventricle's "
        "wall toward the views.",
    )  # fmt: skip
