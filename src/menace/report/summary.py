"""The report's words and tables: the verdict, the strategies, the last decisions, the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.report.svg import Markup, escape, join, tag
from menace.report.wording import (
    answer_text,
    counted,
    cycle_text,
    input_phrases,
    known,
    percent,
    usd,
    usd_column,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.report.data import DecisionPoint, Fact, Report, StrategyRow
    from menace.report.frame import Timeline

DECISIONS_SHOWN = 14
INPUTS_SHOWN = 6


def against_menace_percent(row: StrategyRow, report: Report) -> float | None:
    """Say by how many percent of menace's total a strategy cost more (+) or less (−).

    ``None`` where there is no menace to compare with, or it cost nothing.
    """
    own = None if report.menace is None else known(report.menace.total_usd)
    total = known(row.total_usd)
    if own is None or total is None or own <= 0:
        return None
    return (total / own - 1) * 100


def _headline(report: Report) -> list[StrategyRow]:
    """List the strategies that the charts draw, or all where none is: more tell nobody more."""
    drawn = {name for tick in report.ticks for name in tick.cumulated_usd}
    return [row for row in report.strategies if not drawn or row.name in drawn]


def tiles(report: Report) -> Markup:
    """Show menace's total and how it compares with each other strategy."""
    own = report.menace
    if own is None:
        return Markup("")
    parts = [_tile(f"{own.name}, total cost", usd(own.total_usd), _split(own), "own")]
    for row in _headline(report):
        if row is own:
            continue
        total, mine = known(row.total_usd), known(own.total_usd)
        if total is None or mine is None or total <= 0:
            parts.append(_tile(row.name, usd(row.total_usd), "not comparable", None))
            continue
        # Seen from the other: "menace cost 12 % less than never".
        change = (mine / total - 1) * 100
        side = "above" if change > 0 else "below"
        name = f"against {row.name}"
        parts.append(_tile(name, percent(change, signed=True), f"{side} {usd(total)}", None))
    return tag("dl", *parts, class_="tiles")


def _tile(label: str, value: str, small: str, kind: str | None) -> Markup:
    return tag(
        "div",
        tag("dt", escape(label)),
        tag("dd", escape(value), tag("small", escape(small))),
        class_=kind,
    )


def _split(row: StrategyRow) -> str:
    lost, spent = usd_column([row.loss_usd, row.cycle_usd])
    return f"{lost} lost, {spent} spent"


def verdict(report: Report) -> Markup:
    """Say in one sentence how menace did, also where it did worse."""
    own = report.menace
    compared = []
    for row in _headline(report):
        more = against_menace_percent(row, report)
        if own is None or row is own or more is None:
            continue
        if abs(more) < 0.05:
            compared.append(f"as much as {row.name}")
        else:
            difference = usd(abs(row.total_usd - own.total_usd))
            compared.append(f"{difference} {'less' if more > 0 else 'more'} than {row.name}")
    if own is None or not compared:
        return Markup("")
    over = counted(len(report.ticks), report.tick_name)
    return tag(
        "p",
        escape(f"Over {over}, {own.name} cost "),
        tag("b", escape(usd(own.total_usd))),
        escape(f": {_enumerated(compared)}."),
        class_="verdict",
    )


