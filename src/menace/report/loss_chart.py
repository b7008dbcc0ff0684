"""The live loss per tick, with a strip below it of what the cycles came to."""

from __future__ import annotations

from menace.report.data import OUTCOMES
from menace.report.frame import (
    WIDE,
    Size,
    Timeline,
    chart,
    mark,
    mark_text,
    spaced,
    time_axis,
    value_axis,
)
from menace.report.svg import Markup, Scale, downsample, escape, join, line_path, nice_domain, tag
from menace.report.wording import counted, loss_text, outcome_text

_LANE = 22


def loss_chart(timeline: Timeline, size: Size) -> Markup:
    """Draw the loss: faint raw points, the smoothed line, and a lane of marks per outcome."""
    report = timeline.report
    known_losses = [value for value in timeline.losses if value is not None]
    low, high = nice_domain(0.0, max(known_losses, default=1.0) or 1.0, 5)
    bottom = 290.0 if size is WIDE else 220.0
    y = Scale(low, high, bottom, 14.0)
    failed = any(cycle.outcome == "failed" for cycle in report.cycles)
    lanes = [outcome for outcome in OUTCOMES if outcome != "failed" or failed]
    strip = bottom + 26
    axis = strip + _LANE * (len(lanes) - 1) + 16
    body = join(
        [
            value_axis(size, y, 5, "%" if report.loss_is_share else ""),
            _stems(timeline, size, y, strip),
            _points(timeline, size, y),
            _line(timeline, size, y),
            _last_value(timeline, size, y),
            *(_lane(timeline, size, name, strip + _LANE * at) for at, name in enumerate(lanes)),
            time_axis(size, timeline, axis),
        ]
    )
    return chart(
        "loss",
        size,
        timeline,
        title=f"{report.loss_name.capitalize()} of the serving model per {report.tick_name}",
        summary=_summary(timeline, lanes),
        body=body,
        height=axis + 28,
        top=14,
        bottom=axis,
        y=y,
    )


def _points(timeline: Timeline, size: Size, y: Scale) -> Markup:
    x = timeline.x(size)
    known = [(at, value) for at, value in enumerate(timeline.losses) if value is not None]
    if len(known) > 2 * size.buckets + 2:
        return _ranges(timeline, size, y)
    # One path of dots of no length with round caps is a tenth of the size of as many circles.
    dots = "".join(f"M{x(at):.1f} {y(value):.1f}h0" for at, value in known)
    return tag("path", d=dots, class_="raw", stroke_width=4.4 if len(known) <= 250 else 2.4)


def _ranges(timeline: Timeline, size: Size, y: Scale) -> Markup:
    """Draw the range of each bucket: its extremes as points would look like two bands."""
    x = timeline.x(size)
    count = len(timeline.losses)
    strokes = ""
    for bucket in range(size.buckets):
        members = range(bucket * count // size.buckets, (bucket + 1) * count // size.buckets)
        values = [value for at in members if (value := timeline.losses[at]) is not None]
        if values:
            middle = (members[0] + members[-1]) / 2
            strokes += f"M{x(middle):.1f} {y(min(values)) + 0.5:.1f}V{y(max(values)) - 0.5:.1f}"
    width = (size.plot_right - size.left) / size.buckets
    return tag("path", d=strokes, class_="raw range", stroke_width=width)


def _line(timeline: Timeline, size: Size, y: Scale) -> Markup:
    x = timeline.x(size)
    points = [
        None if (value := timeline.smooth[index]) is None else (x(index), y(value))
        for index in downsample(timeline.smooth, size.buckets)
    ]
    return tag("path", d=line_path(points), class_="line s-menace")


def _last_value(timeline: Timeline, size: Size, y: Scale) -> Markup:
    known = [(at, value) for at, value in enumerate(timeline.smooth) if value is not None]
    if not known:
        return tag(
            "text",
            escape("no labelled rows yet"),
            x=(size.left + size.plot_right) / 2,
            y=(y.start + y.end) / 2,
            class_="axis middle",
        )
    at, value = known[-1]
    shown = loss_text(value, is_share=timeline.report.loss_is_share)
    left = float(size.plot_right + 12)
    place = min(y(value), y.start - size.text_height)
    return join(
        [
            tag("circle", cx=timeline.x(size)(at), cy=y(value), r=3.5, class_="dot s-menace"),
            tag("text", escape(shown), x=left, y=place + 4, class_="label strong s-menace"),
            tag(
                "text",
                escape("last, smoothed"),
                x=left,
                y=place + 4 + size.text_height,
                class_="axis",
            ),
        ]
    )


def _stems(timeline: Timeline, size: Size, y: Scale, strip: float) -> Markup:
    """Lead from each change of the champion up to the line, so that cause and effect meet."""
    x = timeline.x(size)
    parts = []
    for outcome in ("promoted", "rolled_back"):
        cycles = [cycle for cycle in timeline.report.cycles if cycle.outcome == outcome]
        if len(cycles) > size.width // 16:
            # More would be a hatching that hides the line.
            continue
        path = "".join(
            f"M{x(cycle.tick):.1f} {strip - 8:.1f}V{y(value):.1f}"
            for cycle in cycles
            if (value := timeline.smooth[cycle.tick]) is not None
        )
        parts.append(tag("path", d=path, class_=f"stem {outcome}"))
    return join(parts)


def _lane(timeline: Timeline, size: Size, outcome: str, place: float) -> Markup:
    x = timeline.x(size)
    cycles = [cycle for cycle in timeline.report.cycles if cycle.outcome == outcome]
    shown = spaced(cycles, [x(cycle.tick) for cycle in cycles], size.width / 320)
    name = outcome_text(outcome)
    return join(
        [
            tag("line", x1=size.left, x2=size.plot_right, y1=place, y2=place, class_="grid"),
            *(
                mark(outcome, x(cycle.tick), place, escape(mark_text(timeline, cycle)))
                for cycle in shown
            ),
            mark(outcome, size.plot_right + 16.0, place),
            tag(
                "text",
                escape(f"{len(cycles):,} {name}"),
                x=size.plot_right + 27,
                y=place + 4,
                class_="label",
            ),
        ]
    )


def _summary(timeline: Timeline, lanes: list[str]) -> str:
    report = timeline.report
    known = [value for value in timeline.losses if value is not None]
    if not known:
        return f"No {report.tick_name} has labelled rows yet."
    least, most, mean = (
        loss_text(value, is_share=report.loss_is_share)
        for value in (min(known), max(known), sum(known) / len(known))
    )
    counts = ", ".join(
        f"{sum(cycle.outcome == name for cycle in report.cycles)} {outcome_text(name)}"
        for name in lanes
    )
    return (
        f"{counted(len(known), report.tick_name)}: mean {mean}, lowest {least}, highest {most}. "
        f"Cycles: {counts}."
    )
