"""What the page's script shows under the pointer: one record per tick, put into words here.

The texts are made in Python, so that money and shares are written in one way only; the script
places them as text, never as markup.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from menace.report.svg import Markup, tag
from menace.report.usd_chart import cumulated, gap_lines, strategy_classes, strategy_names
from menace.report.wording import cycle_text, decision_text, loss_text, usd

if TYPE_CHECKING:
    from menace.report.frame import Timeline

MOST_TICKS = 700
"""So many ticks at most can be pointed at: about one per unit of the wide plot."""


def reachable_ticks(timeline: Timeline) -> list[int]:
    """Choose the ticks that can be pointed at: evenly, but one with a cycle before one without."""
    count = len(timeline.losses)
    if count <= MOST_TICKS:
        return list(range(count))
    chosen = []
    for bucket in range(MOST_TICKS):
        members = range(bucket * count // MOST_TICKS, (bucket + 1) * count // MOST_TICKS)
        chosen.append(next((tick for tick in members if tick in timeline.cycles), members[0]))
    return chosen


def hover_data(timeline: Timeline) -> Markup:
    """Write the data block that the script reads."""
    report = timeline.report
    names = strategy_names(report)
    classes = strategy_classes(report)
    lines = [cumulated(report, name) for name in names]
    gaps = gap_lines(report)
    records = []
    for tick in reachable_ticks(timeline):
        record = _record(timeline, tick)
        record["amounts"] = [_rounded(line[tick]) for line in lines]
        record["usd"] = [usd(line[tick]) for line in lines]
        record["gap"] = [
            usd(gaps[name][tick], signed=True) if name in gaps else "" for name in names
        ]
        records.append(record)
    document = {"names": names, "classes": [classes[name] for name in names], "ticks": records}
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    # "</script>" inside a string would end the element; JSON can write "<" in another way.
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return tag("script", Markup(text), type="application/json", id="report-data")


def _record(timeline: Timeline, tick: int) -> dict[str, Any]:
    report = timeline.report
    point = report.ticks[tick]
    share = report.loss_is_share
    smooth = timeline.smooth[tick]
    decision = timeline.decisions.get(tick)
    return {
        "i": tick,
        "label": f"{report.tick_name} {tick + 1}, {point.label}",
        "loss": f"{report.loss_name} {loss_text(point.loss, is_share=share)}"
        f" (smoothed {loss_text(smooth, is_share=share)})",
        "smooth": _rounded(smooth),
        "version": "" if point.version is None else f"v{point.version} serves",
        "cycles": [cycle_text(cycle) for cycle in timeline.cycles.get(tick, [])],
        "why": "" if decision is None else decision_text(decision),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
