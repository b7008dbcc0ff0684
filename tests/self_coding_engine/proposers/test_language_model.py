"""The language model proposes edits within its budget, and bad servers do no harm."""

from __future__ import annotations

import builtins
import dataclasses
import json
import logging
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import ConfigError, MissingDependencyError
from menace.patches import Claim, GateReport, Patch, PatchStatus
from menace.self_coding_engine.proposal import CodingTask, Proposal
from menace.self_coding_engine.proposers.language_model import LanguageModelProposer
from menace.self_coding_engine.proposers.language_model_endpoint import Fault
from menace.self_coding_engine.proposers.language_model_settings import (
    LanguageModelSettings,
    language_model_settings,
)
from self_coding_engine.proposers.expression_workbench import ExpressionWorkbench
from self_coding_engine.proposers.scripted_endpoint import Answer, ScriptedEndpoint, fails, says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOURCE = "def area(width, height):\n    return width + height\n"
GOOD = """Areas are products.
<<<<<<< SEARCH
    return width + height
=======
    return width * height
>>>>>>> REPLACE
"""
WRONG = GOOD.replace("width * height", "width - height")
CHECKS = ("area(2, 2) == 4", "area(2, 3) == 6")


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedEndpoint]]:
    started: list[ScriptedEndpoint] = []

    def start(*answers: Any) -> ScriptedEndpoint:
        endpoint = ScriptedEndpoint(answers).__enter__()
        started.append(endpoint)
        return endpoint

    yield start
    for endpoint in started:
        endpoint.__exit__()


@dataclasses.dataclass
class Asked:
    """A proposer, what it gave, and how long it wanted to wait."""

    proposer: LanguageModelProposer
    proposals: list[Proposal]
    waits: list[float]

    @property
    def faults(self) -> list[Fault]:
        return [error.fault for error in self.proposer.faults]


def ask(
    endpoint: ScriptedEndpoint | str,
    root: Path,
    *,
    checks: tuple[str, ...] = CHECKS,
    source: str = SOURCE,
    task: dict[str, Any] | None = None,
    usd_left: Callable[[], float] | None = None,
    seconds: float = 100.0,
    figure: float | None = None,
    **settings: Any,
) -> Asked:
    """Put the task to the proposer; ``checks`` empty means a repository without tests."""
    workbench = ExpressionWorkbench(checks, seconds=seconds, figure=figure)
    waits: list[float] = []
    url = endpoint if isinstance(endpoint, str) else endpoint.base_url
    proposer = LanguageModelProposer(
        LanguageModelSettings(model="scripted", base_url=url, **{"attempts": 1, **settings}),
        usd_left=usd_left,
        sleep=waits.append,
    )
    report = workbench.run_tests(source) if checks else None
    asked = CodingTask(root, "helpers/area.py", source, report=report, **(task or {}))
    return Asked(proposer, list(proposer.propose(asked, workbench)), waits)


