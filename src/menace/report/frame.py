"""What all charts share: two sizes, one time axis, and the frame that the page's script reads.

Every chart is drawn twice, for wide and for narrow screens, and CSS shows one: text in a scaled SVG
would be unreadable on a phone. All charts of a size have the same plot area from left to right, so
that a tick stands at the same place in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.report.svg import Markup, Scale, escape, join, nice_step, nice_ticks, tag
from menace.report.wording import cycle_text, decision_text, known, tick_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.report.data import CyclePoint, DecisionPoint, Report, VersionSpan


@dataclass(frozen=True, slots=True)
class Size:
    """A drawing size, in units of the viewBox.

    Attributes
    ----------
    name
        Also the CSS class that shows or hides the drawing.
    width, left, right
        Whole width, and the margins left and right of the plot.
    date_labels
        Most labels on the time axis.
    buckets
        Buckets of a downsampled line: about one per two units.
    text_height
        Distance of two lines of text.
    """

    name: str
    width: int
    left: int
    right: int
    date_labels: int
    buckets: int
    text_height: int

    @property
    def plot_right(self) -> int:
        """Where the plot ends."""
        return self.width - self.right


WIDE = Size("wide", 960, 62, 176, 8, 380, 17)
COMPACT = Size("compact", 400, 46, 118, 3, 120, 16)
SIZES = (WIDE, COMPACT)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A report, indexed by tick, with what several charts draw."""

    report: Report
    losses: tuple[float | None, ...]
    smooth: tuple[float | None, ...]
    smooth_ticks: int
    decisions: dict[int, DecisionPoint]
    cycles: dict[int, list[CyclePoint]]
    spans: tuple[VersionSpan, ...]
    rollbacks: frozenset[int]

    @classmethod
    def of(cls, report: Report) -> Timeline:
        """Index a report."""
        losses = tuple(known(tick.loss) for tick in report.ticks)
        width = smoothing_ticks(len(losses))
        cycles: dict[int, list[CyclePoint]] = {}
        for cycle in sorted(report.cycles, key=lambda item: item.tick):
            cycles.setdefault(cycle.tick, []).append(cycle)
        spans = tuple(sorted(report.versions, key=lambda item: (item.first_tick, item.last_tick)))
        # Versions only grow when they are trained: a smaller one than before has come back.
        rollbacks = {
            index
            for index in range(1, len(spans))
            if spans[index].version < spans[index - 1].version
        }
        return cls(
            report=report,
            losses=losses,
            smooth=centred_mean(losses, width),
            smooth_ticks=width,
            decisions={decision.tick: decision for decision in report.decisions},
            cycles=cycles,
            spans=spans,
            rollbacks=frozenset(rollbacks),
        )

    def x(self, size: Size) -> Scale:
        """Map a tick's index to its place; half a tick of room at both ends."""
        return Scale(-0.5, max(1, len(self.losses)) - 0.5, size.left, size.plot_right)


