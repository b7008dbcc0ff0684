"""The learners learn: seeded, with thresholds."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from benchmarks.synergy_learning import try_dqn, try_weights

from menace.synergy import METRICS
from menace.synergy.dqn_learner import DoubleDqn, DqnSettings

SEEDS = 100
DRIVERS = range(len(METRICS))

CART_POLE = DqnSettings(
    hidden=(64, 64), gamma=0.98, learning_rate=1e-3, batch_rows=128, target_every=100
)
MOST_STEPS, SOLVED_RETURN, EPISODES = 60_000, 195.0, 100
FIRST_STEPS, STEPS_PER_UPDATE = 1_000, 2
REWARD_SCALE = 0.1
"""Values of some tens, at a reward of 1 per step, would be out of the Huber loss' square part."""

STATE_SCALE = np.array([2.4, 2.0, 0.21, 2.0])
"""Metres, m/s, radians and rad/s into numbers around 1."""


def steps_to_solve(seed: int) -> int | None:
    """Train on CartPole-v1 until the last 100 episodes, exploring ones too, return 195 on average.

    Returns the steps taken in all; None if 60,000 were not enough.
    """
    agent = DoubleDqn(4, 2, CART_POLE, np.random.default_rng(seed))
    environment = gymnasium.make("CartPole-v1")
    state = environment.reset(seed=seed)[0] / STATE_SCALE
    returns, episode = [], 0.0
    for step in range(MOST_STEPS):
        left = 1 - step / MOST_STEPS
        action = agent.act(state, epsilon=max(0.02, 1 - step / 6_000))
        seen, reward, terminated, truncated, _ = environment.step(np.int64(action))
        following = seen / STATE_SCALE
        # An episode that was cut short at its 500th step has not failed: what follows has a value.
        scaled = REWARD_SCALE * float(reward)
        agent.memory.add(state, action, scaled, following, terminal=terminated)
        state, episode = following, episode + float(reward)
        if terminated or truncated:
            returns.append(episode)
            state, episode = environment.reset()[0] / STATE_SCALE, 0.0
            if len(returns) >= EPISODES and np.mean(returns[-EPISODES:]) >= SOLVED_RETURN:
                return step + 1
        if step >= FIRST_STEPS and step % STEPS_PER_UPDATE == 0:
            agent.adam.learning_rate = left * CART_POLE.learning_rate
            agent.learn()
    return None


@pytest.mark.slow
def test_the_same_core_solves_cart_pole_in_four_of_five_seeds() -> None:
    steps = [steps_to_solve(seed) for seed in range(5)]
    assert sum(taken is not None for taken in steps) >= 4, steps


@pytest.mark.slow
@pytest.mark.parametrize("driver", DRIVERS)
def test_the_manual_gradient_ranks_the_metric_that_drives_roi_first(driver: int) -> None:
    found = [try_weights(driver, seed) for seed in range(SEEDS)]
    assert sum(finding.found for finding in found) >= 95


@pytest.mark.slow
@pytest.mark.parametrize("driver", DRIVERS)
def test_the_network_ranks_the_driving_metric_first_and_follows_when_another_drives(
    driver: int,
) -> None:
    found = [try_dqn(driver, seed) for seed in range(SEEDS)]
    assert sum(finding.found for finding in found) >= 95
    assert sum(finding.followed for finding in found) >= 80


def test_a_large_discount_lifts_all_weights_together() -> None:
    near, far = try_dqn(0, 1), try_dqn(0, 1, gamma=0.9)
    assert near.weights[0] > 2 * max(near.weights[1:])
    assert far.weights == (10.0, 10.0, 10.0, 10.0)
