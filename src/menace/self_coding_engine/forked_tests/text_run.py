"""One run of tests over one text, over as many children as it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.forked_tests.suites import LOAD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.self_coding_engine.forked_tests.children import Heard

SLACK_SECONDS = 0.3
"""On the clock, beyond what a test may use, before a silent child is taken to hang."""


class TextRun:
    """What is known of one text's tests, over as many children as it takes."""

    def __init__(self, request: dict[str, Any], known: Sequence[str]) -> None:
        self._request = request
        self._order = list(known)
        self._cases: dict[str, tuple[bool, str]] = {}
        self._gone: set[str] = set()
        self._lines: dict[str, list[int]] = {}
        self._types: dict[str, dict[str, list[str]]] = {}
        self._reason = ""
        self._ended = False
        self._current: str | None = None
        self.silence_seconds = 5 * request["test_seconds"] + SLACK_SECONDS + LOAD_SECONDS

    def left(self) -> list[str] | None:
        """List the tests of which nothing is known yet; ``None``: whatever there is."""
        if not self._order:
            return None
        return [name for name in self._order if name not in self._cases and name not in self._gone]

    def again(self, until: float) -> bool:
        """Whether another child is of use."""
        return not self._ended and time.monotonic() < until

    def enough(self, word: list[Any]) -> bool:
        """Whether the first failure was all that was wanted."""
        return bool(self._request.get("stop_at_first")) and word[0] == "ends" and bool(word[2])

    def take(self, heard: Heard) -> None:
        """Take in what one child told."""
        self._current = None
        for kind, *word in heard.told:
            self._take_word(kind, word)
        if heard.end == "enough":
            self._ended, self._reason = True, "stopped at the first failure"
        elif not heard.end:
            self._ended = True
            if not self._reason and self.left():
                self._reason = "some tests did not run"
        elif self._current is not None:
            # The child died in this test: it has failed, and the others get a child of their own.
            self._cases[self._current] = (False, heard.end)
            self._ended = not self.left()
        else:
            self._ended, self._reason = True, heard.end

    def _take_word(self, kind: str, word: list[Any]) -> None:
        if kind == "collected" and not self._order:
            self._order = list(word[0])
        elif kind == "uncollected":
            self._reason = f"{word[0] or 'the tests'} cannot be collected: {word[1]}"
        elif kind == "begins":
            self._current = word[0]
        elif kind == "ends":
            self._cases[word[0]] = (not word[1], word[1])
            self._current = None
        elif kind == "skipped":
            self._gone.add(word[0])
            self._current = None
        elif kind == "lines":
            self._take_lines(*word)

    def _take_lines(self, name: str, lines: list[int], types: dict[str, Any]) -> None:
        self._lines[name] = lines
        for function, variables in types.items():
            known = self._types.setdefault(function, {})
            for variable, names in variables.items():
                known[variable] = sorted({*known.get(variable, []), *names})

    def answer(self) -> dict[str, Any]:
        """Give the whole of it."""
        if not self._ended and not self._reason:
            self._reason = "too many tests ended their process, or the time was up"
        return {
            "cases": [[n, *self._cases[n]] for n in self._order if n in self._cases],
            "collected": [name for name in self._order if name not in self._gone],
            "complete": self._ended and not self._reason,
            "reason": self._reason,
            "lines": self._lines,
            "types": self._types,
        }