def _enumerated(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def how_to_read(timeline: Timeline) -> Markup:
    """Explain the charts in a few sentences."""
    report = timeline.report
    tick = report.tick_name
    points = [
        (
            "Everything is money.",
            " A wrong prediction costs the price given below, and so does each second of training. "
            "A strategy's total is what it lost plus what it spent.",
        ),
        (
            f"Each {tick} ends with a decision",
            ": run a cycle, or skip. A cycle trains a challenger; it is promoted, rejected, or an "
            "earlier version comes back (rolled back).",
        ),
        (
            "ROI delta",
            " is what a cycle gained less what it cost, over serving and cycle cost together. The "
            "gain is measured on the same rows against the model that was replaced, so drift does "
            "not count as a gain or a loss. Above zero, the cycle paid.",
        ),
        (
            "Hindsight",
            " is the cheapest schedule that anyone could have chosen knowing the future. Nobody "
            "can reach it; the distance to it is the regret.",
        ),
        (
            "All charts share one time axis.",
            f" The line of the {report.loss_name} is a mean over "
            f"{counted(timeline.smooth_ticks, tick)} around each point; the faint dots, or on a "
            "long stream the faint band, are the raw values.",
        ),
    ]
    items = [tag("li", tag("b", escape(bold)), escape(text)) for bold, text in points]
    keys = tag(
        "li",
        tag("b", escape("Point at a chart")),
        escape(
            " to see why. With the keyboard: Tab to a chart, ← and → by one step, ↑ and ↓ to the "
            "next and the previous cycle."
        ),
        class_="keys",
        hidden="hidden",
    )
    return tag("ul", *items, keys, class_="how")


def strategy_table(report: Report) -> Markup:
    """List what each strategy lost, spent, and cost in all."""
    rows = report.strategies
    if not rows:
        return tag("p", escape("No strategy was compared."), class_="note")
    money = list(
        zip(
            usd_column(row.loss_usd for row in rows),
            usd_column(row.cycle_usd for row in rows),
            usd_column(row.total_usd for row in rows),
            strict=True,
        )
    )
    body = []
    for row, (loss, cycle, total) in zip(rows, money, strict=True):
        more = None if row.is_menace else against_menace_percent(row, report)
        note = [tag("small", escape(row.note))] if row.note else []
        body.append(
            _row(
                [
                    ("Strategy", join([escape(row.name), *note]), None),
                    ("Lost", escape(loss), "num"),
                    ("Spent", escape(cycle), "num"),
                    ("Total", tag("b", escape(total)), "num total"),
                    ("Cycles", escape(f"{row.cycles:,}"), "num"),
                    (
                        "Against",
                        escape("" if row.is_menace else percent(more, signed=True)),
                        "num",
                    ),
                ],
                "own" if row.is_menace else None,
            )
        )
    heads = ["Strategy", "Lost", "Spent on cycles", "Total", "Cycles", "Against menace"]
    return _table("What each strategy cost, in USD", heads, body, numeric_from=1, kind="strategies")


def decision_table(timeline: Timeline) -> Markup:
    """List the last decisions, newest first, with what was known and what came of them."""
    decisions = sorted(timeline.report.decisions, key=lambda item: item.tick, reverse=True)
    if not decisions:
        return tag("p", escape("Nothing was decided yet."), class_="note")
    body = [_decision_row(timeline, decision) for decision in decisions[:DECISIONS_SHOWN]]
    heads = [
        timeline.report.tick_name.capitalize(),
        "Decision",
        "What was known",
        "What came of it",
    ]
    return _table("The last decisions, newest first", heads, body, kind="decisions")


def _decision_row(timeline: Timeline, decision: DecisionPoint) -> Markup:
    phrases = input_phrases(decision.inputs)
    known_then: list[Markup] = [escape("; ".join(phrases[:INPUTS_SHOWN]) or "nothing recorded")]
    if len(phrases) > INPUTS_SHOWN:
        rest = phrases[INPUTS_SHOWN:]
        known_then.append(
            tag(
                "details",
                tag("summary", escape(f"{len(rest)} more")),
                escape("; ".join(rest)),
            )
        )
    answer = answer_text(decision)
    came = "; ".join(cycle_text(cycle) for cycle in timeline.cycles.get(decision.tick, []))
    label = timeline.report.ticks[decision.tick].label
    return _row(
        [
            (timeline.report.tick_name.capitalize(), escape(label), None),
            (
                "Decision",
                join(
                    [
                        tag("span", escape(answer), class_="yes" if decision.run else None),
                        tag("small", escape(decision.reason)),
                    ]
                ),
                None,
            ),
            # The grid of the narrow layout wants one box per cell.
            ("Known", tag("div", *known_then), None),
            ("Came of it", escape(came or "–"), None),
        ],
        None,
    )


def _row(cells: Sequence[tuple[str, Markup, str | None]], kind: str | None) -> Markup:
    # On narrow screens CSS lays rows out as blocks, which would hide the table from a screen
    # reader without its roles.
    return tag(
        "tr",
        *(
            tag("td", content, class_=style, data_label=label, role="cell")
            for label, content, style in cells
        ),
        class_=kind,
        role="row",
    )


def _table(
    caption: str,
    heads: Sequence[str],
    body: Sequence[Markup],
    *,
    numeric_from: int | None = None,
    kind: str | None = None,
) -> Markup:
    cells = (
        tag(
            "th",
            escape(head),
            scope="col",
            role="columnheader",
            class_="num" if numeric_from is not None and at >= numeric_from else None,
        )
        for at, head in enumerate(heads)
    )
    return tag(
        "table",
        tag("thead", tag("tr", *cells, role="row"), role="rowgroup"),
        tag("tbody", *body, role="rowgroup"),
        aria_label=caption,
        class_=kind,
        role="table",
    )


def facts(items: Sequence[Fact]) -> Markup:
    """List labelled facts."""
    return tag(
        "dl",
        *(
            tag("div", tag("dt", escape(item.label)), tag("dd", escape(item.value)))
            for item in items
        ),
        class_="facts",
    )
