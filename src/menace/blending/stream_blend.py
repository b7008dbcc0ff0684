"""Several models served as one, over a stream: members, weights, and when to train one anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from menace.blending.fixed_share import FixedShare
from menace.blending.lag_features import LagFeatures, dominant_period
from menace.blending.online_stack import OnlineStack
from menace.blending.recent_rates import RecentRates
from menace.blending.recipe import FOUNDATION, REFRESHED, Recipe, View
from menace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from menace.blending.recipe import Scorer, Trainer

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.intp]

DEFAULT_SPAN = 16
LEAST_CHANCE = 0.01
AVERAGED = 4
"""The refreshed member serves twice: as it is, and as the mean of its last versions."""

STRIDE = 4
"""Batches between two trainings of the foundation while history is replayed."""

FIRST_TRAINING = 8
"""Batches before the first training in a replay: earlier windows would be all but empty."""

MOST_ROWS = 200_000
"""Rows that a member is trained on at most; of a longer history every k-th row."""


@dataclass(slots=True)
class _Batch:
    """One batch: its features by view, and once known its labels."""

    views: dict[View, FloatArray]
    codes: IntArray
    truth: IntArray | None = None


@dataclass(slots=True)
class _Served:
    """What the members said of the newest batch."""

    batch: _Batch
    odds: FloatArray
    archive: FloatArray
    """Chances of every class by archived model, shape ``(models, rows, classes)``."""
    blended: FloatArray = field(default_factory=lambda: np.empty(0))


class StreamBlend:
    """A blend of models over a stream that comes in batches.

    Three things follow the world, from cheap to dear: *features* that hold recent rates, *weights*
    that an :class:`OnlineStack` moves after every batch, and one small *member* that is trained
    anew when that pays. Its foundation is trained once. Former models stay as one member more,
    mixed by :class:`FixedShare`.

    Parameters
    ----------
    history
        Batches of rows, each of shape ``(rows, columns)``, in time order, missing values as NaN.
    truth
        Their class codes.
    classes
        Number of classes, ≥ 2.
    train
        Trains members.
    recipes
        The foundation.
    refreshed
        The member that :meth:`refit` trains anew.
    replay
        Whether to live through the history with models of its time, so that weights are learned
        and an archive is there when service begins; otherwise members are trained once, at its end.
    after_training
        Called after each training, for progress.

    Raises
    ------
    ConfigError
        If there are fewer batches than a first training needs.
    """

    def __init__(
        self,
        history: Sequence[FloatArray],
        truth: Sequence[IntArray],
        *,
        classes: int,
        train: Trainer,
        recipes: Sequence[Recipe] = FOUNDATION,
        refreshed: Recipe = REFRESHED,
        replay: bool = True,
        after_training: Callable[[], None] = lambda: None,
    ) -> None:
        if len(history) < 3:
            raise ConfigError(
                f"a blend over {len(history)} batches.", remedy="give it at least 3 batches"
            )
        self._classes = classes
        self._train = train
        self._recipes = tuple(recipes)
        self._refreshed = refreshed
        self._after_training = after_training
        past, labels = np.vstack(history), np.concatenate(truth)
        period = dominant_period((labels > 0).astype(np.float64), longest=len(history[-1]))
        self._lags = LagFeatures(past, span=period or DEFAULT_SPAN)
        self._rates = RecentRates(past, labels, classes=classes)
        self._stack = OnlineStack(models=len(self._recipes) + 3, classes=classes)
        self._shares = FixedShare()
        self._batches: list[_Batch] = []
        self._members: list[Scorer] = []
        self._archive: list[Scorer] = []
        self._small: list[Scorer] = []
        self._served: _Served | None = None
        self._live_through(history, truth, train_within=replay)

    def predict(self, rows: FloatArray) -> FloatArray:
        """Predict the next batch.

        Parameters
        ----------
        rows
            Shape ``(rows, columns)``.

        Returns
        -------
        ndarray
            Log-odds of every class against the first, shape ``(rows, classes − 1)``.
        """
        batch = self._encoded(rows)
        by_view = batch.views
        odds = [
            member.odds(by_view[recipe.view])
            for recipe, member in zip(self._recipes, self._members, strict=True)
        ]
        small = [member.odds(by_view[self._refreshed.view]) for member in self._small[-AVERAGED:]]
        archive = _chances(np.stack([member.odds(by_view[View.PLAIN]) for member in self._archive]))
        mixed = np.tensordot(self._shares.of(range(len(archive))), archive, axes=1)
        odds += [small[-1], np.mean(small, axis=0), _odds(mixed)]
        served = _Served(batch, np.stack(odds, axis=1), archive)
        served.blended = self._stack.combine(served.odds)
        self._served = served
        return served.blended

    def learn(self, truth: IntArray) -> None:
        """Take in the labels of the batch that was predicted last.

        Raises
        ------
        ConfigError
            If none was.
        """
        served = self._served
        if served is None:
            raise ConfigError("no batch waits for its labels.", remedy="call predict(rows) first")
        self._shares.learn(range(len(served.archive)), _log_losses(served.archive, truth))
        self._stack.learn(served.odds, truth)
        self._remember(served.batch, truth)
        self._served = None

    def refit(self) -> None:
        """Train the refreshed member anew, on the newest batches."""
        self._small.append(self._trained(self._refreshed))
        del self._small[:-AVERAGED]

    def _live_through(
        self, history: Sequence[FloatArray], truth: Sequence[IntArray], *, train_within: bool
    ) -> None:
        last = len(history) - 1
        for number, (rows, labels) in enumerate(zip(history, truth, strict=True)):
            if self._members:
                self.predict(rows)
                self.learn(labels)
            else:
                self._remember(self._encoded(rows), labels)
            stride_ends = train_within and (last - number) % STRIDE == 0
            if number == last or (stride_ends and number >= FIRST_TRAINING):
                self._train_all()
        # Only the newest batches are ever trained on again.
        del self._batches[: -max(1, self._refreshed.batches or 1)]

    def _train_all(self) -> None:
        self._members = [self._trained(recipe) for recipe in self._recipes]
        self._archive.append(self._members[0])
        self.refit()

    def _trained(self, recipe: Recipe) -> Scorer:
        batches = self._batches[-recipe.batches :] if recipe.batches else self._batches
        features = np.vstack([batch.views[recipe.view] for batch in batches])
        truth = np.concatenate([batch.truth for batch in batches if batch.truth is not None])
        stride = -(-len(features) // MOST_ROWS)
        member = self._train(
            features[::stride], truth[::stride], classes=self._classes, params=recipe.params
        )
        self._after_training()
        return member

    def _encoded(self, rows: FloatArray) -> _Batch:
        codes = self._rates.codes(rows)
        lags, rates = self._lags.encode(rows), self._rates.features(codes)
        views = {
            View.PLAIN: rows,
            View.LAGS: np.hstack([rows, lags]),
            View.RATES: np.hstack([rows, rates]),
            View.BOTH: np.hstack([rows, lags, rates]),
        }
        return _Batch(views, codes)

    def _remember(self, batch: _Batch, truth: IntArray) -> None:
        batch.truth = truth
        self._batches.append(batch)
        self._lags.move_on(batch.views[View.PLAIN])
        self._rates.count(batch.codes, truth)


def _odds(chances: FloatArray) -> FloatArray:
    """Log-odds of every class against the first, from chances."""
    logs = np.log(np.maximum(chances, LEAST_CHANCE))
    against: FloatArray = logs[:, 1:] - logs[:, :1]
    return against


def _chances(odds: FloatArray) -> FloatArray:
    """Probabilities of all classes, ``(…, classes)``, from log-odds against the first."""
    scores = np.concatenate([np.zeros((*odds.shape[:-1], 1)), odds], axis=-1)
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    share: FloatArray = raised / raised.sum(axis=-1, keepdims=True)
    return share


def _log_losses(chances: FloatArray, truth: IntArray) -> FloatArray:
    """Mean log loss of each model, shape ``(models,)``."""
    chosen = chances[:, np.arange(len(truth)), truth]
    losses: FloatArray = -np.log(np.maximum(chosen, LEAST_CHANCE)).mean(axis=1)
    return losses