def test_a_good_reply_becomes_a_repair(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(says(GOOD))
    asked = ask(endpoint, tmp_path)
    (proposal,) = asked.proposals
    assert proposal.source == SOURCE.replace("+", "*")
    assert proposal.claim is Claim.REPAIRS
    assert proposal.explanation == "Areas are products."
    assert proposal.target == "helpers/area.py"
    assert proposal.parameters["answered_by"] == "scripted-1"
    assert endpoint.paths == ["/v1/chat/completions"]
    assert endpoint.requests[0]["model"] == "scripted"
    assert endpoint.requests[0]["max_tokens"] == 4096


def test_the_prompt_shows_code_failures_wishes_rejects_and_rankings(
    serve: Any, tmp_path: Path
) -> None:
    endpoint = serve(says(GOOD))
    refused = Patch(
        "alpha",
        "helpers/area.py",
        "repair",
        "swap",
        Claim.REPAIRS,
        PatchStatus.REJECTED,
        1.0,
        explanation="Swapped the sides.",
        gates=(GateReport("hidden tests", False, "one of three fails"),),
    )
    ask(
        endpoint,
        tmp_path,
        task={
            "description": "mind the units",
            "history": (refused,),
            "rankings": (("helpers.area", 0.25),),
        },
    )
    prompt = endpoint.requests[0]["messages"][-1]["content"]
    assert SOURCE in prompt
    assert "area(2, 3) == 6" in prompt
    assert "AssertionError" in prompt
    assert "mind the units" in prompt
    assert "Swapped the sides. -> refused by hidden tests: one of three fails" in prompt
    assert "helpers.area: +0.25" in prompt


@pytest.mark.parametrize(
    ("description", "figure", "claim"),
    [
        ("make it faster please", None, Claim.SPEEDS),
        ("use metric units", None, Claim.IMPROVES),
        ("", 3.5, Claim.IMPROVES),
        ("", None, Claim.SPEEDS),
    ],
)
def test_the_claim_follows_from_the_task(
    serve: Any, tmp_path: Path, description: str, figure: float | None, claim: Claim
) -> None:
    endpoint = serve(says(GOOD))
    asked = ask(endpoint, tmp_path, checks=(), task={"description": description}, figure=figure)
    assert [proposal.claim for proposal in asked.proposals] == [claim]
    shown = "the user's measure: 3.5" in endpoint.requests[0]["messages"][-1]["content"]
    assert shown is (figure is not None)


def test_a_malformed_reply_is_corrected_once_with_the_problem_quoted(
    serve: Any, tmp_path: Path
) -> None:
    endpoint = serve(says(GOOD.replace("width + height", "wide + high")), says(GOOD))
    asked = ask(endpoint, tmp_path)
    assert len(asked.proposals) == 1
    assert asked.proposals[0].parameters["corrected"] is True
    correction = endpoint.requests[1]["messages"][-1]["content"]
    assert "SEARCH block 1 is nowhere in the file" in correction
    assert endpoint.requests[1]["messages"][-2]["role"] == "assistant"
    assert asked.faults == [Fault.MALFORMED]


def test_a_reply_that_stays_malformed_ends_the_attempt(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(says("I would multiply, I think."))
    asked = ask(endpoint, tmp_path)
    assert asked.proposals == []
    assert asked.faults == [Fault.MALFORMED, Fault.MALFORMED]
    assert len(endpoint.requests) == 2


def test_an_answer_that_mends_nothing_is_kept_back_and_told_to_the_next_attempt(
    serve: Any, tmp_path: Path
) -> None:
    endpoint = serve(says(WRONG), says(GOOD))
    asked = ask(endpoint, tmp_path, checks=("area(2, 3) == 6",), attempts=2)
    assert [proposal.source for proposal in asked.proposals] == [SOURCE.replace("+", "*")]
    assert "area(2, 3) == 6 still fails" in endpoint.requests[1]["messages"][-1]["content"]


def test_an_answer_that_breaks_a_passing_test_is_kept_back(serve: Any, tmp_path: Path) -> None:
    asked = ask(serve(says(WRONG)), tmp_path)
    assert asked.proposals == []


def test_the_same_answer_is_not_offered_twice(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(says(GOOD))
    asked = ask(endpoint, tmp_path, attempts=3)
    assert len(asked.proposals) == 1
    assert "offered, and not kept" in endpoint.requests[1]["messages"][-1]["content"]


def test_a_busy_server_is_waited_for_as_long_as_it_asks(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(fails(429, "slow down", retry_after="7"), says(GOOD))
    asked = ask(endpoint, tmp_path)
    assert asked.waits == [7.0]
    assert len(asked.proposals) == 1
    assert asked.proposer.spent.input_tokens == 100


def test_a_wait_may_be_given_as_a_date(serve: Any, tmp_path: Path) -> None:
    busy = fails(
        429,
        "slow down",
        date="Wed, 21 Oct 2026 07:28:00 GMT",
        retry_after="Wed, 21 Oct 2026 07:28:12 GMT",
    )
    assert ask(serve(busy, says(GOOD)), tmp_path).waits == [12.0]


def test_a_server_that_asks_for_too_long_a_wait_is_left_alone(serve: Any, tmp_path: Path) -> None:
    asked = ask(serve(fails(429, "come back tomorrow", retry_after="86400")), tmp_path, attempts=3)
    assert (asked.proposals, asked.waits, asked.faults) == ([], [], [Fault.RATE_LIMITED])


def test_an_exhausted_quota_is_not_waited_for(serve: Any, tmp_path: Path) -> None:
    asked = ask(serve(fails(429, "pay first", code="insufficient_quota")), tmp_path)
    assert (asked.waits, asked.faults) == ([], [Fault.RATE_LIMITED])


def test_a_failing_server_is_asked_again_and_then_given_up(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(fails(500, "oh no"))
    asked = ask(endpoint, tmp_path, retries=2, attempts=3)
    assert asked.waits == [1.0, 2.0]
    assert asked.faults == [Fault.SERVER_ERROR]
    assert len(endpoint.requests) == 3
    assert asked.proposer.spent.usd == 0.0


def test_a_server_that_recovers_is_used(serve: Any, tmp_path: Path) -> None:
    assert len(ask(serve(fails(503, "starting"), says(GOOD)), tmp_path).proposals) == 1


@pytest.mark.parametrize("slow", [Answer(b"", holds=True), Answer(b"", drips=True)])
def test_a_slow_reply_is_given_up_and_counted_as_used(
    serve: Any, tmp_path: Path, slow: Answer
) -> None:
    asked = ask(serve(slow), tmp_path, timeout_seconds=0.2)
    assert asked.faults == [Fault.TIMED_OUT]
    assert asked.proposer.spent.output_tokens == 4096
    assert asked.proposer.spent.input_tokens > 1000


def test_a_refusal_ends_the_attempts(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(says(None, refusal="I cannot help with areas."))
    asked = ask(endpoint, tmp_path, attempts=3)
    assert asked.faults == [Fault.REFUSED]
    assert "cannot help with areas" in asked.proposer.faults[0].message
    assert len(endpoint.requests) == 1


def test_a_struck_filter_is_a_refusal(serve: Any, tmp_path: Path) -> None:
    assert ask(serve(says("", finish="content_filter")), tmp_path).faults == [Fault.REFUSED]


def test_an_empty_reply_leads_to_the_next_attempt(serve: Any, tmp_path: Path) -> None:
    asked = ask(serve(says("  \n"), says(GOOD)), tmp_path, attempts=2)
    assert asked.faults == [Fault.EMPTY]
    assert len(asked.proposals) == 1


def test_a_truncated_reply_is_asked_for_again_in_fewer_words(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(says(GOOD[:40], finish="length"), says(GOOD))
    asked = ask(endpoint, tmp_path)
    assert asked.faults == [Fault.TRUNCATED]
    assert len(asked.proposals) == 1
    assert "smallest blocks" in endpoint.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>not found</html>",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b"[" * 100_000,
    ],
)
def test_an_answer_that_is_not_the_protocol_is_no_proposal(
    serve: Any, tmp_path: Path, body: bytes
) -> None:
    asked = ask(serve(Answer(body)), tmp_path)
    assert (asked.proposals, asked.faults) == ([], [Fault.NOT_THE_PROTOCOL])


def test_an_answer_without_end_is_not_read_to_its_end(serve: Any, tmp_path: Path) -> None:
    asked = ask(serve(Answer(b" " * (5 << 20))), tmp_path)
    assert asked.faults == [Fault.TOO_LARGE]


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (401, Fault.UNAUTHORISED),
        (403, Fault.UNAUTHORISED),
        (404, Fault.UNKNOWN_MODEL),
        (400, Fault.BAD_REQUEST),
        (302, Fault.BAD_REQUEST),
    ],
)
def test_a_request_that_is_refused_for_good_is_not_repeated(
    serve: Any, tmp_path: Path, status: int, fault: Fault
) -> None:
    endpoint = serve(fails(status, "no", location="http://127.0.0.1:9/v1"))
    asked = ask(endpoint, tmp_path, attempts=3)
    assert (asked.faults, len(endpoint.requests)) == ([fault], 1)
    assert asked.proposer.faults[0].remedy


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    asked = ask(url, tmp_path, attempts=3)
    assert asked.faults == [Fault.UNREACHABLE]
    assert url in asked.proposer.faults[0].message
    assert asked.proposer.spent.input_tokens == 0


def test_tokens_and_usd_are_those_that_the_endpoint_reports(serve: Any, tmp_path: Path) -> None:
    asked = ask(
        serve(says(GOOD, usage=(2000, 500))),
        tmp_path,
        usd_per_million_input_tokens=1.0,
        usd_per_million_output_tokens=4.0,
    )
    assert asked.proposals[0].parameters["spent"] == {
        "requests": 1,
        "input_tokens": 2000,
        "output_tokens": 500,
        "usd": 0.004,
    }


@pytest.mark.parametrize("usage", [None, (True, -3), ("many", 1.5)])
def test_use_that_is_not_reported_counts_with_its_bound(
    serve: Any, tmp_path: Path, usage: object
) -> None:
    endpoint = serve(says(GOOD, usage=usage))
    spent = ask(endpoint, tmp_path, max_tokens=321).proposer.spent
    sent = sum(len(message["content"].encode()) for message in endpoint.requests[0]["messages"])
    assert spent.output_tokens == 321
    assert spent.input_tokens >= sent


def test_no_request_is_made_that_could_exceed_the_tokens(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(says(GOOD))
    asked = ask(endpoint, tmp_path, token_budget=4000)
    assert (asked.faults, endpoint.requests) == ([Fault.OVER_BUDGET], [])


def test_requests_stop_when_the_usd_are_used_up(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(says("nothing", usage=(3000, 4000)))
    asked = ask(
        endpoint,
        tmp_path,
        attempts=9,
        usd_per_million_input_tokens=1.0,
        usd_per_million_output_tokens=10.0,
        usd_budget=0.15,
    )
    assert asked.faults[-1] is Fault.OVER_BUDGET
    assert 2 <= len(endpoint.requests) <= 3
    assert asked.proposer.spent.usd <= 0.15


def test_what_the_energy_leaves_limits_the_usd_too(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(says(GOOD))
    asked = ask(endpoint, tmp_path, usd_per_million_output_tokens=10.0, usd_left=lambda: 0.01)
    assert (asked.faults, endpoint.requests) == ([Fault.OVER_BUDGET], [])


def test_nothing_is_asked_without_cpu_seconds(serve: Any, tmp_path: Path) -> None:
    endpoint = serve(says(GOOD))
    assert ask(endpoint, tmp_path, seconds=0.0).proposals == []
    assert endpoint.requests == []


def test_the_key_goes_into_the_header_and_nowhere_else(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("MODEL_KEY", key)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-private")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Private: yes\nAuthorization: Bearer other")
    endpoint = serve(says(GOOD), fails(401, f"wrong key {key}"))
    with caplog.at_level(logging.DEBUG):
        first = ask(endpoint, tmp_path, api_key_env="MODEL_KEY")
        second = ask(endpoint, tmp_path, api_key_env="MODEL_KEY")
    assert endpoint.headers[0]["authorization"] == f"Bearer {key}"
    others = {"organization", "private", "stainless-os", "somebody"}
    sent = json.dumps(endpoint.headers)
    assert not [word for word in others if word in sent]
    shown = [
        repr(first.proposer.settings),
        repr(first.proposals),
        repr(first.proposer.spent),
        str(second.proposer.faults[0]),
        json.dumps(endpoint.requests),
        caplog.text,
    ]
    assert not [text for text in shown if key in text]
    assert "***" in second.proposer.faults[0].message


def test_no_key_is_sent_where_none_is_set(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    endpoint = serve(says(GOOD))
    ask(endpoint, tmp_path)
    assert "authorization" not in endpoint.headers[0]


def test_a_missing_key_is_said_before_anything_is_sent(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODEL_KEY", raising=False)
    endpoint = serve(says(GOOD))
    asked = ask(endpoint, tmp_path, api_key_env="MODEL_KEY")
    assert (asked.faults, endpoint.requests) == ([Fault.NO_KEY], [])


def test_code_that_holds_the_key_is_not_sent(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", "sk-very-secret-0123456789")
    endpoint = serve(says(GOOD))
    source = f"KEY = 'sk-very-secret-0123456789'\n{SOURCE}"
    asked = ask(endpoint, tmp_path, source=source, api_key_env="MODEL_KEY")
    assert (asked.faults, endpoint.requests) == ([Fault.KEY_IN_PROMPT], [])


def test_a_missing_package_names_the_line_that_installs_it(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'menace\[llm\]'"):
        LanguageModelProposer(LanguageModelSettings(model="m"))


def test_making_a_proposer_imports_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    real = builtins.__import__

    def noted(name: str, *rest: Any, **named: Any) -> Any:
        imported.append(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", noted)
    LanguageModelProposer(LanguageModelSettings(model="m"))
    assert "openai" not in imported


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "model"),
        ({"model": " "}, "model"),
        ({"model": "m", "modell": "n"}, "modell"),
        ({"model": "m", "max_tokens": 0}, "max_tokens"),
        ({"model": "m", "usd_budget": float("nan")}, "usd_budget"),
        ({"model": "m", "attempts": "many"}, "attempts"),
        ({"model": "m", "base_url": "ftp://127.0.0.1"}, "base_url"),
        ({"model": "m", "base_url": "http://user:pass@127.0.0.1/v1"}, "password"),
        ({"model": "m", "base_url": "http://models.example/v1"}, "clear text"),
        ({"model": "m", "base_url": "https://models.example/v1"}, "usd_per_million"),
        ({"model": "m", "tokens_parameter": "tokens"}, "tokens_parameter"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        language_model_settings(values, where="[coding.alpha] language_model")


def test_an_endpoint_elsewhere_may_be_used_over_https_with_prices() -> None:
    values = {
        "model": "m",
        "base_url": "https://models.example/v1",
        "usd_per_million_input_tokens": 0.5,
        "usd_per_million_output_tokens": 2,
    }
    made = LanguageModelProposer.from_settings(values)
    assert made.settings.usd_per_million_output_tokens == 2.0
