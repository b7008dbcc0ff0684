"""Asks an OpenAI-compatible endpoint, within time and budget, and says in types what went wrong."""

from __future__ import annotations

import json
import logging
import math
import os
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any

from menace.errors import CodingError, MissingDependencyError
from menace.self_coding_engine.proposers.language_model_settings import is_local, most_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from menace.self_coding_engine.proposers.language_model_settings import (
        LanguageModelSettings,
        TokenBudget,
    )

    Messages = Sequence[Mapping[str, str]]

LOG = logging.getLogger(__name__)

REPLY_BYTES = 4 << 20
"""A longer answer is not read to its end."""

SENT_HEADERS = frozenset(
    {
        "host",
        "content-type",
        "content-length",
        "accept",
        "connection",
        "user-agent",
        "x-stainless-raw-response",  # the package looks at it when the answer is there
    }
)
"""All that a request says beside its body and the key. The package would add organisation, project
and any headers from the environment, and what system this is."""

SECRET_CHARACTERS = 8
"""A key as short as that is a placeholder of a local server, and may be a word of the code."""


class Fault(StrEnum):
    """What may go wrong between a question and an edit."""

    NO_KEY = "no key"
    KEY_IN_PROMPT = "key in prompt"
    OVER_BUDGET = "over budget"
    TOO_LARGE = "too large"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed out"
    RATE_LIMITED = "rate limited"
    SERVER_ERROR = "server error"
    UNAUTHORISED = "unauthorised"
    UNKNOWN_MODEL = "unknown model"
    BAD_REQUEST = "bad request"
    NOT_THE_PROTOCOL = "not the protocol"
    REFUSED = "refused"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    NO_CHANGE = "no change"


