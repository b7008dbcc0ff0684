"""Weights over a growing set of models, by their losses, with a share for comebacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from menace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]


class FixedShare:
    r"""Exponential weights that forget: the fixed-share forecaster.

    After a batch with mean losses :math:`\ell_k`, the weights become

    .. math:: w_k \leftarrow (1-\alpha)\,\frac{w_k e^{-\eta \ell_k}}{\sum_j w_j e^{-\eta \ell_j}}
              + \frac{\alpha}{K}

    so that a model which was bad for long can be back in a few batches: a season that returns
    finds its champion in the archive. A newcomer gets the mean weight.

    Parameters
    ----------
    rate
        η > 0, per unit of loss and batch.
    share
        α in 0..1, given to all alike after every batch.

    Raises
    ------
    ConfigError
        If a parameter is out of its range.

    References
    ----------
    .. [1] Herbster, M. and Warmuth, M. (1998). Tracking the best expert. Machine Learning 32.

    Examples
    --------
    >>> weights = FixedShare(rate=4.0, share=0.1)
    >>> weights.of(["old", "new"]).tolist()
    [0.5, 0.5]
    >>> weights.learn(["old", "new"], np.array([0.9, 0.1]))
    >>> weights.of(["old", "new"]).round(3).tolist()
    [0.085, 0.915]
    """

    def __init__(self, *, rate: float = 16.0, share: float = 0.05) -> None:
        if not rate > 0 or not 0 <= share <= 1:
            raise ConfigError(
                f"rate is {rate}, share is {share}.",
                remedy="give a rate above 0 and a share from 0 to 1",
            )
        self._rate = rate
        self._share = share
        self._weights: dict[Hashable, float] = {}

    def of(self, models: Sequence[Hashable]) -> FloatArray:
        """Weights of these models, shape ``(len(models),)``, positive, summing to 1."""
        known = [self._weights[model] for model in models if model in self._weights]
        newcomer = float(np.mean(known)) if known else 1.0
        weights = np.array([self._weights.get(model, newcomer) for model in models])
        total: float = weights.sum()
        if not total > 0:
            return np.full(len(models), 1.0 / max(1, len(models)))
        return weights / total

    def learn(self, models: Sequence[Hashable], losses: FloatArray) -> None:
        """Take in one batch's mean loss of each model, shape ``(len(models),)``.

        Models that are not named are forgotten.
        """
        weights = self.of(models) * np.exp(-self._rate * (losses - losses.min()))
        weights = (1 - self._share) * weights / weights.sum() + self._share / len(models)
        self._weights = {
            model: float(weight) for model, weight in zip(models, weights, strict=True)
        }
