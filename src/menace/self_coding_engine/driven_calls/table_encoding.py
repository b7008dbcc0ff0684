"""Arrays and frames as plain JSON and back; the part of :mod:`.encoding` for NumPy and pandas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.driven_calls.unencodable import UnencodableError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from menace.records import Json

    Encode = Callable[[Any], Any]
    Decode = Callable[[Any], Any]

MOST_OBJECTS = 1_000_000
"""An array of more Python objects is left out."""

_PLAIN = "biuf"
_TIMES = "mM"


def encode_table(value: Any, encode: Encode) -> Json:
    """Encode a NumPy or pandas value.

    Raises
    ------
    UnencodableError
        For a structured array, a multi-index, or elements that are no plain data.
    """
    import numpy as np

    if isinstance(value, np.generic):
        return {"!": "numpy.scalar", **_encode_array(np.asarray(value), encode)}
    if isinstance(value, np.ndarray):
        return {"!": "numpy.ndarray", **_encode_array(value, encode)}
    import pandas as pd

    if value is pd.NA or value is pd.NaT:
        return {"!": "pandas.NA" if value is pd.NA else "pandas.NaT"}
    if isinstance(value, pd.Timestamp):
        zone = None if value.tz is None else str(value.tz)
        return {"!": "pandas.Timestamp", "v": value.value, "unit": value.unit, "zone": zone}
    if isinstance(value, pd.Timedelta):
        return {"!": "pandas.Timedelta", "v": value.value, "unit": value.unit}
    if isinstance(value, pd.DataFrame):
        if not value.columns.is_unique:
            message = "a frame with two columns of one name"
            raise UnencodableError(message)
        return {
            "!": "pandas.DataFrame",
            "index": _encode_index(value.index, encode),
            "columns": _encode_index(value.columns, encode),
            "v": [_encode_column(value[name], encode) for name in value.columns],
        }
    if isinstance(value, pd.Series):
        return {
            "!": "pandas.Series",
            "index": _encode_index(value.index, encode),
            "name": encode(value.name),
            **_encode_column(value, encode),
        }
    if isinstance(value, pd.Index):
        return {"!": "pandas.Index", **_encode_index(value, encode)}
    message = f"{type(value).__qualname__} is no plain table"
    raise UnencodableError(message)


def _float(value: float) -> Any:
    return value if math.isfinite(value) else {"!": "float", "v": repr(value)}


def _encode_array(array: np.ndarray[Any, Any], encode: Encode) -> Json:
    kind = array.dtype.kind
    if kind == "V" or (array.dtype.hasobject and array.size > MOST_OBJECTS):
        message = f"an array of {array.dtype}"
        raise UnencodableError(message)
    flat = array.reshape(-1)
    if kind in _TIMES:
        values: list[Any] = flat.view("int64").tolist()
    elif kind in _PLAIN:
        values = [_float(item) for item in flat.tolist()] if kind == "f" else flat.tolist()
    else:
        values = [encode(item) for item in flat.tolist()]
    return {"dtype": array.dtype.str, "shape": list(array.shape), "v": values}


def _decode_array(document: Json, decode: Decode) -> np.ndarray[Any, Any]:
    import numpy as np

    dtype = np.dtype(document["dtype"])
    if dtype.kind in _TIMES:
        flat = np.array(document["v"], dtype="int64").view(dtype)
    elif dtype.kind == "O":
        flat = np.empty(len(document["v"]), dtype=object)
        for position, item in enumerate(document["v"]):
            flat[position] = decode(item)
    else:
        flat = np.array([decode(item) for item in document["v"]], dtype=dtype)
    return flat.reshape(document["shape"])


def _encode_column(column: Any, encode: Encode) -> Json:
    """Encode a column or an index without its labels."""
    import numpy as np
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes = column.cat.codes if isinstance(column, pd.Series) else column.codes
        return {
            "dtype": "category",
            "ordered": bool(dtype.ordered),
            "categories": _encode_index(dtype.categories, encode),
            "v": [int(code) for code in codes],
        }
    if isinstance(dtype, pd.DatetimeTZDtype):
        moments = (
            column.dt.tz_convert(None) if isinstance(column, pd.Series) else column.tz_convert(None)
        )
        return {"dtype": str(dtype), "v": moments.to_numpy().view("int64").tolist()}
    if isinstance(dtype, np.dtype) and dtype.kind in _PLAIN + _TIMES:
        array = _encode_array(column.to_numpy(), encode)
        return {"dtype": str(dtype), "v": array["v"]}
    return {"dtype": str(dtype), "v": [encode(item) for item in column.tolist()]}


def _decode_column(document: Json, decode: Decode) -> Any:
    """Rebuild the values, as something that a Series and an Index are made from."""
    import numpy as np
    import pandas as pd

    name, values = document["dtype"], document["v"]
    if name == "category":
        categories = _decode_index(document["categories"], decode)
        return pd.Categorical.from_codes(values, categories, ordered=document["ordered"])
    if name.startswith(("datetime64", "timedelta64")):
        unit, _, zone = name.partition(", ")
        moments = np.array(values, dtype="int64").view(unit.rstrip("]") + "]")
        if not zone:
            return moments
        return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(zone.rstrip("]"))
    return (
        pd.array([decode(item) for item in values], dtype=name)
        if name not in {"object"}
        else pd.Series([decode(item) for item in values], dtype="object").array
    )


def _encode_index(index: Any, encode: Encode) -> Json:
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        message = "an index of several levels"
        raise UnencodableError(message)
    label = encode(index.name)
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "name": label}
    return {"name": label, "column": _encode_column(index, encode)}


def _decode_index(document: Json, decode: Decode) -> Any:
    import pandas as pd

    name = decode(document["name"])
    if "range" in document:
        start, stop, step = document["range"]
        return pd.RangeIndex(start, stop, step, name=name)
    return pd.Index(_decode_column(document["column"], decode), name=name)


def decode_table(document: Json, decode: Decode) -> Any:
    """Rebuild a value from :func:`encode_table`."""
    import pandas as pd

    kind = document["!"]
    if kind == "numpy.scalar":
        return _decode_array(document, decode)[()]
    if kind == "numpy.ndarray":
        return _decode_array(document, decode)
    if kind in {"pandas.NA", "pandas.NaT"}:
        return pd.NA if kind == "pandas.NA" else pd.NaT
    if kind == "pandas.Timestamp":
        moment = pd.Timestamp(document["v"], unit="ns").as_unit(document["unit"])
        return (
            moment
            if document["zone"] is None
            else moment.tz_localize("UTC").tz_convert(document["zone"])
        )
    if kind == "pandas.Timedelta":
        return pd.Timedelta(document["v"], unit="ns").as_unit(document["unit"])
    if kind == "pandas.Index":
        return _decode_index(document, decode)
    index = _decode_index(document["index"], decode)
    if kind == "pandas.Series":
        return pd.Series(
            _decode_column(document, decode), index=index, name=decode(document["name"])
        )
    columns = _decode_index(document["columns"], decode)
    frame = pd.DataFrame(
        {
            place: pd.Series(_decode_column(column, decode), index=index)
            for place, column in enumerate(document["v"])
        },
        index=index,
    )
    frame.columns = columns
    return frame