class LanguageModelError(CodingError):
    """A language model gave nothing that can be used.

    Attributes
    ----------
    fault
        Why.
    """

    def __init__(self, fault: Fault, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Reply:
    """What a language model said.

    Attributes
    ----------
    model
        The name that the endpoint gave; may be more exact than the one that was asked for.
    """

    text: str
    model: str
    input_tokens: int
    output_tokens: int


class Endpoint:
    """One endpoint, asked one question at a time.

    Parameters
    ----------
    sleep, clock
        How to wait, and seconds that only grow.

    Raises
    ------
    MissingDependencyError
        If the package openai is not installed.
    LanguageModelError
        If the variable that is to hold the key does not.
    """

    def __init__(
        self,
        settings: LanguageModelSettings,
        *,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        try:
            self._openai: Any = import_module("openai")
            self._http: Any = import_module("httpx2")
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "asking a language model needs the package openai, which is not installed.",
                remedy="pip install 'menace[llm]'",
            ) from error
        self.settings, self._sleep, self._clock = settings, sleep, clock
        self._key = _key(settings)
        self._client: Any = self._openai.OpenAI(
            # Given, so that none is looked for in the environment; see _bare_request.
            api_key="none",
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            max_retries=0,
            http_client=self._openai.DefaultHttpxClient(
                follow_redirects=False,
                trust_env=not is_local(settings),
                timeout=settings.timeout_seconds,
                event_hooks={"request": [self._bare_request]},
            ),
        )

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def ask(
        self, messages: Messages, budget: TokenBudget, *, usd_left: Callable[[], float]
    ) -> Reply:
        """Ask once, and again where the server says that it is busy.

        Parameters
        ----------
        usd_left
            What the cycle's energy leaves, asked before every request.

        Raises
        ------
        LanguageModelError
            With its fault; a reply that was cut off or is no answer, too.
        """
        if self._key and any(self._secret_in(message["content"]) for message in messages):
            raise LanguageModelError(
                Fault.KEY_IN_PROMPT,
                "the code or a test's message holds the key of the language model: not sent.",
                remedy="take the key out of the code, and replace it at its issuer",
            )
        bound, repeated = most_tokens(messages), 0
        while True:
            shortfall = budget.shortfall(bound, usd_left=usd_left())
            if shortfall:
                raise LanguageModelError(Fault.OVER_BUDGET, f"the budget ends here: {shortfall}.")
            try:
                return self._request(messages, budget, bound)
            except _BusyError as busy:
                wait = busy.wait_seconds if busy.wait_seconds is not None else 2.0**repeated
                if repeated == self.settings.retries or wait > self.settings.longest_wait_seconds:
                    raise busy.failure from None
                LOG.info("the language model is busy; asking again in %.1f s", wait)
                self._sleep(wait)
                repeated += 1

    def _request(self, messages: Messages, budget: TokenBudget, bound: int) -> Reply:
        deadline = self._clock() + self.settings.timeout_seconds
        # Whatever happens to a request that was sent, it may be billed.
        used = (bound, self.settings.max_tokens)
        try:
            body = self._read(messages, deadline)
            document = _document(body)
            used = _usage(document, used)
        except self._openai.APIStatusError as error:
            used = (0, 0)
            raise self._status_failure(error) from None
        except (self._openai.APITimeoutError, self._http.TimeoutException):
            raise self._timed_out() from None
        except (self._openai.APIConnectionError, self._http.HTTPError) as error:
            used = (0, 0)
            raise LanguageModelError(
                Fault.UNREACHABLE,
                f"{self.settings.base_url} cannot be reached: {self._shown(str(error))}",
                remedy="start the server, or correct base_url",
            ) from None
        finally:
            budget.charge(*used)
        return _reply(document, used)

    def _read(self, messages: Messages, deadline: float) -> bytes:
        settings = self.settings
        request: dict[str, Any] = {
            "model": settings.model,
            "messages": [dict(message) for message in messages],
            settings.tokens_parameter: settings.max_tokens,
        }
        if settings.temperature is not None:
            request["temperature"] = settings.temperature
        body = bytearray()
        # Read piece by piece: the client's own limit is on each piece, and a server may drip.
        with self._client.chat.completions.with_streaming_response.create(**request) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > REPLY_BYTES:
                    raise LanguageModelError(
                        Fault.TOO_LARGE, f"the answer is longer than {REPLY_BYTES:,} bytes."
                    )
                if self._clock() > deadline:
                    raise self._timed_out()
        return bytes(body)

    def _bare_request(self, request: Any) -> None:
        for name in [name for name in request.headers if name.lower() not in SENT_HEADERS]:
            del request.headers[name]
        request.headers["accept-encoding"] = "identity"
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"

    def _status_failure(self, error: Any) -> Exception:
        status, said = int(error.status_code), self._shown(str(error))
        if status == 429 and error.code != "insufficient_quota":
            failure = LanguageModelError(Fault.RATE_LIMITED, f"the endpoint is busy: {said}")
            return _BusyError(failure, _retry_after(error.response.headers))
        if status >= 500:
            failure = LanguageModelError(Fault.SERVER_ERROR, f"the endpoint failed: {said}")
            return _BusyError(failure, _retry_after(error.response.headers))
        fault, remedy = {
            401: (Fault.UNAUTHORISED, "check the key in the variable that api_key_env names"),
            403: (Fault.UNAUTHORISED, "check what the key is allowed to"),
            404: (Fault.UNKNOWN_MODEL, "check model and base_url"),
            429: (Fault.RATE_LIMITED, "look at the account's quota"),
        }.get(status, (Fault.BAD_REQUEST, "see what the endpoint says; check tokens_parameter"))
        return LanguageModelError(fault, f"the endpoint says {status}: {said}", remedy=remedy)

    def _timed_out(self) -> LanguageModelError:
        return LanguageModelError(
            Fault.TIMED_OUT,
            f"no whole answer within {self.settings.timeout_seconds:g} s.",
            remedy="raise timeout_seconds, or lower max_tokens",
        )

    def _secret_in(self, text: str) -> bool:
        return len(self._key) > SECRET_CHARACTERS and self._key in text

    def _shown(self, text: str) -> str:
        hidden = text.replace(self._key, "***") if self._secret_in(text) else text
        return " ".join(hidden.split())[:300]


class _BusyError(Exception):
    """Refused for the time being."""

    def __init__(self, failure: LanguageModelError, wait_seconds: float | None) -> None:
        super().__init__(failure.message)
        self.failure, self.wait_seconds = failure, wait_seconds


def _key(settings: LanguageModelSettings) -> str:
    if settings.api_key_env is None:
        return ""
    key = os.environ.get(settings.api_key_env, "").strip()
    if not key:
        raise LanguageModelError(
            Fault.NO_KEY,
            f"the environment variable {settings.api_key_env} holds no key.",
            remedy=f"export {settings.api_key_env}=…",
        )
    return key


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to be left alone; ``None`` if it does not say."""
    said = headers.get("retry-after", "").strip()
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        try:
            # Both times are the server's: its clock may be another than ours.
            until = parsedate_to_datetime(said)
            seconds = (until - parsedate_to_datetime(headers["date"])).total_seconds()
        except (ValueError, KeyError, TypeError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise _no_protocol("no JSON") from None
    if not isinstance(document, dict):
        raise _no_protocol("no JSON object")
    return document


def _usage(document: Mapping[str, Any], bound: tuple[int, int]) -> tuple[int, int]:
    """Tokens of prompt and reply as the endpoint counts them; the bounds where it does not."""
    usage = document.get("usage")
    if not isinstance(usage, dict):
        return bound
    counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
    first, second = (
        count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else most
        for count, most in zip(counts, bound, strict=True)
    )
    return first, second


def _reply(document: Mapping[str, Any], used: tuple[int, int]) -> Reply:
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise _no_protocol("no choice with a message")
    finish, refusal = choice.get("finish_reason"), message.get("refusal")
    if refusal or finish == "content_filter":
        said = " ".join(str(refusal or "its filter struck").split())[:300]
        raise LanguageModelError(Fault.REFUSED, f"the model refuses: {said}")
    text = _text(message.get("content"))
    if finish == "length":
        raise LanguageModelError(
            Fault.TRUNCATED,
            f"the reply was cut off after {used[1]:,} tokens.",
            remedy="raise max_tokens",
        )
    if not text.strip():
        raise LanguageModelError(Fault.EMPTY, "the reply is empty.")
    return Reply(text, str(document.get("model") or ""), *used)


def _text(content: object) -> str:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    if content is None or isinstance(content, str):
        return content or ""
    raise _no_protocol("no text in the message")


def _no_protocol(what: str) -> LanguageModelError:
    return LanguageModelError(
        Fault.NOT_THE_PROTOCOL,
        f"the endpoint's answer is not one of the chat protocol: {what}.",
        remedy="base_url has to lead to an OpenAI-compatible /v1",
    )
