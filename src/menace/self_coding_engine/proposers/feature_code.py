"""Proposes feature code: readable functions made from the data's schema, judged on later rows."""

from __future__ import annotations

import ast
import logging
import time
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from menace.errors import CodingError, HelperCodeError
from menace.helper_code import DEFAULT_FUNCTION, FeatureHelper, hidden_columns
from menace.patches import Claim, PatchStatus
from menace.self_coding_engine.proposal import Proposal
from menace.self_coding_engine.proposers.feature_ideas import Idea, ideas_for
from menace.self_coding_engine.proposers.feature_schema import read_schema
from menace.self_coding_engine.proposers.feature_selection import FeatureJudge, Selection, Selector
from menace.self_coding_engine.proposers.feature_text import generated_names, with_ideas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from menace.records import BotConfig
    from menace.self_coding_engine.proposal import CodingTask, Workbench
    from menace.self_coding_engine.proposers.feature_selection import Folds

logger = logging.getLogger(__name__)

HORIZON_PERIODS = 10
"""Feature code is expected to serve for so many settlement periods of the bot."""

SEARCH_SHARE = 0.02
"""Of what the bot's errors cost over that time, so much may be spent on looking for features."""

LEAST_JUDGEMENTS = 10
"""A search that may not judge so many times finds nothing: then it is not begun."""

USUAL_JUDGEMENTS = 50
"""So many judgements there should be time for; else they are on fewer rows."""

VALIDATIONS = 1.5
SANDBOX_SECONDS = 1.0
"""What is kept for validating the text that is proposed: judgements, and a run in the sandbox."""

CALL_SECONDS = 5e-4
"""CPU-seconds of calling one more generated function on a tick's rows."""

_GIVEN_UP = {PatchStatus.REVERTED, PatchStatus.REVERTING}


@runtime_checkable
class JudgingBench(Protocol):
    """A workbench that lets its judge of features be used directly."""

    @property
    def judge(self) -> object:
        """Scores features on rows."""
        ...


@runtime_checkable
class FeatureBench(Protocol):
    """A workbench that makes columns of the task's rows with a text."""

    def features(self, source: str, *, function: str | None = None) -> pd.DataFrame | None:
        """Columns that a text makes of the task's rows, in the sandbox."""
        ...


