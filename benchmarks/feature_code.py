"""Feature code: ``python -m benchmarks.feature_code --data DIR --out OUT.json``.

Decides at some points of a stream, on the rows before them alone, which feature code to write; then
compares on all rows after that point the same pipeline with and without it: the decision
benchmark's model, refitted after each batch on the newest five. The helper is called as in service,
on a batch and the context before it, and its columns are made anew for each training.

What is compared is the loss, in wrong rows, with all that is paid more for at a price of a
CPU-second in wrong rows: the search, the helper's own time, and fits of more columns::

    reduction = (Σ e₀ − Σ e₁ − price · (search + helper + fits₁ − fits₀)) / Σ e₀

The price is that of a bot's default economics, and besides the decision benchmark's, where one
reference fit costs ``c`` of a batch's rows; there the proposer is told the price and may decline.
"""

from __future__ import annotations

import os

# Before any library reads it: two threads under contention are far slower than one.
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.decision.table_cache import MODEL
from menace.errors import DataError, MenaceError
from menace.helper_code import FeatureHelper, hidden_columns
from menace.model_automation_pipeline.budget import process_cpu_seconds
from menace.model_automation_pipeline.forward_validation import ForwardValidation
from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm
from menace.records import BotConfig, Economics
from menace.self_coding_engine.proposal import CodingTask
from menace.self_coding_engine.proposers.feature_code import FeatureCodeProposer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from menace.self_coding_engine.proposal import Proposal, TestReport

WINDOW_BATCHES = 5
MOST_ROWS = 20_000
"""Newest rows before a decision that are looked at: ``max_history_rows`` of the settings."""

DECISIONS = (0.4, 0.55, 0.7)
COSTS = (0.01, 0.03)
SEARCH_SECONDS = 60.0
"""What an attempt by hand may use (`menace patch`)."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream and how it is taken; ``counted`` ones make up the mean."""

    file: str
    target: str
    drop: tuple[str, ...]
    batch_rows: int
    time: str | None = None
    counted: bool = True


STREAMS = {
    "bike_sharing": StreamSpec("bike_sharing.csv.gz", "busy", ("cnt", "dteday"), 168),
    "metro_traffic": StreamSpec(
        "metro_traffic.csv.gz", "busy", ("traffic_volume", "date_time"), 336
    ),
    "hotel_bookings": StreamSpec(
        "hotel_bookings.csv.gz", "is_canceled", ("arrival_day",), 1000, "arrival_day"
    ),
    "hotel_bookings_in_file_order": StreamSpec(
        "hotel_bookings.csv.gz", "is_canceled", ("arrival_day",), 1000, counted=False
    ),
}
"""The last one takes the order of bookings within a day at its word; the file has it sorted by what
became of them, so that its gain is an artefact and is shown only to tell how large."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided at a point, and what became of it.

    Attributes
    ----------
    rows, rows_after
        Rows before the decision, and after it.
    added
        Functions of the feature code; empty: none was proposed.
    wrong_without, wrong_with
        Wrong rows after it.
    search_seconds, helper_seconds, more_fit_seconds
        CPU-seconds of finding, of the helper at training and serving, and of the larger fits.
    fit_seconds
        CPU-seconds of one fit without the feature code, the mean.
    price
        Wrong rows that a CPU-second costs, by default economics.
    reduction
        Relative loss reduction with all costs at that price.
    raw_reduction
        Without any cost.
    at_costs
        ``c`` → the same, if the proposer is told that one fit costs ``c`` of a batch's rows.
    """

    stream: str
    at: float
    rows: int
    rows_after: int
    added: tuple[str, ...]
    wrong_without: float
    wrong_with: float
    search_seconds: float
    helper_seconds: float
    more_fit_seconds: float
    fit_seconds: float
    price: float
    reduction: float
    raw_reduction: float
    at_costs: dict[str, float]
    source: str


class _Bench:
    """A workbench in this process: validates a text on the rows, within CPU-seconds."""

    def __init__(self, rows: pd.DataFrame, bot: BotConfig, seconds: float) -> None:
        self._rows, self._bot = rows, bot
        self._ends_at = process_cpu_seconds() + seconds
        self.judge = ForwardValidation()

    def seconds_left(self) -> float:
        return max(0.0, self._ends_at - process_cpu_seconds())

    def run_tests(self, _source: str, *, lines: bool = False) -> TestReport | None:
        return None

    def measure(self, _source: str) -> float | None:
        return None

    def validate(self, source: str) -> float | None:
        features = None
        if source.strip():
            helper = FeatureHelper.of_text(source, place="features.py")
            features = helper(self._rows, hidden=hidden_columns(self._bot))
        return self.judge.validate(self._rows, self._bot, features)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 2 with one message if the input is wrong."""
    options = _options(arguments)
    try:
        results = run(options)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    except (MenaceError, OSError) as error:
        print(f"benchmarks.feature_code: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        _show(results)
    return 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Decide and compare at every point of every stream."""
    began = time.time()
    decisions = [
        decision
        for name in options.streams
        for decision in decide_stream(
            name,
            options.data,
            options.decisions,
            seconds=options.search_seconds,
            max_batches=options.max_batches,
        )
    ]
    counted = [d for d in decisions if STREAMS[d.stream].counted]
    by_stream = {
        name: float(np.mean([d.reduction for d in decisions if d.stream == name]))
        for name in options.streams
    }
    kept = [by_stream[name] for name in options.streams if STREAMS[name].counted]
    return {
        "reduction": by_stream,
        "mean_reduction": float(np.mean(kept)) if kept else None,
        "streams_above_0": sum(reduction > 0 for reduction in kept),
        "mean_reduction_at_costs": {
            cost: float(np.mean([d.at_costs[cost] for d in counted]))
            for cost in (counted[0].at_costs if counted else ())
        },
        "decisions": [asdict(decision) for decision in decisions],
        "environment": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "threads": 1,
            "decisions": list(options.decisions),
            "search_seconds": options.search_seconds,
            "wall_seconds": round(time.time() - began, 1),
        },
    }


