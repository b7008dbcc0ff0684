"""Loaded models, a bounded number of them, shared by all pipelines of the process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.model_automation_pipeline.package import Predictor


class PredictorCache:
    """Keeps the predictors that were used last. Safe to share between threads.

    A predictor is known by the SHA-256 of its package, so that stores which share nothing may share
    a cache.

    Parameters
    ----------
    size
        Predictors kept, ≥ 1; one takes a few hundred kilobytes.
    """

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._predictors: OrderedDict[str, Predictor] = OrderedDict()

    def get(self, sha256: str, load: Callable[[], Predictor]) -> Predictor:
        """Return the predictor of a package, calling ``load`` if it is not kept.

        Two threads that miss at once both load; one of the equal results is kept.
        """
        with self._lock:
            known = self._predictors.get(sha256)
            if known is not None:
                self._predictors.move_to_end(sha256)
                return known
        loaded = load()
        with self._lock:
            self._predictors[sha256] = loaded
            self._predictors.move_to_end(sha256)
            while len(self._predictors) > self._size:
                self._predictors.popitem(last=False)
        return loaded

    def __len__(self) -> int:
        return len(self._predictors)


SHARED = PredictorCache()
"""The cache of pipelines that were given none."""
