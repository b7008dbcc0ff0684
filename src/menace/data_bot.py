"""``DataBot``: takes in what was observed of served predictions, and sums it up in money."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from numbers import Real
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from menace.accounting.robust import winsorized
from menace.accounting.roi_tracker import roi_trend
from menace.config import DEFAULT_WIRING, load_dotted
from menace.errors import DataError, WorkspaceError
from menace.records import Metric, MetricSample, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from menace.interfaces import Clock, Services, Store
    from menace.records import BotConfig

DEFAULT_WINDOW_ROWS = 1000
SMALLEST_PROBABILITY = 1e-15
"""A probability is held this far from 0 and 1 before its logarithm is taken."""

_REQUIRED = ("prediction_id", "prediction", "truth")


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """The newest outcomes of a bot in a few figures.

    Attributes
    ----------
    rows
        Outcomes in the window; fewer than asked for if there are no more.
    mean_loss
        Mean loss per row, in units of loss; ``None`` without rows.
    error_std
        Sample standard deviation of the losses (n − 1), in units of loss; 0 below two rows.
    mean_latency_seconds
        Mean over the rows that have a latency; ``None`` if none has.
    value_usd, serving_cost_usd
        Sums over the window, USD.
    first_at, last_at
        POSIX seconds of the oldest and the newest outcome; ``None`` without rows.
    """

    rows: int
    mean_loss: float | None
    error_std: float
    mean_latency_seconds: float | None
    value_usd: float
    serving_cost_usd: float
    first_at: float | None
    last_at: float | None


class DataBot:
    """Stores outcomes and metric samples of bots, and answers what they were worth.

    Safe to share between threads if the store is.

    Parameters
    ----------
    store
        Where everything is kept. Without one, the workspace of the current folder is used, looked
        up when the first call needs it.
    clock
        Tells the time of outcomes and samples that come without one; the system's by default.
    robust_trend
        Whether :meth:`long_term_roi_trend` holds a twentieth of the deltas on either side at the
        next ones first, so that one windfall is no trend.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        clock: Clock | None = None,
        robust_trend: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._robust_trend = robust_trend

    def observe(self, bot: str, outcomes: Iterable[Outcome | Mapping[str, Any]]) -> int:
        """Store outcomes of predictions; the same prediction id is stored once.

        All or nothing: a wrong row stops the whole batch before anything is written.

        Parameters
        ----------
        bot
            The bot that predicted.
        outcomes
            :class:`~menace.records.Outcome`, or mappings with its field names. A mapping needs
            ``prediction_id``, ``prediction`` and ``truth``; without ``at`` the present time is
            taken, without ``loss`` (or with ``None``) it is computed by :func:`loss_of`.

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        UnknownBotError
            If there is no such bot.
        DataError
            Naming the outcome (counted from 1) and the field: a missing or unknown field, a figure
            that is not finite, a negative loss, or an id that occurs twice with other contents.
        WorkspaceError
            If no store was given and there is no workspace.
        """
        store = self._wired(bot)
        config = store.bot(bot)
        now = self._now()
        rows: dict[str, Outcome] = {}
        for number, given in enumerate(outcomes, start=1):
            outcome = _outcome(config, number, given, now)
            known = rows.setdefault(outcome.prediction_id, outcome)
            if known is not outcome and known != outcome:
                raise _wrong(
                    config,
                    number,
                    f"prediction_id {outcome.prediction_id!r} came before with other contents",
                    "give every prediction an id of its own",
                )
        return store.add_outcomes(bot, list(rows.values())) if rows else 0

    def record_metric(self, bot: str, name: str, value: float, at: float | None = None) -> None:
        """Append a sample of a metric.

        Parameters
        ----------
        bot
            The bot it belongs to.
        name
            Name of the metric, not empty.
        value
            What was measured, in the metric's own unit.
        at
            POSIX seconds, UTC; the present time if ``None``.

        Raises
        ------
        UnknownBotError
            If there is no such bot.
        DataError
            If the name is empty, or value or time is not finite.
        WorkspaceError
            If no store was given and there is no workspace.
        """
        if not name:
            raise DataError("the metric has no name.", bot=bot, remedy="give it one")
        when = self._now() if at is None else at
        for what, figure in ((f"the metric {name!r}", value), ("its time", when)):
            if not _is_finite(figure):
                raise DataError(f"{what} is {figure!r}.", bot=bot, remedy="give a finite number")
        self._wired(bot).add_samples([MetricSample(bot, name, float(when), float(value))])

    def window(self, bot: str, rows: int = DEFAULT_WINDOW_ROWS) -> WindowSummary:
        """Sum up the newest ``rows`` outcomes.

        Raises
        ------
        UnknownBotError
            If there is no such bot.
        DataError
            If ``rows`` is below 1.
        WorkspaceError
            If no store was given and there is no workspace.
        """
        if rows < 1:
            raise DataError(f"the window has {rows} rows.", bot=bot, remedy="give 1 or more")
        store = self._wired(bot)
        store.bot(bot)
        found = store.outcomes(bot, last=rows)
        losses = [outcome.loss for outcome in found]
        latencies = [o.latency_seconds for o in found if o.latency_seconds is not None]
        times = [outcome.at for outcome in found]
        return WindowSummary(
            rows=len(found),
            mean_loss=fmean(losses) if losses else None,
            error_std=stdev(losses) if len(losses) > 1 else 0.0,
            mean_latency_seconds=fmean(latencies) if latencies else None,
            value_usd=math.fsum(outcome.value_usd for outcome in found),
            serving_cost_usd=math.fsum(outcome.serving_cost_usd for outcome in found),
            first_at=min(times, default=None),
            last_at=max(times, default=None),
        )

    def roi(self, bot: str, rows: int | None = None) -> float:
        """Return on what serving cost: ``(value − serving cost) / serving cost``, dimensionless.

        Parameters
        ----------
        bot
            The bot.
        rows
            So many newest outcomes; ``None`` for all, which are read from the running totals and
            not scanned.

        Returns
        -------
        float
            0.0 where serving cost nothing. Values are taken as they were observed; the loop's own
            outcomes carry the negative USD of their loss as value.

        Raises
        ------
        UnknownBotError
            If there is no such bot.
        DataError
            If ``rows`` is below 1.
        WorkspaceError
            If no store was given and there is no workspace.
        """
        if rows is None:
            totals = self._wired(bot).snapshot(bot).totals
            value_usd, cost_usd = totals.value_usd, totals.serving_cost_usd
        else:
            window = self.window(bot, rows)
            value_usd, cost_usd = window.value_usd, window.serving_cost_usd
        return 0.0 if cost_usd == 0 else (value_usd - cost_usd) / cost_usd

    def long_term_roi_trend(self, limit: int = 200) -> float:
        """Trend of the ROI deltas of the newest ``limit`` settled cycles of all bots.

        ``(mean of the later half − mean of the earlier half) / |mean of the earlier half|``; see
        :func:`~menace.accounting.roi_trend` for odd counts and an earlier mean of 0. With
        ``robust_trend``, of deltas that are winsorized first
        (:func:`menace.accounting.robust.winsorized`); below 20 deltas that is the same.

        Returns
        -------
        float
            0.0 with fewer than two settled cycles, and where there is no workspace.

        Raises
        ------
        DataError
            If ``limit`` is below 1.
        """
        if limit < 1:
            raise DataError(f"the limit is {limit} points.", remedy="give 1 or more")
        store = self._found()
        if store is None:
            return 0.0
        deltas = [entry.roi_delta for entry in store.ledger(last=limit)]
        return roi_trend(winsorized(deltas) if self._robust_trend else deltas)

    def _found(self) -> Store | None:
        """Find the store, late, so that making a DataBot opens nothing."""
        if self._store is None:
            services: Services | None = load_dotted(DEFAULT_WIRING)()
            if services is None:
                return None
            self._store = services.store
            self._clock = self._clock or services.clock
        return self._store

    def _wired(self, bot: str) -> Store:
        store = self._found()
        if store is None:
            raise WorkspaceError(
                "there is no workspace in this folder or above it.",
                bot=bot,
                remedy="menace init, or give DataBot a store",
            )
        return store

    def _now(self) -> float:
        return time.time() if self._clock is None else self._clock.now()


