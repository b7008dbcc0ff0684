"""Which parts of a bot pay when they are changed: ROI deltas by module.

A cycle's ROI delta ``R`` is shared among the ``n`` modules it changed so that the shares add up to
it. Where it is known what each module contributed by itself, ``c_m`` (what the cycle would have
lost without that change, in units of ROI delta), each gets that, and what is left, costs and
interactions, is split equally::

    share_m = c_m + (R − Σ c) / n

This is the egalitarian non-separable contribution value (Moulin 1985, *The separability axiom and
equal-sharing methods*, Journal of Economic Theory 36, 120-148). Where nothing is known all ``c``
are 0, and the shares are equal.
"""

from __future__ import annotations

import hashlib
import math
import operator
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import mean, pstdev
from typing import TYPE_CHECKING, SupportsIndex

from menace.accounting.roi_tracker import roi_trend
from menace.errors import ConfigError, DataError
from menace.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from menace.records import Json

KIND = "module_roi"
VERSION = 1
BUCKETS = 64
KEPT_DELTAS = 1000
"""So many newest deltas are kept in memory of each module; totals are of all."""

TREND_DELTAS = 10
FLAT_DEVIATION = 1e-3


@dataclass(slots=True)
class _Module:
    bucket: int
    total: float = 0.0
    cycles: int = 0
    deltas: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_DELTAS))


