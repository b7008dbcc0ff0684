"""Playing a policy over a table: nothing is fitted, and nothing that lies ahead can be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from benchmarks.decision.error_table import FIRST_MODEL
from menace.errors import DataError
from menace.sandbox_runner import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.decision.error_table import ErrorTable


@dataclass(slots=True)
class Past:
    """All that a policy may look at.

    Attributes
    ----------
    now
        The newest batch whose labels have arrived.
    model
        The model that served it.
    live
        Models that were put in force since scoring started, oldest first.
    """

    _table: ErrorTable
    now: int
    model: int
    live: list[int] = field(default_factory=list)

    @classmethod
    def before_scoring(cls, table: ErrorTable) -> Past:
        """Everything up to the first scored batch, with the model that will serve it."""
        return cls(table, table.first - 1, table.first - 1, [table.first - 1])

    @property
    def first(self) -> int:
        """The first scored batch."""
        return self._table.first

    @property
    def age(self) -> int:
        """Batches that the model in force has served."""
        return self.now - self.model

    @property
    def batches_left(self) -> int:
        """Batches still to come; for policies that plan to the end, which no user could know."""
        return self._table.batches - 1 - self.now

    def error(self, model: int, batch: int) -> float:
        """Error of a model on a batch, 0..1.

        Raises
        ------
        DataError
            If the batch lies ahead, is not later than the model's training, or nobody trained that
            model: in the calibration part all models are there, afterwards only those paid for.
        """
        self._check(model, batch)
        return float(self._table.errors[model, batch])

    def row_losses(self, model: int, batch: int) -> NDArray[np.bool_]:
        """Which rows of a batch a model got wrong, in order; raises as :meth:`error` does."""
        self._check(model, batch)
        return self._table.wrong_rows(model, batch)

    def calibration(self) -> ErrorTable:
        """Return the calibration part."""
        return self._table.calibration()

    def _check(self, model: int, batch: int) -> None:
        trained = FIRST_MODEL <= model < self.first or model in self.live
        if not trained or not model < batch <= self.now:
            raise DataError(
                f"at the end of batch {self.now} a policy asked for model {model}'s error "
                f"on batch {batch}.",
                remedy="look only at models that were trained and batches that have passed",
            )


class Policy(Protocol):
    """Decides at the end of every scored batch but the last."""

    def wants_cycle(self, past: Past) -> bool:
        """Whether a new model, trained now, shall serve from the next batch on."""


class ServingPolicy(Policy, Protocol):
    """One that may put any model it has in force, at no cost."""

    def serves(self, past: Past) -> int:
        """Name the model that shall serve the next batch."""


if TYPE_CHECKING:
    PolicyMaker = Callable[[Past, float, int], Policy]
"""Makes a policy from the calibration part, the cost of a retrain and a seed."""


@dataclass(frozen=True, slots=True)
class Played:
    """What a policy cost, in units of one whole batch wrong, and its number of retrains."""

    cost: float
    retrains: int


def play(table: ErrorTable, cost: float, make: PolicyMaker, *, seed: int = 0) -> Played:
    """Play a policy over the scored part."""
    past = Past.before_scoring(table)
    policy = make(past, cost, seed)

    def wants_cycle(batch: int, model: int) -> bool:
        past.now, past.model = batch, model
        if model not in past.live:
            past.live.append(model)
        return policy.wants_cycle(past)

    schedule = follow(table.losses(cost), wants_cycle)
    return Played(schedule.total_usd, len(schedule.cycles))


def cheapest_of(table: ErrorTable, cost: float, makers: Sequence[PolicyMaker]) -> PolicyMaker:
    """Tune: take the policy that costs least over a table; of equals the last."""
    costs = [play(table, cost, make).cost for make in makers]
    least = min(costs)
    return [make for make, total in zip(makers, costs, strict=True) if total == least][-1]


def play_serving(
    table: ErrorTable,
    cost: float,
    make: Callable[[Past, float, int], ServingPolicy],
    *,
    seed: int = 0,
) -> Played:
    """Play a policy that chooses among its models what serves; what it may read is the same."""
    past = Past.before_scoring(table)
    policy = make(past, cost, seed)
    total, retrains = 0.0, 0
    for batch in range(table.first, table.batches):
        past.model = policy.serves(past)
        past.now = batch
        total += past.error(past.model, batch)
        if batch < table.batches - 1 and policy.wants_cycle(past):
            past.live.append(batch)
            retrains += 1
    return Played(total + cost * retrains, retrains)
