"""The attenuation map on the page: where it came from, how well it fits, and the emission upon it."""

from __future__ import annotations

from pipelines.contract import MapSource, Measurement, PipelineResult
from pipelines.images import Volume
from pipelines.report.colors import BLUE, INK, PALE, VERDICT_COLORS, rgb
from pipelines.report.lettering import SMALL_PT, TEXT_PT, TITLE_PT, shortened
from pipelines.report.pictures import HEADING, heading
from pipelines.report.planes import Emission, draw_map_planes, map_scale_words
from pipelines.report.sheet import Box, Sheet

REGISTRATION = "Registration"  # how the name of a figure of the registration begins
_SAID = "the attenuation map was "  # and a check of it: moved by so much, or not registered
_TITLES = {
    MapSource.CT: "CTAC: the map is made of the study's own CT",
    MapSource.VENDOR: "The map is the attenuation map that came with the study",
    MapSource.NETWORK: "DLAC: the map is made by neural networks from the emission alone, without a CT",
}
_LINE, _BAR, _INSET = 17, 6, 14
_GAP = 6


def draw_map_block(sheet: Sheet, box: Box, emission: Emission, mu_map: Volume, result: PipelineResult) -> int:
    """Draw the map's source and figures, then the map in three planes; return where the block ends."""
    heading(sheet, box.left, box.top, "Attenuation map", map_scale_words())
    lines = panel_lines(result)
    y = box.top + HEADING
    if lines:
        panel = Box(box.left, y, box.width, _LINE * len(lines) + 8)
        sheet.fill(panel, (239, 244, 252))
        sheet.fill(Box(panel.left, panel.top, _BAR, panel.height), rgb(BLUE))
        for number, (words, size, color, weight) in enumerate(lines):
            shown = shortened(words, panel.width - 2 * _INSET, size, bold=weight == "bold")
            top = panel.top + 4 + _LINE * number
            sheet.write(panel.left + _INSET, top, shown, size=size, color=color, fontweight=weight)
        y = panel.bottom + _GAP
    return draw_map_planes(sheet, box.below(y), emission, mu_map)


def panel_lines(result: PipelineResult) -> tuple[tuple[str, float, str, str], ...]:
    """Return what is told of the map beside it: words, size, ink, weight; nothing if its source isn't known."""
    source = result.provenance.map_source
    if source is None:
        return ()
    made = next((value for name, value in result.provenance.settings if name == "Attenuation map"), "")
    words, color = registration_words(result)
    return (
        (_TITLES[source], TITLE_PT, BLUE, "bold"),
        (words, TEXT_PT, color, "bold"),
        *(((made, SMALL_PT, PALE, "normal"),) if made else ()),
    )


def registration_words(result: PipelineResult) -> tuple[str, str]:
    """Tell how the map was laid over the emission, with the figures of it, in the ink of the check's verdict."""
    for finding in result.findings:
        if finding.text.startswith(_SAID):
            return f"{REGISTRATION}: {finding.text}", VERDICT_COLORS[finding.verdict]
    figures = [one for one in result.measurements if one.name.startswith(REGISTRATION)]
    if figures:
        return f"{REGISTRATION}: {', '.join(map(_figure, figures))}", INK
    if result.provenance.map_source is MapSource.NETWORK:
        return f"{REGISTRATION}: none needed, the map was told from the emission itself", INK
    return f"{REGISTRATION}: none was made; the map lies as it came", INK


def _figure(one: Measurement) -> str:
    name = one.name.removeprefix(REGISTRATION).lstrip(":, ")
    unit = "" if one.unit == "1" else f" {_UNITS.get(one.unit, one.unit)}"
    return f"{name} {one.value:.3g}{unit}"


_UNITS = {"deg": "\N{DEGREE SIGN}"}
