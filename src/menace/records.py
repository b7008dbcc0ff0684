"""The records that pass between the parts of menace: immutable, typed, without behaviour.

Times are POSIX seconds in UTC (``float``) in every record; only what people read is ISO 8601.
Money is USD. Ratios are dimensionless. ``rows`` count rows of a bot's source, from 0;
``row`` is the bot's own clock: how many source rows had become visible.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

Json = dict[str, Any]
"""A JSON object: what may be stored in a document column or a state file."""


class Task(StrEnum):
    """What a bot predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Metric(StrEnum):
    """How a prediction is scored: the loss of one row, in units of loss, never negative."""

    ERROR_RATE = "error_rate"
    LOG_LOSS = "log_loss"
    ABSOLUTE_ERROR = "absolute_error"
    SQUARED_ERROR = "squared_error"


@dataclass(frozen=True, slots=True)
class Economics:
    """What a bot's predictions and its care are worth.

    Attributes
    ----------
    loss_usd
        USD lost per unit of loss (for ``error_rate``: per wrong prediction), ≥ 0.
    cpu_second_usd
        USD per CPU-second of a cycle, ≥ 0.
    promotion_usd
        Fixed cost of a promotion, USD, ≥ 0.
    serving_usd_per_row
        Cost of serving one prediction, USD, ≥ 0.
    """

    loss_usd: float = 0.01
    cpu_second_usd: float = 0.000014
    promotion_usd: float = 0.0
    serving_usd_per_row: float = 0.0


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Where a bot's rows come from.

    Attributes
    ----------
    kind
        ``csv``, ``parquet``, ``sql`` or ``callable``.
    location
        The file's path, the SQL query, or ``package.module:function``.
    url
        The database, as a SQLAlchemy URL; only for ``sql``.
    """

    kind: str
    location: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class BotConfig:
    """A bot: its data, its target, its economics, its rhythm.

    Attributes
    ----------
    name
        Letters, digits, ``-``, ``_`` and ``.``; unique in a store.
    source
        Where rows come from; ``None`` for a bot that only reports outcomes.
    target
        Name of the target column.
    time
        Name of the column that orders the rows, if there is one.
    drop
        Columns that are never given to a model.
    task, metric
        ``None`` lets the first window that is full or has 200 rows decide.
    tick_rows
        So many newly labelled rows make a tick, ≥ 1.
    window_rows
        Newest labelled rows that a model is trained on, ≥ 20.
    holdout_rows
        Newest labelled rows of the window on which champion and challenger are compared.
    settlement_rows
        Labelled rows after a promotion over which the cycle is settled.
    label_wait_rows
        A row without a label is given up when so many later rows are labelled.
    seconds_per_energy
        CPU-seconds bought by one unit of energy.
    max_error_rate, max_latency_seconds
        Thresholds for the diagnosis; ``None`` switches one off.
    seed
        Seed of everything random in this bot's cycles.
    pipeline
        Makes its models: the name of a table ``[pipelines.NAME]`` in ``menace.toml``; ``None``: the
        built-in one for tables.
    """

    name: str
    source: SourceConfig | None
    target: str
    time: str | None = None
    drop: tuple[str, ...] = ()
    task: Task | None = None
    metric: Metric | None = None
    tick_rows: int = 100
    window_rows: int = 5000
    holdout_rows: int = 500
    settlement_rows: int = 1000
    label_wait_rows: int = 1000
    seconds_per_energy: float = 1.0
    max_error_rate: float | None = None
    max_latency_seconds: float | None = None
    seed: int = 0
    pipeline: str | None = None
    economics: Economics = field(default_factory=Economics)


class Outcome(NamedTuple):
    """One served prediction whose truth has arrived.

    A named tuple, in the order of the table's columns, so that a batch goes to the driver as it is.
    """

    prediction_id: str
    at: float
    prediction: str | float
    truth: str | float
    loss: float
    value_usd: float = 0.0
    serving_cost_usd: float = 0.0
    latency_seconds: float | None = None
    version: int | None = None


class MetricSample(NamedTuple):
    """A measured figure of a bot at a time; ``version`` names the model it belongs to, if any."""

    bot: str
    name: str
    at: float
    value: float
    rows: int = 1
    version: int | None = None


class SourcePosition(NamedTuple):
    """A place in a source: ``row`` rows lie before it; ``mark`` is the adapter's own bookmark."""

    row: int
    mark: Json


class IssueKind(StrEnum):
    """What a diagnosis can find."""

    DRIFT = "drift"
    ERROR_RATE = "error_rate"
    LATENCY = "latency"
    SCHEMA_CHANGE = "schema_change"
    NULL_RATE = "null_rate"
    ANOMALY = "anomaly"
    WAITING_FOR_LABELS = "waiting_for_labels"
    DAMAGED_PACKAGE = "damaged_package"


