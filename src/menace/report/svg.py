"""The little that drawing charts as SVG needs: markup, scales, ticks, paths, downsampling."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Markup = NewType("Markup", str)
"""Text that is markup already. Only :func:`escape` and :func:`tag` make it, so that the type
checker finds a value from the data that was never escaped."""

_VOID = frozenset({"meta", "link", "br", "path", "line", "rect", "circle"})
# What XML 1.0 allows in a document; the rest would make the SVG ill-formed, and a lone surrogate
# could not even be encoded.
_ILLEGAL = re.compile(r"[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def escape(value: object) -> Markup:
    """Make text safe as the content of an element and as an attribute's value.

    >>> escape("<b> & 'q'")
    '&lt;b&gt; &amp; &#x27;q&#x27;'
    """
    return Markup(html.escape(_ILLEGAL.sub("\ufffd", str(value)), quote=True))


def join(parts: Iterable[Markup]) -> Markup:
    """Put pieces of markup one after the other."""
    return Markup("".join(parts))


def coordinate(value: float) -> str:
    """Write a coordinate with one decimal at most, which is finer than a screen's pixel.

    >>> coordinate(12.0), coordinate(3.14159)
    ('12', '3.1')
    """
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def tag(name: str, /, *children: Markup, **attributes: object) -> Markup:
    """Make an element.

    Parameters
    ----------
    name
        The element's name.
    children
        Its content, already markup.
    attributes
        ``class_`` stands for ``class`` and ``data_first`` for ``data-first``; ``None`` and
        ``False`` leave the attribute out; floats are written as coordinates.

    Returns
    -------
    Markup
        The element, well-formed as XML and as HTML.

    >>> tag("text", escape("a<b"), x=1.25, class_="axis")
    '<text x="1.2" class="axis">a&lt;b</text>'
    """
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        shown = coordinate(value) if isinstance(value, float) else value
        written.append(f' {key.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    opening = f"<{name}{''.join(written)}"
    if name in _VOID:
        return Markup(f"{opening}/>")
    return Markup(f"{opening}>{''.join(children)}</{name}>")


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from a domain of values to a range of coordinates.

    A domain of no width maps to the middle of the range.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Map one value, inside the domain or not."""
        if self.high == self.low:
            return (self.start + self.end) / 2
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def nice_step(span: float, target: int) -> float:
    """Find a step of 1, 2 or 5 times a power of ten that cuts ``span`` into about ``target`` parts.

    Parameters
    ----------
    span
        Width of the domain, > 0 and finite.
    target
        Wanted number of parts, ≥ 1. There are never more than that, nor fewer than two fifths
        of it.
    """
    rough = span / max(1, target)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    for factor in (1.0, 2.0, 5.0):
        # The tolerance keeps 0.3 / 3 from being taken for more than 0.1.
        if rough <= factor * magnitude * (1 + 1e-9):
            return factor * magnitude
    return 10.0 * magnitude


def nice_domain(low: float, high: float, target: int = 5) -> tuple[float, float]:
    """Widen ``[low, high]`` to whole steps; an empty domain is given some width first."""
    if high <= low:
        width = abs(low) / 2 or 1.0
        low, high = (low - width, low + width) if low < 0 else (max(0.0, low - width), low + width)
    step = nice_step(high - low, target)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def nice_ticks(low: float, high: float, target: int = 5) -> tuple[float, ...]:
    """List the multiples of a nice step that lie within ``[low, high]``.

    >>> nice_ticks(0, 0.43, 4)
    (0.0, 0.2, 0.4)
    """
    if not high > low:
        return (low,)
    step = nice_step(high - low, target)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if last < first:  # a step wider than the span can miss it altogether
        return nice_ticks(low, high, target + 1)
    digits = max(0, -math.floor(math.log10(step)))
    return tuple(round(index * step, digits) for index in range(first, last + 1))


def downsample(values: Sequence[float | None], buckets: int) -> list[int]:
    """Choose the points that a line needs to look the same: the ends, each bucket's least and most.

    Parameters
    ----------
    values
        One value per position; ``None`` is a gap.
    buckets
        Number of buckets of equal width, ≥ 1.

    Returns
    -------
    list of int
        Increasing positions, at most ``2 × buckets + 2``; all of them if there are no more.
        A bucket of nothing but gaps keeps its first, so that the gap stays visible.
    """
    count = len(values)
    if count <= 2 * buckets + 2:
        return list(range(count))
    kept = {0, count - 1}
    for bucket in range(buckets):
        members = range(bucket * count // buckets, (bucket + 1) * count // buckets)
        known = [(value, at) for at in members if (value := values[at]) is not None]
        if known:
            kept.update((min(known)[1], max(known)[1]))
        else:
            kept.add(members[0])
    return sorted(kept)


def line_path(points: Iterable[tuple[float, float] | None]) -> str:
    """Write a polyline as path data; ``None`` interrupts it.

    >>> line_path([(0, 0), (1, 2), None, (3, 1)])
    'M0 0L1 2M3 1h0'
    """
    parts: list[str] = []
    length = 0
    for point in [*points, None]:
        if point is None:
            # A single point between gaps is drawn as a dot by its round cap.
            if length == 1:
                parts.append("h0")
            length = 0
            continue
        parts.append(f"{'L' if length else 'M'}{coordinate(point[0])} {coordinate(point[1])}")
        length += 1
    return "".join(parts)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart until none overlaps, as little as possible in the sum of squares.

    With ``z_i = wanted_i − i·gap`` in sorted order the answer is the isotonic regression of ``z``
    (pool adjacent violators), clamped, plus ``i·gap``.

    Parameters
    ----------
    wanted
        Where the labels want to stand, in any order.
    gap
        Least distance between neighbours; it shrinks where there is no room for all.
    low, high
        Where they may stand.

    Returns
    -------
    list of float
        A place for each, in the order of ``wanted``.
    """
    count = len(wanted)
    if count > 1:
        gap = min(gap, (high - low) / (count - 1))
    order = sorted(range(count), key=lambda index: wanted[index])
    pools: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        total, size = wanted[index] - rank * gap, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / size:
            before, members = pools.pop()
            total, size = total + before, size + members
        pools.append((total, size))
    placed = [0.0] * count
    rank = 0
    ceiling = high - max(0, count - 1) * gap
    for total, size in pools:
        start = min(max(total / size, low), max(low, ceiling))
        for _ in range(size):
            placed[order[rank]] = start + rank * gap
            rank += 1
    return placed
