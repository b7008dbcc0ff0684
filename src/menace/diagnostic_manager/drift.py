"""Drift: an upward change in a series of losses."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from menace.diagnostic_manager.severity import LARGEST_Z, severity_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

SMALLEST_PART_ROWS = 30
"""Neither side of a change is judged by fewer rows."""

ADWIN_DELTA = 0.002
PAGE_HINKLEY_DELTA = 0.25
"""Worsening that Page-Hinkley tolerates, in scales of the older losses."""
PAGE_HINKLEY_THRESHOLD = 25.0
"""Accumulated excess at which it gives alarm, in scales of the older losses."""
LARGEST_LOSS = 6.0
"""A standardised loss counts as no more than this, so that one row cannot give alarm alone."""
SEVERE_EFFECT = 0.5


@dataclass(frozen=True, slots=True)
class Drift:
    """An upward change of the losses.

    Attributes
    ----------
    detectors
        Which gave alarm: ``adwin``, ``page_hinkley``.
    rows_since
        Losses since the change, the newest included.
    mean_before, mean_after
        Mean losses on either side, in units of loss.
    effect
        Their difference, largest losses trimmed, in scales of the older losses, > 0.
    z
        The same difference in standard errors, at most 1,000.
    """

    detectors: tuple[str, ...]
    rows_since: int
    mean_before: float
    mean_after: float
    effect: float
    z: float

    @property
    def severity(self) -> float:
        """``min(score(effect, 0.5), score(z, 5))``, 0..1."""
        return severity_of(self.effect, SEVERE_EFFECT, self.z)


def find_drift(losses: Sequence[float], *, recent_rows: int) -> Drift | None:
    """Look for an upward change in the newest part of a series of losses.

    1. *Scale.* The older part, all but the newest ``recent_rows`` (but at least half), gives a
       centre and a robust scale: the standard deviation after its largest hundredth is trimmed to
       the 99 % quantile (the median absolute deviation is 0 for most series of right and wrong).
       All losses are standardised by them and cut off at ±6.
    2. *Alarm.* ADWIN (Bifet and Gavaldà 2007; δ = 0.002) and Page-Hinkley (Page 1954; tolerance
       0.25 scales, threshold 25 scales, no forgetting) go through the standardised losses. An alarm
       counts if it is upward and falls into the newest part.
    3. *Measure.* The change is placed at the row of the newest part that parts the losses best (the
       greatest ``(mean after − mean before) · √(n_before · n_after / n)``, at least 30 rows on
       either side); effect and z are measured there.

    Parameters
    ----------
    losses
        In time order, finite.
    recent_rows
        Size of the newest part, ≥ 1.

    Returns
    -------
    Drift or None
        ``None`` below 60 rows, without an alarm, or if the losses did not rise.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> steady = rng.random(1000) < 0.1
    >>> find_drift(steady.astype(float), recent_rows=500) is None
    True
    >>> worse = np.concatenate([steady, rng.random(200) < 0.4]).astype(float)
    >>> drift = find_drift(worse, recent_rows=500)
    >>> drift.detectors, drift.severity > 0.9
    (('adwin', 'page_hinkley'), True)
    """
    import numpy as np

    values = np.asarray(losses, dtype=float)
    rows = len(values)
    if rows < 2 * SMALLEST_PART_ROWS:
        return None
    older = values[: max(rows - recent_rows, rows // 2)]
    scale = float(np.minimum(older, np.quantile(older, 0.99)).std()) or float(values.std())
    if scale == 0.0:
        return None
    standard = np.clip((values - older.mean()) / scale, -LARGEST_LOSS, LARGEST_LOSS)
    first_recent = max(rows - recent_rows, 0)
    detectors = _alarms(standard, first_recent)
    if not detectors:
        return None
    change = _best_split(standard, max(first_recent, SMALLEST_PART_ROWS))
    before, after = standard[:change], standard[change:]
    effect = float(after.mean() - before.mean())
    if effect <= 0:
        return None
    error = math.sqrt(before.var() / len(before) + after.var() / len(after))
    return Drift(
        detectors=detectors,
        rows_since=rows - change,
        mean_before=float(values[:change].mean()),
        mean_after=float(values[change:].mean()),
        effect=effect,
        z=min(effect / error, LARGEST_Z) if error > 0 else LARGEST_Z,
    )


def _alarms(standard: np.ndarray, first_recent: int) -> tuple[str, ...]:
    """Name the detectors that see the losses rise at or after row ``first_recent``."""
    # Imported late, because it takes a second; untyped, because river has no type hints.
    detectors: Any = importlib.import_module("river.drift")
    adwin = detectors.ADWIN(delta=ADWIN_DELTA)
    page_hinkley = detectors.PageHinkley(
        min_instances=SMALLEST_PART_ROWS,
        delta=PAGE_HINKLEY_DELTA,
        threshold=PAGE_HINKLEY_THRESHOLD,
        alpha=1.0,
        mode="up",
    )
    alarms = set()
    for number, loss in enumerate(standard.tolist()):
        # The estimate before an alarm spans both sides of the change, the one after only the new.
        before = adwin.estimation
        adwin.update(loss)
        page_hinkley.update(loss)
        if number < first_recent:
            continue
        if adwin.drift_detected and adwin.estimation > before:
            alarms.add("adwin")
        if page_hinkley.drift_detected:
            alarms.add("page_hinkley")
    return tuple(sorted(alarms))


def _best_split(standard: np.ndarray, first: int) -> int:
    """Row at or after ``first`` where a rise parts the losses best, 30 rows from the end."""
    import numpy as np

    rows = len(standard)
    last = rows - SMALLEST_PART_ROWS
    places = np.arange(min(first, last), last + 1)
    sums = np.cumsum(standard)
    before = sums[places - 1] / places
    after = (sums[-1] - sums[places - 1]) / (rows - places)
    return int(places[np.argmax((after - before) * np.sqrt(places * (rows - places) / rows))])
