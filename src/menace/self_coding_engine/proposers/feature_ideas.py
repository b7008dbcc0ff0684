"""Ideas for features: each a small function that can be written, named and explained.

Nothing here sees the target, and no idea depends on any value but those of a row and of the rows
before it. What is left out on purpose: logarithms, roots and other monotone changes of one column,
which trees cannot tell from the column itself.
"""

from __future__ import annotations

import itertools
import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.self_coding_engine.proposers.feature_schema import RARE, Kind, Schema, SeenColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

HOURLY_SPANS = (3, 6, 24)
SPANS = (5, 20)
"""Rows that rolling figures look back on, of hourly rows and of others."""

MOST_PAIRS = 40
MOST_JOINT_VALUES = 100

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Idea:
    """One function of a feature helper.

    Attributes
    ----------
    name
        The function's.
    sentence
        Its docstring.
    columns
        Name of a column → the expression that makes it.
    context_rows
        Earlier rows that it looks back on.
    family
        What kind of idea it is: the operator of a patch.
    before
        Statements that the expressions rest on.
    """

    name: str
    sentence: str
    columns: tuple[tuple[str, str], ...]
    family: str
    context_rows: int = 0
    before: tuple[str, ...] = ()


def ideas_for(schema: Schema, *, taken: Collection[str] = ()) -> list[Idea]:
    """List all ideas for some columns, those first that have served elsewhere.

    Parameters
    ----------
    taken
        Names of columns and functions that exist already.
    """
    makers: tuple[Callable[[Schema], Iterator[Idea]], ...] = (
        _hours_of_kinds_of_days,
        _remembered,
        _calendar_of_time,
        _months_left_out,
        _worst_of_late,
        _rolling,
        _differences,
        _totals_and_ratios,
        _joined_categories,
        _cycles,
        _left_out,
        _missing,
    )
    known, found = set(taken), []
    for idea in itertools.chain.from_iterable(make(schema) for make in makers):
        names = {idea.name, *(name for name, _ in idea.columns if idea.family != "leaving_out")}
        if not names & known:
            known |= names
            found.append(idea)
    return found


def literal(text: str) -> str:
    """Write any text as a Python literal."""
    plain = text.isprintable() and "\\" not in text and '"' not in text
    return f'"{text}"' if plain else ascii(text)


def slug(*parts: str) -> str:
    """Make a name of a variable out of names of columns."""
    name = re.sub(r"[^0-9a-z]+", "_", "_".join(parts).lower()).strip("_")[:_LONGEST_NAME]
    if not name or name[0].isdigit() or keyword.iskeyword(name):
        name = f"column_{name}".rstrip("_")
    return name


def spoken(name: str) -> str:
    """Name a column in a docstring, where its name can stand there."""
    plain = name.isprintable() and not set(name) & set("\\\"'`") and len(name) <= 40
    return f"``{name}``" if plain else "a column"


def number(name: str) -> str:
    """Write the expression that reads a column as numbers."""
    return f"_number(rows, {literal(name)})"


def text(name: str) -> str:
    """Write the expression that reads a column as text."""
    return f"_text(rows, {literal(name)})"


def _hours_of_kinds_of_days(schema: Schema) -> Iterator[Idea]:
    """Let an hour mean another thing on each kind of day: one split tells them apart."""
    for hour in schema.of(Kind.HOUR):
        for day in schema.of(Kind.FLAG, Kind.WEEKDAY):
            if day.kind is Kind.FLAG and not RARE < day.mean < 1 - RARE:
                continue
            name = slug(hour.name, "by", day.name)
            yield Idea(
                name,
                f"Tell the hours apart by {spoken(day.name)}.",
                ((name, f"24 * {number(day.name)} + {number(hour.name)}"),),
                "hours_of_days",
            )
        for day in schema.of(Kind.WEEKDAY):
            for free, days in (("first_and_last", "[0, 6]"), ("last_two", "[5, 6]")):
                weekend = f"{number(day.name)}.isin({days})"
                name = slug(hour.name, "by", free, day.name)
                yield Idea(
                    name,
                    f"Tell the hours of the {free.replace('_', ' ')} days of a week apart.",
                    ((name, f"24 * {weekend} + {number(hour.name)}"),),
                    "hours_of_days",
                )