class ModuleRoiLog:
    """ROI deltas of cycles by the modules that they changed.

    With a path the log is an append-only file: each cycle is on disk before :meth:`log_cycle`
    returns, a torn last line is survived, and several processes may share it. Without one it is
    kept in memory. A cycle is logged once: to log it again changes nothing, so that whoever was
    killed between the log and the next file may simply repeat.

    Module names are hashed (SHA-256, so that all processes agree) into a fixed number of buckets,
    and a trend is that of a bucket. So what the policy learns from stays bounded, however many
    modules come. The bucket of each module is in the file. Safe to share between threads.

    Parameters
    ----------
    path
        The file; made by the first cycle. ``None``: in memory only.
    buckets
        How many buckets there are, 1..65,536. A file keeps the number it was begun with.

    Raises
    ------
    ConfigError
        If ``buckets`` is outside its range.
    StateFileError
        If the file is foreign, newer, or damaged before its last line.

    Examples
    --------
    >>> log = ModuleRoiLog()
    >>> log.log_cycle(1, 0.9, ["window", "params:trees", "params:rate"], "policy")
    True
    >>> log.log_cycle(2, 1.0, {"window": 0.7, "family": -0.1}, "policy")
    True
    >>> [(module, round(total, 6)) for module, total in log.rankings()]
    [('window', 1.2), ('params:rate', 0.3), ('params:trees', 0.3), ('family', 0.1)]
    """

    def __init__(self, path: Path | str | None = None, *, buckets: int = BUCKETS) -> None:
        if not 1 <= buckets <= 65_536:
            raise ConfigError(f"there are {buckets} buckets.", remedy="give 1..65,536")
        self._buckets = int(buckets)
        self._journal = None if path is None else Journal(path, kind=KIND, version=VERSION)
        self._turn = threading.RLock()
        self._modules: dict[str, _Module] = {}
        self._by_bucket: dict[int, deque[float]] = {}
        self._cycles: set[int] = set()
        self._newest: tuple[str, ...] = ()
        self._flagged: dict[str, tuple[float, int]] = {}
        self.refresh()

    def log_cycle(
        self,
        cycle: SupportsIndex,
        roi: float,
        modules: Iterable[str] | Mapping[str, float],
        reason: str = "",
    ) -> bool:
        """Record a settled cycle's ROI delta against every module that it changed.

        Parameters
        ----------
        cycle
            Number of the cycle, unique in this log.
        roi
            ROI delta of the cycle, dimensionless.
        modules
            Names of the modules; or name → its own contribution, in units of ROI delta. None at
            all: the cycle is noted, and counts for no module.
        reason
            Why the cycle was run.

        Returns
        -------
        bool
            False if the cycle was logged already; nothing is changed then.

        Raises
        ------
        DataError
            If ``cycle`` is no whole number, or a figure is not finite.
        StateFileError
            If the file cannot be written; nothing is changed then.
        """
        # SupportsIndex is what int and NumPy's integers have, and neither float nor str.
        if isinstance(cycle, bool) or not isinstance(cycle, SupportsIndex):
            raise DataError(f"the cycle is {cycle!r}.", remedy="give its number")
        number = operator.index(cycle)
        shares = shared(roi, modules)
        record: Json = {
            "cycle": number,
            "roi": float(roi),
            "reason": str(reason),
            "deltas": shares,
        }
        with self._turn:
            if self._journal is None:
                if number in self._cycles:
                    return False
                self._take({**record, "buckets": self._buckets_of(shares)})
                return True
            with self._journal.writing() as (news, append):
                self._take_all(news)
                if number in self._cycles:
                    return False
                record["buckets"] = self._buckets_of(shares)
                if not self._cycles:
                    record["of"] = self._buckets
                append(record)
                self._take(record)
        return True

    def rankings(self) -> list[tuple[str, float]]:
        """Modules and the sums of their ROI deltas, best first; equals by name."""
        with self._turn:
            totals = [(name, module.total) for name, module in self._modules.items()]
        return sorted(totals, key=lambda item: (-item[1], item[0]))

    def diminishing(self, threshold: float | None = None, consecutive: int = 3) -> list[str]:
        """Modules that bring nothing any more, each told once until it moves again.

        Parameters
        ----------
        threshold
            Largest absolute mean of the last deltas that still counts as nothing; 0.0 by default.
        consecutive
            How many deltas are looked at, ≥ 1; a module with fewer is not told.

        Returns
        -------
        list of str
            By name. A module that was told before is left out until a cycle has made its last
            ``consecutive`` deltas fail the test that it was told for.

        Raises
        ------
        DataError
            If the threshold is negative or not finite, or ``consecutive`` below 1.
        StateFileError
            If the file cannot be written: what was told is kept in it.
        """
        limit = 0.0 if threshold is None else float(threshold)
        with self._turn:
            if self._journal is None:
                found = self._newly_flat(limit, consecutive)
                self._flag(found, limit, consecutive)
                return found
            if not self._newly_flat(limit, consecutive):
                return []
            with self._journal.writing() as (news, append):
                self._take_all(news)
                found = self._newly_flat(limit, consecutive)
                if found:
                    record = {"told": found, "threshold": limit, "consecutive": consecutive}
                    append(record)
                    self._take(record)
            return found

    def flat(self, threshold: float | None = None, consecutive: int = 3) -> list[str]:
        """All modules that :meth:`diminishing` is about, told before or not; tells nobody.

        |mean| ≤ ``threshold`` and population standard deviation < 10⁻³, over the last
        ``consecutive`` deltas.

        Raises
        ------
        DataError
            As :meth:`diminishing`.
        """
        limit = 0.0 if threshold is None else float(threshold)
        if not (math.isfinite(limit) and limit >= 0):
            raise DataError(f"the threshold is {threshold}.", remedy="give 0 or more")
        if consecutive < 1:
            raise DataError(f"{consecutive} deltas are to be looked at.", remedy="give 1 or more")
        with self._turn:
            return sorted(
                name
                for name, module in self._modules.items()
                if _is_flat(module.deltas, limit, consecutive)
            )

    def deltas(self, module: str) -> tuple[float, ...]:
        """Read a module's newest 1,000 ROI deltas, oldest first; empty if it is unknown."""
        with self._turn:
            known = self._modules.get(module)
            return () if known is None else tuple(known.deltas)

    def trend(self, module: str) -> float | None:
        """Trend of the module's bucket, over its newest 10 deltas; ``None`` with fewer than two.

        As :func:`~menace.accounting.roi_trend`: dimensionless, above 0 where changing it pays more
        than it did.
        """
        with self._turn:
            deltas = self._by_bucket.get(self.bucket_of(module), ())
            return roi_trend(deltas) if len(deltas) >= 2 else None

    def trends(self) -> dict[str, float | None]:
        """Give the trend of every module, best ranked first."""
        return {name: self.trend(name) for name, _ in self.rankings()}

    def changed_trend(self) -> float | None:
        """Trend of the best-ranked of the modules that the newest cycle changed.

        ``None`` if no cycle was logged, or there are fewer than two deltas.
        """
        with self._turn:
            if not self._newest:
                return None
            return self.trend(min(self._newest, key=lambda n: (-self._modules[n].total, n)))

    def bucket_of(self, module: str) -> int:
        """Say which bucket the module is in: where it was first put, or where it would go."""
        known = self._modules.get(module)
        return bucket(module, self._buckets) if known is None else known.bucket

    @property
    def bucket_count(self) -> int:
        """How many buckets there are."""
        return self._buckets

    @property
    def collisions(self) -> int:
        """How many modules share a bucket with one that was there before them."""
        with self._turn:
            return len(self._modules) - len({module.bucket for module in self._modules.values()})

    @property
    def cycles(self) -> frozenset[int]:
        """The cycles that were logged."""
        with self._turn:
            return frozenset(self._cycles)

    def changes(self, module: str) -> int:
        """How many cycles changed the module."""
        known = self._modules.get(module)
        return 0 if known is None else known.cycles

    def refresh(self) -> None:
        """Take in what other processes have added to the file.

        Raises
        ------
        StateFileError
            If the file is foreign, newer, or damaged before its last line.
        """
        if self._journal is not None:
            with self._turn:
                self._take_all(self._journal.news())

    def _take_all(self, records: Iterable[Json]) -> None:
        for record in records:
            self._take(record)

    def _take(self, record: Json) -> None:
        if "told" in record:
            self._flag(record["told"], record["threshold"], record["consecutive"])
            return
        self._buckets = record.get("of", self._buckets)
        self._cycles.add(record["cycle"])
        self._newest = tuple(record["deltas"])
        for name, delta in record["deltas"].items():
            place = record["buckets"][name]
            module = self._modules.setdefault(name, _Module(place))
            module.total += delta
            module.cycles += 1
            module.deltas.append(delta)
            self._by_bucket.setdefault(place, deque(maxlen=TREND_DELTAS)).append(delta)
            told = self._flagged.get(name)
            if told is not None and not _is_flat(module.deltas, *told):
                del self._flagged[name]

    def _buckets_of(self, shares: Mapping[str, float]) -> dict[str, int]:
        return {name: self.bucket_of(name) for name in shares}

    def _newly_flat(self, limit: float, consecutive: int) -> list[str]:
        return [name for name in self.flat(limit, consecutive) if name not in self._flagged]

    def _flag(self, names: Iterable[str], limit: float, consecutive: int) -> None:
        self._flagged.update(dict.fromkeys(names, (limit, consecutive)))


