"""Chooses among ideas for features, by what the bot's model gains with them on later rows.

First every idea is tried in a few folds; the best go on to all folds. Of these the best is taken,
the others are tried again beside it, and so on, until none gains more than chance would give the
best of so many: the paired gain of idea number *i* must be as many standard errors above 0 as the
normal distribution exceeds with probability ``RISK · w_i``, and at least 2, where ``w_i`` falls as
``1 / (i + 5)`` and adds up to 1: what has served elsewhere comes first and needs less evidence
(a weighted Bonferroni correction; Genovese, Roeder and Wasserman, 2006). At last each taken one is
tried without.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from menace.records import BotConfig
    from menace.self_coding_engine.proposers.feature_ideas import Idea

RISK = 0.2
"""Chance that a search which has nothing to find takes something all the same."""

EVEN = 5
"""So many of the first ideas are nearly as good as each other."""

LEAST_Z = 2.0
SCREENED_FOLDS = 3
"""Every so many folds one is used for the first look."""

SCREENING_SHARE = 0.5
"""Of the time, what the first look may take."""

FINALISTS = 14
MOST_TAKEN = 8
STEPS = 2.5
"""So often all finalists should be judged within the time that the first look leaves."""


class Losses(Protocol):
    """Losses of rows, kept by the judge in its own way."""

    @property
    def mean(self) -> float:
        """Mean loss, in units of the bot's metric."""
        ...


class Gain(Protocol):
    """A paired comparison: mean gain per row and its standard errors above 0."""

    @property
    def mean_gain(self) -> float:
        """Units of loss per row; positive: better."""
        ...

    @property
    def z(self) -> float:
        """Mean gain over its standard error."""
        ...


class Folds(Protocol):
    """Rows of a bot, on which features are judged by forward validation."""

    @property
    def count(self) -> int:
        """Folds."""
        ...

    @property
    def judged_rows(self) -> int:
        """Rows in all folds together."""
        ...

    @property
    def window_rows(self) -> int:
        """Rows that each fit learns from, at most."""
        ...

    @property
    def greatest_loss(self) -> float:
        """The most that a row can lose."""
        ...

    @property
    def expected_seconds(self) -> float:
        """CPU-seconds that one judgement in all folds is expected to take."""
        ...

    def losses(
        self, features: pd.DataFrame | None = None, *, folds: Sequence[int] | None = None
    ) -> Losses:
        """Fit and score with features."""
        ...

    def compare(self, before: Any, after: Any) -> Gain:
        """Pair losses in the bot's metric."""
        ...

    def compare_sharply(self, before: Any, after: Any) -> Gain:
        """Pair losses that show small differences."""
        ...


