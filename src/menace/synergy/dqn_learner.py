"""A double deep Q-network, and the synergy learner that puts its values for the manual gradient.

The update of the network::

    y = r + γ · (1 − terminal) · Q(s′, argmax_a Q(s′, a; θ); θ⁻)
    θ ← Adam(θ, ∇_θ mean(huber(Q(s, a; θ) − y)))

θ⁻, the target network, is a copy of θ that is renewed every ``target_every`` updates. Choosing with
θ and valuing with θ⁻ takes out most of the upward bias of a maximum over noisy estimates.

The learner's state is the four rolling changes Δ, its actions are the four weights, and the reward
of action k is ``ROI delta · Δ_k``. What every action would have earned is known, so a cycle gives
four transitions and nothing has to be explored. Then::

    w_k ← clamp(w_k + lr · Q_k(Δ), 0, 10)

Sources: Mnih et al. 2015, *Human-level control through deep reinforcement learning*, Nature 518
(target network, algorithm 1); van Hasselt, Guez and Silver 2016, *Deep reinforcement learning with
double Q-learning*, AAAI (the target).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from menace.errors import DataError, StateFileError
from menace.state_file import replace_file
from menace.synergy.q_network import Adam, QNetwork, ReplayMemory, check, fill
from menace.synergy.weight_learner import WEIGHT_OF, SynergyWeightLearner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from menace.records import Json
    from menace.synergy.q_network import Batch, Floats

LARGEST_DELTA = 5.0
"""A rolling change enters state and rewards within ± this: one wild cycle rules no batch."""

ARRAY_SLOTS = 3
"""Files that the arrays go to in turn: the newest, that of the backup, and the one being written.
"""


@dataclass(frozen=True, slots=True)
class DqnSettings:
    """How a Q-network learns.

    Attributes
    ----------
    hidden
        Widths of the hidden layers, each ≥ 1.
    gamma
        Discount γ, in [0, 1). At 0 nothing is bootstrapped and the next state is not looked at.
    learning_rate
        Adam's step size, > 0.
    batch_rows
        Transitions per update, ≥ 1.
    memory_rows
        So many newest transitions are kept, ≥ ``batch_rows``.
    target_every
        Updates between two copies of the network to its target, ≥ 1.

    Raises
    ------
    ConfigError
        If one is outside its range.
    """

    hidden: tuple[int, ...] = (64, 64)
    gamma: float = 0.99
    learning_rate: float = 1e-3
    batch_rows: int = 32
    memory_rows: int = 50_000
    target_every: int = 500

    def __post_init__(self) -> None:
        check("hidden", self.hidden, all(width >= 1 for width in self.hidden), "widths of 1 up")
        check("gamma", self.gamma, 0 <= self.gamma < 1, "a number in [0, 1)")
        rate = self.learning_rate
        check("learning_rate", rate, 0 < rate < math.inf, "a positive number")
        check("batch_rows", self.batch_rows, self.batch_rows >= 1, "1 or more")
        check("memory_rows", self.memory_rows, self.memory_rows >= self.batch_rows, "a batch up")
        check("target_every", self.target_every, self.target_every >= 1, "1 or more")


class DoubleDqn:
    """A double deep Q-network with its target, its optimiser and its memory.

    Parameters
    ----------
    state_size, actions
        Numbers in a state, and how many actions there are; both ≥ 1.
    settings
        How it learns.
    rng
        Draws the first weights, the batches and the exploration.

    Examples
    --------
    Of two actions in a single state the second one pays:

    >>> settings = DqnSettings(hidden=(8,), gamma=0.5, learning_rate=0.01, target_every=20)
    >>> agent = DoubleDqn(1, 2, settings, np.random.default_rng(7))
    >>> here = np.ones(1)
    >>> for action in (0, 1):
    ...     agent.memory.add(here, action, float(action), here, terminal=False)
    >>> losses = [agent.learn() for _ in range(600)]
    >>> agent.values(here).round(2).tolist()  # by hand: 0 + 0.5 · 2 and 1 + 0.5 · 2
    [1.0, 2.0]
    """

    def __init__(
        self, state_size: int, actions: int, settings: DqnSettings, rng: np.random.Generator
    ) -> None:
        self.settings = settings
        self.online = QNetwork((state_size, *settings.hidden, actions), rng)
        self.target = self.online.copy()
        self.adam = Adam(len(self.online.parameters), settings.learning_rate)
        self.memory = ReplayMemory(settings.memory_rows, state_size)
        self.rng = rng

    def values(self, state: Floats) -> Floats:
        """Q of every action, of shape ``(actions,)``, in a state of shape ``(state size,)``."""
        values: Floats = self.online.values(state[np.newaxis])[0]
        return values

    def act(self, state: Floats, epsilon: float) -> int:
        """Choose an action: uniformly with probability ``epsilon``, else one of the greatest Q."""
        if self.rng.random() < epsilon:
            return int(self.rng.integers(self.online.sizes[-1]))
        return int(self.values(state).argmax())

    def learn(self) -> float:
        """Update once, from a batch of the memory; returns the batch's mean Huber loss.

        Raises
        ------
        DataError
            If the memory is empty.
        """
        if not len(self.memory):
            raise DataError("there is nothing to learn from.", remedy="add a transition first")
        batch = self.memory.sample(self.rng, self.settings.batch_rows)
        loss, gradient = self.online.gradient(batch.states, batch.actions, self.targets(batch))
        self.adam.step(self.online.parameters, gradient)
        if self.adam.steps % self.settings.target_every == 0:
            self.target.parameters[:] = self.online.parameters
        return loss

    def targets(self, batch: Batch) -> Floats:
        """Compute the double-DQN targets y, of shape ``(rows,)``."""
        if self.settings.gamma == 0:
            return batch.rewards
        best = self.online.values(batch.next_states).argmax(axis=1)
        following: Floats = self.target.values(batch.next_states)[np.arange(len(best)), best]
        discount = self.settings.gamma * (1 - batch.terminal)
        return batch.rewards + discount * following

    def arrays(self) -> dict[str, np.ndarray]:
        """Give everything that was learned, by name: the counters are ``counters``."""
        return {
            "online": self.online.parameters,
            "target": self.target.parameters,
            "first_moment": self.adam.first,
            "second_moment": self.adam.second,
            "counters": np.array([self.adam.steps, self.memory.added]),
            **self.memory.arrays(),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`arrays` gave; the generator is its owner's to keep.

        Raises
        ------
        DataError
            If an array is missing or of another shape: it is that of another network.
        """
        counters = np.zeros(2, dtype=np.int64)
        fill(counters, arrays, "counters")
        fill(self.online.parameters, arrays, "online")
        fill(self.target.parameters, arrays, "target")
        fill(self.adam.first, arrays, "first_moment")
        fill(self.adam.second, arrays, "second_moment")
        self.adam.steps = int(counters[0])
        self.memory.restore(arrays, int(counters[1]))


