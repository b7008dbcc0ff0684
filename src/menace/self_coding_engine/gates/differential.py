"""The gate *old against new*: the same inputs give the same, unless the tests ask for more."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.errors import CodingError
from menace.patches import Claim, GateReport
from menace.self_coding_engine.gates.allowances import allowance
from menace.self_coding_engine.recorded_calls import (
    Outcome,
    differences,
    record_calls,
    replay,
    runner_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from menace.records import Json
    from menace.self_coding_engine.gates.candidate import Candidate
    from menace.self_coding_engine.gates.testing import TestGate
    from menace.self_coding_engine.recorded_calls import RecordedCall
    from menace.self_coding_engine.sandbox import Sandbox

SHOWN, SHOWN_CHARACTERS = 5, 300

NEVER_CAME = Outcome(raised=("nothing", "the process had ended before"))


@dataclass(frozen=True, slots=True)
class Baseline:
    """Inputs, and what the present text makes of them.

    Attributes
    ----------
    outcomes
        One per call.
    unsteady
        Places of calls that show nothing: two runs of the present text differ in them, or what
        comes of them cannot be written down.
    left_out
        Calls of the tests that could not be recorded.
    """

    calls: tuple[RecordedCall, ...]
    outcomes: tuple[Outcome, ...]
    unsteady: frozenset[int]
    left_out: int


class DifferentialGate:
    """Runs both texts on inputs that were recorded while the tests ran.

    Recorded are the calls that tests make which the present text passes. Compared are results,
    errors, what becomes of the arguments, and what is printed; numbers up to rounding. A call that
    differs between two runs of the present text shows nothing. What differs is shown, and refused,
    save for what :func:`~menace.self_coding_engine.gates.allowances.allowance` lets pass.

    Parameters
    ----------
    sandbox
        Where everything runs.
    tests
        The command whose calls are recorded.
    outcomes
        The gate *tests*, which knows which tests passed and which are mended. Without it all tests
        are recorded, and a repair may change nothing that they call.
    further
        More inputs, such as the bot's own rows; not for repairs.
    """

    name = "old against new"

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        tests: str,
        outcomes: TestGate | None = None,
        further: Sequence[RecordedCall] = (),
    ) -> None:
        self._sandbox, self._tests, self._outcomes = sandbox, tests, outcomes
        self._further = tuple(further)
        self._baselines: dict[tuple[str, str], Baseline] = {}

    def baseline(self, candidate: Candidate) -> Baseline:
        """Record the inputs and run the present text on them; done once for a text.

        Raises
        ------
        CodingError
            If the tests cannot be run.
        """
        key = (candidate.target, candidate.before)
        if key not in self._baselines:
            self._baselines[key] = self._made(candidate)
        return self._baselines[key]

    def judge(self, candidate: Candidate) -> GateReport:
        """Run the new text on the inputs.

        Raises
        ------
        CodingError
            If the tests cannot be run.
        """
        base = self.baseline(candidate)
        if not base.calls:
            return GateReport(self.name, None, "the tests call nothing that could be recorded")
        found = self._replayed(candidate, candidate.after, base.calls)
        after = (*found, *[NEVER_CAME] * (len(base.calls) - len(found)))
        repairs = candidate.claim is Claim.REPAIRS
        places = [
            at
            for at in differences(base.outcomes, after)
            if at not in base.unsteady and not (repairs and base.calls[at] in self._further)
        ]
        asked = self._asked(candidate) if places and repairs else frozenset()
        allowed: dict[str, int] = {}
        refused: list[int] = []
        for at in places:
            why = allowance(
                candidate, base.outcomes[at], after[at], asked=_key(base.calls[at]) in asked
            )
            if why is None:
                refused.append(at)
            else:
                allowed[why] = allowed.get(why, 0) + 1
        shown = [_shown(base.calls[at], base.outcomes[at], after[at]) for at in refused or places]
        return self._report(base, len(places), allowed, len(refused), shown[:SHOWN])

    def _report(
        self, base: Baseline, different: int, allowed: Json, refused: int, shown: list[Json]
    ) -> GateReport:
        figures: Json = {
            "calls": len(base.calls),
            "left_out": base.left_out,
            "unsteady": len(base.unsteady),
            "different": different,
            "allowed": allowed,
            "differences": shown,
        }
        if refused:
            first = shown[0]
            reason = (
                f"{refused} of {len(base.calls)} calls differ, such as {first['call']}:"
                f" {first['before']} → {first['after']}"
            )
            return GateReport(self.name, False, reason, figures)
        if len(base.unsteady) == len(base.calls):
            return GateReport(self.name, None, "no call gives the same twice", figures)
        same = len(base.calls) - len(base.unsteady) - different
        excused = "".join(f"; {count}: {why}" for why, count in allowed.items())
        return GateReport(self.name, True, f"{same} calls give the same{excused}", figures)

    def _made(self, candidate: Candidate) -> Baseline:
        calls, left_out = self._recorded(candidate)
        calls += tuple(call for call in self._further if call not in calls)
        if not calls:
            return Baseline((), (), frozenset(), left_out)
        first, second = (self._replayed(candidate, candidate.before, calls) for _ in range(2))
        missing = range(min(len(first), len(second)), len(calls))
        unknown = (at for at, outcome in enumerate(first) if outcome.unknown)
        unsteady = frozenset([*differences(first, second), *unknown, *missing])
        first += (NEVER_CAME,) * (len(calls) - len(first))
        return Baseline(calls, first, unsteady, left_out)

    def _recorded(self, candidate: Candidate) -> tuple[tuple[RecordedCall, ...], int]:
        """Record the calls of the tests that pass: another may hang."""
        command = self._tests
        if self._outcomes is not None:
            steady = self._outcomes.steady(candidate.before)
            if steady is None:
                raise CodingError("there was no time left to run the tests.")
            if not steady.passed:
                return (), 0
            if steady.named != steady.passed or steady.trouble:
                command = only_tests(candidate.root, command, steady.passed)
        recorded = record_calls(self._sandbox, candidate.root, candidate.target, command)
        return recorded.calls, recorded.left_out

    def _asked(self, candidate: Candidate) -> frozenset[str]:
        """Record what the mended tests call, as far as they come with the present text."""
        names = () if self._outcomes is None else self._outcomes.mended(candidate)
        if not names:
            return frozenset()
        command = only_tests(candidate.root, self._tests, names)
        try:
            recorded = record_calls(self._sandbox, candidate.root, candidate.target, command)
        except CodingError:
            return frozenset()  # they hang: then nothing is known to be asked for
        return frozenset(_key(call) for call in recorded.calls)

    def _replayed(
        self, candidate: Candidate, source: str, calls: Sequence[RecordedCall]
    ) -> tuple[Outcome, ...]:
        return replay(
            self._sandbox,
            folder=candidate.root,
            target=candidate.target,
            source=source,
            calls=calls,
        )


def only_tests(root: Path, tests: str, names: Collection[str]) -> str:
    """Change a test command so that it runs only the tests named, with its other options.

    pytest names tests from its root folder, which may lie above ours.
    """
    runner, arguments = runner_of(tests)
    options = [word for word in arguments if not _is_place(root, word)]
    places = []
    for name in sorted(names):
        file, colons, rest = name.partition("::")
        while "/" in file and not (root / file).exists():
            file = file.partition("/")[2]
        places.append(f"{file}{colons}{rest}")
    return shlex.join([runner, *options, *places])


def _is_place(root: Path, word: str) -> bool:
    return not word.startswith("-") and (root / word.partition("::")[0]).exists()


def _key(call: RecordedCall) -> str:
    return json.dumps(call.to_json(), sort_keys=True)


def _shown(call: RecordedCall, before: Outcome, after: Outcome) -> Json:
    arguments = ", ".join(
        [*map(_short, call.args), *(f"{name}={_short(value)}" for name, value in _named(call))]
    )
    return {
        "call": f"{call.function}({arguments})"[:SHOWN_CHARACTERS],
        "before": _told(before),
        "after": _told(after),
    }


def _named(call: RecordedCall) -> list[tuple[str, object]]:
    given = call.kwargs.get("v", []) if isinstance(call.kwargs, dict) else []
    return [(str(name), value) for name, value in given]


def _told(outcome: Outcome) -> str:
    if outcome.unknown:
        return f"cannot be written down: {outcome.unknown}"[:SHOWN_CHARACTERS]
    if outcome.raised is not None:
        return f"raises {': '.join(outcome.raised)}"[:SHOWN_CHARACTERS]
    parts = [_short(outcome.result)]
    if outcome.arguments is not None:
        parts.append(f"arguments become {_short(outcome.arguments)}")
    if outcome.printed:
        parts.append(f"prints {outcome.printed!r}")
    return "; ".join(parts)[:SHOWN_CHARACTERS]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS // 3 else f"{text[: SHOWN_CHARACTERS // 3]}…"