def loss_of(bot: BotConfig, prediction: str | float, truth: str | float) -> float:
    """Loss of one prediction under the bot's metric.

    ==================  ==========================================================================
    metric              loss
    ==================  ==========================================================================
    ``error_rate``      0 if prediction and truth are the same label, else 1; labels that read as
                        numbers are compared as numbers (``"1"`` is ``1.0``)
    ``log_loss``        −ln of the probability given to the truth; the prediction is the probability
                        of 1, the truth 0 or 1
    ``absolute_error``  |prediction − truth|
    ``squared_error``   (prediction − truth)²
    ==================  ==========================================================================

    A bot whose metric is not known yet counts errors if its task is a classification or one of the
    two is text.

    Raises
    ------
    DataError
        If the metric is not known and cannot be told from the values, or the values do not fit it.

    Examples
    --------
    >>> from menace.records import BotConfig, Metric
    >>> bot = BotConfig("alpha", source=None, target="y", metric=Metric.SQUARED_ERROR)
    >>> loss_of(bot, 1.5, 1.0)
    0.25
    """
    metric = bot.metric
    if metric is None:
        classes = bot.task in {Task.BINARY, Task.MULTICLASS}
        if not classes and not isinstance(prediction, str) and not isinstance(truth, str):
            raise DataError("it has no loss, and the bot has no metric to compute one by")
        metric = Metric.ERROR_RATE
    if metric is Metric.ERROR_RATE:
        return float(_label(prediction) != _label(truth))
    given, actual = _label(prediction), _label(truth)
    if isinstance(given, str) or isinstance(actual, str):
        raise DataError(f"{prediction!r} and {truth!r} cannot be scored by {metric.value}")
    if metric is Metric.LOG_LOSS:
        if actual not in {0.0, 1.0} or not 0 <= given <= 1:
            raise DataError(f"{given} is no probability of the truth {actual}")
        chance = given if actual == 1 else 1 - given
        return -math.log(min(max(chance, SMALLEST_PROBABILITY), 1 - SMALLEST_PROBABILITY))
    difference = abs(given - actual)
    return difference if metric is Metric.ABSOLUTE_ERROR else difference * difference


