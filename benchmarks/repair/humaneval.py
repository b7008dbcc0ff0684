"""Programs of HumanEvalFix, from a file with one JSON document a line."""

from __future__ import annotations

import ast
import doctest
import gzip
import json
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.repair.programs import NO_TESTS, Attempt
from benchmarks.repair.searching import search
from menace.self_coding_engine.testing import TestServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.sandbox import Sandbox

TARGET = "program.py"
JUDGE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class HumanEvalProgram:
    """One program.

    Attributes
    ----------
    source
        The prompt, docstring and all, with the faulty body.
    cases
        What may be seen: (name, script), an assert each.
    shown
        Literals in them.
    held_out
        The judge's script.
    """

    task_id: str
    kind: str
    source: str
    cases: tuple[tuple[str, str], ...]
    shown: tuple[str, ...]
    held_out: str

    def attempt(self, sandbox: Sandbox, seconds: float) -> Attempt:
        """Search for a repair."""
        if not self.cases:
            return Attempt(NO_TESTS, None, "", 0, 0.0)
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / TARGET).write_text(self.source, encoding="utf-8")
            return search(
                sandbox,
                self.source,
                folder=folder,
                target=TARGET,
                seconds=seconds - (time.monotonic() - started),
                cases=self.cases,
                shown=self.shown,
            )

    def judge(self, sandbox: Sandbox, source: str) -> bool:
        """Run the held-out script over a text."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / TARGET).write_text(source, encoding="utf-8")
            with TestServer(
                sandbox,
                folder=folder,
                target=TARGET,
                cases=[("held out", self.held_out)],
                test_seconds=JUDGE_SECONDS,
                source=source,
            ) as server:
                return server.run(source, seconds=2 * JUDGE_SECONDS).passed


def read_programs(path: Path) -> list[HumanEvalProgram]:
    """Read all programs of a file; gzip by its name."""
    opened = gzip.open if path.suffix == ".gz" else open
    programs = []
    with opened(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            shown = row["example_test"]
            scripts = split_asserts(shown) if "assert" in shown else doctest_asserts(row["prompt"])
            cases = tuple((f"case {k}", script) for k, script in enumerate(scripts))
            programs.append(
                HumanEvalProgram(
                    task_id=str(row["task_id"]),
                    kind=str(row.get("bug_type", "")),
                    source=row["prompt"] + row["buggy_solution"],
                    cases=cases,
                    shown=tuple(dict.fromkeys(text for s in scripts for text in literals(s))),
                    held_out=row["test"],
                )
            )
    return programs


def split_asserts(script: str) -> list[str]:
    r"""Split a script into scripts of one assert each, with all that stands before it.

    >>> for text in split_asserts("def check(f):\n    x = 1\n    assert f(x)\ncheck(g)"):
    ...     print(text)
    def check(f):
        x = 1
        assert f(x)
    check(g)
    """
    try:
        tree = ast.parse(textwrap.dedent(script).strip() + "\n")
    except SyntaxError:
        return _asserts_by_line(script)
    scripts: list[str] = []
    for place, statement in enumerate(tree.body):
        if isinstance(statement, ast.FunctionDef) and _asserts(statement.body):
            for body in _one_assert_each(statement.body):
                function = ast.FunctionDef(
                    statement.name, statement.args, body, [], None, lineno=1, col_offset=0
                )
                whole = [*tree.body[:place], function, *tree.body[place + 1 :]]
                scripts.append(ast.unparse(ast.Module(_without_asserts(whole), [])))
    if scripts:
        return scripts
    if _asserts(tree.body):
        return [ast.unparse(ast.Module(body, [])) for body in _one_assert_each(tree.body)]
    return [script] if tree.body else []


def _asserts(body: list[ast.stmt]) -> bool:
    return any(isinstance(statement, ast.Assert) for statement in body)


def _without_asserts(body: list[ast.stmt]) -> list[ast.stmt]:
    return [statement for statement in body if not isinstance(statement, ast.Assert)]


def _one_assert_each(body: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    before: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.Assert):
            yield [*before, statement]
        else:
            before.append(statement)


def _asserts_by_line(script: str) -> list[str]:
    """Take what can be read of a script whose lines are set out wrongly."""
    lines = [line.strip() for line in script.splitlines()]
    head = next((line for line in lines if line.startswith("def ")), "")
    call = lines[-1] if lines else ""
    found = []
    for line in lines:
        if line.startswith("assert"):
            text = f"{head}\n    {line}\n{call}\n" if head else line
            try:
                ast.parse(text)
            except SyntaxError:
                continue
            found.append(text)
    return found


def doctest_asserts(text: str) -> list[str]:
    r"""Make a script of each example of a docstring whose result is written as an expression.

    >>> doctest_asserts(">>> 1 + 1\n2\n")
    ['assert (1 + 1) == (2)']
    """
    try:
        examples = doctest.DocTestParser().get_examples(text.replace('"""', ""))
    except ValueError:
        return []
    found = []
    for example in examples:
        script = f"assert ({example.source.strip()}) == ({example.want.strip()})"
        try:
            ast.parse(script)
        except SyntaxError:
            continue
        found.append(script)
    return found


def literals(script: str) -> Iterator[str]:
    """Yield the literals that a script compares something with."""
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Compare):
            for side in node.comparators:
                try:
                    yield repr(ast.literal_eval(side))
                except (ValueError, TypeError):
                    continue
