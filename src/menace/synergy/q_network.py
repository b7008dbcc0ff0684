"""What a deep Q-network is made of, in NumPy: the network, its gradient, Adam, a replay memory.

::

    Q(s) = W_n · relu(… relu(W_1 · s + b_1) …) + b_n
    loss = mean over a batch of huber(Q(s, a) − y)

Sources: Mnih et al. 2015, *Human-level control through deep reinforcement learning*, Nature 518
(replay memory; an error clipped to ±1, which is the gradient of the Huber loss); Kingma and Ba
2015, *Adam*, ICLR, algorithm 1; He et al. 2015, *Delving deep into rectifiers*, ICCV, eq. 10 (the
first weights). The update that puts them together is in :mod:`menace.synergy.dqn_learner`.
"""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from menace.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


class Batch(NamedTuple):
    """Transitions, one per row.

    Attributes
    ----------
    states, next_states
        Of shape ``(rows, state size)``.
    actions
        Of shape ``(rows,)``, in 0..actions − 1.
    rewards
        Of shape ``(rows,)``.
    terminal
        Of shape ``(rows,)``: 1.0 where nothing follows, else 0.0.
    """

    states: Floats
    actions: Integers
    rewards: Floats
    next_states: Floats
    terminal: Floats


def huber(errors: Floats) -> Floats:
    """``e² / 2`` within ±1, ``|e| − 1/2`` beyond: large errors pull no harder than 1.

    Examples
    --------
    >>> huber(np.array([-0.5, 3.0])).tolist()
    [0.125, 2.5]
    """
    size = np.abs(errors)
    inside = np.minimum(size, 1.0)
    return inside * (size - 0.5 * inside)


class QNetwork:
    """Values of all actions in a state: affine layers with rectifiers between them.

    ``Q(s) = W_n · relu(… relu(W_1 · s + b_1) …) + b_n``. All weights lie in one vector, so that an
    optimiser's step, a copy and a file are one operation each.

    Parameters
    ----------
    sizes
        Widths of the layers: state, hidden ones, actions. Two or more, each ≥ 1.
    rng
        Draws the first weights: normal, of variance 2 / (inputs of the layer); biases are 0.

    Attributes
    ----------
    parameters
        All weights and biases, of shape ``(parameter count,)``.

    Raises
    ------
    ConfigError
        If there are fewer than two sizes or one is below 1.

    Examples
    --------
    >>> network = QNetwork((2, 16, 3), np.random.default_rng(7))
    >>> network.parameters.shape, network.values(np.zeros((1, 2))).tolist()
    ((99,), [[0.0, 0.0, 0.0]])
    """

    def __init__(self, sizes: Sequence[int], rng: np.random.Generator) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        check("layer sizes", sizes, len(sizes) >= 2 and min(sizes) >= 1, "two or more, from 1 up")
        count = sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))
        self.parameters: Floats = np.zeros(count)
        self._layers = self._views(self.parameters)
        for weights, _ in self._layers:
            weights[:] = rng.normal(scale=math.sqrt(2 / len(weights)), size=weights.shape)
        self._gradient: Floats = np.empty(count)
        self._gradient_layers = self._views(self._gradient)

    def copy(self) -> QNetwork:
        """Make a network of its own with the same weights."""
        twin = copy.copy(self)
        twin.parameters = self.parameters.copy()
        twin._layers = twin._views(twin.parameters)
        twin._gradient = np.empty_like(self._gradient)
        twin._gradient_layers = twin._views(twin._gradient)
        return twin

    def values(self, states: Floats) -> Floats:
        """Q of every action, of shape ``(rows, actions)``, for states ``(rows, state size)``."""
        return self._forward(states)[-1]

    def gradient(self, states: Floats, actions: Integers, targets: Floats) -> tuple[float, Floats]:
        """Compute the mean Huber loss of the chosen actions' values, and its gradient.

        Backpropagation: with the loss' derivative by the output ``δ_n = clip(Q(s, a) − y, −1, 1) /
        rows`` in column a and 0 elsewhere, ``δ_(i−1) = (δ_i · W_iᵀ) ⊙ [h_(i−1) > 0]``,
        ``∂W_i = h_(i−1)ᵀ · δ_i`` and ``∂b_i = Σ_rows δ_i``.

        Parameters
        ----------
        states
            Of shape ``(rows, state size)``.
        actions, targets
            Of shape ``(rows,)``.

        Returns
        -------
        loss, gradient
            The gradient is of the shape of :attr:`parameters`; the next call overwrites it.
        """
        activations = self._forward(states)
        rows = np.arange(len(states))
        errors = activations[-1][rows, actions] - targets
        delta = np.zeros_like(activations[-1])
        delta[rows, actions] = np.minimum(np.maximum(errors, -1.0), 1.0) / len(states)
        for number in range(len(self._layers) - 1, -1, -1):
            by_weights, by_biases = self._gradient_layers[number]
            inputs = activations[number]
            np.matmul(inputs.T, delta, out=by_weights)
            np.add.reduce(delta, axis=0, out=by_biases)
            if number:
                delta = delta @ self._layers[number][0].T
                delta *= inputs > 0
        return float(huber(errors).mean()), self._gradient

    def _forward(self, states: Floats) -> list[Floats]:
        activations = [states]
        last = len(self._layers) - 1
        for number, (weights, biases) in enumerate(self._layers):
            sums = activations[-1] @ weights
            sums += biases
            if number < last:
                np.maximum(sums, 0.0, out=sums)
            activations.append(sums)
        return activations

    def _views(self, flat: Floats) -> list[tuple[Floats, Floats]]:
        """Show a flat vector as (weights ``(inputs, outputs)``, biases ``(outputs,)``) by layer."""
        views, begin = [], 0
        for inputs, outputs in pairwise(self.sizes):
            end = begin + inputs * outputs
            views.append((flat[begin:end].reshape(inputs, outputs), flat[end : end + outputs]))
            begin = end + outputs
        return views


