"""The ROI delta of each settled cycle, as bars around zero."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from menace.report.frame import (
    WIDE,
    Size,
    Timeline,
    chart,
    mark_text,
    time_axis,
    value_axis,
)
from menace.report.svg import Markup, Scale, downsample, escape, join, tag
from menace.report.wording import counted, known, quantity

if TYPE_CHECKING:
    from menace.report.data import CyclePoint

_LEAST_HEIGHT = 2.5


def roi_chart(timeline: Timeline, size: Size) -> Markup:
    """Draw a bar per settled cycle, upwards where it paid, and a ring where it is still open."""
    settled, waiting = _sorted_out(timeline)
    values = [value for _, value in settled]
    low, high = min([0.0, *values]), max([0.0, *values])
    # A whole step below zero would be half the chart where one cycle paid twenty times its cost.
    air = (high - low or 1.0) * 0.06
    low, high = low - air, high + air
    bottom = 220.0 if size is WIDE else 190.0
    y = Scale(low, high, bottom, 14.0)
    body = join(
        [
            value_axis(size, y, 4, ""),
            *_bars(timeline, size, y, settled),
            *_rings(timeline, size, y, waiting),
            _totals(size, y, values, len(waiting)),
            time_axis(size, timeline, bottom),
        ]
    )
    return chart(
        "roi",
        size,
        timeline,
        title="ROI delta of each settled cycle",
        summary=_summary(values, len(waiting)),
        body=body,
        height=bottom + 28,
        top=14,
        bottom=bottom,
    )


def _sorted_out(timeline: Timeline) -> tuple[list[tuple[CyclePoint, float]], list[CyclePoint]]:
    cycles = [cycle for tick in sorted(timeline.cycles) for cycle in timeline.cycles[tick]]
    settled = [(cycle, value) for cycle in cycles if (value := known(cycle.roi_delta)) is not None]
    waiting = [
        cycle
        for cycle in cycles
        if known(cycle.roi_delta) is None and cycle.outcome in {"promoted", "rolled_back"}
    ]
    return settled, waiting


def _bars(
    timeline: Timeline, size: Size, y: Scale, settled: list[tuple[CyclePoint, float]]
) -> list[Markup]:
    x = timeline.x(size)
    slot = (size.plot_right - size.left) / max(1, len(timeline.losses))
    width = min(14.0, max(1.2, slot * 0.72))
    bars = []
    for index in downsample([value for _, value in settled], size.buckets // 2):
        cycle, value = settled[index]
        height = max(_LEAST_HEIGHT, abs(y(value) - y(0)))
        bars.append(
            tag(
                "g",
                tag("title", escape(mark_text(timeline, cycle))),
                tag(
                    "rect",
                    x=x(cycle.tick) - width / 2,
                    y=y(0) - height if value > 0 else y(0),
                    width=width,
                    height=height,
                    rx=min(2.0, width / 4),
                ),
                class_="bar paid" if value > 0 else "bar lost",
            )
        )
    return bars


def _rings(timeline: Timeline, size: Size, y: Scale, waiting: list[CyclePoint]) -> list[Markup]:
    x = timeline.x(size)
    return [
        tag("circle", cx=x(cycle.tick), cy=y(0), r=3.5, class_="ring")
        for cycle in waiting[-size.buckets :]
    ]


def _totals(size: Size, y: Scale, values: list[float], waiting: int) -> Markup:
    paid = sum(value > 0 for value in values)
    lines = [
        ("label strong paid", f"{paid:,} paid"),
        ("label lost", f"{len(values) - paid:,} did not"),
    ]
    if waiting:
        lines.append(("axis", f"{waiting:,} still open"))
    if values:
        lines.append(("axis", f"median {quantity(median(values), signed=True)}"))
    else:
        lines = [("axis", "none settled"), *lines[2:]]
    return join(
        tag(
            "text",
            escape(text),
            x=size.plot_right + 12,
            y=y.end + 8 + size.text_height * index,
            class_=kind,
        )
        for index, (kind, text) in enumerate(lines)
    )


def _summary(values: list[float], waiting: int) -> str:
    if not values:
        return f"No cycle is settled yet; {waiting} are open."
    paid = sum(value > 0 for value in values)
    return (
        f"{counted(len(values), 'settled cycle')}: {paid} paid, {len(values) - paid} did not; "
        f"lowest {quantity(min(values), signed=True)}, median "
        f"{quantity(median(values), signed=True)}, highest {quantity(max(values), signed=True)}."
    )
