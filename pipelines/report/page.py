"""The report page as a picture: which blocks it has and where they stand. No patient's identity comes here.

One heart: its slices, planes through the patient, projections. Two hearts (before and after a correction or a
denoising): their slices above each other, and below what the correction was made with: projections or the attenuation
map with the emission upon it. No heart: transaxial slices.
Polar maps, numbers, checks and settings stand at the right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import DerivedKind, MapSource, PipelineInput, PipelineResult, Verdict
from pipelines.images import Projections, Volume
from pipelines.report.colors import AMBER, FAINT, PALE, VERDICT_COLORS, rgb
from pipelines.report.facts import fact_blocks, limits_words, no_heart_words, table
from pipelines.report.lettering import SMALL_PT, TEXT_PT, TITLE_PT, shortened, width_px, wrapped
from pipelines.report.map_block import draw_map_block
from pipelines.report.planes import Emission, draw_chest, draw_planes
from pipelines.report.polar_maps import draw_counts, draw_score_legend, draw_segments
from pipelines.report.projections import draw_denoised, draw_projections
from pipelines.report.sheet import HEIGHT, WIDTH, Box, Sheet
from pipelines.report.slices import GUTTER, draw_slices
from pipelines.report.text_column import draw_blocks, draw_notice, draw_table
from pipelines.report.volume_curve import draw_volume_curves

_MARGIN, _TOP, _BOTTOM = 20, 56, HEIGHT - 14
_PICTURES = Box(_MARGIN, _TOP, 1088, _BOTTOM - _TOP)
_WORDS = Box(1136, _TOP, WIDTH - _MARGIN - 1136, _BOTTOM - _TOP)
_DISK = 214
_GAP = 8
_ONE_ROW, _TWO_ROWS, _THREE_ROWS = 124, 228, 292  # heights of projections, with what parts them from the rest
_LEAST_PLANES = 120
_CHEST_COLUMNS = 8
_VERDICT_WORDS = {
    Verdict.PASS: "all checks passed",
    Verdict.WARN: "look at the checks",
    Verdict.QUARANTINE: "QUARANTINE - not to be read",
}
_VOLUMES = {
    DerivedKind.RECONSTRUCTION: "not corrected",
    DerivedKind.CORRECTED_RECONSTRUCTION: "corrected",
}


def draw_page(pipeline_input: PipelineInput, result: PipelineResult) -> NDArray[np.uint8]:
    """Return the page as pixels `[row, column, RGB]`, 1060 x 1600; the same input gives the same pixels."""
    return compose(pipeline_input, result).pixels()


def compose(pipeline_input: PipelineInput, result: PipelineResult) -> Sheet:
    """Return the page before its pixels are made."""
    sheet = Sheet()
    _draw_head(sheet, pipeline_input, result)
    if result.hearts:
        _draw_heart_pictures(sheet, pipeline_input, result)
        y = _draw_polar_maps(sheet, result)
        rows = table(result.hearts[-2:], pipeline_input.acquisition.state)
        y = draw_table(sheet, _WORDS.below(y), result.hearts[-2:], rows, limits_words(result.hearts[-2:]))
        y = draw_volume_curves(sheet, _WORDS.below(y), result.hearts[-2:])
    else:
        _draw_without_heart(sheet, pipeline_input, result)
        notice = Box(_WORDS.left, _TOP, _WORDS.width, 180)
        y = draw_notice(sheet, notice, "No left ventricle is shown", no_heart_words(result), AMBER)
    elsewhere = "; settings and measurements are in the structured report" if result.hearts else ""
    draw_blocks(sheet, _WORDS.below(y), fact_blocks(pipeline_input, result), elsewhere)
    return sheet


def _draw_head(sheet: Sheet, pipeline_input: PipelineInput, result: PipelineResult) -> None:
    made = result.provenance
    name = shortened(f"{made.pipeline} {made.version}".replace("_", " ").strip().capitalize(), 700, 14.0, bold=True)
    sheet.write(_MARGIN, 13, name, size=14.0, fontweight="bold")
    state = f"{pipeline_input.acquisition.state.value} study".replace("unknown study", "stress or rest is not known")
    x = _MARGIN + width_px(name, 14.0, bold=True) + 18
    sheet.write(x, 19, state, color=PALE, size=TITLE_PT)
    verdict = result.verdict
    words = _VERDICT_WORDS[verdict] if result.findings else "no checks were made"
    color = VERDICT_COLORS[verdict] if result.findings else PALE
    width = round(width_px(words, TITLE_PT, bold=True)) + 28
    pill = Box(WIDTH - _MARGIN - width, 10, width, 26)
    sheet.fill(pill, rgb(color))
    x += width_px(state, TITLE_PT) + 18
    sheet.write(x, 19, shortened(made.headline, pill.left - 12 - x, TITLE_PT), size=TITLE_PT)
    middle = pill.left + pill.width / 2
    sheet.write(middle, 23, words, size=TITLE_PT, fontweight="bold", color="white", ha="center", va="center")
    sheet.fill(Box(_MARGIN, 45, WIDTH - 2 * _MARGIN, 1), rgb(FAINT))


def _draw_heart_pictures(sheet: Sheet, pipeline_input: PipelineInput, result: PipelineResult) -> None:
    """Draw slices, then the mu-map; without one, planes if there is room, then projections or transaxial slices."""
    hearts = result.hearts[-2:]
    y = draw_slices(sheet, _PICTURES, hearts) + _GAP
    projections, denoised = pipeline_input.acquisition.projections, _denoised(result)
    gutter = GUTTER if len(hearts) > 1 else 0
    room = Box(_PICTURES.left + gutter, y, _PICTURES.width - gutter, _BOTTOM - y)
    strip = _TWO_ROWS if len(hearts) == 1 else _ONE_ROW
    if projections is not None and denoised is not None:
        strip = _THREE_ROWS
    emissions, mu_map = _emissions(pipeline_input, result), _mu_map(pipeline_input, result)
    if emissions and mu_map is not None:
        draw_map_block(sheet, room, emissions[-1], mu_map, result)
        return
    if emissions and room.height - strip >= _LEAST_PLANES:
        y = draw_planes(sheet, Box(room.left, y, room.width, room.height - strip), emissions) + _GAP
    if projections is not None and denoised is not None:
        draw_denoised(sheet, _PICTURES.below(y), projections, denoised)
    elif projections is not None:
        draw_projections(sheet, room.below(y), projections)
    elif emissions:
        draw_chest(sheet, room.below(y), emissions[-1], _CHEST_COLUMNS if len(hearts) == 1 else 12, 1)


def _draw_without_heart(sheet: Sheet, pipeline_input: PipelineInput, result: PipelineResult) -> None:
    projections = pipeline_input.acquisition.projections
    emissions = _emissions(pipeline_input, result)
    y = _TOP
    for emission in emissions:
        rows = (2 if projections is not None else 4) // len(emissions)
        y = draw_chest(sheet, _PICTURES.below(y), emission, _CHEST_COLUMNS, rows) + _GAP
    mu_map = _mu_map(pipeline_input, result)
    if emissions:
        room = Box(_PICTURES.left, y, _PICTURES.width, 300)
        if mu_map is None:
            y = draw_planes(sheet, room, emissions) + _GAP
        else:
            y = draw_map_block(sheet, room, emissions[-1], mu_map, result) + _GAP
    if projections is not None:
        draw_projections(sheet, _PICTURES.below(y), projections)


def _draw_polar_maps(sheet: Sheet, result: PipelineResult) -> int:
    """Draw wall and segments: side by side for one heart, under each other for two. Return where they end."""
    hearts = result.hearts[-2:]
    right = _WORDS.right - _DISK
    y = _TOP
    sheet.write(_WORDS.left, y, "Polar maps", size=TITLE_PT, fontweight="bold")
    outline = "; outline: below normal limits" if any(heart.perfusion for heart in hearts) else ""
    remark = f"% of the highest count{outline}"
    sheet.write(_WORDS.right, y + 2, remark, size=SMALL_PT, color=PALE, ha="right")
    y += 22
    judged = {heart.perfusion is not None for heart in hearts}
    meanings = (["% of normal"] if True in judged else []) + (["% of the highest"] if False in judged else [])
    if len(hearts) == 1:
        draw_counts(sheet, Box(_WORDS.left, y, _DISK, _DISK), hearts[0])
        draw_segments(sheet, Box(right, y, _DISK, _DISK), hearts[0])
        y += _DISK
    else:
        for x, heart in zip((_WORDS.left, right), hearts, strict=True):
            label = wrapped(heart.label, _DISK, TEXT_PT, bold=True, indent="")
            sheet.write(x + _DISK / 2, y, label[0] if label else "", fontweight="bold", ha="center")
            draw_counts(sheet, Box(x, y + 16, _DISK, _DISK), heart)
            draw_segments(sheet, Box(x, y + 16 + _DISK, _DISK, _DISK), heart)
        y += 16 + 2 * _DISK
    sheet.write(_WORDS.left, y, f"segments: {' | '.join(meanings)}", size=SMALL_PT, color=PALE)
    if True in judged:
        draw_score_legend(sheet, _WORDS.right - 160, y)
    return y + 24


def _emissions(pipeline_input: PipelineInput, result: PipelineResult) -> tuple[Emission, ...]:
    """Return the reconstructions to show, at most two."""
    found = [
        (name, derived.data)
        for kind, name in _VOLUMES.items()
        for derived in result.derived
        if derived.kind is kind and isinstance(derived.data, Volume)
    ]
    if not found and pipeline_input.acquisition.reconstruction is not None:
        found = [("as the camera reconstructed it", pipeline_input.acquisition.reconstruction)]
    # Before and after a correction each image has its own heart, in the same order.
    last = result.hearts[-1] if result.hearts else None
    hearts = result.hearts if len(found) == len(result.hearts) else (last,) * len(found)
    return tuple(Emission.of(name, volume, heart) for (name, volume), heart in zip(found, hearts, strict=True))


def _mu_map(pipeline_input: PipelineInput, result: PipelineResult) -> Volume | None:
    for derived in result.derived:
        if derived.kind is DerivedKind.MU_MAP and isinstance(derived.data, Volume):
            return derived.data
    return next((one.volume for one in pipeline_input.maps if one.source is MapSource.VENDOR), None)


def _denoised(result: PipelineResult) -> Projections | None:
    for derived in result.derived:
        if derived.kind is DerivedKind.DENOISED_PROJECTIONS and isinstance(derived.data, Projections):
            return derived.data
    return None
