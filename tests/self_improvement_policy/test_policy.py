"""The policy: sensible untrained, learning by the formula, and the same after a restart."""

from __future__ import annotations

import itertools
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.errors import ConfigError, DataError, StateFileError
from menace.self_improvement_policy import (
    RUN,
    SKIP,
    Action,
    PolicyState,
    SelfImprovementPolicy,
    state_of,
)
from menace.self_improvement_policy.state import BUCKETS
from menace.state_file import write_state

if TYPE_CHECKING:
    from pathlib import Path

A = PolicyState(4, 0, 0, 2, 2, 1, 1)
B = PolicyState(2, 1, 0, 2, 2, 1, 1)
STATES = st.builds(PolicyState, *(st.integers(0, count - 1) for count in BUCKETS))


@given(
    debt_ratio=st.floats(allow_nan=False),
    age=st.floats(0, 1e6),
    roi=st.floats(-10, 10),
    energy=st.floats(0, 1),
)
def test_untrained_it_runs_exactly_when_the_debt_has_reached_the_cost_of_a_cycle(
    debt_ratio: float, age: float, roi: float, energy: float
) -> None:
    state = state_of(
        debt_ratio=debt_ratio,
        age_ticks=age,
        drift_severity=None,
        short_mean=roi,
        ema=roi,
        energy_score=energy,
        module_trend=roi,
    )
    policy = SelfImprovementPolicy()
    assert (policy.score(state) > 0) == (debt_ratio >= 1.0)
    assert policy.decide(state) is (RUN if debt_ratio >= 1.0 else SKIP)


def test_untrained_it_is_surer_the_further_the_debt_is_from_the_cost() -> None:
    policy = SelfImprovementPolicy(prior_strength=0.5)
    scores = [policy.score(B._replace(debt=bucket)) for bucket in range(BUCKETS.debt)]
    assert scores == [-0.4375, -0.3125, -0.1875, -0.0625, 0.125, 0.375, 0.5, 0.5]


@given(state=STATES, strength=st.floats(1e-6, 1e3))
def test_untrained_values_depend_on_the_debt_alone_and_are_bounded(
    state: PolicyState, strength: float
) -> None:
    policy = SelfImprovementPolicy(prior_strength=strength)
    skip, run = policy.values(state)
    assert skip == 0.0
    assert abs(run) <= strength
    assert policy.values(PolicyState(state.debt, 0, 0, 0, 0, 0, 0)) == (skip, run)


def test_an_update_is_the_q_learning_formula() -> None:
    policy = SelfImprovementPolicy(alpha=0.25, gamma=0.5)
    # Q0(A, run) = 0.125; Q0(B, ·) = (0, −0.1875), so max Q(B, ·) = 0.
    assert policy.update(A, 2.0, B) == 0.125 + 0.25 * (2.0 + 0.5 * 0.0 - 0.125)
    known = policy.values(A)[RUN]
    # Now the successor's best action is to run, and its value is discounted.
    updated = policy.update(B, -1.0, A, action=RUN)
    assert updated == -0.1875 + 0.25 * (-1.0 + 0.5 * known + 0.1875)
    assert policy.values(B) == (0.0, updated)


def test_without_a_successor_the_reward_alone_is_the_target() -> None:
    policy = SelfImprovementPolicy(alpha=1.0, gamma=0.9)
    assert policy.update(A, -0.75) == -0.75
    assert policy.score(A) == -0.75


def test_a_two_state_chain_reaches_its_fixed_point() -> None:
    # A --run/1--> B --run/3--> A, γ = 0.5: Q(A) = 1 + ½Q(B), Q(B) = 3 + ½Q(A), so 10/3 and 14/3.
    policy = SelfImprovementPolicy(alpha=0.5, gamma=0.5)
    for _ in range(200):
        policy.update(A, 1.0, B)
        policy.update(B, 3.0, A)
    assert policy.values(A)[RUN] == pytest.approx(10 / 3, abs=1e-12)
    assert policy.values(B)[RUN] == pytest.approx(14 / 3, abs=1e-12)


