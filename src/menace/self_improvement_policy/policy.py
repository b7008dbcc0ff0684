"""Tabular Q-learning over two actions: skip a cycle, or run one.

The update is Watkins' (Watkins and Dayan 1992, *Q-learning*, Machine Learning 8, eq. 1)::

    Q(s, a) ← Q(s, a) + α · (r + γ · max Q(s′, ·) − Q(s, a))

Why γ = 0 unless told otherwise: a skip earns 0 by definition and a run earns its settled ROI delta,
which counts everything that the cycle brings over its settlement rows. So Q(run) is the expected
ROI delta of a cycle begun in that state, and the question "is it above 0?" is the whole decision: a
contextual bandit. A γ > 0 gives waiting a value of its own (the cycle can still be run later).
"""

from __future__ import annotations

import math
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from menace.errors import ConfigError, DataError, StateFileError
from menace.self_improvement_policy.prior import LearnedPrior
from menace.self_improvement_policy.state import debt_centre
from menace.state_file import read_state, write_state

if TYPE_CHECKING:
    import numpy as np

    from menace.records import Json

KIND = "policy"
VERSION = 1
MAX_STATES = 50_000
"""A table never holds more states than this, whatever states its user makes up."""

State = tuple[int, ...]
"""A state: a tuple of small integers, of which the first is the debt bucket."""

_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


class Action(IntEnum):
    """What the policy chooses between."""

    SKIP = 0
    RUN = 1


SKIP = Action.SKIP
RUN = Action.RUN


class SelfImprovementPolicy:
    """Learns in which states a cycle pays, starting from rent-or-buy.

    An untrained state has Q(skip) = 0 and ``Q(run) = prior_strength · clip(centre − 1, −1, 1)``,
    where *centre* is the typical debt of the state's debt bucket in units of the expected cycle
    cost (:func:`~menace.self_improvement_policy.state.debt_centre`). So it runs exactly when the
    debt has reached the cost of a cycle: who rents until the rent paid equals the price, and buys
    then, never pays more than twice what foresight would have. The other components do not enter;
    what they mean is learned.

    Not safe to share between threads; each engine has its own.

    Parameters
    ----------
    alpha
        Learning rate α, in (0, 1].
    gamma
        Discount γ, in [0, 1).
    epsilon
        Share of decisions that are drawn uniformly from both actions, in [0, 1].
    rng
        The generator that draws them, or a seed for a new one.
    prior_strength
        Greatest magnitude of Q(run) of an untrained state, in ROI delta, > 0; reached where the
        debt is twice the expected cycle cost or more.
    prior
        Evidence that makes these first values firmer or softer, such as
        :func:`~menace.self_improvement_policy.prior.shipped_prior`; it never turns one round.

    Attributes
    ----------
    prior
        As given; it may be replaced, and is saved with the values.
    learned_through
        For the policy's keeper: the id of the newest ledger entry that was learned from, 0 before
        the first. It is saved with the values, so that no entry is learned from twice.

    Raises
    ------
    ConfigError
        If a parameter is outside its range.

    Examples
    --------
    >>> policy = SelfImprovementPolicy(alpha=0.5)
    >>> at_cost, below_cost = (4, 0, 0, 2, 2, 1, 1), (3, 0, 0, 2, 2, 1, 1)
    >>> policy.score(at_cost), policy.score(below_cost)
    (0.125, -0.0625)
    >>> policy.update(at_cost, reward=-1.0)
    -0.4375
    >>> policy.decide(at_cost).name
    'SKIP'
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        gamma: float = 0.0,
        epsilon: float = 0.0,
        rng: np.random.Generator | int = 0,
        prior_strength: float = 0.5,
        prior: LearnedPrior | None = None,
    ) -> None:
        _check("alpha", alpha, 0 < alpha <= 1, "in (0, 1]")
        _check("gamma", gamma, 0 <= gamma < 1, "in [0, 1)")
        _check("epsilon", epsilon, 0 <= epsilon <= 1, "in [0, 1]")
        _check("prior_strength", prior_strength, 0 < prior_strength < math.inf, "positive")
        self.alpha = float(alpha)
        self.gamma = float(gamma)
        self.epsilon = float(epsilon)
        self.prior_strength = float(prior_strength)
        self.prior = prior
        self.learned_through = 0
        self._rng = _generator(rng)
        self._table: dict[State, tuple[float, float]] = {}

    def __len__(self) -> int:
        """Count the states that have been updated at least once."""
        return len(self._table)

    def values(self, state: State) -> tuple[float, float]:
        """Read Q(skip) and Q(run), in ROI delta; an unknown state has its prior values.

        Raises
        ------
        DataError
            If ``state`` is not a tuple of small integers.
        """
        return self._values(_validated(state))

    def score(self, state: State) -> float:
        """Q(run) − Q(skip): what a cycle is expected to bring above waiting, in ROI delta.

        Raises
        ------
        DataError
            If ``state`` is not a tuple of small integers.
        """
        skip, run = self.values(state)
        return run - skip

    def prior_score(self, state: State) -> float:
        """Q(run) − Q(skip) of the state before anything was learned: rent-or-buy."""
        skip, run = self._prior(_validated(state))
        return run - skip

    def decide(self, state: State) -> Action:
        """Choose: uniformly with probability ε, else the action of the greater value.

        A tie is a skip, because waiting costs nothing. With ε = 0 nothing is drawn, so decisions do
        not depend on how many came before.

        Raises
        ------
        DataError
            If ``state`` is not a tuple of small integers.
        """
        greedy = RUN if self.score(state) > 0 else SKIP
        if self.epsilon > 0 and self._rng.random() < self.epsilon:
            return Action(int(self._rng.integers(2)))
        return greedy

    def update(
        self,
        state: State,
        reward: float,
        next_state: State | None = None,
        action: Action | int | str = RUN,
    ) -> float:
        """Learn from what an action brought.

        Parameters
        ----------
        state
            Where the action was chosen.
        reward
            Settled ROI delta of the cycle; 0 for a skip.
        next_state
            Where the bot stood afterwards; ``None`` if nothing follows, and the target is then the
            reward alone.
        action
            :data:`SKIP` or :data:`RUN`, also as number or name.

        Returns
        -------
        float
            The new Q(state, action).

        Raises
        ------
        DataError
            If a state is not a tuple of small integers, the reward is not finite, the action is
            unknown, or the table is full (50,000 states; those of ``state_of`` are fewer).
        """
        state = _validated(state)
        chosen = _action(action)
        if not math.isfinite(reward):
            raise DataError(
                f"the reward is {reward}.", remedy="give the finite ROI delta of the settled cycle"
            )
        target = float(reward)
        if next_state is not None:
            target += self.gamma * max(self._values(_validated(next_state)))
        values = list(self._values(state))
        values[chosen] += self.alpha * (target - values[chosen])
        if state not in self._table and len(self._table) >= MAX_STATES:
            raise DataError(
                f"the policy knows {MAX_STATES} states already.",
                remedy="make the states coarser; state_of() has 27,000",
            )
        self._table[state] = (values[0], values[1])
        return values[chosen]

    def save(self, path: Path | str) -> None:
        """Write everything to a state file, the generator's state included.

        Raises
        ------
        StateFileError
            If the file cannot be written.
        """
        data: Json = {
            "alpha": self.alpha,
            "gamma": self.gamma,
            "epsilon": self.epsilon,
            "prior_strength": self.prior_strength,
            "prior": None if self.prior is None else self.prior.to_json(),
            "learned_through": self.learned_through,
            "generator": _plain(self._rng.bit_generator.state),
            "values": [[list(state), *values] for state, values in sorted(self._table.items())],
        }
        write_state(Path(path), kind=KIND, version=VERSION, data=data)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what :meth:`save` wrote; the policy goes on as if it had never stopped.

        Raises
        ------
        StateFileError
            If the file is missing, torn, foreign or newer than this version.
        """
        path = Path(path)
        data = read_state(path, kind=KIND, version=VERSION)
        if data is None:
            raise StateFileError(
                f"there is no policy file {path}.",
                remedy="check the path, or begin with a new SelfImprovementPolicy()",
            )
        try:
            policy = cls(
                alpha=data["alpha"],
                gamma=data["gamma"],
                epsilon=data["epsilon"],
                prior_strength=data["prior_strength"],
                rng=_restored_generator(data["generator"]),
            )
            policy.learned_through = int(data["learned_through"])
            # A file of before there was a prior goes on with what it had: the rule alone.
            if data.get("prior") is not None:
                policy.prior = LearnedPrior.from_json(data["prior"])
            for state, skip, run in data["values"]:
                policy._table[_validated(tuple(state))] = (float(skip), float(run))
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError, DataError) as error:
            raise StateFileError(
                f"the policy file {path} lacks a field or holds a wrong one: {error}.",
                remedy=f"go back to the backup beside it: mv {path}.bak {path}",
            ) from error
        return policy

    def _values(self, state: State) -> tuple[float, float]:
        known = self._table.get(state)
        return self._prior(state) if known is None else known

    def _prior(self, state: State) -> tuple[float, float]:
        excess = debt_centre(state[0]) - 1.0
        rule = self.prior_strength * max(-1.0, min(1.0, excess))
        if self.prior is None:
            return 0.0, rule
        return 0.0, self.prior.value(state, rule, strength=self.prior_strength)


