"""Which proposer wins where, and so who is asked first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from menace.records import Json

FORGETTING = 0.98
"""What a past attempt still weighs after each later one in the same situation."""

PRIOR_WEIGHT = 2.0
"""So many attempts the rate over all situations is worth in a situation without any."""

LONGEST_REST = 31
"""Cycles without an attempt after many that found nothing, at most."""

LEAST_SECONDS = 1.0
"""No attempt counts as cheaper: a start of the sandbox is paid for in any case."""


@dataclass(slots=True)
class Record:
    """What a proposer has done in one situation.

    Attributes
    ----------
    asked, won
        Attempts, and those that ended with a patch in the code, both discounted.
    cpu_seconds
        What the attempts used, discounted alike.
    """

    asked: float = 0.0
    won: float = 0.0
    cpu_seconds: float = 0.0


class ProposerArchive:
    """Orders proposers by wins per CPU-second, by Thompson sampling.

    Asking a proposer in a situation wins with an unknown probability. Its posterior is
    Beta(1 + w + m·r, 1 + (n − w) + m·(1 − r)), with n attempts and w wins in the situation, both
    discounted by γ at every later attempt there, and m pseudo-attempts at the rate r that the
    proposer has over all situations. Each is worth a draw from its posterior over its mean cost in
    CPU-seconds, and the dearest draw is asked first: what looks best is used, what is little known
    is still tried.

    A settlement that takes a patch back takes its win back (:meth:`lost`).

    References
    ----------
    Thompson, W. R. (1933), Biometrika 25, 285–294; with discounting: Raj, V. and Kalyani, S.
    (2017), *Taming non-stationary bandits: a Bayesian approach*, section 3; cost in the
    denominator: Xia, Y. et al. (2015), *Thompson sampling for budgeted multi-armed bandits*.

    Examples
    --------
    >>> import numpy as np
    >>> archive = ProposerArchive()
    >>> for _ in range(30):
    ...     archive.add("failing tests", "repair", won=True, cpu_seconds=2.0)
    ...     archive.add("failing tests", "genetic", won=False, cpu_seconds=9.0)
    >>> archive.order("failing tests", ["genetic", "repair"], np.random.default_rng(1))
    ['repair', 'genetic']
    """

    def __init__(self) -> None:
        self._records: dict[str, dict[str, Record]] = {}
        self._misses = 0
        self._resting = 0

    def add(self, situation: str, proposer: str, *, won: bool, cpu_seconds: float) -> None:
        """Take an attempt in.

        Parameters
        ----------
        situation
            What was to be done, such as ``failing tests``.
        won
            Whether a patch of this proposer went into the code.
        cpu_seconds
            What its proposals and their judging used, ≥ 0.
        """
        known = self._records.setdefault(situation, {})
        for record in known.values():
            record.asked *= FORGETTING
            record.won *= FORGETTING
            record.cpu_seconds *= FORGETTING
        record = known.setdefault(proposer, Record())
        record.asked += 1.0
        record.won += float(won)
        record.cpu_seconds += cpu_seconds

    def lost(self, situation: str, proposer: str) -> None:
        """Take a win back: its patch did not prove itself."""
        record = self._records.get(situation, {}).get(proposer)
        if record is not None:
            record.won = max(0.0, record.won - 1.0)

    def attempted(self, *, found: bool) -> None:
        """Take in whether a cycle's attempts found anything.

        After the n-th in a row that did not, 2ⁿ − 1 cycles pass without one, 31 at most: code that
        is as good as the proposers can make it costs little.
        """
        self._misses = 0 if found else self._misses + 1
        self._resting = min(LONGEST_REST, 2**self._misses - 1)

    def rests(self) -> bool:
        """Whether this cycle is one to sit out; each call counts one down."""
        if self._resting == 0:
            return False
        self._resting -= 1
        return True

    def order(
        self, situation: str, proposers: Sequence[str], rng: np.random.Generator
    ) -> list[str]:
        """Order proposers, the one to ask first in front."""
        draws = {name: self._draw(situation, name, rng) for name in proposers}
        return sorted(proposers, key=lambda name: -draws[name])

    def records(self) -> Iterable[tuple[str, str, Record]]:
        """Situation, proposer and what it has done there, by name."""
        for situation, known in sorted(self._records.items()):
            for proposer, record in sorted(known.items()):
                yield situation, proposer, record

    def to_json(self) -> Json:
        """Plain JSON, for a state file."""
        records = {
            situation: {
                name: [record.asked, record.won, record.cpu_seconds]
                for name, record in known.items()
            }
            for situation, known in self._records.items()
        }
        return {"records": records, "misses": self._misses, "resting": self._resting}

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Build from what :meth:`to_json` gave."""
        archive = cls()
        archive._misses, archive._resting = int(data["misses"]), int(data["resting"])
        for situation, known in data["records"].items():
            archive._records[situation] = {
                name: Record(*map(float, figures)) for name, figures in known.items()
            }
        return archive

    def _draw(self, situation: str, proposer: str, rng: np.random.Generator) -> float:
        own = self._records.get(situation, {}).get(proposer, Record())
        everywhere = [
            record
            for known in self._records.values()
            for name, record in known.items()
            if name == proposer
        ]
        asked = sum(record.asked for record in everywhere)
        rate = sum(record.won for record in everywhere) / asked if asked > 0 else 0.5
        seconds = sum(record.cpu_seconds for record in everywhere)
        cost = max(LEAST_SECONDS, seconds / asked if asked > 0 else LEAST_SECONDS)
        # A discounted win may weigh a rounding error more than its attempt.
        lost = max(0.0, own.asked - own.won)
        win = rng.beta(
            1.0 + own.won + PRIOR_WEIGHT * rate, 1.0 + lost + PRIOR_WEIGHT * (1.0 - rate)
        )
        return float(win) / cost
