"""What a strategy is, and what it may look at: the past, and no more of it than it paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Past(Protocol):
    """All that a strategy may look at at the end of a tick.

    Ticks are counted from 0; model *i* is the one that a cycle at the end of tick *i* makes.
    """

    @property
    def now(self) -> int:
        """The newest tick whose labels have arrived."""
        ...

    @property
    def model(self) -> int:
        """The model that served it."""
        ...

    @property
    def age(self) -> int:
        """Ticks that this model has served, ≥ 1: ``now − model``."""
        ...

    def error(self, model: int, tick: int, /) -> float:
        """Mean loss of a model on a tick's rows, in units of loss.

        Raises ``DataError`` for a tick that lies ahead and a model that nobody trained.
        """
        ...

    def row_losses(self, model: int, tick: int, /) -> NDArray[np.float64] | NDArray[np.bool_]:
        """Losses on a tick's rows, in their order; raises as :meth:`error` does."""
        ...


class Strategy(Protocol):
    """Decides at the end of every counted tick but the last."""

    def wants_cycle(self, past: Past, /) -> bool:
        """Whether a new model, trained now, shall serve from the next tick on."""
        ...