def _check(name: str, value: float, ok: bool, allowed: str) -> None:
    if not ok:
        raise ConfigError(f"the policy's {name} is {value}.", remedy=f"give a number {allowed}")


def _validated(state: State) -> State:
    if (
        not isinstance(state, tuple)
        or not 1 <= len(state) <= 16
        or not all(type(part) is int and -128 <= part <= 127 for part in state)
    ):
        raise DataError(
            f"{state!r} is no state.",
            remedy="give a tuple of 1 to 16 integers in −128..127, such as state_of() returns",
        )
    # A plain tuple: equal states are one key and one line in the file, whatever type came in.
    return tuple(state)


def _action(action: Action | int | str) -> Action:
    try:
        if isinstance(action, str):
            return Action[action.upper()]
        return Action(action)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{action!r} is no action.", remedy="give SKIP (0, 'skip') or RUN (1, 'run')"
        ) from error


def _generator(rng: np.random.Generator | int) -> np.random.Generator:
    import numpy as np

    return rng if isinstance(rng, np.random.Generator) else np.random.default_rng(rng)


def _restored_generator(state: Json) -> np.random.Generator:
    import numpy as np

    name = state["bit_generator"]
    if name not in _BIT_GENERATORS:
        raise ValueError(f"{name!r} is no known bit generator")
    bits = getattr(np.random, name)()
    bits.state = _with_arrays(state)
    return np.random.Generator(bits)


def _plain(state: Any) -> Any:
    """Turn a bit generator's state into plain JSON: some hold arrays of unsigned integers."""
    import numpy as np

    if isinstance(state, dict):
        return {name: _plain(part) for name, part in state.items()}
    if isinstance(state, np.ndarray):
        return {"dtype": str(state.dtype), "array": state.tolist()}
    if isinstance(state, np.generic):
        return state.item()
    return state


def _with_arrays(state: Any) -> Any:
    import numpy as np

    if not isinstance(state, dict):
        return state
    if set(state) == {"dtype", "array"}:
        return np.array(state["array"], dtype=state["dtype"])
    return {name: _with_arrays(part) for name, part in state.items()}
