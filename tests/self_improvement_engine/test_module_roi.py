"""The engine logs what each settled cycle brought by module, and shows and uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from menace.records import AutomationResult
from menace.sandbox_runner import ModuleRoiLog, _SandboxMetaLogger
from menace.self_improvement_engine import SelfImprovementEngine
from menace.self_improvement_engine.learning import modules_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from menace.workspace import Workspace

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]


class Reporting:
    """A pipeline of the user's own, which says what it changed and what that brought."""

    def __init__(self, *results: tuple[float, Any]) -> None:
        self._results = list(results)

    def run(self, bot_name: str, energy: int = 1) -> AutomationResult:
        """Report the next result."""
        roi, modules = self._results.pop(0)
        return AutomationResult(
            "promoted", bot=bot_name, energy=energy, roi=roi, metrics={"modules": modules}
        )


@pytest.fixture
def watched(open_workspace: OpenWorkspace) -> Workspace:
    workspace = open_workspace()
    workspace.add_bot({"name": "alpha", "source": None, "target": "label"})
    return workspace


def cared(workspace: Workspace, *results: tuple[float, Any], **options: Any) -> Any:
    engine = workspace.engine("alpha", pipeline=Reporting(*results), **options)
    for _ in results:
        assert engine.run_cycle().status == "promoted"
    return engine


def test_each_cycle_counts_for_the_modules_that_its_pipeline_names(watched: Workspace) -> None:
    engine = cared(
        watched,
        (0.6, ["window", "family"]),
        (1.0, {"window": 0.9, "features:time": 0.1}),
        (-0.5, []),
    )
    assert engine.rankings() == [
        ("window", pytest.approx(1.2)),
        ("family", pytest.approx(0.3)),
        ("features:time", pytest.approx(0.1)),
        ("model", -0.5),
    ]


def test_the_bots_own_log_outlives_the_engine(watched: Workspace) -> None:
    cared(watched, (0.5, ["window"]))
    assert watched.engine("alpha").rankings() == [("window", 0.5)]
    path = watched.folder / "state" / "alpha.modules.jsonl"
    assert ModuleRoiLog(path).rankings() == [("window", 0.5)]


def test_a_log_that_was_lost_is_made_anew_from_the_ledger(watched: Workspace) -> None:
    cared(watched, (0.5, ["window"]), (0.25, ["family"]))
    (watched.folder / "state" / "alpha.modules.jsonl").unlink()
    assert cared(watched, (0.25, ["window"])).rankings() == [("window", 0.75), ("family", 0.25)]


@pytest.mark.parametrize("name", ["given", "workspace"])
def test_diminishing_modules_are_told_once_until_they_move(
    watched: Workspace, tmp_path: Path, name: str
) -> None:
    options = {"meta_logger": _SandboxMetaLogger(tmp_path / "log")} if name == "given" else {}
    flat = [(0.0, ["window"])] * 3
    engine = cared(watched, *flat, (0.5, ["family"]), **options)
    assert engine.diminishing() == ["window"]
    assert engine.diminishing() == []
    assert cared(watched, (0.5, ["window"]), **options).diminishing() == []
    assert cared(watched, *flat, **options).diminishing() == ["window"]


def test_a_logger_of_the_users_own_hears_of_every_cycle(watched: Workspace) -> None:
    heard = []

    class Own:
        def log_cycle(self, cycle: int, roi: float, modules: Any, reason: str) -> None:
            heard.append((cycle, roi, modules, reason))

    engine = cared(watched, (0.5, ["window"]), (0.1, ["family"]), meta_logger=Own())
    assert heard == [
        (1, 0.5, ["window"], "manual request"),
        (2, 0.1, ["family"], "manual request"),
    ]
    assert engine.rankings() == [("window", 0.5), ("family", 0.1)]


def test_without_a_workspace_the_passed_log_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MENACE_HOME", raising=False)
    log = ModuleRoiLog(tmp_path / "log")
    log.log_cycle(1, 0.5, ["window"], "policy")
    assert SelfImprovementEngine("alpha", meta_logger=log).rankings() == [("window", 0.5)]
    assert SelfImprovementEngine("alpha").rankings() == []
    assert SelfImprovementEngine("alpha").diminishing() == []


def test_the_trend_enters_the_policys_state_only_where_a_logger_is_passed(
    watched: Workspace, tmp_path: Path
) -> None:
    rising = [(0.1, ["window"]), (0.5, ["window"]), (0.9, ["window"])]
    log = ModuleRoiLog(tmp_path / "log")
    cared(watched, *rising, meta_logger=log)
    state = watched.store.decisions("alpha", last=1)[0].inputs
    # The last decision came before the last cycle was settled.
    assert state["module_trend"] == pytest.approx((0.5 - 0.1) / 0.1)
    assert state["policy_state"][-1] == 2
    falling = [(0.0, ["family"]), (-0.9, ["family"])]
    cared(watched, *falling, (0.0, ["family"]), meta_logger=log)
    assert watched.store.decisions("alpha", last=1)[0].inputs["policy_state"][-1] == 0
    cared(watched, (0.0, ["family"]))
    inputs = watched.store.decisions("alpha", last=1)[0].inputs
    assert (inputs["module_trend"], inputs["policy_state"][-1]) == (None, 1)


@pytest.mark.parametrize(
    ("reported", "patch", "modules"),
    [
        (None, None, ["model"]),
        (["window"], {"modules": ["helper:prices.py"]}, ["window", "helper:prices.py"]),
        ({"window": 0.5}, {"modules": ["helper:prices.py"]}, ["window", "helper:prices.py"]),
        ({"window": 0.5}, {"kept": False}, {"window": 0.5}),
        ({"window": float("inf")}, None, ["window"]),
        ("window", None, ["model"]),
        ([3, "", "family"], None, ["family"]),
    ],
)
def test_what_a_cycle_changed_is_read_from_pipeline_and_patch(
    watched: Workspace, reported: Any, patch: Any, modules: Any
) -> None:
    cared(watched, (0.5, ["window"]))
    cycle = watched.store.cycles("alpha", last=1)[0]
    cycle.details.update({"metrics": {"modules": reported}, "patch": patch})
    assert modules_of(cycle) == modules