def decide_stream(
    name: str,
    folder: Path,
    points: Sequence[float],
    *,
    seconds: float = SEARCH_SECONDS,
    max_batches: int | None = None,
) -> list[Decision]:
    """Decide at every point of a stream, and compare after each.

    Raises
    ------
    DataError
        If the file is missing or too short.
    """
    spec = STREAMS[name]
    path = folder / spec.file
    if not path.exists():
        raise DataError(f"there is no file {path}.", remedy="check --data")
    frame = pd.read_csv(path)
    batches = len(frame) // spec.batch_rows
    if batches < 4 * WINDOW_BATCHES:
        raise DataError(f"{path} is too short.", remedy="give the whole stream")
    frame = frame.iloc[: batches * spec.batch_rows]
    return [_decide(name, frame, point, seconds, max_batches) for point in points]


def _decide(
    name: str, frame: pd.DataFrame, point: float, seconds: float, max_batches: int | None
) -> Decision:
    spec = STREAMS[name]
    batches = len(frame) // spec.batch_rows
    first = WINDOW_BATCHES + int((batches - WINDOW_BATCHES) * point)
    last = batches if max_batches is None else min(batches, first + max_batches)
    known = frame.iloc[max(0, first * spec.batch_rows - MOST_ROWS) : first * spec.batch_rows]
    bot = _bot(name, spec)
    proposal, search_seconds = _propose(known.reset_index(drop=True), bot, seconds)
    played = _Played(frame, spec, bot, first, last)
    without = played.without()
    with_code = without if proposal is None else played.with_code(proposal.source)
    more_fits = with_code.fit_seconds - without.fit_seconds
    extra = search_seconds + with_code.helper_seconds + more_fits
    price = bot.economics.cpu_second_usd / bot.economics.loss_usd
    fit_seconds = without.fit_seconds / (last - first)
    at_costs = {}
    for cost in COSTS:
        wrong_per_second = cost * spec.batch_rows / fit_seconds
        told = replace(bot, economics=Economics(loss_usd=1.0, cpu_second_usd=wrong_per_second))
        began = process_cpu_seconds()
        declined = _propose(known.reset_index(drop=True), told, seconds)[0] is None
        asked = process_cpu_seconds() - began
        spent = wrong_per_second * (asked if declined else extra)
        gained = 0.0 if declined else without.wrong - with_code.wrong
        at_costs[str(cost)] = (gained - spent) / without.wrong
    return Decision(
        stream=name,
        at=point,
        rows=first * spec.batch_rows,
        rows_after=(last - first) * spec.batch_rows,
        added=() if proposal is None else tuple(proposal.parameters["added"]),
        wrong_without=without.wrong,
        wrong_with=with_code.wrong,
        search_seconds=search_seconds,
        helper_seconds=with_code.helper_seconds,
        more_fit_seconds=more_fits,
        fit_seconds=fit_seconds,
        price=price,
        reduction=(without.wrong - with_code.wrong - price * extra) / without.wrong,
        raw_reduction=(without.wrong - with_code.wrong) / without.wrong,
        at_costs=at_costs,
        source="" if proposal is None else proposal.source,
    )


def _bot(name: str, spec: StreamSpec) -> BotConfig:
    return BotConfig(
        name,
        None,
        spec.target,
        time=spec.time,
        drop=spec.drop,
        tick_rows=spec.batch_rows,
        window_rows=WINDOW_BATCHES * spec.batch_rows,
        settlement_rows=WINDOW_BATCHES * spec.batch_rows,
    )


def _propose(rows: pd.DataFrame, bot: BotConfig, seconds: float) -> tuple[Proposal | None, float]:
    """Ask the proposer for feature code; returns it, and the CPU-seconds that it took."""
    began = process_cpu_seconds()
    task = CodingTask(root=Path(), target="helpers/features.py", source="", rows=rows, bot=bot)
    proposals = FeatureCodeProposer().propose(task, _Bench(rows, bot, seconds))
    return next(proposals, None), process_cpu_seconds() - began