class FeatureCodeProposer:
    """Writes functions into a bot's feature helper that make its model better on later rows.

    The target and dropped columns are never looked at, so that nothing can leak from them. While it
    looks for features it judges their columns directly; the text that it proposes is validated by
    the workbench as a whole.

    Parameters
    ----------
    judge
        Scores features by forward validation; by default the workbench's.
    function
        The helper's function that the pipeline calls.
    """

    name = "feature_code"

    def __init__(
        self, judge: FeatureJudge | None = None, *, function: str = DEFAULT_FUNCTION
    ) -> None:
        self._judge, self._function = judge, function

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Yield the best set of features, then the best single one.

        Raises
        ------
        CodingError
            If the present helper is no Python.
        """
        judge = self._judge_of(workbench)
        if judge is None or task.rows is None or task.bot is None:
            return
        defined = _defines(task.source, self._function)
        before = workbench.validate(task.source) if defined else None
        if before is None and defined:
            return
        search = _Search(task.rows, task.bot, task.source if defined else "", self._function)
        search.bench = workbench if isinstance(workbench, FeatureBench) else None
        found = search.run(judge, workbench, skip=_given_up(task))
        if found is None:
            return
        ideas = [taken.idea for taken in found.taken]
        sets = [(ideas, found.dropped), (ideas[:1], [])]
        for chosen, dropped in sets if len(ideas) > 1 else sets[:1]:
            if not chosen and not dropped:
                continue
            source = with_ideas(task.source, chosen, function=self._function, drop=dropped)
            after = workbench.validate(source)
            if after is not None and before is not None and after > before:
                continue
            yield _proposal(task.target, source, chosen, dropped, found)

    def _judge_of(self, workbench: Workbench) -> FeatureJudge | None:
        judge = self._judge
        if judge is None and isinstance(workbench, JudgingBench):
            judge = cast("FeatureJudge", workbench.judge)
        return judge if hasattr(judge, "on") else None


class _Search:
    """A search on the rows of one bot."""

    def __init__(self, rows: pd.DataFrame, bot: BotConfig, source: str, function: str) -> None:
        self._rows, self._bot = rows.reset_index(drop=True), bot
        self._source, self._function = source, function
        self._hidden = hidden_columns(bot)
        self.bench: FeatureBench | None = None
        self._judged = len(rows)
        self._made: dict[str, pd.DataFrame] = {}
        self._seconds: dict[str, float] = {}

    def run(
        self, judge: FeatureJudge, workbench: Workbench, *, skip: frozenset[str]
    ) -> Selection | None:
        """Look for features; ``None`` where looking is not worth its price."""
        began, price = time.thread_time(), self._bot.economics.cpu_second_usd
        folds = judge.on(self._rows, self._bot)
        validating = VALIDATIONS * folds.expected_seconds + SANDBOX_SECONDS
        folds = self._affordable(judge, folds, workbench.seconds_left() - validating)
        least_usd = price * folds.expected_seconds * LEAST_JUDGEMENTS
        most_usd = self._most_usd(folds.greatest_loss)
        if least_usd <= most_usd:
            # The newest fold alone tells what there is to win, at the price of one fit.
            most_usd = self._most_usd(folds.losses(folds=[folds.count - 1]).mean)
        if least_usd > most_usd:
            logger.info("bot %s: looking for features costs more than errors", self._bot.name)
            return None
        present = self._present_columns(self._function) if self._source.strip() else None

        def seconds_left() -> float:
            left = workbench.seconds_left()
            if price > 0:
                left = min(left, most_usd / price - (time.thread_time() - began))
            return left - validating

        if seconds_left() < LEAST_JUDGEMENTS * folds.expected_seconds:
            return None
        selector = Selector(
            folds,
            self._columns,
            present=present,
            seconds_left=seconds_left,
            pays=self._pays(folds),
        )
        groups = self._generated_groups()
        if groups:
            selector.drop(groups)
        schema = read_schema(self._rows, self._bot, hidden=self._hidden)
        taken = {*self._rows.columns, *(present.columns if present is not None else ())}
        ideas = ideas_for(schema, taken=[*taken, *_names(self._source)])
        return selector.choose([idea for idea in ideas if idea.name not in skip])

    def _affordable(self, judge: FeatureJudge, folds: Folds, seconds: float) -> Folds:
        """Judge on fewer of the newest rows where there is too little time for all."""
        share = seconds / (USUAL_JUDGEMENTS * folds.expected_seconds)
        size = folds.window_rows + max(folds.window_rows, round(share * folds.judged_rows))
        if share >= 1.0 or size >= len(self._rows):
            return folds
        self._judged = size
        return judge.on(self._rows.iloc[-size:], self._bot)

    def _columns(self, idea: Idea) -> pd.DataFrame:
        """Make an idea's columns by the very text that would be proposed."""
        if idea.name not in self._made:
            began = time.thread_time()
            self._made[idea.name] = self._columns_of(
                with_ideas("", [idea], function=DEFAULT_FUNCTION), DEFAULT_FUNCTION
            )
            self._seconds[idea.name] = time.thread_time() - began
        return self._made[idea.name]

    def _columns_of(self, source: str, function: str) -> pd.DataFrame:
        helper = FeatureHelper.of_text(source, place="the feature helper", function=function)
        return helper(self._rows, hidden=self._hidden).iloc[-self._judged :]

    def _present_columns(self, function: str) -> pd.DataFrame:
        """Make the columns of the present helper: in the sandbox, with the files that it imports.

        Without one it is loaded here, as the pipeline loads it: it is the user's own code.
        """
        made = None if self.bench is None else self.bench.features(self._source, function=function)
        if made is None:
            return self._columns_of(self._source, function)
        return made.iloc[-self._judged :]

    def _generated_groups(self) -> list[tuple[str, Sequence[str]]]:
        """List the generated functions of the present helper and the columns that each makes."""
        groups: list[tuple[str, Sequence[str]]] = []
        for name in generated_names(self._source):
            try:
                made = self._present_columns(name)
            except (CodingError, HelperCodeError) as error:
                logger.info("bot %s: %s is left as it is: %s", self._bot.name, name, error)
                continue
            groups.append((name, [str(column) for column in made.columns]))
        return groups

    def _most_usd(self, loss: float) -> float:
        rows = HORIZON_PERIODS * self._bot.settlement_rows
        return SEARCH_SHARE * loss * rows * self._bot.economics.loss_usd

    def _pays(self, folds: Folds) -> Callable[[Idea, float], bool]:
        """Weigh what an idea gains until a settlement against what it makes a refit cost more."""
        bot, price = self._bot, self._bot.economics.cpu_second_usd
        width = max(1, len(self._rows.columns))
        fit_seconds = folds.expected_seconds / max(1, folds.count)

        def pays(idea: Idea, gain: float) -> bool:
            share = min(1.0, bot.window_rows / max(1, len(self._rows)))
            more = self._seconds[idea.name] * share + fit_seconds * len(idea.columns) / width
            ticks = max(1.0, bot.settlement_rows / bot.tick_rows)
            cost_usd = price * (more + ticks * CALL_SECONDS)
            return gain * bot.settlement_rows * bot.economics.loss_usd > cost_usd

        return pays


def _proposal(
    target: str, source: str, ideas: Sequence[Idea], dropped: Sequence[str], found: Selection
) -> Proposal:
    gains = {taken.idea.name: taken for taken in found.taken}
    said = [f"add {idea.name}" for idea in ideas] + [f"remove {name}" for name in dropped]
    families = sorted({idea.family for idea in ideas}) or ["removing"]
    return Proposal(
        proposer=FeatureCodeProposer.name,
        operator="+".join(families),
        claim=Claim.IMPROVES,
        target=target,
        source=source,
        explanation=(
            f"{', '.join(said).capitalize()}: the mean loss on later rows went from "
            f"{found.before:.4g} to {found.after:.4g} when all were chosen."
        ),
        parameters={
            "added": [idea.name for idea in ideas],
            "removed": list(dropped),
            "gains": {idea.name: gains[idea.name].gain for idea in ideas},
            "z": {idea.name: gains[idea.name].z for idea in ideas},
            "tried": found.tried,
            "loss_before": found.before,
            "loss_after": found.after,
        },
        prior=0.6,
    )


def _given_up(task: CodingTask) -> frozenset[str]:
    """Name the functions whose patch was taken back: they are not proposed again."""
    return frozenset(
        str(name)
        for patch in task.history
        if patch.proposer == FeatureCodeProposer.name and patch.status in _GIVEN_UP
        for name in patch.parameters.get("added", ())
    )


def _names(source: str) -> list[str]:
    """Name the functions that a text defines."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError) as error:
        raise CodingError(
            f"the feature helper is no Python: {error}.", remedy="correct it by hand"
        ) from error
    return [statement.name for statement in body if isinstance(statement, ast.FunctionDef)]


def _defines(source: str, function: str) -> bool:
    return function in _names(source)