@given(
    alpha=st.floats(0.01, 1.0),
    rewards=st.lists(st.floats(-5, 5), min_size=1, max_size=30),
)
def test_without_discount_a_value_stays_between_its_prior_and_its_rewards(
    alpha: float, rewards: list[float]
) -> None:
    policy = SelfImprovementPolicy(alpha=alpha)
    low, high = min([0.125, *rewards]), max([0.125, *rewards])
    for reward in rewards:
        value = policy.update(A, reward)
        assert low - 1e-9 <= value <= high + 1e-9


def test_it_learns_away_from_rent_or_buy_where_cycles_do_not_pay() -> None:
    policy = SelfImprovementPolicy(alpha=0.3)
    updates = 0
    while policy.decide(A) is RUN:
        policy.update(A, -1.0)
        updates += 1
    assert updates == 1
    assert policy.decide(A._replace(age=3)) is RUN


@pytest.mark.parametrize("action", [0, "skip", "SKIP", SKIP, Action.SKIP])
def test_an_action_is_given_by_number_name_or_member(action: Any) -> None:
    policy = SelfImprovementPolicy(alpha=1.0)
    policy.update(A, 0.5, action=action)
    assert policy.values(A) == (0.5, 0.125)


def test_a_tie_is_a_skip() -> None:
    policy = SelfImprovementPolicy(alpha=1.0)
    policy.update(A, 0.0, action=RUN)
    assert policy.score(A) == 0.0
    assert policy.decide(A) is SKIP


def test_a_plain_tuple_is_the_same_state_as_the_named_one() -> None:
    policy = SelfImprovementPolicy()
    policy.update(tuple(A), 1.0)
    assert policy.score(A) == policy.score(tuple(A)) != SelfImprovementPolicy().score(A)
    assert len(policy) == 1


def test_exploration_draws_from_the_callers_generator_and_uniformly() -> None:
    ours, theirs = np.random.default_rng(5), np.random.default_rng(5)
    first, second = (SelfImprovementPolicy(epsilon=1.0, rng=rng) for rng in (ours, theirs))
    drawn = [first.decide(A) for _ in range(2000)]
    assert drawn == [second.decide(A) for _ in range(2000)]
    assert 0.45 < sum(drawn) / len(drawn) < 0.55


def test_exploration_takes_the_lesser_action_in_half_of_its_share() -> None:
    policy = SelfImprovementPolicy(epsilon=0.2, rng=1)
    skipped = sum(policy.decide(A) is SKIP for _ in range(5000))
    assert 0.08 < skipped / 5000 < 0.12


def test_without_exploration_nothing_is_drawn() -> None:
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    SelfImprovementPolicy(rng=rng).decide(A)
    assert rng.bit_generator.state == before


@pytest.mark.parametrize(
    "bits",
    [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64],
)
def test_a_loaded_policy_goes_on_to_the_bit(
    tmp_path: Path, bits: type[np.random.BitGenerator]
) -> None:
    path = tmp_path / "alpha.policy.json"
    policy = SelfImprovementPolicy(
        alpha=0.3, gamma=0.7, epsilon=0.5, prior_strength=0.2, rng=np.random.Generator(bits(11))
    )
    for reward in (0.1, 1 / 3, -2.7):
        policy.update(A, reward, B)
        policy.decide(B)
    policy.learned_through = 17
    policy.save(path)
    resumed = SelfImprovementPolicy.load(path)
    assert (resumed.alpha, resumed.gamma, resumed.epsilon) == (0.3, 0.7, 0.5)
    assert resumed.learned_through == 17
    for state in (A, B):
        assert resumed.values(state) == policy.values(state)
        assert [resumed.decide(state) for _ in range(50)] == [
            policy.decide(state) for _ in range(50)
        ]
        assert resumed.update(state, 0.3, A) == policy.update(state, 0.3, A)


