"""The program that runs calls on a text in the sandbox and writes down what came of each.

An order comes as JSON, and one line of JSON goes out per call, so that a text that dies leaves what
was done before.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from menace.self_coding_engine.driven_calls.encoding import decode, describe
from menace.self_coding_engine.driven_calls.importing import find_imports_in, load_afresh
from menace.self_coding_engine.driven_calls.unencodable import UnencodableError
from menace.self_coding_engine.forked_tests.overlay import lay_over

if TYPE_CHECKING:
    from types import ModuleType

    from menace.records import Json


def outcome_of(module: ModuleType, call: Json) -> Json:
    """Run one call: its result or error, what it printed, and its arguments afterwards."""
    args, kwargs = decode(call["args"]), dict(decode(call["kwargs"]))
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    printed = io.StringIO()
    found: Json = {}
    with contextlib.redirect_stdout(printed):
        try:
            found["result"] = describe(getattr(module, call["function"])(*args, **kwargs))
        # A candidate may raise anything, and what it raises is the outcome.
        except BaseException as error:  # noqa: BLE001
            if isinstance(error, UnencodableError):
                return {"unknown": str(error)}
            found["raised"] = [type(error).__qualname__, str(error)]
    try:
        after = [describe(args), describe(kwargs)]
    except UnencodableError as error:
        return {"unknown": str(error)}
    if json.dumps(after) != json.dumps([call["args"], call["kwargs"]]):
        found["arguments"] = after
    if printed.getvalue():
        found["printed"] = printed.getvalue()[:10_000]
    return found


def serve(orders: TextIO, answers: TextIO) -> None:
    """Run the calls of the order."""
    order = json.load(orders)
    folder = Path(order["folder"])
    sys.dont_write_bytecode = True
    find_imports_in(folder, order["target"])
    lay_over(str(folder / order["target"]), order["source"])
    module = load_afresh(folder, order["target"])
    for call in order["calls"]:
        json.dump(outcome_of(module, call), answers)
        answers.write("\n")
        answers.flush()
