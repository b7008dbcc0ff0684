"""Where a language model is, what it may use, and what it has used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from menace.config import validated_settings
from menace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from menace.records import Json

MESSAGE_TOKENS = 16
"""What a message may take beside its text: its role and the marks around it."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class LanguageModelSettings:
    """An OpenAI-compatible endpoint, and the limits of its use in one cycle.

    Attributes
    ----------
    model
        The name under which the endpoint knows it.
    base_url
        The address up to and with ``/v1``. Other than on this machine it is ``https``.
    api_key_env
        Name of the environment variable that holds the key; ``None``: none is sent. The key itself
        is in no setting, and neither stored, logged nor shown.
    max_tokens
        Of one reply, ≥ 1.
    token_budget
        Of one task, prompts and replies together, ≥ 0.
    usd_per_million_input_tokens, usd_per_million_output_tokens
        USD ≥ 0. ``None`` is 0 on this machine, and refused elsewhere: nobody could say what a
        request costs.
    usd_budget
        Of one task, USD ≥ 0; what the cycle's energy leaves may be less.
    timeout_seconds
        From a request to the end of its reply.
    longest_wait_seconds
        A server that says *try again later* is waited for so long at most.
    temperature
        ``None``: the model's own; some take no other.
    attempts
        Different answers that are asked for, ≥ 1.
    retries
        How often a request is repeated that was refused for the time being (429, 5xx).
    prompt_characters
        A prompt is no longer, ≥ 4,000.
    tokens_parameter
        What the endpoint calls the limit of a reply: ``max_tokens``, or ``max_completion_tokens``.
    """

    model: str
    base_url: str = "http://127.0.0.1:11434/v1"
    api_key_env: str | None = None
    max_tokens: int = 4096
    token_budget: int = 200_000
    usd_per_million_input_tokens: float | None = None
    usd_per_million_output_tokens: float | None = None
    usd_budget: float = 0.1
    timeout_seconds: float = 120.0
    longest_wait_seconds: float = 30.0
    temperature: float | None = 0.2
    attempts: int = 3
    retries: int = 2
    prompt_characters: int = 48_000
    tokens_parameter: str = "max_tokens"


def language_model_settings(values: Mapping[str, Any], *, where: str) -> LanguageModelSettings:
    """Read a table ``language_model`` of ``[coding.BOT]``.

    Raises
    ------
    ConfigError
        Naming the setting that is unknown, missing or wrong.
    """
    settings: LanguageModelSettings = validated_settings(LanguageModelSettings, values, where=where)
    check_language_model_settings(settings, where=where)
    return settings


def check_language_model_settings(settings: LanguageModelSettings, *, where: str) -> None:
    """Check what types do not say.

    Raises
    ------
    ConfigError
        Naming the setting, and what may be given.
    """
    _check_address(settings, where)
    if not settings.model.strip():
        raise ConfigError(f"{where}: model is empty.", remedy="give the model's name")
    least = {
        "max_tokens": 1,
        "token_budget": 0,
        "attempts": 1,
        "retries": 0,
        "prompt_characters": 4000,
        "usd_budget": 0.0,
        "longest_wait_seconds": 0.0,
        "timeout_seconds": 0.01,
        "usd_per_million_input_tokens": 0.0,
        "usd_per_million_output_tokens": 0.0,
        "temperature": 0.0,
    }
    for name, smallest in least.items():
        value = getattr(settings, name)
        if value is not None and not smallest <= value < math.inf:
            raise ConfigError(f"{where}: {name} is {value}.", remedy=f"give at least {smallest}")
    if settings.tokens_parameter not in {"max_tokens", "max_completion_tokens"}:
        raise ConfigError(
            f"{where}: tokens_parameter is {settings.tokens_parameter!r}.",
            remedy="give 'max_tokens' or 'max_completion_tokens'",
        )


def is_local(settings: LanguageModelSettings) -> bool:
    """Whether the endpoint is on this machine."""
    return urlsplit(settings.base_url).hostname in LOOPBACK


def _check_address(settings: LanguageModelSettings, where: str) -> None:
    address = urlsplit(settings.base_url)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise ConfigError(
            f"{where}: base_url is {settings.base_url!r}.",
            remedy='give an address such as "http://127.0.0.1:11434/v1"',
        )
    if address.username is not None or address.password is not None or address.query:
        raise ConfigError(
            f"{where}: base_url holds a name, a password or a query.",
            remedy="put the key into an environment variable and its name into api_key_env",
        )
    if is_local(settings):
        return
    if address.scheme != "https":
        raise ConfigError(
            f"{where}: base_url sends code and key over {address.hostname} in clear text.",
            remedy="use https, or a tunnel to a port of this machine",
        )
    for name in ("usd_per_million_input_tokens", "usd_per_million_output_tokens"):
        if getattr(settings, name) is None:
            raise ConfigError(
                f"{where}: {name} is not set, so no budget can hold.",
                remedy=f"set {name}, 0 if it costs nothing",
            )


def most_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    """Bound the tokens of a prompt from above.

    A token of a byte-level vocabulary stands for at least one byte, so there are no more of them
    than UTF-8 bytes. English and code have about four bytes to a token: the bound is meant to hold,
    not to be close.

    Examples
    --------
    >>> most_tokens([{"role": "user", "content": "naïve"}])
    22
    """
    return sum(len(message["content"].encode()) + MESSAGE_TOKENS for message in messages)


@dataclass(slots=True)
class TokenBudget:
    """What requests of one task have used, in tokens and USD, and whether another one fits.

    Attributes
    ----------
    requests, input_tokens, output_tokens, usd
        Used so far. A request whose use nobody reported counts with its upper bound.

    Examples
    --------
    >>> budget = TokenBudget(LanguageModelSettings(model="m", token_budget=1000, max_tokens=400))
    >>> budget.shortfall(700)
    'tokens: 1,100 may be needed, 1,000 are left'
    >>> budget.shortfall(500) is None
    True
    >>> budget.charge(120, 80)
    >>> budget.input_tokens + budget.output_tokens
    200
    """

    settings: LanguageModelSettings
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0

    def shortfall(self, input_tokens: int, *, usd_left: float = math.inf) -> str | None:
        """Say why a request could exceed the budget; ``None`` where it cannot.

        Parameters
        ----------
        input_tokens
            Upper bound of the prompt's, see :func:`most_tokens`.
        usd_left
            What else limits the spending: the cycle's energy in USD.
        """
        settings = self.settings
        needed = input_tokens + settings.max_tokens
        left = settings.token_budget - self.input_tokens - self.output_tokens
        if needed > left:
            return f"tokens: {needed:,} may be needed, {left:,} are left"
        usd = self.price(input_tokens, settings.max_tokens)
        usd_left = min(settings.usd_budget - self.usd, usd_left)
        if usd > 0.0 and usd > usd_left:
            return f"USD: {usd:.6f} may be needed, {usd_left:.6f} are left"
        return None

    def charge(self, input_tokens: int, output_tokens: int) -> None:
        """Take a request's use in."""
        self.requests += 1
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.usd += self.price(input_tokens, output_tokens)

    def price(self, input_tokens: int, output_tokens: int) -> float:
        """USD."""
        settings = self.settings
        return (
            input_tokens * (settings.usd_per_million_input_tokens or 0.0)
            + output_tokens * (settings.usd_per_million_output_tokens or 0.0)
        ) / 1e6

    def to_json(self) -> Json:
        """Plain JSON, for the record of a patch."""
        return {
            "requests": self.requests,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "usd": round(self.usd, 9),
        }