@dataclass(frozen=True, slots=True)
class Issue:
    """A finding of the diagnosis.

    Attributes
    ----------
    severity
        0 (curious) .. 1 (the bot is not to be trusted as it is).
    evidence
        The figures that led to it.
    row
        Labelled rows seen when it was found.
    """

    bot: str
    kind: IssueKind
    severity: float
    evidence: Json
    row: int


@dataclass(frozen=True, slots=True)
class BotTotals:
    """Running sums over all outcomes of a bot: what is asked often is never scanned for."""

    outcomes: int = 0
    loss_sum: float = 0.0
    loss_square_sum: float = 0.0
    value_usd: float = 0.0
    serving_cost_usd: float = 0.0
    last_outcome_at: float | None = None


@dataclass(frozen=True, slots=True)
class LoopState:
    """What the loop remembers of a bot between ticks; one JSON document in the store.

    Attributes
    ----------
    position
        How far the source has been read.
    labelled_rows
        Rows whose label has been seen: the bot's own clock.
    last_row_at
        Newest value of the time column seen, as text or number, to notice time going backwards.
    columns
        Name → ``"number"``, ``"text"`` or ``"empty"`` (never a value) of the columns last seen.
    null_rates
        Name → share of missing values, EMA over ticks.
    issues
        Findings that no cycle has answered yet.
    staleness
        State of the staleness estimator (see ``self_improvement_policy.staleness``).
    cycle_cost_usd
        Expected cost of a cycle of energy 1, EMA over cycles, USD; ``None`` before the first.
    costed_cycle_id
        The newest cycle whose cost is in ``cycle_cost_usd``.
    recipes
        What cycles have shown of other recipes than a refit on the recent window (see
        ``self_improvement_policy.recipes``).
    failures
        Cycles that failed in a row.
    last_cycle_row, last_cycle_at
        Rows and time when the last cycle began.
    """

    position: SourcePosition | None = None
    labelled_rows: int = 0
    last_row_at: str | float | None = None
    columns: dict[str, str] = field(default_factory=dict)
    null_rates: dict[str, float] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    staleness: Json = field(default_factory=dict)
    cycle_cost_usd: float | None = None
    costed_cycle_id: int = 0
    recipes: Json = field(default_factory=dict)
    failures: int = 0
    last_cycle_row: int | None = None
    last_cycle_at: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to run a cycle, who said so, and all that was known. Truthy when it says run."""

    bot: str
    run: bool
    reason: str
    at: float
    inputs: Json = field(default_factory=dict)
    decision_id: int | None = None

    def __bool__(self) -> bool:
        return self.run


class CycleState(StrEnum):
    """The steps of a cycle, in order; the last five can end it."""

    DECIDED = "decided"
    PATCHING = "patching"
    TRAINING = "training"
    EVALUATED = "evaluated"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One improvement attempt.

    Attributes
    ----------
    attempts
        How often its training was started: 1, or 2 after a crash.
    row
        Labelled rows seen when it was decided.
    replaced_version
        The champion that its model replaced; until then the one that it would replace. ``None``
        for a bot's first.
    version
        The challenger, once it exists.
    settled_rows, gain_usd
        Settlement so far: rows scored by both models, and USD earned above the replaced champion.
    ended_at
        When it was promoted, rejected or failed; its settlement may come later.
    outcome
        ``promoted``, ``rejected``, ``rolled_back`` or ``failed``, kept when it is settled.
    details
        Metrics, gate figures, budget factors.
    """

    cycle_id: int
    bot: str
    state: CycleState
    energy: int
    row: int
    started_at: float
    decision_id: int | None = None
    attempts: int = 0
    replaced_version: int | None = None
    version: int | None = None
    cpu_seconds: float = 0.0
    cost_usd: float = 0.0
    settled_rows: int = 0
    gain_usd: float = 0.0
    serving_cost_usd: float = 0.0
    ended_at: float | None = None
    outcome: str | None = None
    error: str | None = None
    details: Json = field(default_factory=dict)


