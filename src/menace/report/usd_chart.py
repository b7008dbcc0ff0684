"""What each strategy has cost so far, and how much more or less than menace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.report.frame import WIDE, Size, Timeline, chart, shortened, time_axis, value_axis
from menace.report.svg import (
    Markup,
    Scale,
    downsample,
    escape,
    join,
    line_path,
    nice_domain,
    spread,
    tag,
)
from menace.report.wording import known, usd, usd_decimals

if TYPE_CHECKING:
    from menace.report.data import Report

_STYLES = 5


def strategy_names(report: Report) -> list[str]:
    """List the strategies that have a line: those of the table first, then any other."""
    names = [row.name for row in report.strategies]
    drawn = {name for tick in report.ticks for name in tick.cumulated_usd}
    return [name for name in names if name in drawn] + sorted(drawn.difference(names))


def strategy_classes(report: Report) -> dict[str, str]:
    """Give each strategy the CSS class of its line and label."""
    roles = {row.name: row for row in report.strategies}
    classes: dict[str, str] = {}
    others = 0
    for name in strategy_names(report):
        row = roles.get(name)
        if row is not None and row.is_menace:
            classes[name] = "s-menace"
        elif row is not None and row.is_hindsight:
            classes[name] = "s-hindsight"
        else:
            classes[name] = f"s-{others % _STYLES}"
            others += 1
    return classes


def cumulated(report: Report, name: str) -> list[float | None]:
    """List what a strategy had cost at the end of each tick, USD."""
    return [known(tick.cumulated_usd.get(name)) for tick in report.ticks]


def usd_chart(timeline: Timeline, size: Size) -> Markup:
    """Draw the cumulated cost of every strategy, named at the ends of the lines."""
    report = timeline.report
    lines = {name: cumulated(report, name) for name in strategy_names(report)}
    values = [value for line in lines.values() for value in line if value is not None]
    low, high = nice_domain(min([0.0, *values]), max([0.0, *values]) or 1.0, 5)
    bottom = 330.0 if size is WIDE else 270.0
    y = Scale(low, high, bottom, 14.0)
    ends = ", ".join(f"{name} {usd(value)}" for name, value in _ends(lines).items())
    body = join(
        [
            value_axis(size, y, 5, "$"),
            *_lines(timeline, size, y, lines),
            _end_labels(timeline, size, y, lines, signed=False),
            time_axis(size, timeline, bottom),
        ]
    )
    return chart(
        "usd",
        size,
        timeline,
        title="Money lost and spent so far, by strategy",
        summary=f"At the end: {ends}." if ends else "No strategy was compared.",
        body=body,
        height=bottom + 28,
        top=14,
        bottom=bottom,
        y=y,
    )


def gap_lines(report: Report) -> dict[str, list[float | None]]:
    """List by how much each other strategy had cost more than menace; empty without menace."""
    if report.menace is None:
        return {}
    own = cumulated(report, report.menace.name)
    return {
        name: [
            None if theirs is None or ours is None else theirs - ours
            for theirs, ours in zip(cumulated(report, name), own, strict=True)
        ]
        for name in strategy_names(report)
        if name != report.menace.name
    }


def gap_chart(timeline: Timeline, size: Size) -> Markup:
    """Draw how much more than menace every other strategy has cost: the same lines, magnified."""
    lines = gap_lines(timeline.report)
    low, high = _readable_range(lines)
    low, high = nice_domain(low, high, 4)
    bottom = 240.0 if size is WIDE else 210.0
    y = Scale(low, high, bottom, 18.0)
    ends = ", ".join(f"{name} {usd(value, signed=True)}" for name, value in _ends(lines).items())
    body = join(
        [
            value_axis(size, y, 4, "$"),
            tag(
                "line",
                x1=size.left,
                x2=size.plot_right,
                y1=y(0),
                y2=y(0),
                class_="line s-menace",
            ),
            _clipped(size, y, _lines(timeline, size, y, lines)),
            _end_labels(timeline, size, y, lines, signed=True),
            time_axis(size, timeline, bottom),
        ]
    )
    return chart(
        "gap",
        size,
        timeline,
        title="What every other strategy has cost above menace so far",
        summary=f"At the end, against menace: {ends}." if ends else "Nothing to compare with.",
        body=body,
        height=bottom + 28,
        top=18,
        bottom=bottom,
        y=y,
    )


def _readable_range(lines: dict[str, list[float | None]]) -> tuple[float, float]:
    """Find the range of the lines, without one that would press all others onto zero.

    A line is left out of the range, and leaves the chart, if it reaches more than four times as far
    from zero as the next.
    """
    ranges = []
    for line in lines.values():
        values = [0.0, *(value for value in line if value is not None)]
        ranges.append((min(values), max(values)))
    ranges.sort(key=lambda item: max(-item[0], item[1]), reverse=True)
    reach = [max(-low, high) for low, high in ranges]
    while len(ranges) > 1 and reach[0] > 4 * reach[1] > 0:
        del ranges[0], reach[0]
    return min((low for low, _ in ranges), default=0.0), max(
        (high for _, high in ranges), default=0.0
    )


def _ends(lines: dict[str, list[float | None]]) -> dict[str, float]:
    found = {}
    for name, line in lines.items():
        values = [value for value in line if value is not None]
        if values:
            found[name] = values[-1]
    return found


def _clipped(size: Size, y: Scale, lines: list[Markup]) -> Markup:
    name = f"gap-{size.name}-clip"
    area = tag(
        "rect",
        x=size.left,
        y=y.end - 6,
        width=size.plot_right - size.left,
        height=y.start - y.end + 12,
    )
    return tag("g", tag("clipPath", area, id=name), *lines, clip_path=f"url(#{name})")


def _lines(
    timeline: Timeline, size: Size, y: Scale, lines: dict[str, list[float | None]]
) -> list[Markup]:
    x = timeline.x(size)
    classes = strategy_classes(timeline.report)
    drawn = []
    # Menace last, so that it lies on top.
    for name in sorted(lines, key=lambda item: classes[item] == "s-menace"):
        line = lines[name]
        points = [
            None if (value := line[index]) is None else (x(index), y(value))
            for index in downsample(line, size.buckets)
        ]
        drawn.append(tag("path", d=line_path(points), class_=f"line {classes[name]}"))
        end = next((point for point in reversed(points) if point is not None), None)
        if end is not None:
            drawn.append(tag("circle", cx=end[0], cy=end[1], r=2.8, class_=f"dot {classes[name]}"))
    return drawn


def _end_labels(
    timeline: Timeline,
    size: Size,
    y: Scale,
    lines: dict[str, list[float | None]],
    *,
    signed: bool,
) -> Markup:
    classes = strategy_classes(timeline.report)
    ends = list(_ends(lines).items())
    if signed and timeline.report.menace is not None and ends:
        ends.append((timeline.report.menace.name, 0.0))
    two_lines = size is not WIDE
    height = size.text_height * (2 if two_lines else 1) + 1
    # The label of a line that has left the chart stands where it left.
    wanted = [min(max(y(value), y.end), y.start) for _, value in ends]
    places = spread(wanted, height, y.end + 2, y.start - (size.text_height if two_lines else 2))
    edge = float(size.plot_right)
    parts = []
    decimals = usd_decimals(value for _, value in ends)
    for (name, value), want, place in zip(ends, wanted, places, strict=True):
        kind = classes.get(name, "s-menace")
        strong = " strong" if kind == "s-menace" else ""
        money = usd(value, decimals=decimals, signed=signed)
        if not y.low <= value <= y.high:
            money += " ↑" if value > y.high else " ↓"
        parts.append(
            tag(
                "path",
                d=f"M{edge + 2:.1f} {want:.1f}L{edge + 14:.1f} {place:.1f}h4",
                class_=f"leader {kind}",
            )
        )
        texts = [shortened(name, 14), money] if two_lines else [f"{shortened(name, 16)} {money}"]
        parts.extend(
            tag(
                "text",
                escape(text),
                x=edge + 22,
                y=place + 4 + size.text_height * index,
                class_=f"label{strong} {kind}",
            )
            for index, text in enumerate(texts)
        )
    return join(parts)