def _remembered(schema: Schema) -> Iterator[Idea]:
    """Keep in mind what was said once for many rows, as a holiday in its first hour."""
    if not schema.ordered:
        return
    rare = [c for c in schema.of(Kind.FLAG) if c.mean < RARE]
    for column in [*schema.of(Kind.SPARSE), *rare]:
        given = (
            f"_given(rows, {literal(column.name)})"
            if column.kind is Kind.SPARSE
            else number(column.name)
        )
        for span in (24, 48):
            name = slug(column.name, "in_the_last", str(span))
            yield Idea(
                name,
                f"Say whether {spoken(column.name)} was given within {span} rows.",
                ((name, f"{given}.rolling({span}, min_periods=1).max()"),),
                "remembering",
                span - 1,
            )


def _worst_of_late(schema: Schema) -> Iterator[Idea]:
    """Remember grades, such as bad weather, for a while."""
    if schema.ordered:
        spans = HOURLY_SPANS if schema.of(Kind.HOUR) else SPANS
        for span, column in itertools.product(spans[:-1], schema.of(Kind.GRADE)):
            yield _rolled(column, "max", span)


def _rolling(schema: Schema) -> Iterator[Idea]:
    if not schema.ordered:
        return
    spans = HOURLY_SPANS if schema.of(Kind.HOUR) else SPANS
    quantities = schema.of(Kind.QUANTITY)
    for span, column in itertools.product(spans, quantities):
        for figure in ("mean", "max", "std") if span == spans[-1] else ("mean", "max"):
            yield _rolled(column, figure, span)


def _rolled(column: SeenColumn, figure: str, span: int) -> Idea:
    name = slug(column.name, figure, "of", str(span))
    said = {"mean": "mean", "max": "greatest value", "std": "spread"}[figure]
    least = 2 if figure == "std" else 1
    return Idea(
        name,
        f"Take the {said} of {spoken(column.name)} over {span} rows.",
        ((name, f"{number(column.name)}.rolling({span}, min_periods={least}).{figure}()"),),
        "rolling",
        span - 1,
    )


def _differences(schema: Schema) -> Iterator[Idea]:
    if not schema.ordered:
        return
    spans = HOURLY_SPANS if schema.of(Kind.HOUR) else SPANS
    for span, column in itertools.product((spans[0], spans[-1]), schema.of(Kind.QUANTITY)):
        name = slug(column.name, "since", str(span))
        yield Idea(
            name,
            f"Say how {spoken(column.name)} has changed since {span} rows ago.",
            ((name, f"{number(column.name)}.diff({span})"),),
            "differences",
            span,
        )
    for column in schema.of(Kind.GRADE, Kind.FLAG, Kind.CATEGORY):
        name = slug("rows_since", column.name, "changed")
        yield Idea(
            name,
            f"Count for how many of the last 24 rows {spoken(column.name)} is as it is.",
            ((name, "rows.groupby(spells).cumcount().clip(upper=24)"),),
            "time_since_a_change",
            25,
            before=(
                f"values = {text(column.name)}",
                "spells = (values != values.shift()).cumsum()",
            ),
        )


def _months_left_out(schema: Schema) -> Iterator[Idea]:
    """Hide months: in a window that is shorter than a year they only ever grow."""
    yield from (_without(column) for column in schema.of(Kind.MONTH))


def _left_out(schema: Schema) -> Iterator[Idea]:
    useless = {Kind.MONTH, Kind.TIME, Kind.CONSTANT}
    yield from (_without(column) for column in schema.columns if column.kind not in useless)


def _without(column: SeenColumn) -> Idea:
    return Idea(
        slug("without", column.name),
        f"Hide {spoken(column.name)}: the model does better without.",
        ((column.name, "np.nan"),),
        "leaving_out",
    )


