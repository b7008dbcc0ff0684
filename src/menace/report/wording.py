"""Numbers and records in words: money across scales, shares, decisions and their inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from menace.report.data import CyclePoint, DecisionPoint

UNKNOWN = "–"
_MINUS = "−"
_MAX_DECIMALS = 9
_LONGEST_VALUE = 120


def known(value: float | None) -> float | None:
    """Return the value if it is a finite number, else ``None``."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def usd(value: float | None, *, decimals: int | None = None, signed: bool = False) -> str:
    """Write an amount of money so that it can be read at any scale.

    Parameters
    ----------
    value
        USD; ``None``, NaN and infinities give a dash.
    decimals
        Digits after the point; by default none from $1,000 on, cents from $1 on, and two
        significant digits below.
    signed
        Whether a gain gets a plus sign.

    >>> usd(0.0021), usd(0.5), usd(12.3), usd(12_300), usd(-3), usd(2_500_000_000)
    ('$0.0021', '$0.50', '$12.30', '$12,300', '−$3.00', '$2,500 M')
    """
    amount = known(value)
    if amount is None:
        return UNKNOWN
    size = abs(amount)
    sign = _MINUS if amount < 0 else "+" if signed and amount > 0 else ""
    if size == 0:
        return "$0" if not decimals else f"${0:.{decimals}f}"
    if size >= 1e7:
        digits = 2 if size < 1e8 else 1 if size < 1e9 else 0
        return f"{sign}${size / 1e6:,.{digits}f} M"
    digits = _usd_decimals(size) if decimals is None else decimals
    if size < 0.5 * 10.0**-digits:
        least = f"{10.0**-digits:.{digits}f}"
        return f"{sign}<${least}" if sign else f"<${least}"
    text = f"{size:,.{digits}f}"
    if decimals is None and size < 1:
        whole, _, fraction = text.partition(".")
        text = f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
    return f"{sign}${text}"


def _usd_decimals(size: float) -> int:
    if size >= 1000:
        return 0
    if size >= 1:
        return 2
    return min(_MAX_DECIMALS, max(2, 1 - math.floor(math.log10(size))))


def usd_decimals(values: Iterable[float | None]) -> int:
    """Choose the decimals that fit all of several amounts, by the largest of them."""
    largest = max((abs(value) for item in values if (value := known(item))), default=1.0)
    if largest >= 1000:
        return 0
    return 2 if largest >= 1 else min(_MAX_DECIMALS, 2 - math.floor(math.log10(largest)))


def usd_column(values: Iterable[float | None]) -> list[str]:
    """Write amounts that stand together with the same number of decimals.

    >>> usd_column([7367.2, 818.5, None]), usd_column([0.0512, 0.2])
    (['$7,367', '$818', '–'], ['$0.051', '$0.200'])
    """
    amounts = list(values)
    decimals = usd_decimals(amounts)
    return [usd(value, decimals=decimals) for value in amounts]


def tick_text(value: float, step: float, *, unit: str = "") -> str:
    """Write an axis label with the decimals that its step needs.

    Parameters
    ----------
    value, step
        The tick's value and the distance of two ticks.
    unit
        ``"$"``, ``"%"`` (the value is a share), or nothing.

    >>> tick_text(0.5, 0.1, unit="$"), tick_text(15_000, 5000, unit="$"), tick_text(-2, 1)
    ('$0.50', '$15k', '−2')
    """
    if unit == "%":
        value, step = value * 100, step * 100
    suffix = "\u202f%" if unit == "%" else ""
    size = abs(value)
    for scale, name in ((1e6, " M"), (1e3, "k")):
        if unit == "$" and step >= scale:
            size, step, suffix = size / scale, step / scale, name
            break
    decimals = min(_MAX_DECIMALS, max(0, -math.floor(math.log10(step) + 1e-9))) if step > 0 else 0
    if size == 0 and unit == "$":
        return "$0"
    if unit == "$" and decimals == 1:
        decimals = 2
    text = f"{size:,.{decimals}f}"
    sign = _MINUS if value < 0 and float(text.replace(",", "")) != 0 else ""
    return f"{sign}{'$' if unit == '$' else ''}{text}{suffix}"


def quantity(value: float | None, *, signed: bool = False) -> str:
    """Write a plain number with three significant digits; whole numbers in full.

    >>> quantity(1234567), quantity(0.012345), quantity(2.0), quantity(-0.5, signed=True)
    ('1,234,567', '0.0123', '2', '−0.5')
    """
    number = known(value)
    if number is None:
        return UNKNOWN
    size = abs(number)
    if size >= 100 or size == int(size):
        text = f"{size:,.0f}" if size < 1e15 else f"{size:.2e}"
    elif size < 1e-6:
        text = f"{size:.1e}"
    else:
        decimals = max(0, 2 - math.floor(math.log10(size)))
        text = f"{size:.{decimals}f}".rstrip("0").rstrip(".")
    return (_MINUS if number < 0 else "+" if signed and number > 0 else "") + text


