"""When the refreshed member of a blend is worth training anew."""

from __future__ import annotations

from menace.errors import ConfigError

RATE = 0.004
"""Share of its loss by which a blend gets worse per batch of age of its refreshed member.

A prior, for all streams alike; docs/decision-quality.md says what it was chosen on.
"""


class RefitRhythm:
    r"""Rent-or-buy on the loss that an ageing member is expected to cost.

    After a batch with loss :math:`L_t` at age *a* the debt grows by :math:`\rho\, a\, \bar L_t`,
    with :math:`\bar L` an exponential mean of the losses. A refit is due when the debt reaches
    its cost. Where the loss is steady that is the optimal calendar
    :math:`a^* = \sqrt{2c / (\rho L)}`; where it rises, refits come sooner.

    Parameters
    ----------
    rate
        ρ > 0, share of the loss per batch of age.

    Raises
    ------
    ConfigError
        If ``rate`` is not positive.

    References
    ----------
    .. [1] Karlin, A. et al. (1988). Competitive snoopy caching. Algorithmica 3.

    Examples
    --------
    >>> rhythm = RefitRhythm(rate=0.01)
    >>> for batch in range(6):
    ...     rhythm.served(0.1)
    >>> round(rhythm.debt, 3)
    0.021
    >>> rhythm.due(cost=0.02), rhythm.due(cost=0.03)
    (True, False)
    """

    def __init__(self, *, rate: float = RATE) -> None:
        if not rate > 0:
            raise ConfigError(f"the rate is {rate}.", remedy="give one above 0")
        self._rate = rate
        self._loss: float | None = None
        self._age = 0
        self.debt = 0.0
        """Loss expected to have been paid for age since the last refit, in units of loss."""

    def served(self, loss: float) -> None:
        """Take in the blend's loss on one batch, ≥ 0."""
        self._loss = loss if self._loss is None else self._loss + 0.2 * (loss - self._loss)
        self._age += 1
        self.debt += self._rate * self._age * self._loss

    def due(self, *, cost: float) -> bool:
        """Whether the debt has reached the cost of a refit, in units of loss."""
        return self.debt >= cost

    def refitted(self) -> None:
        """Begin anew."""
        self._age = 0
        self.debt = 0.0
