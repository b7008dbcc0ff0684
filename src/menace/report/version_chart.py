"""Which model version served when: one lane per version, rollbacks set apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.report.frame import WIDE, Size, Timeline, chart, time_axis
from menace.report.svg import Markup, escape, join, tag
from menace.report.wording import counted

if TYPE_CHECKING:
    from menace.report.data import VersionSpan

_MOST_BARS = 200


def version_chart(timeline: Timeline, size: Size) -> Markup:
    """Draw a bar per span in its version's lane, newest on top, and a line where it changed."""
    spans = timeline.spans
    lanes = {version: at for at, version in enumerate(sorted({span.version for span in spans}))}
    room = 230.0 if size is WIDE else 200.0
    lane = min(22.0, room / max(1, len(lanes)))
    top = 12.0
    bottom = top + max(lane * len(lanes), 30.0) + 6
    # Versions grow upwards, as the values of the other charts do.
    middle = {version: bottom - 6 - lane * (at + 0.5) for version, at in lanes.items()}
    body = join(
        [
            _lane_labels(size, middle, lane),
            _connectors(timeline, size, middle),
            _bars(timeline, size, middle, lane),
            _now(timeline, size, middle),
            time_axis(size, timeline, bottom),
        ]
    )
    return chart(
        "versions",
        size,
        timeline,
        title="Which model version served when",
        summary=_summary(timeline),
        body=body,
        height=bottom + 28,
        top=top,
        bottom=bottom,
    )


def _lane_labels(size: Size, middle: dict[int, float], lane: float) -> Markup:
    every = max(1, int(14 // lane) + (lane < 14))
    parts = []
    for at, (version, place) in enumerate(middle.items()):
        if at % every == 0:
            parts.append(
                tag("line", x1=size.left, x2=size.plot_right, y1=place, y2=place, class_="grid")
            )
            parts.append(
                tag("text", escape(f"v{version}"), x=size.left - 8, y=place + 4, class_="axis end")
            )
    return join(parts)


def _connectors(timeline: Timeline, size: Size, middle: dict[int, float]) -> Markup:
    x = timeline.x(size)
    paths = {"step": "", "step back": ""}
    for index in range(1, len(timeline.spans)):
        before, after = timeline.spans[index - 1], timeline.spans[index]
        kind = "step back" if index in timeline.rollbacks else "step"
        place = x(after.first_tick - 0.5)
        paths[kind] += f"M{place:.1f} {middle[before.version]:.1f}V{middle[after.version]:.1f}"
    return join(tag("path", d=path, class_=kind) for kind, path in paths.items() if path)


def _bars(timeline: Timeline, size: Size, middle: dict[int, float], lane: float) -> Markup:
    x = timeline.x(size)
    thick = max(2.0, lane * 0.62)
    if len(timeline.spans) > _MOST_BARS:
        return _one_path(timeline, size, middle, thick)
    parts = []
    for index, span in enumerate(timeline.spans):
        back = index in timeline.rollbacks
        start, end = x(span.first_tick - 0.5), x(span.last_tick + 0.5)
        parts.append(
            tag(
                "g",
                tag("title", escape(_span_text(timeline, span, back=back))),
                tag(
                    "rect",
                    x=start,
                    y=middle[span.version] - thick / 2,
                    width=max(1.5, end - start),
                    height=thick,
                    rx=min(3.0, thick / 3),
                ),
                class_="span back" if back else "span",
            )
        )
    return join(parts)


def _one_path(timeline: Timeline, size: Size, middle: dict[int, float], thick: float) -> Markup:
    x = timeline.x(size)
    paths = {False: "", True: ""}
    for index, span in enumerate(timeline.spans):
        start, end = x(span.first_tick - 0.5), x(span.last_tick + 0.5)
        paths[index in timeline.rollbacks] += (
            f"M{start:.1f} {middle[span.version]:.1f}h{max(1.5, end - start):.1f}"
        )
    return join(
        tag("path", d=path, class_="spans back" if back else "spans", stroke_width=thick)
        for back, path in paths.items()
        if path
    )


def _now(timeline: Timeline, size: Size, middle: dict[int, float]) -> Markup:
    left = size.plot_right + 12
    if not timeline.spans:
        return tag("text", escape("no model yet"), x=left, y=32, class_="axis")
    last = timeline.spans[-1]
    # Below the label comes a second line, so it must not start at the very bottom.
    place = middle[last.version] + 4
    lines = [
        ("label strong s-menace", f"v{last.version} serves"),
        ("axis", counted(len(middle), "version")),
    ]
    if timeline.rollbacks:
        lines.append(("label rolled_back", counted(len(timeline.rollbacks), "rollback")))
    highest = min(middle.values())
    place = max(
        highest + 4, min(place, max(middle.values()) + 4 - size.text_height * (len(lines) - 1))
    )
    return join(
        tag("text", escape(text), x=left, y=place + size.text_height * index, class_=kind)
        for index, (kind, text) in enumerate(lines)
    )


def _span_text(timeline: Timeline, span: VersionSpan, *, back: bool) -> str:
    ticks = timeline.report.ticks
    length = span.last_tick - span.first_tick + 1
    how = "rolled back to " if back else ""
    return (
        f"{how}v{span.version}: {ticks[span.first_tick].label} to {ticks[span.last_tick].label}, "
        f"{counted(length, timeline.report.tick_name)}"
    )


def _summary(timeline: Timeline) -> str:
    if not timeline.spans:
        return "No model has served yet."
    versions = len({span.version for span in timeline.spans})
    return (
        f"{counted(versions, 'version')} served, {counted(len(timeline.rollbacks), 'rollback')}; "
        f"version {timeline.spans[-1].version} serves at the end."
    )