def smoothing_ticks(count: int) -> int:
    """How many ticks the smoothed line averages: a twentieth of all, odd, at least 3.

    >>> smoothing_ticks(10), smoothing_ticks(100), smoothing_ticks(5000)
    (3, 5, 251)
    """
    return max(3, count // 20 | 1)


def centred_mean(values: Sequence[float | None], width: int) -> tuple[float | None, ...]:
    """Average each value with its neighbours, ``width`` (odd) in all, fewer at the ends.

    Centred, because a report looks back: a trailing mean would draw each improvement too late.
    A gap stays a gap and does not count for its neighbours.

    >>> centred_mean([1.0, 2.0, None, 6.0], 3)
    (1.5, 1.5, None, 6.0)
    """
    half = width // 2
    result: list[float | None] = []
    for index, value in enumerate(values):
        if value is None:
            result.append(None)
            continue
        near = [v for v in values[max(0, index - half) : index + half + 1] if v is not None]
        result.append(sum(near) / len(near))
    return tuple(result)


def chart(
    kind: str,
    size: Size,
    timeline: Timeline,
    *,
    title: str,
    summary: str,
    body: Markup,
    height: float,
    top: float,
    bottom: float,
    y: Scale | None = None,
) -> Markup:
    """Wrap a chart's body: size, title, description, and the geometry for the page's script.

    Parameters
    ----------
    kind
        ``loss``, ``usd``, ``gap``, ``roi`` or ``versions``.
    title, summary
        What the chart shows, and what is to be seen, for those who cannot see it.
    height, top, bottom
        Height of the drawing, and where the crosshair begins and ends.
    y
        Scale of the lines that the crosshair puts a dot on.
    """
    identity = f"{kind}-{size.name}"
    scale = {}
    if y is not None:
        scale = {
            "data_low": f"{y.low:g}",
            "data_high": f"{y.high:g}",
            "data_low_at": y.start,
            "data_high_at": y.end,
        }
    return tag(
        "svg",
        tag("title", escape(title), id=f"{identity}-title"),
        tag("desc", escape(summary), id=f"{identity}-desc"),
        body,
        xmlns="http://www.w3.org/2000/svg",
        class_=size.name,
        viewBox=f"0 0 {size.width} {height:g}",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
        data_kind=kind,
        data_left=size.left,
        data_right=size.plot_right,
        data_top=float(top),
        data_bottom=float(bottom),
        data_count=len(timeline.losses),
        **scale,
    )


def value_axis(size: Size, y: Scale, target: int, unit: str) -> Markup:
    """Draw horizontal grid lines and their labels."""
    ticks = nice_ticks(y.low, y.high, target)
    step = nice_step(y.high - y.low, target)
    parts = []
    for value in ticks:
        place = y(value)
        zero = value == 0
        parts.append(
            tag(
                "line",
                x1=size.left,
                x2=size.plot_right,
                y1=place,
                y2=place,
                class_="zero" if zero else "grid",
            )
        )
        parts.append(
            tag(
                "text",
                escape(tick_text(value, step, unit=unit)),
                x=size.left - 8,
                y=place + 4,
                class_="axis end",
            )
        )
    return join(parts)


def time_axis(size: Size, timeline: Timeline, bottom: float) -> Markup:
    """Label ticks below ``bottom``, evenly spaced, the first and the last among them."""
    ticks = timeline.report.ticks
    if not ticks:
        return Markup("")
    x = timeline.x(size)
    longest = max(len(tick.label) for tick in ticks[:: max(1, len(ticks) // 50)])
    # 7 units per letter, and as much again as air.
    room = max(2, min(size.date_labels, int((size.plot_right - size.left) / (longest * 7 + 24))))
    gaps = max(1, min(room, len(ticks)) - 1)
    last = len(ticks) - 1
    parts = [
        tag("line", x1=size.left, x2=size.plot_right, y1=bottom, y2=bottom, class_="base"),
    ]
    for index in sorted({round(gap * last / gaps) for gap in range(gaps + 1)}):
        place = x(index)
        parts.append(tag("line", x1=place, x2=place, y1=bottom, y2=bottom + 5, class_="zero"))
        parts.append(
            tag(
                "text",
                escape(shortened(ticks[index].label, 16)),
                x=place,
                y=bottom + 20,
                class_="axis middle",
            )
        )
    return join(parts)


def shortened(text: str, letters: int) -> str:
    """Cut a text to so many letters, with an ellipsis."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def spaced(cycles: list[CyclePoint], places: list[float], gap: float) -> list[CyclePoint]:
    """Keep one cycle per ``gap`` units: more marks than that are a smear, and megabytes."""
    kept: dict[int, CyclePoint] = {}
    for cycle, place in zip(cycles, places, strict=True):
        kept.setdefault(int(place / gap), cycle)
    return list(kept.values())


def mark(outcome: str, x: float, y: float, title: Markup | None = None) -> Markup:
    """Draw the sign of a cycle's outcome: each has a shape of its own beside its colour."""
    shapes = {
        "promoted": f"M{x:.1f} {y - 5.5:.1f}l5.5 9.5h-11z",
        "rejected": f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8",
        "rolled_back": f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z",
        "failed": f"M{x - 4.5:.1f} {y - 4.5:.1f}h9v9h-9z",
    }
    label = [] if title is None else [tag("title", title)]
    return tag("g", *label, tag("path", d=shapes[outcome]), class_=f"mark {outcome}")


def mark_text(timeline: Timeline, cycle: CyclePoint) -> str:
    """Say when a cycle was decided, what became of it, and why it was run."""
    label = timeline.report.ticks[cycle.tick].label
    decision = timeline.decisions.get(cycle.tick)
    why = "" if decision is None else f"\nWhy: {decision_text(decision)}"
    return f"{label}: {cycle_text(cycle)}{why}"
