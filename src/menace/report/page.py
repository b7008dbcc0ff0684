"""The whole page: one HTML file that needs no network, and works without its script."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import ReportError
from menace.report.frame import SIZES, Timeline
from menace.report.hover import hover_data
from menace.report.loss_chart import loss_chart
from menace.report.module_chart import module_chart
from menace.report.roi_chart import roi_chart
from menace.report.summary import (
    decision_table,
    facts,
    how_to_read,
    strategy_table,
    tiles,
    verdict,
)
from menace.report.svg import Markup, escape, join, tag
from menace.report.usd_chart import gap_chart, gap_lines, strategy_names, usd_chart
from menace.report.version_chart import version_chart
from menace.report.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.report.data import Report
    from menace.report.frame import Size


def write_report(path: Path, report: Report) -> None:
    """Write a report as one self-contained HTML file.

    A reader sees the old file or the new one, whole: it is written beside ``path`` and renamed.

    Parameters
    ----------
    path
        The file; its folder is made if it is missing.
    report
        What to show.

    Raises
    ------
    ReportError
        If the file cannot be written; the message names it. An older file stays as it was.
    """
    path = Path(path)
    text = render_report(report)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".tmp", dir=path.parent
        )
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        # A temporary file is private; a report is for whoever may read the folder.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise ReportError(
            f"the report {path} cannot be written: {error.strerror or error}.",
            bot=report.bot,
            remedy="name a file in a folder that can be written, or free some space",
        ) from error


def _umask() -> int:
    # There is no way to read it without setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def render_report(report: Report) -> str:
    """Make the page's text."""
    timeline = Timeline.of(report)
    style, script = _asset("report.css"), _asset("report.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _policy(style, script),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content="menace"),
        tag("link", rel="icon", href="data:,"),
        tag("title", escape(f"{report.title}: {report.bot}")),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        _header(report),
        _main(timeline),
        _footer(report),
        hover_data(timeline),
        tag("script", Markup(script)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


@cache
def _asset(name: str) -> str:
    return files("menace.report").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> Markup:
    """Forbid everything but this page's own style and script, whatever the data hold."""

    def pinned(text: str) -> str:
        digest = hashlib.sha256(text.encode("utf-8")).digest()
        return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"

    rules = (
        f"default-src 'none'; style-src {pinned(style)}; script-src {pinned(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    # The rules hold only quotes that HTML allows within double quotes.
    return Markup(f'<meta http-equiv="Content-Security-Policy" content="{rules}"/>')


def _header(report: Report) -> Markup:
    over = [escape(f"bot {report.bot} · {counted(len(report.ticks), report.tick_name)}")]
    if report.ticks:
        span = f"{report.ticks[0].label} to {report.ticks[-1].label}"
        over += [escape(" · "), tag("span", escape(span))]
    return tag(
        "header",
        tag("p", *over, class_="over"),
        tag("h1", escape(report.title)),
        tag("p", escape(report.subtitle), class_="lead"),
        verdict(report),
        tiles(report),
    )


def _main(timeline: Timeline) -> Markup:
    report = timeline.report
    parts = [_section("How to read this", how_to_read(timeline))]
    parts += _charts(timeline)
    if report.modules:
        parts.append(_section("What changing each part brought", *_modules(report)))
    parts.append(_section("What each strategy cost", strategy_table(report)))
    parts.append(_section("The last decisions", decision_table(timeline)))
    if report.economics:
        parts.append(_section("Prices", facts(report.economics)))
    if report.environment:
        parts.append(_section("Where it ran", facts(report.environment)))
    return tag("main", *parts)


def _charts(timeline: Timeline) -> list[Markup]:
    report = timeline.report
    tick = report.tick_name
    parts = [
        _chart(
            timeline,
            f"Live {report.loss_name}",
            f"What the serving model got wrong, {tick} by {tick}; lower is better. Below it, what "
            "each cycle came to: a change of the champion is led up to the line.",
            loss_chart if any(loss is not None for loss in timeline.losses) else None,
        ),
        _chart(
            timeline,
            "Which version served when",
            "A filled bar is a version's service, an outlined bar one that came back from the "
            "archive.",
            version_chart if timeline.spans else None,
        ),
        _chart(
            timeline,
            "ROI delta of each cycle",
            f"Placed at the {tick} at which the cycle was decided. Up: it earned more than it "
            "cost. Rings are cycles that are not settled yet.",
            roi_chart if report.cycles else None,
        ),
        _chart(
            timeline,
            "Money lost and spent so far",
            "Predictions gone wrong plus cycles, in USD; lower is better.",
            usd_chart if strategy_names(report) else None,
        ),
    ]
    if gap_lines(report):
        parts.append(
            _chart(
                timeline,
                "The same, against menace",
                "Above the line a strategy has cost more than menace so far, below it less. A "
                "line that is far off leaves the chart (↑), so that the others can be told apart.",
                gap_chart,
            )
        )
    return parts


def _modules(report: Report) -> list[Markup]:
    """Make the picture of the modules; it has no time axis, so that the crosshair leaves it out."""
    note = (
        "Each cycle's ROI delta, shared among the parts of the bot that it changed, summed over "
        "all settled cycles. To the right: changing it paid."
    )
    drawings = tag("div", join(module_chart(report, size) for size in SIZES), class_="still")
    return [tag("p", escape(note), class_="note"), tag("figure", drawings)]


def _chart(
    timeline: Timeline,
    title: str,
    note: str,
    draw: Callable[[Timeline, Size], Markup] | None,
) -> Markup:
    """Make a section with a chart; one that has nothing to draw says so instead of empty axes."""
    if draw is None:
        return _section(title, tag("p", escape("Nothing to show yet."), class_="note"))
    drawings = tag("div", join(draw(timeline, size) for size in SIZES), class_="plot")
    return _section(title, tag("p", escape(note), class_="note"), tag("figure", drawings))


def _section(title: str, *content: Markup) -> Markup:
    return tag("section", tag("h2", escape(title)), *content)


def _footer(report: Report) -> Markup:
    return tag(
        "footer",
        escape(f"Made by menace at {report.generated_at}. This file needs no network."),
    )
