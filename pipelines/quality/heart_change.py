"""Does a denoised heart read as another one than was received? Its perfusion and function, before and after."""

from __future__ import annotations

from pipelines.contract import Finding, Heart, Verdict

LARGEST_TPD_CHANGE = 10.0  # points; more than denoising can honestly change
# At a quarter of the dose the ejection fraction of the input itself is off by up to 16 points.
USUAL_EF_CHANGE, LARGEST_EF_CHANGE = 10.0, 25.0  # points


def heart_change_findings(before: Heart, after: Heart, *, faint_gates: bool) -> tuple[Finding, ...]:
    """Return what denoising changed so much that the numbers read from a heart can't be told by both images.

    `faint_gates`: the input's gates hold too few counts for an ejection fraction to judge another by; a change of it
    is then remarked on, however large, and holds nothing back.
    """
    return (*_of_perfusion(before, after), *_of_function(before, after, faint_gates))


def _of_perfusion(before: Heart, after: Heart) -> tuple[Finding, ...]:
    if before.perfusion is None or after.perfusion is None:
        return ()
    was, now = before.perfusion.tpd_percent, after.perfusion.tpd_percent
    if abs(now - was) <= LARGEST_TPD_CHANGE:
        return ()
    words = f"denoising changes the total perfusion deficit from {was:.0f} to {now:.0f} %: read the input itself"
    return (Finding(Verdict.QUARANTINE, words),)


def _of_function(before: Heart, after: Heart, faint_gates: bool) -> tuple[Finding, ...]:
    if before.function is None or after.function is None:
        return ()
    was, now = before.function.ejection_fraction_percent, after.function.ejection_fraction_percent
    if abs(now - was) <= USUAL_EF_CHANGE:
        return ()
    held = abs(now - was) > LARGEST_EF_CHANGE and not faint_gates
    words = f"denoising changes the ejection fraction from {was:.0f} to {now:.0f} %: don't rely on either"
    return (Finding(Verdict.QUARANTINE if held else Verdict.WARN, words),)
