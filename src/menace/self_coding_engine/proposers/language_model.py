"""Proposes what a language model answers, where somebody has set one up."""

from __future__ import annotations

import importlib.util
import logging
import math
import re
import time
from typing import TYPE_CHECKING, Any, Self

from menace.errors import MissingDependencyError
from menace.patches import Claim
from menace.self_coding_engine.proposal import Proposal
from menace.self_coding_engine.proposers.language_model_endpoint import (
    Endpoint,
    Fault,
    LanguageModelError,
)
from menace.self_coding_engine.proposers.language_model_prompt import Tried, write_prompt
from menace.self_coding_engine.proposers.language_model_reply import apply_reply
from menace.self_coding_engine.proposers.language_model_settings import (
    TokenBudget,
    check_language_model_settings,
    language_model_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from menace.self_coding_engine.proposal import CodingTask, TestReport, Workbench
    from menace.self_coding_engine.proposers.language_model_endpoint import Reply
    from menace.self_coding_engine.proposers.language_model_reply import EditedText
    from menace.self_coding_engine.proposers.language_model_settings import LanguageModelSettings

LOG = logging.getLogger(__name__)

_SPEED = re.compile(
    r"\b(?:fast(?:er|est)?|speed\w*|slow\w*|quick\w*|latency|cpu|run ?time|efficien\w*)\b",
    re.IGNORECASE,
)

_PASSING = frozenset(
    {Fault.EMPTY, Fault.TRUNCATED, Fault.MALFORMED, Fault.NO_CHANGE, Fault.NOT_THE_PROTOCOL}
)
"""After these another attempt may do better; after the others it would only cost."""

_CORRIGIBLE = frozenset({Fault.MALFORMED, Fault.NO_CHANGE})


class LanguageModelProposer:
    """Asks an OpenAI-compatible endpoint for edits of the target; the seventh proposer.

    An answer is applied, run against the tests where there are any, and offered if none of them is
    worse off, and, where the task is a repair, fewer fail. Otherwise the next attempt is told what
    came of this one. A reply that cannot be applied is corrected once, with the problem quoted.

    What goes wrong with an endpoint ends the proposals, never the cycle: it is noted in ``faults``.
    An instance serves one task at a time.

    Parameters
    ----------
    usd_left
        What the cycle's energy leaves, in USD; asked before every request. ``None``: only the
        settings' budgets hold.
    sleep, clock
        How to wait, and seconds that only grow.

    Attributes
    ----------
    spent
        What the requests of the last task have used.
    faults
        What went wrong in it, in order.

    Raises
    ------
    MissingDependencyError
        If the package openai is not installed.
    ConfigError
        If a setting is wrong.
    """

    name = "language_model"

    def __init__(
        self,
        settings: LanguageModelSettings,
        *,
        usd_left: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if importlib.util.find_spec("openai") is None:
            raise MissingDependencyError(
                "asking a language model needs the package openai, which is not installed.",
                remedy="pip install 'menace[llm]'",
            )
        check_language_model_settings(settings, where="language_model")
        self.settings = settings
        self.spent = TokenBudget(settings)
        self.faults: list[LanguageModelError] = []
        self._usd_left = usd_left or (lambda: math.inf)
        self._sleep, self._clock = sleep, clock

    @classmethod
    def from_settings(
        cls,
        values: Mapping[str, Any],
        *,
        where: str = "language_model",
        usd_left: Callable[[], float] | None = None,
    ) -> Self:
        """Make one from a table ``language_model`` of ``[coding.BOT]``.

        Raises
        ------
        ConfigError
            Naming the setting that is unknown, missing or wrong.
        """
        return cls(language_model_settings(values, where=where), usd_left=usd_left)

    @property
    def spent_usd(self) -> float:
        """What the requests of the last task cost, USD; it is charged to the cycle."""
        return self.spent.usd

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Yield the answers that stand the tests; see the class.

        Raises
        ------
        MissingDependencyError
            If the package openai cannot be imported.
        """
        self.spent, self.faults = TokenBudget(self.settings), []
        try:
            endpoint = Endpoint(self.settings, sleep=self._sleep, clock=self._clock)
        except LanguageModelError as error:
            self._note(error)
            return
        try:
            yield from self._attempts(endpoint, task, workbench)
        finally:
            endpoint.close()

    def _attempts(
        self, endpoint: Endpoint, task: CodingTask, workbench: Workbench
    ) -> Iterator[Proposal]:
        figures = _figures(task, workbench)
        claim = claim_of(task, measured=bool(figures))
        tried: list[Tried] = []
        seen: set[str] = set()
        for attempt in range(self.settings.attempts):
            if workbench.seconds_left() <= 0.0:
                return
            try:
                messages = write_prompt(
                    task,
                    claim,
                    tried=tried,
                    figures=figures,
                    characters=self.settings.prompt_characters,
                )
                edited, reply, corrected = self._answer(endpoint, messages, task)
            except LanguageModelError as error:
                self._note(error)
                if error.fault not in _PASSING:
                    return
                tried.append(Tried("an answer without a usable edit", error.message))
                continue
            if edited.source in seen:
                tried.append(Tried(edited.explanation, "the same text as an earlier attempt"))
                continue
            seen.add(edited.source)
            report = None if task.report is None else workbench.run_tests(edited.source)
            worse = None if report is None else _worse(task.report, report, claim)
            if worse is not None:
                tried.append(Tried(edited.explanation, worse))
                continue
            yield Proposal(
                proposer=self.name,
                operator=edited.form,
                claim=claim,
                target=task.target,
                source=edited.source,
                explanation=edited.explanation or f"{self.settings.model} gave no reason.",
                parameters={
                    "model": self.settings.model,
                    "answered_by": reply.model,
                    "attempt": attempt + 1,
                    "corrected": corrected,
                    "spent": self.spent.to_json(),
                },
                prior=0.5 if report is not None and report.passed else 0.3,
            )
            tried.append(Tried(edited.explanation, "offered, and not kept"))

    def _answer(
        self, endpoint: Endpoint, messages: list[dict[str, str]], task: CodingTask
    ) -> tuple[EditedText, Reply, bool]:
        """Ask; where the reply cannot be used as it is, say why and ask once more."""
        try:
            reply = endpoint.ask(messages, self.spent, usd_left=self._usd_left)
        except LanguageModelError as error:
            if error.fault is not Fault.TRUNCATED:
                raise
            self._note(error)
            shorter = (
                f"\n\nAn earlier reply was cut off after {self.settings.max_tokens} tokens."
                " Answer in form 1, with the smallest blocks that do."
            )
            last = {**messages[-1], "content": messages[-1]["content"] + shorter}
            reply = endpoint.ask([*messages[:-1], last], self.spent, usd_left=self._usd_left)
            return apply_reply(reply.text, task.source, target=task.target), reply, True
        try:
            return apply_reply(reply.text, task.source, target=task.target), reply, False
        except LanguageModelError as error:
            if error.fault not in _CORRIGIBLE:
                raise
            self._note(error)
            correction = (
                f"That cannot be applied: {error.message} Answer again, with the whole change, in"
                " one of the two forms."
            )
            reply = endpoint.ask(
                [
                    *messages,
                    {"role": "assistant", "content": reply.text},
                    {"role": "user", "content": correction},
                ],
                self.spent,
                usd_left=self._usd_left,
            )
        return apply_reply(reply.text, task.source, target=task.target), reply, True

    def _note(self, error: LanguageModelError) -> None:
        self.faults.append(error)
        LOG.info("the language model: %s: %s", error.fault.value, error.message)


def claim_of(task: CodingTask, *, measured: bool) -> Claim:
    """Say what an answer to a task claims.

    Where tests fail, that it repairs. Otherwise what the description asks for: speed if it speaks
    of that, a better figure if not. Without a description a better figure where there is one to
    measure, and speed where there is none.
    """
    if task.report is not None and not task.report.passed:
        return Claim.REPAIRS
    if task.description.strip():
        return Claim.SPEEDS if _SPEED.search(task.description) else Claim.IMPROVES
    return Claim.IMPROVES if measured else Claim.SPEEDS


def _figures(task: CodingTask, workbench: Workbench) -> Mapping[str, float]:
    if task.report is not None and not task.report.passed:
        return {}
    found = {
        "the user's measure": workbench.measure(task.source),
        "loss by forward validation": workbench.validate(task.source),
    }
    return {name: value for name, value in found.items() if value is not None}


def _worse(before: TestReport | None, after: TestReport, claim: Claim) -> str | None:
    """Say why an answer is not offered; ``None`` if it may be."""
    if not after.complete:
        return f"the tests did not come to their end: {after.reason}"
    failed_before = set() if before is None else set(before.failing)
    newly = [name for name in after.failing if name not in failed_before]
    messages = {case.name: case.message for case in after.cases if not case.passed}
    if newly and (before is None or before.complete):
        return f"{newly[0]} fails now: {messages[newly[0]][-300:]}"
    if claim is Claim.REPAIRS and before is not None and before.complete:
        still = [name for name in after.failing if name in failed_before]
        if len(still) == len(failed_before):
            return f"{still[0]} still fails: {messages[still[0]][-300:]}" if still else None
    return None