def percent(value: float | None, *, signed: bool = False) -> str:
    """Write a percentage; ``value`` is in percent.

    >>> percent(8.31), percent(-0.4, signed=True), percent(230.2, signed=True)
    ('8.3 %', '−0.4 %', '+230 %')
    """
    number = known(value)
    if number is None:
        return UNKNOWN
    text = f"{abs(number):,.{1 if abs(number) < 99.95 else 0}f}"
    sign = ""
    if float(text.replace(",", "")) != 0:
        sign = _MINUS if number < 0 else "+" if signed else ""
    return f"{sign}{text}\u202f%".replace("\u202f", " ")


def loss_text(value: float | None, *, is_share: bool) -> str:
    """Write a mean loss, in percent where it is a share of rows."""
    number = known(value)
    if number is None:
        return UNKNOWN
    return percent(number * 100) if is_share else quantity(number)


def counted(count: int, noun: str) -> str:
    """Write a number of things.

    >>> counted(1, "week"), counted(1200, "batch"), counted(2, "day")
    ('1 week', '1,200 batches', '2 days')
    """
    if count == 1:
        return f"1 {noun}"
    ending = "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{count:,} {noun}{ending}"


def outcome_text(outcome: str) -> str:
    """Write a cycle's outcome as people say it."""
    return outcome.replace("_", " ")


def input_phrases(inputs: Mapping[str, object], prefix: str = "") -> list[str]:
    """Put a decision's inputs into words, one phrase each, in their order.

    The unit is read from the end of the name; nested mappings are flattened.

    >>> input_phrases({"debt_usd": 0.84, "age_rows": 1344, "budget": {"energy": 4}})
    ['debt $0.84', 'age 1,344 rows', 'budget energy 4']
    """
    phrases: list[str] = []
    for key, value in inputs.items():
        if not prefix and key in _SPOKEN:
            phrases.append(_spoken(key, value))
            continue
        name = f"{prefix} {key}".strip()
        if isinstance(value, Mapping):
            phrases.extend(input_phrases(value, name))
        else:
            phrases.append(_phrase(name, value))
    return phrases


_SPOKEN = {
    "cycle_cost_usd": "a cycle costs",
    "policy_score": "a cycle is worth",
    "roi_ema": "cycles have returned",
    "short_term_roi": "the last ones",
}
"""What inputs of the loop's own decisions are called where people read them."""


def _spoken(key: str, value: object) -> str:
    name = _SPOKEN[key]
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return f"{name} {UNKNOWN}"
    if key.endswith("_usd"):
        return f"{name} {usd(value)}"
    return f"{name} {quantity(value, signed=True)} of its cost"


def _phrase(name: str, value: object) -> str:
    words = name.replace("_", " ").strip()
    if isinstance(value, bool):
        return f"{words} {'yes' if value else 'no'}"
    if value is None:
        return f"{words} not known"
    if isinstance(value, (int, float)):
        return _numeric_phrase(words, value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [quantity(v) if isinstance(v, (int, float)) else str(v) for v in value[:6]]
        value = ", ".join(items) + (" …" if len(value) > 6 else "") or "none"
    text = str(value)
    if len(text) > _LONGEST_VALUE:
        text = text[: _LONGEST_VALUE - 1] + "…"
    return f"{words} {text}"


def _numeric_phrase(words: str, value: float) -> str:
    stem, _, unit = words.rpartition(" ")
    if unit in {"version", "v"}:
        return f"{words} {quantity(value)}"
    if stem and unit == "usd":
        return f"{stem} {usd(value)}"
    if stem and unit in {"rows", "seconds", "ticks", "cycles"}:
        return f"{stem} {quantity(value)} {'s' if unit == 'seconds' else unit}"
    if stem and unit == "percent":
        return f"{stem} {percent(value)}"
    if stem and unit in {"share", "rate"}:
        return f"{words} {percent(value * 100)}"
    return f"{words} {quantity(value)}"


def cycle_text(cycle: CyclePoint) -> str:
    """Say what became of a cycle, in one line."""
    parts = [outcome_text(cycle.outcome)]
    if cycle.version is not None:
        parts[0] += f" {'to ' if cycle.outcome == 'rolled_back' else ''}v{cycle.version}"
    parts.append(f"cost {usd(cycle.cost_usd)}")
    if known(cycle.gain_usd) is not None:
        parts.append(f"gain {usd(cycle.gain_usd)}")
    if known(cycle.roi_delta) is not None:
        parts.append(f"ROI delta {quantity(cycle.roi_delta, signed=True)}")
    elif cycle.outcome == "promoted":
        parts.append("not settled yet")
    return ", ".join(parts)


def answer_text(decision: DecisionPoint) -> str:
    """Say what was done: run, skip, or roll back."""
    return "run" if decision.run else "roll back" if decision.reason == "roll back" else "skip"


def decision_text(decision: DecisionPoint, *, inputs: int = 4) -> str:
    """Say what was decided and why, with the first ``inputs`` inputs."""
    told = "; ".join(input_phrases(decision.inputs)[:inputs])
    answer = answer_text(decision)
    return f"{answer}: {decision.reason}" + (f" ({told})" if told else "")
