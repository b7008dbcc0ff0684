"""What a cycle may spend: the number asked for, the past and the prediction, all on record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from menace.accounting import EnergyBudget, roi_factor
from menace.errors import NoDataWarning
from menace.self_improvement_engine.engine_state import EngineState
from menace.self_improvement_policy import SelfImprovementPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from menace.records import Json
    from menace.workspace import Workspace

    OpenWorkspace = Callable[..., Workspace]


class Capital:
    """A capital bot that allows so much."""

    def __init__(self, score: float) -> None:
        self._score = score

    def energy_score(
        self, load: float, success_rate: float, deploy_eff: float, failure_rate: float
    ) -> float:
        """Say how much."""
        assert 0 <= min(load, success_rate, deploy_eff, failure_rate) <= 1
        return self._score


@pytest.fixture
def workspace(open_workspace: OpenWorkspace) -> Workspace:
    opened = open_workspace()
    opened.add_bot({"name": "alpha", "source": None, "target": "label"})
    return opened


def budget_of(
    workspace: Workspace,
    folder: Path,
    *,
    deltas: tuple[float, ...] = (),
    energy: int | None = None,
    **options: Any,
) -> Json:
    """Decide once, with these ROI deltas in the state file; returns the recorded budget."""
    path = folder / "engine.json"
    state = EngineState.load(None, bot="alpha", alpha=0.1)
    for delta in deltas:
        state.roi.add(delta)
    state.save(path)
    decision, _ = workspace.engine("alpha", state_path=path, **options).tick(energy)
    assert workspace.store.decisions("alpha", last=1)[0].inputs == decision.inputs
    budget: Json = decision.inputs["budget"]
    return budget


def test_a_past_that_paid_raises_the_energy_and_one_that_did_not_lowers_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    good = budget_of(workspace, tmp_path, deltas=(1.0,) * 6, energy=10)
    even = budget_of(workspace, tmp_path, deltas=(0.0,) * 6, energy=10)
    bad = budget_of(workspace, tmp_path, deltas=(-1.0,) * 6, energy=10)
    assert (good["energy"], even["energy"], bad["energy"]) == (17, 10, 6)
    assert good["roi_factor"] == roi_factor(1.0, 1.0)


def test_mean_and_average_are_of_the_last_five_and_of_all(
    workspace: Workspace, tmp_path: Path
) -> None:
    deltas = (9.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    budget = budget_of(workspace, tmp_path, deltas=deltas, energy=10)
    ema = 9.0
    for delta in deltas[1:]:
        ema += 0.1 * (delta - ema)
    assert budget["short_term_mean"] == pytest.approx(0.3)
    assert budget["ema"] == pytest.approx(ema)
    assert budget["roi_factor"] == pytest.approx(2 ** math.tanh((0.3 + ema) / 2))


def test_the_record_holds_every_factor_and_they_give_the_energy(
    workspace: Workspace, tmp_path: Path
) -> None:
    budget = budget_of(workspace, tmp_path, deltas=(0.4,), capital_bot=Capital(0.8))
    assert budget["base"] == 4
    assert budget["energy_score"] == 0.8
    again = EnergyBudget().energy(
        **{
            name: budget[name]
            for name in ("energy_score", "predicted", "short_term_mean", "ema", "synergy_factor")
        }
    )
    assert {name: budget[name] for name in again.to_json()} == again.to_json()


def test_the_policys_value_stretches_the_energy(workspace: Workspace, tmp_path: Path) -> None:
    eager = SelfImprovementPolicy(alpha=1.0)
    before = budget_of(workspace, tmp_path, energy=10, policy=eager)
    state = tuple(workspace.store.decisions("alpha", last=1)[0].inputs["policy_state"])
    eager.update(state, 2.0)
    after = budget_of(workspace, tmp_path, energy=10, policy=eager)
    assert (before["predicted"] < 0, before["energy"]) == (True, 10)
    assert (after["predicted"], after["energy"]) == (2.0, 30)


@pytest.mark.parametrize("energy", [None, 1])
def test_without_capital_a_refit_stays_a_refit_and_the_factors_are_on_record(
    workspace: Workspace, tmp_path: Path, energy: int | None
) -> None:
    budget = budget_of(workspace, tmp_path, deltas=(5.0,) * 5, energy=energy)
    assert (budget["energy"], budget["held"]) == (1, True)
    assert budget["roi_factor"] > 1.9


def test_a_number_that_a_person_asked_for_stands(workspace: Workspace, tmp_path: Path) -> None:
    engine = workspace.engine("alpha", capital_bot=Capital(1.0))
    engine.request_cycle()
    with pytest.warns(NoDataWarning):
        decision, _ = engine.tick(7)
    assert decision.inputs["budget"] == {"energy": 7, "asked_for": True}