@given(updates=st.lists(st.tuples(STATES, st.floats(-100, 100)), max_size=10))
def test_a_saved_table_is_read_back_whole(
    tmp_path_factory: pytest.TempPathFactory, updates: list[tuple[PolicyState, float]]
) -> None:
    path = tmp_path_factory.mktemp("policy") / "policy.json"
    policy = SelfImprovementPolicy()
    for state, reward in updates:
        policy.update(state, reward)
    policy.save(path)
    loaded = SelfImprovementPolicy.load(path)
    assert len(loaded) == len(policy)
    assert all(loaded.values(state) == policy.values(state) for state, _ in updates)


def test_loading_what_is_not_there_is_an_error_not_a_new_policy(tmp_path: Path) -> None:
    with pytest.raises(StateFileError, match=r"no policy file .*gone\.json"):
        SelfImprovementPolicy.load(tmp_path / "gone.json")


def test_loading_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine.json"
    write_state(path, kind="engine", version=1, data={})
    with pytest.raises(StateFileError, match="not a menace policy file"):
        SelfImprovementPolicy.load(path)


def test_a_newer_policy_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    write_state(path, kind="policy", version=2, data={})
    with pytest.raises(StateFileError, match="newer"):
        SelfImprovementPolicy.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha": 2.0},
        {"alpha": None},
        {"values": [[["x"], 0.0, 1.0]]},
        {"values": [[[1, 2], 0.0]]},
        {"generator": {"bit_generator": "os.system"}},
        {"generator": "none"},
    ],
)
def test_a_policy_file_with_a_wrong_field_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    good = tmp_path / "good.json"
    SelfImprovementPolicy().save(good)
    document = json.loads(good.read_text(encoding="utf-8"))
    data = {k: v for k, v in document.items() if k not in {"menace", "version", "sha256"}}
    bad = tmp_path / "bad.json"
    write_state(bad, kind="policy", version=1, data={**data, **changes})
    with pytest.raises(StateFileError, match=r"bad\.json"):
        SelfImprovementPolicy.load(bad)


@pytest.mark.parametrize(
    "state", [(), [4, 0], (1.0, 2), (True, 1), ("a",), (1000,), None, (1,) * 17]
)
def test_what_is_no_state_is_refused(state: Any) -> None:
    policy = SelfImprovementPolicy()
    for ask in (policy.score, policy.decide, policy.values):
        with pytest.raises(DataError, match="no state"):
            ask(state)
    with pytest.raises(DataError, match="no state"):
        policy.update(state, 1.0)
    with pytest.raises(DataError, match="no state"):
        policy.update(A, 1.0, state if state is not None else ())


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_not_finite_is_refused_and_nothing_learned(reward: float) -> None:
    policy = SelfImprovementPolicy()
    with pytest.raises(DataError, match="the reward is"):
        policy.update(A, reward)
    assert len(policy) == 0


@pytest.mark.parametrize("action", [2, -1, "wait", 0.5])
def test_an_unknown_action_is_refused(action: Any) -> None:
    with pytest.raises(DataError, match="no action"):
        SelfImprovementPolicy().update(A, 1.0, action=action)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 0.0},
        {"alpha": 1.1},
        {"alpha": math.nan},
        {"gamma": 1.0},
        {"gamma": -0.1},
        {"epsilon": 1.5},
        {"prior_strength": 0.0},
        {"prior_strength": math.inf},
    ],
)
def test_a_parameter_outside_its_range_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SelfImprovementPolicy(**wrong)


def test_the_table_never_outgrows_50_000_states() -> None:
    policy = SelfImprovementPolicy()
    states = itertools.product(range(100), range(100), range(6))
    for state in itertools.islice(states, 50_000):
        policy.update(state, 0.0)
    policy.update((0, 0, 0), 1.0)
    with pytest.raises(DataError, match="knows 50000 states"):
        policy.update(next(states), 0.0)
    assert len(policy) == 50_000