def module_log_path(state_folder: Path, bot: str) -> Path:
    """Say where a workspace keeps the log of one of its bots."""
    return state_folder / f"{bot}.modules.jsonl"


def shared(roi: float, modules: Iterable[str] | Mapping[str, float]) -> dict[str, float]:
    """Share a cycle's ROI delta among the modules that it changed; the shares add up to it.

    Parameters
    ----------
    roi
        ROI delta of the cycle, dimensionless.
    modules
        Names, for equal shares; or name → its own contribution, in units of ROI delta.

    Raises
    ------
    DataError
        If a figure is not finite or a name is empty.

    Examples
    --------
    >>> shared(-0.2, ["family", "window"])
    {'family': -0.1, 'window': -0.1}
    >>> shared(2.0, {"family": 1.5, "window": -0.5})
    {'family': 2.0, 'window': 0.0}
    """
    if isinstance(modules, str):
        raise DataError(f"the modules are {modules!r}.", remedy="give a list of names")
    own = modules if isinstance(modules, Mapping) else dict.fromkeys(modules, 0.0)
    for name, figure in (("the ROI delta", roi), *own.items()):
        if not name or not isinstance(name, str):
            raise DataError(f"a module is named {name!r}.", remedy="give names")
        if isinstance(figure, bool) or not math.isfinite(figure):
            raise DataError(f"{name} has {figure!r}.", remedy="give finite numbers")
    if not own:
        return {}
    rest = (float(roi) - math.fsum(own.values())) / len(own)
    return {name: float(own[name]) + rest for name in sorted(own)}


def bucket(module: str, buckets: int) -> int:
    """Hash a module's name into ``0 .. buckets − 1``, the same in every process.

    Examples
    --------
    >>> bucket("window", 64)
    50
    """
    digest = hashlib.sha256(module.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") % buckets


def _is_flat(deltas: Iterable[float], limit: float, consecutive: int) -> bool:
    newest = list(deltas)[-consecutive:]
    if len(newest) < consecutive:
        return False
    # The exact mean: of figures that are all alike it is that figure, and not a bit beside it.
    return abs(mean(newest)) <= limit and pstdev(newest) < FLAT_DEVIATION
