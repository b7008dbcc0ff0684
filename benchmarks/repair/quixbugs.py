"""Programs in the shape of a checkout of QuixBugs: one folder, read where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.repair.searching import search
from menace.self_coding_engine.repair.choosing import result_type
from menace.self_coding_engine.repair.inputs import further_inputs
from menace.self_coding_engine.testing import TestServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.repair.programs import Attempt
    from menace.self_coding_engine.sandbox import Sandbox

PROGRAMS, TESTS, CORRECT = "python_programs", "python_testcases", "correct_python_programs"
JUDGE_SECONDS = 10.0
COMPARED_INPUTS = 60


def visible_half(tests: Sequence[str]) -> list[str]:
    """Every other test, from the first one on.

    >>> visible_half(["a", "b", "c"])
    ['a', 'c']
    """
    return list(tests[::2])


def held_out_half(tests: Sequence[str]) -> list[str]:
    """Give the others; of a single test, that one."""
    return list(tests[1::2]) or list(tests)


@dataclass(frozen=True, slots=True)
class QuixBugsProgram:
    """One program of a checkout."""

    root: Path
    name: str

    @property
    def task_id(self) -> str:
        """Its name, after that of the set."""
        return f"QuixBugs/{self.name}"

    @property
    def kind(self) -> str:
        """The set's name: the bugs have no types of their own."""
        return "quixbugs"

    @property
    def target(self) -> str:
        """The faulty file."""
        return f"{PROGRAMS}/{self.name}.py"

    @property
    def tests(self) -> str:
        """The command that runs its tests."""
        return f"pytest -q {TESTS}/test_{self.name}.py"

    def source(self) -> str:
        """Read the faulty text."""
        return (self.root / self.target).read_text(encoding="utf-8")

    def attempt(self, sandbox: Sandbox, seconds: float) -> Attempt:
        """Search for a repair with every other test."""
        return search(
            sandbox,
            self.source(),
            folder=self.root,
            target=self.target,
            seconds=seconds,
            tests=self.tests,
            visible=visible_half,
        )

    def judge(self, sandbox: Sandbox, source: str) -> bool:
        """Run the other tests, and compare with the correct program where there is one."""
        with TestServer(
            sandbox,
            folder=self.root,
            target=self.target,
            tests=self.tests,
            test_seconds=JUDGE_SECONDS,
            source=source,
        ) as server:
            report = server.run(source, only=held_out_half(server.tests), seconds=120.0)
            return report.passed and self._agrees(server, source)

    def _agrees(self, server: TestServer, source: str) -> bool:
        """Whether it gives what the correct program gives on inputs like those of all tests."""
        path = self.root / CORRECT / f"{self.name}.py"
        if not path.is_file():
            return True
        correct = path.read_text(encoding="utf-8")
        calls = server.observe(correct, seconds=60.0).calls
        inputs = further_inputs(calls, seed=1, most=COMPARED_INPUTS)
        if not inputs:
            return True
        wanted, given = server.probe([correct, source], inputs, test_seconds=0.5, seconds=60.0)
        return all(
            one == other or "" in {one, other} or one.startswith("!") or _near(one, other)
            for one, other in zip(wanted, given, strict=True)
        )


def _near(one: str, other: str) -> bool:
    """Whether two rendered numbers differ by rounding only."""
    numbers = {"int", "float"}
    if result_type(one) not in numbers or result_type(other) not in numbers:
        return False
    try:
        return abs(float(one) - float(other)) <= 1e-6 * max(1.0, abs(float(one)))
    except ValueError:
        return False


def read_programs(root: Path) -> list[QuixBugsProgram]:
    """Find the programs that have a test file, by name."""
    names = sorted(path.stem for path in (root / PROGRAMS).glob("*.py"))
    return [
        QuixBugsProgram(root.resolve(), name)
        for name in names
        if (root / TESTS / f"test_{name}.py").is_file()
    ]
