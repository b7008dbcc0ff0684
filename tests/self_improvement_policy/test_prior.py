"""The learned prior: how firmly rent-or-buy is believed, and never what it says."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.errors import DataError, StateFileError
from menace.self_improvement_policy import PolicyState, SelfImprovementPolicy
from menace.self_improvement_policy.prior import (
    FIRMEST,
    KIND,
    LARGEST_ADVANTAGE,
    LARGEST_WEIGHT,
    SOFTEST,
    VERSION,
    Evidence,
    LearnedPrior,
    shipped_prior,
)
from menace.self_improvement_policy.state import BUCKETS
from menace.state_file import write_state

if TYPE_CHECKING:
    from pathlib import Path

STATE = PolicyState(debt=4, age=1, drift=0, short_mean=2, ema=2, energy=1, module_trend=1)
CELLS = st.tuples(st.integers(0, BUCKETS.debt - 1), st.integers(0, BUCKETS.age - 1))
EVIDENCE = st.builds(
    Evidence,
    st.floats(0, LARGEST_WEIGHT),
    st.floats(-LARGEST_ADVANTAGE, LARGEST_ADVANTAGE),
)
PRIORS = st.builds(LearnedPrior, st.dictionaries(CELLS, EVIDENCE, max_size=6))


def first_value(prior: LearnedPrior | None, state: PolicyState, strength: float = 0.5) -> float:
    return SelfImprovementPolicy(prior=prior, prior_strength=strength).prior_score(state)


@given(prior=PRIORS, cell=CELLS, strength=st.floats(0.01, 10))
def test_evidence_makes_the_rule_firmer_or_softer_and_never_turns_it_round(
    prior: LearnedPrior, cell: tuple[int, int], strength: float
) -> None:
    state = STATE._replace(debt=cell[0], age=cell[1])
    rule = first_value(None, state, strength)
    value = first_value(prior, state, strength)
    assert value * rule > 0
    assert SOFTEST * (1 - 1e-9) <= value / rule <= FIRMEST * (1 + 1e-9)


def test_the_value_is_the_mean_of_rule_and_evidence_by_weight() -> None:
    prior = LearnedPrior({(4, 1): Evidence(120.0, 1.0)})
    # (40 · 0.125 + 120 · 0.5 · 1) / 160
    assert first_value(prior, STATE) == pytest.approx(0.40625)
    assert first_value(prior, STATE._replace(age=2)) == 0.125
    # No mean beyond 2 is believed, and nothing beyond four times the rule.
    far = LearnedPrior({(7, 1): Evidence(40.0, 5.0), (3, 0): Evidence(LARGEST_WEIGHT, -5.0)})
    assert first_value(far, STATE._replace(debt=7)) == pytest.approx((0.5 + 1.0) / 2)
    assert first_value(far, STATE._replace(debt=3, age=0)) == -0.25


def test_cycles_of_its_own_override_the_firmest_evidence() -> None:
    policy = SelfImprovementPolicy(prior=LearnedPrior({(4, 1): Evidence(LARGEST_WEIGHT, 5.0)}))
    cycles = 0
    while policy.score(STATE) > 0:
        policy.update(STATE, -1.0)
        cycles += 1
    assert cycles == 4


def test_a_state_of_somebodys_own_making_is_left_to_the_rule() -> None:
    prior = LearnedPrior({(4, 1): Evidence(100.0, 3.0)})
    assert SelfImprovementPolicy(prior=prior).score((4, 1)) == 0.125


@given(a=PRIORS, b=PRIORS)
def test_pooled_evidence_lies_between_what_was_pooled(a: LearnedPrior, b: LearnedPrior) -> None:
    pooled = a.plus(b).evidence
    assert set(pooled) == set(a.evidence) | set(b.evidence)
    for cell, found in pooled.items():
        both = [prior.evidence[cell] for prior in (a, b) if cell in prior.evidence]
        weight = min(sum(part.weight for part in both), LARGEST_WEIGHT)
        assert found.weight == pytest.approx(weight)
        means = [part.advantage for part in both]
        assert min(means) - 1e-9 <= found.advantage <= max(means) + 1e-9


@given(prior=PRIORS)
def test_a_prior_survives_json(prior: LearnedPrior) -> None:
    assert LearnedPrior.from_json(json.loads(json.dumps(prior.to_json()))) == prior


def test_a_policy_is_saved_with_its_prior_and_one_of_before_there_was_any_still_loads(
    tmp_path: Path,
) -> None:
    path = tmp_path / "alpha.policy.json"
    policy = SelfImprovementPolicy(prior=shipped_prior())
    policy.update(STATE, 0.3)
    policy.save(path)
    loaded = SelfImprovementPolicy.load(path)
    assert loaded.prior == policy.prior
    assert loaded.values(STATE) == policy.values(STATE)
    document = json.loads(path.read_text())
    data = {k: v for k, v in document.items() if k not in {"menace", "version", "sha256", "prior"}}
    write_state(path, kind="policy", version=1, data=data)
    assert SelfImprovementPolicy.load(path).prior is None


def test_the_shipped_prior_loads_and_is_bounded() -> None:
    prior = shipped_prior()
    assert len(prior) >= 20
    for (debt, age), found in prior.evidence.items():
        assert 0 <= debt < BUCKETS.debt
        assert 0 <= age < BUCKETS.age
        assert 3 * 40 <= found.weight <= LARGEST_WEIGHT
        assert abs(found.advantage) <= LARGEST_ADVANTAGE


@pytest.mark.parametrize(
    "row",
    [
        [8, 0, 1.0, 0.0],
        [0, 5, 1.0, 0.0],
        [0, 0, -1.0, 0.0],
        [0, 0, math.inf, 0.0],
        [0, 0, 1.0, 5.1],
        [0, 0, 1.0, math.nan],
        [0, 0, 1.0],
        ["a", 0, 1.0, 0.0],
    ],
)
def test_evidence_out_of_bounds_is_refused(row: list[Any]) -> None:
    with pytest.raises(DataError):
        LearnedPrior.from_json([row])


def test_a_prior_file_that_is_missing_damaged_or_newer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prior.json"
    with pytest.raises(StateFileError, match="no prior file"):
        LearnedPrior.load(path)
    for data, version in (({"evidence": [[9, 9, 1, 1]]}, VERSION), ({}, VERSION), ({}, 2)):
        write_state(path, kind=KIND, version=version, data=data)
        with pytest.raises(StateFileError, match=r"prior\.json"):
            LearnedPrior.load(path)
    path.write_text(path.read_text().replace("2", "3"))
    with pytest.raises(StateFileError):
        LearnedPrior.load(path)