class FeatureJudge(Protocol):
    """Prepares rows for judging features on them."""

    def on(self, rows: pd.DataFrame, bot: BotConfig) -> Folds:
        """Prepare rows for many judgements."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """An idea that was taken, and what it gained when it was."""

    idea: Idea
    gain: float
    z: float


@dataclass(slots=True)
class Selection:
    """What was found.

    Attributes
    ----------
    taken
        Ideas, the best first.
    dropped
        Generated functions of the present helper that the model does as well without.
    tried
        Ideas that were looked at.
    before, after
        Mean loss, in units of the bot's metric, with the present helper and with the new one.
    """

    taken: list[Taken] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    tried: int = 0
    before: float = 0.0
    after: float = 0.0


class Selector:
    """Chooses features on the folds of one bot.

    Parameters
    ----------
    folds
        The judge.
    columns
        Makes the columns of an idea.
    present
        Columns of the present helper; ``None``: there are none.
    seconds_left
        CPU-seconds that may still be used.
    pays
        Whether a gain, in units of loss per row, is worth what the idea costs.
    """

    def __init__(
        self,
        folds: Folds,
        columns: Callable[[Idea], pd.DataFrame],
        *,
        present: pd.DataFrame | None,
        seconds_left: Callable[[], float],
        pays: Callable[[Idea, float], bool],
    ) -> None:
        self._folds, self._columns = folds, columns
        self._seconds_left, self._pays = seconds_left, pays
        self._made = present
        self._needed: dict[str, float] = {}
        began = seconds_left()
        self._losses = folds.losses(present)
        self._judged_in = max(folds.expected_seconds, began - seconds_left())
        """CPU-seconds of one judgement in all folds, as it was seen or is expected."""

        self.found = Selection(before=self._losses.mean, after=self._losses.mean)

    def choose(self, ideas: Sequence[Idea]) -> Selection:
        """Look for ideas that gain, until there is none or no time."""
        total = sum(1 / (place + EVEN) for place in range(len(ideas)))
        self._needed = {
            idea.name: max(LEAST_Z, NormalDist().inv_cdf(1 - RISK / (place + EVEN) / total))
            for place, idea in enumerate(ideas)
        }
        left = self._screened(ideas)
        while left and len(self.found.taken) < MOST_TAKEN and self._may_go_on():
            left = self._step(left)
        self._prune()
        self.found.after = self._losses.mean
        return self.found

    def drop(self, groups: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Take out generated functions, with their columns, that do no good."""
        for name, columns in groups:
            if self._made is None or not self._may_go_on():
                return
            rest = self._made[[c for c in self._made.columns if c not in columns]]
            losses = self._folds.losses(rest)
            if self._as_good(losses):
                self._made, self._losses = rest, losses
                self.found.dropped.append(name)

    def _may_go_on(self) -> bool:
        return self._seconds_left() > self._judged_in

    def _screened(self, ideas: Sequence[Idea]) -> list[Idea]:
        """Try ideas in a few folds, in order, as far as their share of the time goes."""
        kept_seconds = (1.0 - SCREENING_SHARE) * self._seconds_left()
        some = list(range(self._folds.count - 1, -1, -SCREENED_FOLDS))[::-1]
        before, seen = self._folds.losses(self._made, folds=some), []
        for idea in ideas:
            if self._seconds_left() <= kept_seconds or not self._may_go_on():
                break
            after = self._folds.losses(self._with(idea), folds=some)
            z = self._folds.compare(before, after).z
            seen.append((max(z, self._folds.compare_sharply(before, after).z), idea))
        self.found.tried = len(seen)
        seen.sort(key=lambda pair: -pair[0])
        affordable = max(1, int(self._seconds_left() / (STEPS * self._judged_in)))
        return [idea for z, idea in seen[: min(FINALISTS, affordable)] if z > 0]

    def _step(self, ideas: Sequence[Idea]) -> list[Idea]:
        """Take the best of some ideas, if it is good enough; returns those worth another look."""
        promising: list[tuple[float, Idea]] = []
        best: tuple[float, Idea, Losses, Gain] | None = None
        for idea in ideas:
            if not self._may_go_on():
                return []
            losses = self._folds.losses(self._with(idea))
            sharp, gain = self._gain(losses, sharp=True), self._gain(losses)
            score = max(sharp.z, gain.z) if gain.mean_gain > 0 and sharp.z > -1 else gain.z
            if score <= 0:
                continue
            promising.append((score, idea))
            good = gain.mean_gain > 0 and sharp.z > -1 and score >= self._needed[idea.name]
            if good and self._pays(idea, gain.mean_gain) and (best is None or score > best[0]):
                best = score, idea, losses, gain
        if best is None:
            return []
        score, idea, losses, gain = best
        self._made, self._losses = self._with(idea), losses
        self.found.taken.append(Taken(idea, gain.mean_gain, score))
        promising.sort(key=lambda pair: -pair[0])
        return [other for _, other in promising if other is not idea]

    def _prune(self) -> None:
        """Take back what later ideas have made useless."""
        for taken in self.found.taken[:-1]:
            if self._made is None or not self._may_go_on():
                return
            names = [name for name, _ in taken.idea.columns]
            rest = self._made[[c for c in self._made.columns if c not in names]]
            losses = self._folds.losses(rest)
            if self._as_good(losses):
                self._made, self._losses = rest, losses
                self.found.taken.remove(taken)

    def _as_good(self, losses: Losses) -> bool:
        """Whether the model does no worse without something, as far as can be told."""
        return self._gain(losses, sharp=True).z > -1.0 and losses.mean <= self._losses.mean

    def _gain(self, losses: Losses, *, sharp: bool = False) -> Gain:
        compare = self._folds.compare_sharply if sharp else self._folds.compare
        return compare(self._losses, losses)

    def _with(self, idea: Idea) -> pd.DataFrame:
        import pandas as pd

        columns = self._columns(idea)
        if self._made is None:
            return columns
        kept = self._made[[name for name in self._made.columns if name not in columns.columns]]
        return pd.concat([kept, columns], axis="columns")
