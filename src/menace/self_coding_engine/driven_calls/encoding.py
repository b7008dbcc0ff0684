"""Python values as plain JSON and back, for inputs and results that leave the sandbox.

Only data is encoded, by an allow-list of types: nothing here calls code of the user's, and nothing
that is decoded can. JSON's own values and lists stand for themselves; everything else is an object
with its type under ``"!"``. Arrays and frames are done by
:mod:`menace.self_coding_engine.driven_calls.table_encoding`, when their libraries are loaded.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import math
import sys
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.driven_calls.table_encoding import decode_table, encode_table
from menace.self_coding_engine.driven_calls.unencodable import UnencodableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.records import Json

DEEPEST = 40
LONGEST_ITERATOR = 200_000
"""Elements of an iterator that are looked at; an endless one is cut there."""

_FACTORIES: dict[str, Callable[[], object]] = {
    "int": int,
    "float": float,
    "str": str,
    "list": list,
    "dict": dict,
    "set": set,
}


def encode(value: Any, *, depth: int = 0) -> Any:
    """Encode a value.

    Raises
    ------
    UnencodableError
        Where it, or something within it, is of no known kind, or nested too deep.
    """
    if value is None or type(value) in {bool, int, str}:
        return value
    if depth > DEEPEST:
        message = "nested too deep"
        raise UnencodableError(message)
    if type(value) is float:
        return value if math.isfinite(value) else {"!": "float", "v": repr(value)}
    if type(value) is list:
        return [encode(item, depth=depth + 1) for item in value]
    container = _encode_container(value, depth + 1)
    if container is not None:
        return container
    scalar = _encode_scalar(value)
    if scalar is not None:
        return scalar
    if type(value).__module__.partition(".")[0] in {"numpy", "pandas"}:
        return encode_table(value, lambda item: encode(item, depth=depth + 1))
    message = f"{type(value).__module__}.{type(value).__qualname__} is no plain data"
    raise UnencodableError(message)


def _encode_container(value: Any, depth: int) -> Json | None:
    kind = type(value)
    if kind in {tuple, deque}:
        return {"!": kind.__name__, "v": [encode(item, depth=depth) for item in value]}
    if kind in {set, frozenset}:
        items = [encode(item, depth=depth) for item in value]
        return {"!": kind.__name__, "v": sorted(items, key=json.dumps)}
    if kind in {dict, OrderedDict, Counter, defaultdict}:
        items = [[encode(k, depth=depth), encode(v, depth=depth)] for k, v in value.items()]
        document: Json = {"!": kind.__name__, "v": items}
        if kind is defaultdict:
            name = getattr(value.default_factory, "__name__", None)
            if value.default_factory is not None and value.default_factory is not _FACTORIES.get(
                str(name)
            ):
                message = "a defaultdict whose factory is no built-in type"
                raise UnencodableError(message)
            document["factory"] = name
        return document
    return None


def _encode_scalar(value: Any) -> Json | None:
    kind = type(value)
    if kind in {bytes, bytearray}:
        return {"!": kind.__name__, "v": value.hex()}
    if kind is complex:
        return {"!": "complex", "v": [encode(value.real), encode(value.imag)]}
    if kind is range:
        return {"!": "range", "v": [value.start, value.stop, value.step]}
    if kind in {decimal.Decimal, fractions.Fraction, uuid.UUID}:
        return {"!": kind.__name__, "v": str(value)}
    if isinstance(value, PurePath):
        return {"!": "Path", "v": value.as_posix()}
    if kind is datetime.timedelta:
        return {"!": "timedelta", "v": [value.days, value.seconds, value.microseconds]}
    if kind in {datetime.datetime, datetime.time} and value.tzinfo is not None:
        return _encode_zoned(value)
    if kind in {datetime.datetime, datetime.time}:
        return {"!": kind.__name__, "v": value.isoformat(), "fold": value.fold}
    if kind is datetime.date:
        return {"!": "date", "v": value.isoformat()}
    return None


def _encode_zoned(value: Any) -> Json:
    zone = getattr(value.tzinfo, "key", None)
    if zone is None and not isinstance(value.tzinfo, datetime.timezone):
        message = "a time zone that is neither of zoneinfo nor a fixed offset"
        raise UnencodableError(message)
    return {"!": type(value).__name__, "v": value.isoformat(), "zone": zone, "fold": value.fold}


def decode(document: Any) -> Any:
    """Rebuild a value from :func:`encode`.

    Raises
    ------
    UnencodableError
        Where the document is none of :func:`encode`'s, or holds what is known one way only.
    """
    if isinstance(document, list):
        return [decode(item) for item in document]
    if not isinstance(document, dict):
        return document
    kind, value = document.get("!"), document.get("v")
    decoder = _DECODERS.get(str(kind))
    if decoder is not None:
        return decoder(value)
    if kind == "defaultdict":
        factory = _FACTORIES[document["factory"]] if document["factory"] else None
        return defaultdict(factory, _pairs(value))
    if kind in {"datetime", "time"}:
        return _decode_time(str(kind), document)
    if isinstance(kind, str) and kind.startswith(("numpy.", "pandas.")):
        return decode_table(document, decode)
    message = f"{kind} cannot be rebuilt"
    raise UnencodableError(message)


def _pairs(items: Any) -> list[tuple[Any, Any]]:
    return [(decode(key), decode(value)) for key, value in items]


def _decode_time(kind: str, document: Json) -> Any:
    parsed = getattr(datetime, kind).fromisoformat(document["v"])
    if document.get("zone"):
        parsed = parsed.replace(tzinfo=zoneinfo.ZoneInfo(document["zone"]))
    return parsed.replace(fold=document.get("fold", 0))


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "tuple": lambda v: tuple(decode(v)),
    "deque": lambda v: deque(decode(v)),
    "set": lambda v: set(decode(v)),
    "frozenset": lambda v: frozenset(decode(v)),
    "dict": lambda v: dict(_pairs(v)),
    "OrderedDict": lambda v: OrderedDict(_pairs(v)),
    "Counter": lambda v: Counter(dict(_pairs(v))),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": lambda v: complex(decode(v[0]), decode(v[1])),
    "range": lambda v: range(*v),
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "UUID": uuid.UUID,
    "Path": PurePosixPath,
    "timedelta": lambda v: datetime.timedelta(*v),
    "date": datetime.date.fromisoformat,
}


def describe(value: Any, *, depth: int = 0) -> Any:
    """Encode a result one way: also iterators, by their elements, and objects, by their fields.

    Raises
    ------
    UnencodableError
        As :func:`encode`; a field that cannot be read counts as such.
    """
    if hasattr(value, "__next__") and depth == 0:
        items = []
        for count, item in enumerate(value):
            if count >= LONGEST_ITERATOR:
                break
            items.append(describe(item, depth=1))
        return {"!": "iterator", "v": items}
    try:
        return encode(value, depth=depth)
    except UnencodableError:
        if depth > DEEPEST:
            raise
    if isinstance(value, list | tuple | set | frozenset):
        items = [describe(item, depth=depth + 1) for item in value]
        if isinstance(value, set | frozenset):
            items.sort(key=json.dumps)
        return {"!": type(value).__name__, "v": items}
    if isinstance(value, dict):
        pairs = [
            [describe(k, depth=depth + 1), describe(v, depth=depth + 1)] for k, v in value.items()
        ]
        return {"!": type(value).__name__, "v": pairs}
    fields = _fields(value)
    if fields is None:
        message = f"{type(value).__qualname__} has no fields to look at"
        raise UnencodableError(message)
    return {
        "!": "object",
        "type": type(value).__qualname__,
        "v": {name: describe(item, depth=depth + 1) for name, item in fields.items()},
    }


def _fields(value: Any) -> dict[str, Any] | None:
    if isinstance(value, type) or callable(value) or type(value) is type(sys):
        return None
    if hasattr(value, "__dict__"):
        return dict(vars(value))
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()) or ()]
    if not slots:
        return None
    return {name: getattr(value, name) for name in slots if hasattr(value, name)}
