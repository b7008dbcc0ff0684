"""menace capital, budget, approvals, and run --autoscale."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from menace.cli.autoscaling import Scaler, first_engines
from menace.cli.output import Output
from menace.cli.service import serve
from menace.records import CycleState, LedgerEntry
from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Ran
    from support import DriftingStream

    Menace = Callable[..., Ran]

AUTOSCALE = """\
[autoscale]
create_energy = 0.2
remove_energy = 0.0
roi_threshold = -1.0
cooldown_seconds = 0.0
approval = "person"
"""


@pytest.fixture
def rich(folder: Path, cared: DriftingStream, menace: Menace) -> Path:
    """Give a workspace with capital, a bot that has none to care for it, and returns that rise."""
    with (folder / "menace.toml").open("a") as settings:
        settings.write(AUTOSCALE)
    menace("bot", "add", "beta", "--source", cared.path, "--target", "label")
    menace("capital", "deposit", 1000)
    with Workspace(folder) as workspace:
        store, failed = workspace.store, CycleState.FAILED
        for delta in (1.0, 1.0, 2.0, 2.0):
            cycle = store.open_cycle(
                "alpha", energy=1, row=0, at=1.0, decision_id=None, details={}
            ).cycle_id
            store.advance_cycle(cycle, expected=CycleState.DECIDED, state=failed, at=1.0)
            entry = LedgerEntry(cycle, "alpha", 1.0, 0.0, 0.0, 0.0, 0, delta)
            store.settle(entry, expected=failed, outcome="failed")
    return folder


@pytest.mark.usefixtures("folder")
def test_a_workspace_without_capital_says_how_to_get_some(menace: Menace) -> None:
    told = menace("capital")
    assert told.code == 0
    assert "no capital yet" in told.out
    assert "menace capital deposit USD" in told.out
    assert menace("capital", "--json").document["configured"] is False
    assert "no budgets" in menace("budget").out
    assert "nothing has moved" in menace("capital", "entries").out
    assert "nobody has asked" in menace("approvals").out


@pytest.mark.usefixtures("cared")
def test_money_is_put_in_set_aside_taken_out_and_shown(menace: Menace) -> None:
    assert menace("capital", "deposit", 100, "--memo", "seed").out.startswith("put in $100")
    assert menace("capital", "allocate", "alpha", 30).code == 0
    assert menace("capital", "allocate", "alpha", "--", -10).out.startswith("gave back $10")
    assert menace("capital", "withdraw", 5, "--json").document["balances"]["owner"] == 95.0
    standing = menace("capital", "--json").document
    assert standing["balances"]["allocation:alpha"] == 20.0
    assert standing["configured"] is True
    assert 0 < standing["energy"]["score"] < 1
    assert standing["runway_days"] > 0
    told = menace("capital").out
    assert "set aside for alpha" in told
    assert "energy score 0." in told
    kinds = [entry["kind"] for entry in menace("capital", "entries", "--json").document]
    assert kinds == ["settlement", "deposit", "allocation", "allocation", "withdrawal"]
    listed = menace("capital", "entries", "--bot", "alpha").out
    assert "settlement of cycle 1" in listed
    assert "seed" not in listed
    menace("capital", "allocate", "alpha", "--", -20)
    assert "set aside for alpha" not in menace("capital").out


@pytest.mark.usefixtures("cared")
@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("capital", "deposit", "0"), "amount of the deposit is 0.0 USD"),
        (("capital", "withdraw", "5"), "5 USD are asked of cash"),
        (("capital", "allocate", "beta", "5"), "no bot 'beta'"),
        (("capital", "entries", "--last", "0"), "--last is 0"),
        (("budget", "set", "--", "-1"), "daily budget of -1.0 USD"),
        (("budget", "set", "1", "--bot", "beta"), "no bot 'beta'"),
        (("approvals", "grant"), "0 questions wait for an answer: none"),
        (("approvals", "refuse", "7"), "no question 7"),
        (("approvals", "--last", "0"), "--last is 0"),
        (("run", "--once", "--autoscale"), "autoscaling spends capital, and there is none"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_remedy(
    menace: Menace, arguments: tuple[str, ...], fault: str
) -> None:
    refused = menace(*arguments)
    assert refused.code == 1
    assert fault in refused.err
    assert "remedy:" in refused.err


def test_a_spent_budget_is_told_by_why_and_status(menace: Menace, cared: DriftingStream) -> None:
    assert menace("budget", "set", 0.5).out == "$0.50 a day for all bots\n"
    assert menace("budget", "set", 1e-6, "--bot", "alpha").code == 0
    rows = menace("budget", "--json").document
    assert [row["bot"] for row in rows] == [None, "alpha"]
    assert rows[1]["left_usd"] < 0  # the first cycle has cost more today
    cared.grow(400)
    [looked] = menace("run", "--once", "--json").document
    assert (looked["run"], looked["reason"]) == (False, "budget spent: bot")
    assert "today's budget of the bot does not pay for a cycle" in menace("why", "alpha").out
    assert menace("status", "--json").document[0]["state"] == "waits for money"
    assert menace("budget", "lift", "--bot", "alpha").out == "no budget for alpha\n"
    assert "all bots" in menace("budget").out


@pytest.mark.usefixtures("rich")
def test_an_expansion_waits_for_a_person_and_comes_with_the_grant(menace: Menace) -> None:
    *looked, scaled = menace("run", "--once", "--autoscale", "--json").document
    assert [row["bot"] for row in looked] == ["alpha"]
    assert scaled["scaling"]["reason"] == "it has not been approved"
    listed = menace("approvals", "list")
    assert "menace approvals grant 1" in listed.out
    [question] = menace("approvals", "--json").document
    assert (question["state"], question["inputs"]["next"]) == ("pending", "beta")
    assert menace("approvals", "grant").out == "expansion 1 is granted\n"
    granted = menace("run", "--once", "--autoscale")
    assert "engine created: energy and trend allow one more engine" in granted.out
    *looked, scaled = menace("run", "--once", "--autoscale", "--json").document
    assert [row["bot"] for row in looked] == ["alpha", "beta"]
    assert scaled["scaling"]["reason"] == "no bot waits for an engine"
    assert "is used already" in menace("approvals", "refuse", 1).err


def test_a_refused_expansion_stays_refused(menace: Menace, rich: Path) -> None:
    menace("run", "--once", "--autoscale")
    assert menace("approvals", "refuse", "--json").document["state"] == "refused"
    menace("run", "--once", "--autoscale")
    assert [item["state"] for item in menace("approvals", "--json").document] == ["refused"]
    with Workspace(rich) as workspace:
        assert workspace.store.scalings(last=9, moved_only=True) == []
    assert json.loads(menace("capital", "--json").out)["balances"]["cash"] > 0


class ThreeLooks(threading.Event):
    """Asks the service to stop after its third look."""

    looks = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Count a look instead of waiting."""
        del timeout
        self.looks += 1
        if self.looks == 3:
            self.set()
        return self.is_set()


@pytest.mark.parametrize(
    ("approval", "told"),
    [("none", ["scaling", "cycle"]), ("person", ["scaling"])],
)
def test_the_service_grows_where_it_may_and_tells_once_that_it_waits(
    rich: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    approval: str,
    told: list[str],
) -> None:
    monkeypatch.setenv("MENACE_AUTOSCALE__APPROVAL", approval)
    capfd.readouterr()
    with Workspace(rich) as workspace:
        registry = workspace.registry(first_engines(workspace))
        serve(
            workspace,
            registry,
            Output(json=True),
            stop=ThreeLooks(),
            pause_seconds=60.0,
            scaler=Scaler(workspace, registry),
        )
        assert list(registry.engines) == ["alpha", "beta"][: 1 + (approval == "none")]
    news = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    kinds = [item["kind"] for item in news if item["bot"] in {"beta", "engines"}]
    assert kinds[: len(told)] == told
    assert kinds.count("scaling") == 1
