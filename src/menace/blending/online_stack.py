"""A logistic blend of models whose weights follow the labels as they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from menace.errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.intp]

NEWTON_STEPS = 4
SMALLEST_STEP = 1 / 64
TOLERANCE = 1e-3
"""A step that improves the objective by a smaller share of it is the last."""


class OnlineStack:
    r"""Multinomial logistic regression on the log-odds of K models, with forgetting.

    The blend's log-odds of class :math:`c` against class 0 are

    .. math:: f_c(x) = \sum_k w_k\, z_{k,c}(x) + b_c

    where :math:`z_{k,c}` are those of model *k*. One weight per model, one bias per class: where a
    world's base rate moves, a bias follows it in one batch, and no model has to be trained anew.

    After each batch the weights minimise

    .. math:: \ell(\theta) + \tfrac{\gamma}{2}(\theta - \theta_-)^\top H_- (\theta - \theta_-)
              + \tfrac{\lambda}{2}\lVert\theta - \theta_0\rVert^2

    over the batch's log loss :math:`\ell`; what came before is kept as a quadratic around the
    weights of then, :math:`H \leftarrow \gamma H_- + \nabla^2 \ell`, so that a batch costs
    :math:`O(n K^2)` however long the history is. :math:`\theta_0` is the plain mean of the models.
    Newton steps are halved until they improve: where a batch is told apart perfectly, a full step
    would run away.

    Parameters
    ----------
    models
        K ≥ 1.
    classes
        C ≥ 2.
    memory
        γ in 0..1: the share of what is remembered that survives a batch.
    ridge
        λ > 0: pull towards the plain mean, in rows' worth of curvature.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    References
    ----------
    .. [1] Penny, W. D. and Roberts, S. J. (1999). Dynamic logistic regression. IJCNN.
    .. [2] Wolpert, D. H. (1992). Stacked generalization. Neural Networks 5.

    Examples
    --------
    Of two models the first is right and the second guesses:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(0, 2, 400)
    >>> odds = np.stack([(2.0 * truth - 1.0), rng.normal(size=400)], axis=1)[:, :, None]
    >>> stack = OnlineStack(models=2, classes=2)
    >>> stack.learn(odds, truth)
    >>> bool(stack.weights[0] > 5 * abs(stack.weights[1]))
    True
    """

    def __init__(
        self, *, models: int, classes: int, memory: float = 0.8, ridge: float = 5.0
    ) -> None:
        if models < 1 or classes < 2:
            raise ConfigError(
                f"a blend of {models} models and {classes} classes.",
                remedy="give at least one model and two classes",
            )
        if not 0 <= memory <= 1 or not ridge > 0:
            raise ConfigError(
                f"memory is {memory}, ridge is {ridge}.",
                remedy="give a memory from 0 to 1 and a ridge above 0",
            )
        self.models = models
        self.classes = classes
        self._memory = memory
        self._ridge = ridge
        self._start = np.concatenate([np.full(models, 1.0 / models), np.zeros(classes - 1)])
        self._theta = self._start.copy()
        self._curvature = np.zeros((len(self._start), len(self._start)))

    @property
    def weights(self) -> FloatArray:
        """Weights of the models, shape ``(models,)``; any sign, any sum."""
        return self._theta[: self.models].copy()

    @property
    def biases(self) -> FloatArray:
        """Log-odds added to each class but the first, shape ``(classes − 1,)``."""
        return self._theta[self.models :].copy()

    def combine(self, odds: FloatArray) -> FloatArray:
        """Blend.

        Parameters
        ----------
        odds
            Log-odds of every class against the first by model, shape
            ``(rows, models, classes − 1)``.

        Returns
        -------
        ndarray
            The blend's log-odds, shape ``(rows, classes − 1)``.
        """
        blended: FloatArray = odds.transpose(0, 2, 1) @ self._theta[: self.models]
        blended += self._theta[self.models :]
        return blended

    def learn(self, odds: FloatArray, truth: IntArray) -> None:
        """Take in one batch of labelled rows.

        Parameters
        ----------
        odds
            As for :meth:`combine`.
        truth
            Class codes 0 … classes − 1, shape ``(rows,)``.
        """
        features = self._features(odds)
        hit = (truth[:, None] == np.arange(1, self.classes)).astype(np.float64)
        kept = self._memory * self._curvature
        held = kept + self._ridge * np.eye(len(kept))
        batch = _Batch(features, hit, kept, self._theta, self._ridge, self._start)
        theta, value = self._theta, batch.value(self._theta)
        curvature = kept
        for _ in range(NEWTON_STEPS):
            gradient, curvature = batch.slopes(theta)
            step = np.linalg.solve(curvature + held, gradient)
            size, tried = 1.0, batch.value(theta - step)
            while tried > value and size > SMALLEST_STEP:
                size /= 2
                tried = batch.value(theta - size * step)
            if tried > value:
                break
            gained, value, theta = value - tried, tried, theta - size * step
            if gained < TOLERANCE * abs(value):
                break
        self._theta = theta
        self._curvature = kept + curvature

    def _features(self, odds: FloatArray) -> FloatArray:
        """Put the biases' indicators beside the log-odds: ``(rows, classes − 1, parameters)``."""
        rows, models, others = odds.shape
        features = np.zeros((rows, others, models + others))
        features[:, :, :models] = odds.transpose(0, 2, 1)
        features[:, np.arange(others), models + np.arange(others)] = 1.0
        return features


class _Batch(NamedTuple):
    """The objective of one batch: its log loss, the memory's quadratic, the ridge."""

    features: FloatArray
    hit: FloatArray
    kept: FloatArray
    before: FloatArray
    ridge: float
    start: FloatArray

    def value(self, theta: FloatArray) -> float:
        scores = self.features @ theta
        moved, off = theta - self.before, theta - self.start
        loss = _log_partition(scores).sum() - (self.hit * scores).sum()
        return float(loss + 0.5 * (moved @ self.kept @ moved + self.ridge * (off @ off)))

    def slopes(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient of the objective, and the Hessian of its log loss alone."""
        chance = _softmax(self.features @ theta)
        flat = self.features.reshape(chance.size, -1)
        pull = self.kept @ (theta - self.before) + self.ridge * (theta - self.start)
        gradient: FloatArray = (chance - self.hit).ravel() @ flat + pull
        if chance.shape[1] == 1:
            return gradient, flat.T @ (flat * (chance * (1 - chance)))
        mean = np.matmul(chance[:, None, :], self.features)[:, 0, :]
        return gradient, flat.T @ (flat * chance.reshape(-1, 1)) - mean.T @ mean


def _log_partition(scores: FloatArray) -> FloatArray:
    """Logarithm of the sum over all classes, the first of which scores 0; shape ``(rows,)``."""
    if scores.shape[1] == 1:
        pair: FloatArray = np.logaddexp(0.0, scores[:, 0])
        return pair
    top = np.maximum(scores.max(axis=1), 0.0)
    total: FloatArray = top + np.log(np.exp(scores - top[:, None]).sum(axis=1) + np.exp(-top))
    return total


def _softmax(scores: FloatArray) -> FloatArray:
    """Probabilities of the classes but the first, whose score is 0; shape as ``scores``."""
    top = np.maximum(scores.max(axis=1, keepdims=True), 0.0)
    raised = np.exp(scores - top)
    share: FloatArray = raised / (raised.sum(axis=1, keepdims=True) + np.exp(-top))
    return share
