"""Compare two texts by a figure that somebody else measures: a user's command, or a loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from menace.self_coding_engine.measuring.paired import (
    PairedSettings,
    SpeedComparison,
    Verdict,
    judge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FIGURE_SETTINGS = PairedSettings(looks=(12, 24))
STEADY_BLOCKS = 2
"""Blocks after which a figure that was the same each time is taken to have no noise."""


def compare_figures(
    measure: Callable[[str], float | None],
    before: str,
    after: str,
    *,
    settings: PairedSettings = FIGURE_SETTINGS,
    seed: int = 0,
) -> SpeedComparison:
    """Measure both texts in interleaved blocks, the present one twice per block.

    Differences are of logarithms where every figure is positive, else relative to the mean size
    of the present text's figures.

    Parameters
    ----------
    measure
        Gives the figure of a text, lower is better; ``None`` ends the comparison, undecided
        unless a look was reached.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    texts = (before, before, after)
    blocks: list[tuple[float, float, float]] = []
    verdict: Verdict | None = None
    while len(blocks) < settings.looks[-1]:
        block = [0.0, 0.0, 0.0]
        for place in rng.permutation(3):
            figure = measure(texts[place])
            if figure is None or not math.isfinite(figure):
                return _comparison(blocks, verdict, "a measurement gave no figure")
            block[place] = figure
        blocks.append((block[0], block[1], block[2]))
        if len(blocks) == STEADY_BLOCKS and _steady(blocks):
            return _exact(blocks, settings)
        if len(blocks) in settings.looks:
            verdict = judge(*_differences(blocks), settings)
            if verdict.better or verdict.hopeless:
                break
    return _comparison(blocks, verdict, "")


def _steady(blocks: Sequence[tuple[float, float, float]]) -> bool:
    present = {figure for block in blocks for figure in block[:2]}
    return len(present) == 1 and len({block[2] for block in blocks}) == 1


def _differences(
    blocks: Sequence[tuple[float, float, float]],
) -> tuple[list[float], list[float]]:
    if all(figure > 0 for block in blocks for figure in block):
        rows = [tuple(math.log(figure) for figure in block) for block in blocks]
    else:
        scale = sum(abs(block[0]) for block in blocks) / len(blocks) or 1.0
        rows = [tuple(figure / scale for figure in block) for block in blocks]
    return [row[2] - row[0] for row in rows], [row[1] - row[0] for row in rows]


def _exact(
    blocks: Sequence[tuple[float, float, float]], settings: PairedSettings
) -> SpeedComparison:
    after, _ = _differences(blocks)
    ratio = math.exp(after[0])
    faster = after[0] < math.log1p(-settings.least_gain)
    return SpeedComparison(
        ratio=ratio,
        low=ratio,
        high=ratio,
        noise_floor=1.0 / (1.0 - settings.least_gain),
        faster=faster,
        blocks=len(blocks),
        before_seconds=blocks[0][0],
        after_seconds=blocks[0][2],
        reason=f"the figure has no noise: {blocks[0][0]:.6g} → {blocks[0][2]:.6g}",
    )


def _comparison(
    blocks: Sequence[tuple[float, float, float]], verdict: Verdict | None, trouble: str
) -> SpeedComparison:
    if verdict is None:
        return SpeedComparison(
            ratio=1.0,
            low=0.0,
            high=math.inf,
            noise_floor=math.inf,
            faster=False,
            blocks=len(blocks),
            reason=trouble,
        )
    middle = sorted(blocks)[len(blocks) // 2][0]
    ratio = math.exp(verdict.after.centre)
    return SpeedComparison(
        ratio=ratio,
        low=math.exp(verdict.after.low),
        high=math.exp(verdict.after.high),
        noise_floor=math.exp(verdict.floor),
        faster=verdict.better,
        blocks=len(blocks),
        again_ratio=math.exp(verdict.again.centre),
        before_seconds=middle,
        after_seconds=middle * ratio,
        reason=trouble or describe_verdict(verdict),
    )


def describe_verdict(verdict: Verdict) -> str:
    """Say in a sentence what was found."""
    low, high = math.exp(verdict.after.low), math.exp(verdict.after.high)
    found = (
        f"{math.exp(verdict.after.centre):.3g} of what it was ({low:.3g} to {high:.3g}), where"
        f" identical code may differ by {100 * math.expm1(verdict.floor):.2g} %"
    )
    return found if verdict.better else f"no gain to be told from chance: {found}"