class ModelStatus(StrEnum):
    """Where a model version stands."""

    CHALLENGER = "challenger"
    CHAMPION = "champion"
    ARCHIVED = "archived"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A trained model: its package in the artifact store, and where it stands.

    Attributes
    ----------
    row
        Labelled rows seen when it was trained: the end of its training window.
    promoted_row
        Labelled rows seen when it last became champion; ``None`` if it never did.
    """

    bot: str
    version: int
    sha256: str
    artifact: str
    status: ModelStatus
    row: int
    created_at: float
    promoted_row: int | None = None
    cycle_id: int | None = None
    manifest: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchTrial:
    """A configuration that a search tried, kept so that the next search of the bot goes on from it.

    Attributes
    ----------
    family, params
        The configuration.
    ratio
        Its mean loss on the validation rows of its search, over that of the configuration which the
        search started from: losses of different times do not compare.
    metric
        Of the losses.
    row
        Where the rows end that it was scored on, as a count of labelled rows; the hold-out of its
        cycle lies after them.
    cycle_id
        The cycle that it belongs to; ``None`` outside of one.
    """

    family: str
    params: dict[str, float]
    ratio: float
    metric: Metric
    row: int
    cycle_id: int | None = None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What a settled cycle earned and cost. There is exactly one per settled cycle.

    ``roi_delta = (gain_usd − cycle_cost_usd) / (serving_cost_usd + cycle_cost_usd)``; 0 where the
    denominator is 0.
    """

    cycle_id: int
    bot: str
    at: float
    gain_usd: float
    cycle_cost_usd: float
    serving_cost_usd: float
    rows: int
    roi_delta: float
    entry_id: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was committed. Topics are dotted: ``cycle.settled``, ``model.promoted``."""

    topic: str
    bot: str
    at: float
    payload: Json = field(default_factory=dict)
    event_id: int | None = None


class SettlementProgress(NamedTuple):
    """What one tick adds to the settlement of one cycle."""

    cycle_id: int
    rows: int
    gain_usd: float
    serving_cost_usd: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Everything that one tick commits, in one transaction."""

    bot: str
    at: float
    loop: LoopState
    outcomes: tuple[Outcome, ...] = ()
    samples: tuple[MetricSample, ...] = ()
    settlements: tuple[SettlementProgress, ...] = ()
    marks: tuple[SourcePosition, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class BotSnapshot:
    """What a decision needs of a bot, read in one statement.

    Attributes
    ----------
    champion_row
        Labelled rows seen when the champion was trained.
    champion_since_row
        Rows seen when it last began to serve, by a promotion or a rollback.
    open_cycle_id
        The cycle in ``decided``, ``patching``, ``training`` or ``evaluated``, if there is one.
    reports_outcomes
        Whether outcomes were ever reported from outside: the totals are then of those that the bot
        served, and rows that menace scores itself would be counted a second time.
    """

    bot: str
    totals: BotTotals
    loop: LoopState
    champion_version: int | None
    champion_row: int | None
    open_cycle_id: int | None
    reports_outcomes: bool = False
    champion_since_row: int | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """A model ready to serve: what it is, and where its files lie."""

    version: int
    sha256: str
    artifact: str
    manifest: Json


@dataclass(frozen=True, slots=True)
class AutomationResult:
    """What a pipeline's run came to.

    Attributes
    ----------
    status
        ``promoted``, ``rejected``, ``accepted`` (evaluated, not yet promoted), ``failed``,
        ``no_data``.
    package
        The challenger's package, if one was made.
    roi
        Expected ROI delta over the settlement rows, from the evaluation; a pipeline of the user's
        own may report its measured one.
    cpu_seconds, cost_usd
        What the run used.
    metrics
        Losses of champion and challenger, gate figures, search record.
    message
        One sentence for people.
    """

    status: str
    package: Package | None = None
    roi: float | None = None
    bot: str | None = None
    energy: int = 1
    cycle_id: int | None = None
    cpu_seconds: float = 0.0
    cost_usd: float = 0.0
    metrics: Json = field(default_factory=dict)
    message: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """What cycles may cost on one UTC day: those of one bot, or of all.

    Attributes
    ----------
    bot
        ``None`` for all bots together.
    daily_usd
        USD, ≥ 0; ``None`` lifts the limit.
    """

    bot: str | None
    daily_usd: float | None


@dataclass(frozen=True, slots=True)
class BudgetCheck:
    """Whether there is money, and if not, which purse is empty. Truthy if there is.

    Attributes
    ----------
    purse
        The emptiest that matters: ``daily`` (all bots), ``bot`` (its own daily budget),
        ``allocation`` (money set aside for the bot), ``cash``; ``none`` where nothing limits.
    left_usd
        What is left in it, USD; ``None`` without a limit.
    needed_usd
        What was asked for, USD.
    """

    allowed: bool
    purse: str
    left_usd: float | None
    needed_usd: float

    def __bool__(self) -> bool:
        return self.allowed


class ScalingAction(StrEnum):
    """What a look at the number of engines can come to."""

    CREATE = "create"
    REMOVE = "remove"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Scaling:
    """What was decided about the number of engines, and all that was known. Truthy if one moved.

    Attributes
    ----------
    engine
        The one that was created or removed.
    """

    action: ScalingAction
    reason: str
    at: float
    engine: str | None = None
    inputs: Json = field(default_factory=dict)
    scaling_id: int | None = None

    def __bool__(self) -> bool:
        return self.action is not ScalingAction.WAIT


class ApprovalState(StrEnum):
    """Where a question to a person stands."""

    PENDING = "pending"
    GRANTED = "granted"
    REFUSED = "refused"
    USED = "used"


@dataclass(frozen=True, slots=True)
class Approval:
    """A question that a person has to answer before money is spent.

    Attributes
    ----------
    subject
        What is asked for, such as ``expansion``; a subject has at most one question that is
        pending or granted.
    changed_at
        When it was granted, refused or used, POSIX seconds.
    """

    approval_id: int
    subject: str
    asked_at: float
    state: ApprovalState
    changed_at: float
    inputs: Json = field(default_factory=dict)
