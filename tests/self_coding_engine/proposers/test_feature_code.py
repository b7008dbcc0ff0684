"""Feature code is proposed where it makes the bot's model better on later rows, and only there."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from menace.errors import CodingError
from menace.helper_code import FeatureHelper, hidden_columns
from menace.model_automation_pipeline.forward_validation import ForwardValidation
from menace.patches import Claim, Patch, PatchStatus
from menace.records import BotConfig, Economics
from menace.self_coding_engine.proposal import CodingTask
from menace.self_coding_engine.proposers.feature_code import FeatureCodeProposer
from menace.self_coding_engine.proposers.feature_text import generated_names

if TYPE_CHECKING:
    from menace.self_coding_engine.proposal import Proposal, TestReport

BOT = BotConfig("alpha", None, "y", drop=("leak",), window_rows=200, tick_rows=100)


class Bench:
    """Validates texts in this process; its time never runs out unless it is told."""

    def __init__(self, rows: pd.DataFrame, bot: BotConfig, seconds: float = 1e9) -> None:
        self._rows, self._bot, self._seconds = rows, bot, seconds
        self.judge = ForwardValidation(folds=6)
        self.validated: list[str] = []

    def seconds_left(self) -> float:
        return self._seconds

    def run_tests(self, _source: str, *, lines: bool = False) -> TestReport | None:
        return None

    def measure(self, _source: str) -> float | None:
        return None

    def validate(self, source: str) -> float | None:
        self.validated.append(source)
        helper = FeatureHelper.of_text(source, place="features.py")
        return self.judge(self._rows, self._bot, helper(self._rows, hidden=hidden_columns(BOT)))


def rolling_rows(count: int = 900) -> pd.DataFrame:
    """Rows whose label follows from the mean of the last five temperatures."""
    rng = np.random.default_rng(1)
    temp = rng.normal(size=count)
    mean = pd.Series(temp).rolling(5, min_periods=1).mean()
    label = (mean > 0).astype(int)
    return pd.DataFrame({"temp": temp, "wind": rng.normal(size=count), "leak": label, "y": label})


def task(rows: pd.DataFrame, source: str = "", **changes: object) -> CodingTask:
    plain = CodingTask(root=Path(), target="helpers/features.py", source=source, rows=rows, bot=BOT)
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def proposals(given: CodingTask, seconds: float = 1e9) -> list[Proposal]:
    assert given.rows is not None
    assert given.bot is not None
    bench = Bench(given.rows, given.bot, seconds)
    return list(FeatureCodeProposer().propose(given, bench))


def test_a_feature_that_helps_is_written_and_validated() -> None:
    rows = rolling_rows()
    bench = Bench(rows, BOT)
    found = list(FeatureCodeProposer().propose(task(rows), bench))
    best = found[0]
    assert "temp_mean_of_5" in best.parameters["added"]
    assert best.claim is Claim.IMPROVES
    assert best.target == "helpers/features.py"
    assert best.parameters["loss_after"] < 0.5 * best.parameters["loss_before"]
    assert best.source in bench.validated
    assert "leak" not in best.source
    assert set(generated_names(best.source)) == set(best.parameters["added"])


def test_where_there_is_only_noise_nothing_is_proposed() -> None:
    rows = rolling_rows()
    rows["y"] = np.random.default_rng(2).integers(0, 2, size=len(rows))
    assert proposals(task(rows)) == []


def test_generated_features_that_do_no_good_are_taken_out() -> None:
    first = proposals(task(rolling_rows()))[0]
    other = rolling_rows()
    noise = np.random.default_rng(3).normal(size=len(other))
    other["y"] = (other["wind"] + noise > 0).astype(int)
    changed = proposals(task(other, first.source))
    assert changed
    assert "temp_mean_of_5" in changed[0].parameters["removed"]
    assert "temp_mean_of_5" not in changed[0].source


def test_what_is_there_already_is_not_proposed_again() -> None:
    rows = rolling_rows()
    first = proposals(task(rows))[0]
    again = proposals(task(rows, first.source))
    added = {name for proposal in again for name in proposal.parameters["added"]}
    assert not added & set(first.parameters["added"])


def test_what_was_taken_back_is_not_proposed_again() -> None:
    rows = rolling_rows()
    reverted = Patch(
        bot="alpha",
        target="helpers/features.py",
        proposer="feature_code",
        operator="rolling",
        claim=Claim.IMPROVES,
        status=PatchStatus.REVERTED,
        at=0.0,
        parameters={"added": ["temp_mean_of_5"]},
    )
    found = proposals(task(rows, history=[reverted]))
    assert all("temp_mean_of_5" not in proposal.parameters["added"] for proposal in found)


def test_where_a_second_costs_more_than_errors_nothing_is_looked_for() -> None:
    dear = dataclasses.replace(BOT, economics=Economics(loss_usd=1.0, cpu_second_usd=1e6))
    assert proposals(task(rolling_rows(), bot=dear)) == []


def test_without_time_rows_or_a_judge_nothing_is_proposed() -> None:
    rows = rolling_rows()
    assert proposals(task(rows), seconds=0.5) == []
    bench = Bench(rows, BOT)
    assert list(FeatureCodeProposer().propose(task(rows, bot=None), bench)) == []
    bench.judge = None  # type: ignore[assignment]
    assert list(FeatureCodeProposer().propose(task(rows), bench)) == []


def test_a_helper_that_is_no_python_is_an_error() -> None:
    with pytest.raises(CodingError, match="no Python"):
        proposals(task(rolling_rows(), "def features("))
