from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.errors import ConfigError, DataError
from menace.synergy.dqn_learner import DoubleDqn, DqnSettings
from menace.synergy.q_network import Adam, Batch, QNetwork, ReplayMemory, huber


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    rows=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_the_gradient_is_that_of_finite_differences(sizes: list[int], rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = QNetwork(sizes, rng)
    # Biases away from 0, so that no unit stands at the kink of its rectifier.
    network.parameters += 0.1 * rng.normal(size=network.parameters.shape)
    states = rng.normal(size=(rows, sizes[0]))
    actions = rng.integers(sizes[-1], size=rows)
    targets = 3.0 * rng.normal(size=rows)
    gradient = network.gradient(states, actions, targets)[1].copy()
    step, moved = 1e-6, network.copy()
    for place in range(len(gradient)):
        losses = []
        for sign in (1, -1):
            moved.parameters[:] = network.parameters
            moved.parameters[place] += sign * step
            losses.append(moved.gradient(states, actions, targets)[0])
        assert gradient[place] == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=1e-5)


def test_the_values_are_those_of_the_formula_by_hand() -> None:
    network = QNetwork((1, 2, 1), np.random.default_rng(0))
    network.parameters[:] = [2.0, -3.0, 1.0, 0.5, 4.0, 7.0, -1.0]
    # h = relu(2s + 1, −3s + 0.5), Q = 4·h₁ + 7·h₂ − 1
    states = np.array([[1.0], [-1.0]])
    assert network.values(states)[:, 0].tolist() == [4 * 3 + 0 - 1, 0 + 7 * 3.5 - 1]


def test_hubers_loss_is_square_inside_and_straight_outside() -> None:
    errors = np.array([0.0, 0.5, -1.0, 4.0])
    assert huber(errors).tolist() == [0.0, 0.125, 0.5, 3.5]


def test_adam_takes_the_papers_steps() -> None:
    parameters, adam = np.array([1.0]), Adam(1, learning_rate=0.1)
    m = v = 0.0
    theta = 1.0
    for t, gradient in enumerate((0.3, -2.0, 0.7), start=1):
        adam.step(parameters, np.array([gradient]))
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        rate = 0.1 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        theta -= rate * m / (math.sqrt(v) + 1e-8)
        assert parameters[0] == pytest.approx(theta, rel=1e-12)


def test_a_full_memory_forgets_the_oldest() -> None:
    memory = ReplayMemory(3, 1)
    for number in range(5):
        memory.add(np.full(1, number), number % 2, float(number), np.zeros(1), terminal=False)
    assert len(memory) == 3
    drawn = memory.sample(np.random.default_rng(1), 200)
    assert set(drawn.rewards.tolist()) == {2.0, 3.0, 4.0}
    assert (drawn.states[:, 0] == drawn.rewards).all()
    assert (drawn.actions == drawn.rewards % 2).all()


def test_the_target_chooses_with_one_network_and_values_with_the_other() -> None:
    learning = DqnSettings(hidden=(), gamma=0.5, batch_rows=1)
    agent = DoubleDqn(1, 2, learning, np.random.default_rng(0))
    agent.online.parameters[:] = [1.0, 3.0, 0.0, 0.0]  # chooses action 1
    agent.target.parameters[:] = [10.0, -4.0, 0.0, 0.0]  # values it at −4, though 10 is there
    batch = Batch(
        states=np.ones((2, 1)),
        actions=np.array([0, 1]),
        rewards=np.array([1.0, 2.0]),
        next_states=np.ones((2, 1)),
        terminal=np.array([0.0, 1.0]),
    )
    assert agent.targets(batch).tolist() == [1.0 + 0.5 * -4.0, 2.0]


def test_a_two_state_chain_reaches_its_fixed_point() -> None:
    gamma = 0.7
    learning = DqnSettings(
        hidden=(), gamma=gamma, learning_rate=0.02, batch_rows=16, target_every=25
    )
    agent = DoubleDqn(2, 2, learning, np.random.default_rng(3))
    left, right = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    # Staying brings 0.2 on the left and 1 on the right; going over brings 0.
    for state, other, reward in ((left, right, 0.2), (right, left, 1.0)):
        agent.memory.add(state, 0, reward, state, terminal=False)
        agent.memory.add(state, 1, 0.0, other, terminal=False)
    for rate in (0.02, 0.002):
        agent.adam.learning_rate = rate
        for _ in range(2000):
            agent.learn()
    best = 1 / (1 - gamma)
    there = gamma * best
    assert agent.values(right) == pytest.approx([best, gamma * there], abs=0.02)
    assert agent.values(left) == pytest.approx([0.2 + gamma * there, there], abs=0.02)


def test_exploring_draws_every_action_and_acting_greedily_the_best() -> None:
    agent = DoubleDqn(1, 3, DqnSettings(hidden=()), np.random.default_rng(0))
    agent.online.parameters[:] = [0.0, 2.0, 1.0, 0.0, 0.0, 0.0]
    state = np.ones(1)
    assert {agent.act(state, 1.0) for _ in range(50)} == {0, 1, 2}
    assert {agent.act(state, 0.0) for _ in range(50)} == {1}


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": (8, 0)},
        {"gamma": 1.0},
        {"gamma": -0.1},
        {"learning_rate": 0.0},
        {"batch_rows": 0},
        {"memory_rows": 10},
        {"target_every": 0},
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        DqnSettings(**changes)  # type: ignore[arg-type]


def test_learning_from_nothing_and_foreign_arrays_are_refused() -> None:
    agent = DoubleDqn(2, 2, DqnSettings(hidden=(4,)), np.random.default_rng(0))
    with pytest.raises(DataError, match="nothing to learn"):
        agent.learn()
    wider = DoubleDqn(2, 2, DqnSettings(hidden=(5,)), np.random.default_rng(0))
    with pytest.raises(DataError, match="online"):
        agent.restore(wider.arrays())