SYNERGY_SETTINGS = DqnSettings(
    hidden=(16, 16),
    gamma=0.0,
    learning_rate=3e-3,
    batch_rows=64,
    memory_rows=400,
    target_every=50,
)
"""Settings of the synergy learner; docs/synergy.md has the evidence."""


class DQNSynergyLearner(SynergyWeightLearner):
    """A synergy learner whose weights follow what a deep Q-network predicts.

    Where the manual gradient moves a weight by what one cycle seemed to say, the predicted value is
    what cycles with such changes brought on average.

    A learner that was stopped and made anew from its files goes on as if it had not been stopped,
    to the bit, if it is given the same ``lr``, ``settings`` and ``updates_per_cycle``.

    Parameters
    ----------
    path
        JSON file; beside it, as ``STEM.0.safetensors`` to ``STEM.2.safetensors``, lie the arrays,
        written in turn. The JSON file names the one that belongs to it, so that a kill between the
        two leaves the pair before it. ``None``: only in memory.
    lr
        Learning rate of the weights, ≥ 0.
    seed
        Of the first network and of the batches, where there is no file yet.
    settings
        Of the network.
    updates_per_cycle
        Updates of the network after each cycle, ≥ 1.

    Raises
    ------
    ConfigError
        If a setting is outside its range.
    StateFileError
        If a file is torn, foreign, missing, or that of a network of other sizes.

    Examples
    --------
    >>> learner, rng = DQNSynergyLearner(seed=7), np.random.default_rng(7)
    >>> for _ in range(200):
    ...     changes = rng.normal(size=4)
    ...     learner.update(changes[2], dict(zip(WEIGHT_OF, changes)))
    >>> max(learner.weights, key=learner.weights.get)
    'resilience'
    """

    KIND: ClassVar[str] = "synergy_dqn"

    def __init__(
        self,
        path: Path | str | None = None,
        lr: float = 0.1,
        *,
        seed: int = 0,
        settings: DqnSettings = SYNERGY_SETTINGS,
        updates_per_cycle: int = 2,
    ) -> None:
        check("updates_per_cycle", updates_per_cycle, updates_per_cycle >= 1, "1 or more")
        self._updates_per_cycle = updates_per_cycle
        count = len(WEIGHT_OF)
        self.agent = DoubleDqn(count, count, settings, np.random.default_rng(seed))
        # The newest cycle: its transitions are whole once the next one shows where it led.
        self._newest: tuple[Floats, Floats] | None = None
        self._written = (0, "")
        super().__init__(path, lr)

    def predicted(self, deltas: Mapping[str, float]) -> dict[str, float]:
        """Read the value of each weight's action after these changes, by weight."""
        values = self.agent.values(_state(deltas))
        return dict(zip(WEIGHT_OF.values(), values.tolist(), strict=True))

    def _gradients(self, roi_delta: float, deltas: Mapping[str, float]) -> dict[str, float]:
        state = _state(deltas)
        if self._newest is not None:
            before, rewards = self._newest
            for action, reward in enumerate(rewards):
                self.agent.memory.add(before, action, reward, state, terminal=False)
            for _ in range(self._updates_per_cycle):
                self.agent.learn()
        self._newest = (state, roi_delta * state)
        return dict(zip(WEIGHT_OF, self.agent.values(state).tolist(), strict=True))

    def save(self) -> None:
        """Write both files; without a path, do nothing.

        Raises
        ------
        StateFileError
            If one cannot be written; the pair before it is unchanged.
        """
        if self.path is None:
            return
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(a) for name, a in self.agent.arrays().items()}
        arrays["newest"] = np.array(() if self._newest is None else self._newest)
        content = save(arrays)
        before = self._written
        number = before[0] + 1
        # A number counts once its pair is whole: a slot that the last good pair, or the backup's,
        # needs is never the next to be written.
        replace_file(self._arrays_path(number), content)
        self._written = (number, hashlib.sha256(content).hexdigest())
        try:
            super().save()
        except StateFileError:
            self._written = before
            raise

    def _to_json(self) -> Json:
        number, sha256 = self._written
        return {
            **super()._to_json(),
            "saves": number,
            "arrays": self._arrays_path(number).name,
            "arrays_sha256": sha256,
            "generator": self.agent.rng.bit_generator.state,
        }

    def _restore(self, data: Json) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        super()._restore(data)
        self._written = (int(data["saves"]), str(data["arrays_sha256"]))
        path = self._arrays_path(self._written[0])
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != self._written[1]:
                raise ValueError(f"{path} does not match its checksum")
            arrays = load(content)
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{path} cannot be read ({error})") from error
        self.agent.restore(arrays)
        self.agent.rng.bit_generator.state = data["generator"]
        newest = arrays["newest"]
        self._newest = (newest[0], newest[1]) if newest.size else None

    def _arrays_path(self, number: int) -> Path:
        if self.path is None:
            raise ValueError("a learner without a path has no files")
        return self.path.with_name(f"{self.path.stem}.{number % ARRAY_SLOTS}.safetensors")


def _state(deltas: Mapping[str, float]) -> Floats:
    changes = np.array([deltas.get(metric, 0.0) for metric in WEIGHT_OF])
    state: Floats = np.clip(changes, -LARGEST_DELTA, LARGEST_DELTA)
    return state
