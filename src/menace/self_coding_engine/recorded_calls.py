"""Calls of a file's functions, recorded while its tests run, and what becomes of them on a text."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from menace.errors import CodingError
from menace.self_coding_engine.measuring.programs import ENVIRONMENT, PACKAGE, program
from menace.self_coding_engine.sandbox import SandboxLimits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from menace.records import Json
    from menace.self_coding_engine.sandbox import Sandbox

PER_FUNCTION = 200
CHARACTERS = 8_000_000
"""Distinct calls kept per function, and the size of all of them as JSON."""

RECORDING_LIMITS = SandboxLimits(
    wall_seconds=120.0, cpu_seconds=90.0, memory_bytes=2 << 30, output_bytes=32 << 20
)
REPLAY_LIMITS = SandboxLimits(
    wall_seconds=60.0, cpu_seconds=60.0, memory_bytes=2 << 30, output_bytes=64 << 20
)


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call: the function's name, and its arguments in the encoding of the sandbox.

    Attributes
    ----------
    args, kwargs
        As :func:`menace.self_coding_engine.driven_calls.encoding.encode` gives them.
    """

    function: str
    args: Any
    kwargs: Any

    def to_json(self) -> Json:
        """Plain JSON."""
        return {"function": self.function, "args": self.args, "kwargs": self.kwargs}

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Rebuild from :meth:`to_json`."""
        return cls(data["function"], data["args"], data["kwargs"])

    @classmethod
    def of(cls, function: str, *args: Any, **kwargs: Any) -> Self:
        """Make a call from plain values.

        Raises
        ------
        UnencodableError
            Where a value is no plain data.
        """
        from menace.self_coding_engine.driven_calls.encoding import encode

        return cls(function, encode(list(args)), encode(kwargs))


@dataclass(frozen=True, slots=True)
class RecordedCalls:
    """What a run of the tests called.

    Attributes
    ----------
    calls
        Distinct calls from outside the file.
    seen
        Calls that there were.
    left_out
        Calls whose arguments are no plain data, or for which there was no room.
    """

    target: str
    calls: tuple[RecordedCall, ...]
    seen: int = 0
    left_out: int = 0

    def to_json(self) -> Json:
        """Plain JSON."""
        return {
            "target": self.target,
            "calls": [call.to_json() for call in self.calls],
            "seen": self.seen,
            "left_out": self.left_out,
        }

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Rebuild from :meth:`to_json`."""
        calls = tuple(RecordedCall.from_json(call) for call in data["calls"])
        return cls(data["target"], calls, data["seen"], data["left_out"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call.

    Attributes
    ----------
    result
        Encoded result; meaningless where ``raised`` is set.
    raised
        Name and text of the error.
    arguments
        Encoded arguments afterwards, where the call changed them.
    printed
        What it printed.
    unknown
        Why the outcome cannot be written down; empty otherwise. Such a call shows nothing.
    """

    result: Any = None
    raised: tuple[str, str] | None = None
    arguments: Any = None
    printed: str = ""
    unknown: str = ""

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Rebuild from a line of the replaying program."""
        raised = data.get("raised")
        return cls(
            result=data.get("result"),
            raised=None if raised is None else (raised[0], raised[1]),
            arguments=data.get("arguments"),
            printed=data.get("printed", ""),
            unknown=data.get("unknown", ""),
        )


def runner_of(tests: str) -> tuple[str, list[str]]:
    """Split a test command into ``pytest`` or ``unittest`` and its arguments.

    Raises
    ------
    CodingError
        For any other command.

    Examples
    --------
    >>> runner_of("python -m pytest -q tests")
    ('pytest', ['-q', 'tests'])
    """
    words = shlex.split(tests)
    if len(words) > 2 and words[1] == "-m":
        words = words[2:]
    if not words or words[0] not in {"pytest", "unittest"}:
        message = f"calls cannot be recorded from the tests {tests!r}"
        raise CodingError(message, remedy="give a command that runs pytest or unittest")
    return words[0], words[1:]


def record_calls(
    sandbox: Sandbox,
    folder: Path,
    target: str,
    tests: str = "pytest -q tests",
    *,
    limits: SandboxLimits = RECORDING_LIMITS,
    per_function: int = PER_FUNCTION,
) -> RecordedCalls:
    """Run the tests in the sandbox and note the calls of the target's functions.

    Raises
    ------
    CodingError
        Where the tests are run by neither pytest nor unittest, or did not come to their end.
    """
    runner, arguments = runner_of(tests)
    order = {
        "folder": str(folder),
        "target": target,
        "runner": runner,
        "arguments": arguments,
        "per_function": per_function,
        "characters": CHARACTERS,
    }
    run = sandbox.run(
        program("record"),
        folder=folder,
        limits=limits,
        environment=ENVIRONMENT,
        bind=(PACKAGE,),
        input=json.dumps(order).encode(),
    )
    lines = run.output.decode("utf-8", "replace").splitlines()
    if run.reason != "exited" or not lines:
        said = run.errors.decode("utf-8", "replace")[-500:]
        message = f"the tests of {target} ended before their calls were written down ({run.reason})"
        raise CodingError(f"{message}: {said}", remedy="run the tests by hand")
    return RecordedCalls.from_json({"target": target, **json.loads(lines[-1])})


def replay(
    sandbox: Sandbox,
    *,
    folder: Path,
    target: str,
    source: str,
    calls: Sequence[RecordedCall],
    limits: SandboxLimits = REPLAY_LIMITS,
) -> tuple[Outcome, ...]:
    """Run the calls on a text in the sandbox, each on its own copy of the arguments.

    Returns
    -------
    tuple
        One outcome per call, in order; fewer where the text ended the process.
    """
    order = {
        "folder": str(folder),
        "target": target,
        "source": source,
        "calls": [call.to_json() for call in calls],
    }
    run = sandbox.run(
        program("replay"),
        folder=folder,
        limits=limits,
        environment=ENVIRONMENT,
        bind=(PACKAGE,),
        input=json.dumps(order).encode(),
    )
    lines = run.output.decode("utf-8", "replace").split("\n")[:-1]
    return tuple(Outcome.from_json(json.loads(line)) for line in lines[: len(calls)])


def differences(
    before: Sequence[Outcome], after: Sequence[Outcome], *, relative: float = 1e-9
) -> list[int]:
    """Places at which two replays of the same calls differ, missing ones included.

    Numbers may differ by ``relative`` of the larger one: sums in another order do. Calls whose
    outcome before is unknown are passed over.
    """
    different = []
    for place, old in enumerate(before):
        if old.unknown:
            continue
        if place >= len(after) or not _same_outcome(old, after[place], relative):
            different.append(place)
    return different


def _same_outcome(old: Outcome, new: Outcome, relative: float) -> bool:
    if new.unknown or old.raised != new.raised or old.printed != new.printed:
        return False
    return same(old.result, new.result, relative=relative) and same(
        old.arguments, new.arguments, relative=relative
    )


def same(old: Any, new: Any, *, relative: float = 1e-9) -> bool:
    """Whether two encoded values are the same, floats up to rounding.

    A NumPy scalar is the same as the Python number of its kind.

    Examples
    --------
    >>> same([0.1 + 0.2, "a"], [0.3, "a"]), same(1, 1.0), same([1], [1, 2])
    (True, False, False)
    """
    old, new = _plain(old), _plain(new)
    if isinstance(old, float) and isinstance(new, float):
        return abs(old - new) <= max(relative * max(abs(old), abs(new)), relative * 1e-3)
    if type(old) is not type(new):
        return False
    if isinstance(old, list):
        return len(old) == len(new) and all(
            same(a, b, relative=relative) for a, b in zip(old, new, strict=True)
        )
    if isinstance(old, dict):
        return list(old) == list(new) and all(
            same(value, new[key], relative=relative) for key, value in old.items()
        )
    return bool(old == new)


def _plain(value: Any) -> Any:
    if isinstance(value, dict) and value.get("!") == "numpy.scalar":
        (plain,) = value["v"]
        return plain
    return value