def _outcome(
    bot: BotConfig, number: int, given: Outcome | Mapping[str, Any], now: float
) -> Outcome:
    if isinstance(given, Outcome):
        if _is_plain(given):
            return given
        values = given._asdict()
    else:
        values = dict(given)
    _check_fields(bot, number, values)
    prediction = _served(bot, number, "prediction", values["prediction"])
    truth = _served(bot, number, "truth", values["truth"])
    loss = values.get("loss")
    if loss is None:
        loss = _computed_loss(bot, number, prediction, truth)
    loss = _figure(bot, number, "loss", loss)
    if loss < 0:
        raise _wrong(bot, number, f"loss is {loss}", "give a loss of 0 or more")
    latency = values.get("latency_seconds")
    return Outcome(
        prediction_id=str(values["prediction_id"]),
        at=_figure(bot, number, "at", values.get("at", now)),
        prediction=prediction,
        truth=truth,
        loss=loss,
        value_usd=_figure(bot, number, "value_usd", values.get("value_usd", 0.0)),
        serving_cost_usd=_figure(
            bot,
            number,
            "serving_cost_usd",
            values.get("serving_cost_usd", bot.economics.serving_usd_per_row),
        ),
        latency_seconds=(
            None if latency is None else _figure(bot, number, "latency_seconds", latency)
        ),
        version=_version(bot, number, values.get("version")),
    )


def _is_plain(outcome: Outcome) -> bool:
    """Whether an outcome is right as it is: most are, and a batch may have a million of them."""
    name, at, prediction, truth, loss, value_usd, cost_usd, latency, version = outcome
    total = 0.0
    for label in (prediction, truth):
        if type(label) is float:
            total += label
        elif type(label) is not str or not label:
            return False
    for figure in (at, loss, value_usd, cost_usd):
        if type(figure) is not float:
            return False
        total += figure
    # A sum is finite only if every part of it is.
    return (
        latency is None
        and version is None
        and loss >= 0
        and math.isfinite(total)
        and type(name) is str
        and name != ""
    )


def _check_fields(bot: BotConfig, number: int, values: dict[str, Any]) -> None:
    unknown = sorted(str(name) for name in values.keys() - set(Outcome._fields))
    if unknown:
        known = ", ".join(Outcome._fields)
        raise _wrong(bot, number, f"has an unknown field {unknown[0]!r}", f"known fields: {known}")
    for name in _REQUIRED:
        if values.get(name) is None or values[name] == "":
            raise _wrong(bot, number, f"has no {name}", f"give every row a {name}")


def _computed_loss(
    bot: BotConfig, number: int, prediction: str | float, truth: str | float
) -> float:
    try:
        return loss_of(bot, prediction, truth)
    except DataError as error:
        raise _wrong(
            bot, number, error.message, "give the loss, or values that fit the bot's metric"
        ) from error


def _served(bot: BotConfig, number: int, name: str, value: object) -> str | float:
    return value if isinstance(value, str) else _figure(bot, number, name, value)


def _figure(bot: BotConfig, number: int, name: str, value: object) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, Real) and math.isfinite(value):
        return float(value)
    raise _wrong(bot, number, f"{name} is {value!r}", "give a finite number")


def _version(bot: BotConfig, number: int, value: object) -> int | None:
    if value is None:
        return None
    figure = _figure(bot, number, "version", value)
    if figure != int(figure) or figure < 1:
        raise _wrong(bot, number, f"version is {value!r}", "give a model version, 1 or more")
    return int(figure)


def _label(value: str | float) -> str | float:
    """Read text that is a number as that number, so that a label survives a CSV file."""
    if not isinstance(value, str):
        return float(value)
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _wrong(bot: BotConfig, number: int, what: str, remedy: str) -> DataError:
    return DataError(f"outcome {number}: {what}.", bot=bot.name, remedy=remedy)