def _totals_and_ratios(schema: Schema) -> Iterator[Idea]:
    counts = [c for c in schema.of(Kind.GRADE, Kind.QUANTITY) if c.whole]
    divisors = [(c.name, number(c.name), f"{spoken(c.name)}, at least 1", "") for c in counts]
    for one, other in itertools.combinations(counts, 2):
        shared = _words(one.name) & _words(other.name)
        if len(shared) >= 2:
            name = slug("total", *sorted(shared))
            total = f"total = {number(one.name)} + {number(other.name)}"
            divisors.insert(0, (name, "total", "both together, at least 1", total))
            yield Idea(
                name,
                f"Add {spoken(one.name)} and {spoken(other.name)}.",
                ((name, f"{number(one.name)} + {number(other.name)}"),),
                "totals",
            )
    quantities = schema.of(Kind.QUANTITY)
    pairs = [(a, b) for b in divisors for a in quantities if a.name != b[0]]
    for quantity, (divisor, expression, said, before) in pairs[:MOST_PAIRS]:
        name = slug(quantity.name, "per", divisor)
        yield Idea(
            name,
            f"Divide {spoken(quantity.name)} by {said}.",
            ((name, f"{number(quantity.name)} / {expression}.clip(lower=1)"),),
            "ratios",
            before=(before,) if before else (),
        )
    inexact = [c for c in quantities if not c.whole]
    for one, other in list(itertools.combinations(inexact, 2))[:MOST_PAIRS]:
        for word, sign in (("minus", "-"), ("times", "*")):
            name = slug(one.name, word, other.name)
            yield Idea(
                name,
                f"Take {spoken(one.name)} {word} {spoken(other.name)}.",
                ((name, f"{number(one.name)} {sign} {number(other.name)}"),),
                "pairs",
            )


def _joined_categories(schema: Schema) -> Iterator[Idea]:
    names = schema.of(Kind.CATEGORY, Kind.FLAG)
    pairs = [
        (a, b)
        for a, b in itertools.combinations(names, 2)
        if Kind.CATEGORY in {a.kind, b.kind} and a.distinct * b.distinct <= MOST_JOINT_VALUES
    ]
    for one, other in pairs[:MOST_PAIRS]:
        name = slug(one.name, "and", other.name)
        yield Idea(
            name,
            f"Join {spoken(one.name)} and {spoken(other.name)} into one category.",
            ((name, f'{text(one.name)} + "/" + {text(other.name)}'),),
            "joined_categories",
        )


def _calendar_of_time(schema: Schema) -> Iterator[Idea]:
    for column in schema.of(Kind.TIME):
        time = f"_time(rows, {literal(column.name)})"
        for name, sentence, expression in (
            ("weekend", "Tell weekends apart.", f"({time}.dt.day_of_week >= 5).astype(float)"),
            (
                "hour_of_week",
                "Number the hours of the week.",
                f"24 * {time}.dt.day_of_week + {time}.dt.hour",
            ),
            (
                "hour_by_weekend",
                "Tell the hours of weekends apart.",
                f"24 * ({time}.dt.day_of_week >= 5) + {time}.dt.hour",
            ),
            ("day_of_month", "Number the days of the month.", f"{time}.dt.day"),
            ("month", "Number the months.", f"{time}.dt.month"),
        ):
            full = slug(column.name, name)
            yield Idea(full, sentence, ((full, expression),), "calendar")


def _cycles(schema: Schema) -> Iterator[Idea]:
    lengths = {Kind.HOUR: 24, Kind.WEEKDAY: 7, Kind.MONTH: 12}
    for kind, length in lengths.items():
        for column in schema.of(kind):
            angle = f"2 * np.pi * {number(column.name)} / {length}"
            yield Idea(
                slug(column.name, "as_an_angle"),
                f"Put {spoken(column.name)} on a circle, where its last value meets its first.",
                (
                    (slug(column.name, "sin"), f"np.sin({angle})"),
                    (slug(column.name, "cos"), f"np.cos({angle})"),
                ),
                "cycles",
            )


def _missing(schema: Schema) -> Iterator[Idea]:
    for column in schema.columns:
        if column.missing > 0.02 and column.kind not in {Kind.SPARSE, Kind.CONSTANT}:
            name = slug(column.name, "is_missing")
            yield Idea(
                name,
                f"Say where {spoken(column.name)} is missing.",
                ((name, f"1.0 - _given(rows, {literal(column.name)})"),),
                "missing",
            )


def _words(name: str) -> set[str]:
    return {word for word in re.split(r"[^0-9a-z]+", name.lower()) if len(word) > 1}