class Adam:
    """Kingma and Ba's optimiser: a step of about ``learning_rate`` per parameter.

    ``m ← β₁·m + (1 − β₁)·g``, ``v ← β₂·v + (1 − β₂)·g²``,
    ``θ ← θ − learning_rate · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)`` with β₁ = 0.9, β₂ = 0.999,
    ε = 10⁻⁸ (the paper's faster order of computation, at the end of its section 2).

    Parameters
    ----------
    count
        Number of parameters.
    learning_rate
        > 0.

    Attributes
    ----------
    first, second
        The moments m and v, of shape ``(count,)``.
    steps
        Steps taken, t.

    Examples
    --------
    >>> parameters, adam = np.array([1.0, -2.0]), Adam(2, learning_rate=0.1)
    >>> adam.step(parameters, np.array([4.0, -0.5]))
    >>> parameters.round(6).tolist()
    [0.9, -1.9]
    """

    BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, count: int, learning_rate: float) -> None:
        self.learning_rate = float(learning_rate)
        self.first: Floats = np.zeros(count)
        self.second: Floats = np.zeros(count)
        self.steps = 0
        self._scratch: Floats = np.empty(count)

    def step(self, parameters: Floats, gradient: Floats) -> None:
        """Move ``parameters`` in place, against ``gradient``; both of shape ``(count,)``."""
        self.steps += 1
        scratch = self._scratch
        self.first *= self.BETA_1
        self.first += np.multiply(gradient, 1 - self.BETA_1, out=scratch)
        self.second *= self.BETA_2
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1 - self.BETA_2
        self.second += scratch
        np.sqrt(self.second, out=scratch)
        scratch += self.EPSILON
        np.divide(self.first, scratch, out=scratch)
        unbiased = math.sqrt(1 - self.BETA_2**self.steps) / (1 - self.BETA_1**self.steps)
        scratch *= self.learning_rate * unbiased
        parameters -= scratch


class ReplayMemory:
    """A ring of the newest transitions.

    Parameters
    ----------
    rows
        So many are kept, ≥ 1.
    state_size
        Numbers in a state.
    """

    def __init__(self, rows: int, state_size: int) -> None:
        self._ring = Batch(
            np.zeros((rows, state_size)),
            np.zeros(rows, dtype=np.int64),
            np.zeros(rows),
            np.zeros((rows, state_size)),
            np.zeros(rows),
        )
        self.added = 0

    def __len__(self) -> int:
        """Count the transitions that are kept."""
        return min(self.added, len(self._ring.actions))

    def add(
        self, state: Floats, action: int, reward: float, next_state: Floats, *, terminal: bool
    ) -> None:
        """Keep a transition; when the ring is full, the oldest one goes."""
        at = self.added % len(self._ring.actions)
        ring = self._ring
        ring.states[at], ring.actions[at], ring.rewards[at] = state, action, reward
        ring.next_states[at], ring.terminal[at] = next_state, terminal
        self.added += 1

    def sample(self, rng: np.random.Generator, rows: int) -> Batch:
        """Draw ``rows`` transitions uniformly, with replacement."""
        drawn = rng.integers(len(self), size=rows)
        ring = self._ring
        return Batch(
            ring.states.take(drawn, axis=0),
            ring.actions.take(drawn),
            ring.rewards.take(drawn),
            ring.next_states.take(drawn, axis=0),
            ring.terminal.take(drawn),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Give what is kept, by name, as it lies in the ring."""
        return {name: column[: len(self)] for name, column in self._ring._asdict().items()}

    def restore(self, arrays: Mapping[str, np.ndarray], added: int) -> None:
        """Take back what :meth:`arrays` gave after ``added`` transitions.

        Raises
        ------
        DataError
            If an array is missing or of another shape.
        """
        self.added = added
        for name, column in self._ring._asdict().items():
            fill(column[: len(self)], arrays, name)


def fill(place: np.ndarray, arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Copy the array of that name into ``place``.

    Raises
    ------
    DataError
        If it is missing or of another shape or type.
    """
    found = arrays.get(name)
    if found is None or found.shape != place.shape or found.dtype != place.dtype:
        shape = None if found is None else (*found.shape, found.dtype.name)
        raise DataError(
            f"the array {name} is {shape} in place of {(*place.shape, place.dtype.name)}.",
            remedy="give the network the sizes and the memory it was saved with",
        )
    place[:] = found


def check(name: str, value: object, ok: bool, allowed: str) -> None:
    """Refuse a setting.

    Raises
    ------
    ConfigError
        Unless it is ``ok``.
    """
    if not ok:
        raise ConfigError(f"the Q-network's {name} is {value}.", remedy=f"give {allowed}")
