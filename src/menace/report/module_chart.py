"""What changing each module of a bot brought, as bars to the left and right of zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.report.frame import WIDE, shortened
from menace.report.svg import Markup, Scale, escape, join, tag
from menace.report.wording import counted, known, quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.report.data import ModuleRow, Report
    from menace.report.frame import Size

BEST, WORST = 12, 6
"""So many bars are drawn at most from either end of the ranking."""

_VALUE_ROOM = 76
_LEAST_WIDTH = 2.0


def module_chart(report: Report, size: Size) -> Markup:
    """Draw a bar per module, the best first; of many modules the best and the worst."""
    rows = [row for row in report.modules if known(row.roi_delta) is not None]
    shown = rows if len(rows) <= BEST + WORST else [*rows[:BEST], *rows[-WORST:]]
    pitch = 26.0 if size is WIDE else 42.0
    left = 190.0 if size is WIDE else 8.0
    values = [row.roi_delta for row in shown]
    x = Scale(
        min([0.0, *values]),
        max([0.0, *values]) or (0.0 if min([0.0, *values]) < 0 else 1.0),
        left + (_VALUE_ROOM if min([0.0, *values]) < 0 else 0.0),
        size.width - _VALUE_ROOM - 8.0,
    )
    height = pitch * len(shown) + 12
    identity = f"modules-{size.name}"
    zero = x(0.0)
    return tag(
        "svg",
        tag("title", escape("What changing each module brought"), id=f"{identity}-title"),
        tag("desc", escape(_summary(rows)), id=f"{identity}-desc"),
        tag("line", x1=zero, x2=zero, y1=2.0, y2=height - 4, class_="zero"),
        join(_bar(row, size, x, pitch * at + 6, pitch) for at, row in enumerate(shown)),
        xmlns="http://www.w3.org/2000/svg",
        class_=size.name,
        viewBox=f"0 0 {size.width} {height:g}",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
        data_kind="modules",
    )


def _bar(row: ModuleRow, size: Size, x: Scale, top: float, pitch: float) -> Markup:
    paid, zero, end = row.roi_delta > 0, x(0.0), x(row.roi_delta)
    thick = 16.0
    place = top + pitch - thick - 4
    width = max(_LEAST_WIDTH, abs(end - zero))
    trend = "" if known(row.trend) is None else f", trend {quantity(row.trend, signed=True)}"
    told = (
        f"{row.name}: {quantity(row.roi_delta, signed=True)} over "
        f"{counted(row.cycles, 'cycle')}{trend}"
    )
    value = escape(quantity(row.roi_delta, signed=True))
    at_end = zero + width + 6 if row.roi_delta >= 0 else zero - width - 6
    label_y = place + 12 if size is WIDE else place - 5
    return tag(
        "g",
        tag("title", escape(told)),
        tag("text", escape(shortened(row.name, 28)), x=0.0, y=label_y),
        tag(
            "rect",
            x=zero if row.roi_delta >= 0 else zero - width,
            y=place,
            width=width,
            height=thick,
            rx=2.0,
        ),
        tag(
            "text",
            value,
            x=at_end,
            y=place + 12,
            class_="axis" if row.roi_delta >= 0 else "axis end",
        ),
        class_="bar paid" if paid else "bar lost",
    )


def _summary(rows: Sequence[ModuleRow]) -> str:
    if not rows:
        return "No module has been changed by a settled cycle yet."
    best, worst = rows[0], rows[-1]
    told = f"{counted(len(rows), 'module')}; best {best.name} with "
    told += quantity(best.roi_delta, signed=True)
    if worst is not best:
        told += f", worst {worst.name} with {quantity(worst.roi_delta, signed=True)}"
    return f"{told}, in sums of ROI deltas."
