"""The seed of a training, derived from the bot's and from where in the stream it happens."""

from __future__ import annotations


def training_seed(seed: int, row: int) -> int:
    """Return the same seed for the same bot and row: a cycle run again makes the same model again.

    Parameters
    ----------
    seed
        The bot's seed.
    row
        Labelled rows seen when the training begins, ≥ 0.

    Returns
    -------
    int
        In 0 .. 2³¹ − 1, as all libraries take it.

    Examples
    --------
    >>> training_seed(0, 840) == training_seed(0, 840) != training_seed(0, 1008)
    True
    """
    import numpy as np

    return int(np.random.SeedSequence([abs(seed), row]).generate_state(1)[0]) >> 1