@dataclass(frozen=True, slots=True)
class _Sums:
    wrong: float
    fit_seconds: float
    helper_seconds: float = 0.0


class _Played:
    """The batches after a decision, served by models that are refitted after each."""

    def __init__(
        self, frame: pd.DataFrame, spec: StreamSpec, bot: BotConfig, first: int, last: int
    ) -> None:
        self._frame, self._size, self._bot = frame, spec.batch_rows, bot
        self._first, self._last = first, last
        self._truth = pd.factorize(frame[spec.target], sort=True)[0]
        plain = frame.drop(columns=[spec.target, *spec.drop])
        self._names = [str(column) for column in plain.columns]
        self._plain = _matrix(plain)

    def without(self) -> _Sums:
        """Serve without feature code."""
        wrong = seconds = 0.0
        for batch in range(self._first, self._last):
            window, served = self._spans(batch)
            errors, taken = self._fitted(self._plain[window], self._plain[served], window, served)
            wrong, seconds = wrong + errors, seconds + taken
        return _Sums(wrong, seconds)

    def with_code(self, source: str) -> _Sums:
        """Serve with feature code: its columns are made for each training and each batch."""
        helper = FeatureHelper.of_text(source, place="features.py")
        wrong = fits = helped = 0.0
        codes: dict[str, dict[str, int]] = {}
        for batch in range(self._first, self._last):
            window, served = self._spans(batch)
            began = process_cpu_seconds()
            made = [self._made(helper, span) for span in (window, served)]
            helped += process_cpu_seconds() - began
            kept = [k for k, name in enumerate(self._names) if name not in made[0].columns]
            parts = [_numbers(columns, codes) for columns in made]
            errors, taken = self._fitted(
                np.hstack([self._plain[window][:, kept], parts[0]]),
                np.hstack([self._plain[served][:, kept], parts[1]]),
                window,
                served,
            )
            wrong, fits = wrong + errors, fits + taken
        return _Sums(wrong, fits, helped)

    def _spans(self, batch: int) -> tuple[slice, slice]:
        start = batch * self._size
        return slice(start - WINDOW_BATCHES * self._size, start), slice(start, start + self._size)

    def _made(self, helper: FeatureHelper, span: slice) -> pd.DataFrame:
        context = self._frame.iloc[max(0, span.start - helper.context_rows) : span.start]
        return helper(self._frame.iloc[span], context=context, hidden=hidden_columns(self._bot))

    def _fitted(
        self,
        train: NDArray[np.float32],
        test: NDArray[np.float32],
        window: slice,
        served: slice,
    ) -> tuple[float, float]:
        began = process_cpu_seconds()
        classifier = import_lightgbm().LGBMClassifier(**MODEL)
        classifier.fit(train, self._truth[window])
        seconds = process_cpu_seconds() - began
        predicted = classifier.predict(test)
        return float((predicted != self._truth[served]).sum()), seconds


def _matrix(frame: pd.DataFrame) -> NDArray[np.float32]:
    """Encode as the decision benchmark does: text by first appearance in the whole file."""
    codes: dict[str, dict[str, int]] = {}
    return _numbers(frame, codes)


def _numbers(frame: pd.DataFrame, codes: dict[str, dict[str, int]]) -> NDArray[np.float32]:
    columns = []
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.to_numpy(dtype=np.float64, na_value=np.nan))
            continue
        known = codes.setdefault(str(name), {})
        values = ["" if pd.isna(value) else str(value) for value in column]
        columns.append(
            np.array(
                [known.setdefault(value, len(known)) if value else -1 for value in values],
                dtype=np.float64,
            )
        )
    return np.column_stack(columns).astype(np.float32)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.feature_code", description="Does generated feature code pay?"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the streams")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the results")
    parser.add_argument("--streams", nargs="+", choices=list(STREAMS), default=list(STREAMS))
    parser.add_argument("--decisions", nargs="+", type=float, default=list(DECISIONS))
    parser.add_argument("--search-seconds", type=float, default=SEARCH_SECONDS)
    parser.add_argument("--max-batches", type=int, help="compare on so many batches at most")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args(arguments)


def _show(results: dict[str, Any]) -> None:
    table = Table(title="feature code: relative loss reduction after the decision")
    for name in ("stream", "at", "added", "without costs", "all costs", "search CPU-s"):
        table.add_column(name, justify="left" if name in {"stream", "added"} else "right")
    for one in results["decisions"]:
        table.add_row(
            one["stream"],
            f"{one['at']:.0%}",
            ", ".join(one["added"]) or "nothing",
            f"{one['raw_reduction']:+.1%}",
            f"{one['reduction']:+.1%}",
            f"{one['search_seconds']:.1f}",
        )
    Console().print(table)
    if results["mean_reduction"] is not None:
        Console().print(
            f"mean of the streams {results['mean_reduction']:+.1%}, "
            f"above 0: {results['streams_above_0']}"
        )


if __name__ == "__main__":
    sys.exit(main())
