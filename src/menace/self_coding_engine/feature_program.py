"""Makes a bot's features with a candidate's text. A program of its own, run in the sandbox only.

One line of JSON on standard input: ``rows`` (a CSV file), ``types`` (column → dtype), ``root`` (the
checkout), ``target``, ``function`` and ``source``. The features come as CSV on standard output;
whatever the candidate prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import types

import pandas as pd


def _main() -> None:
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="")
    os.dup2(2, 1)
    order = json.loads(sys.stdin.readline())
    times = [name for name, kind in order["types"].items() if kind.startswith("datetime")]
    plain = {name: kind for name, kind in order["types"].items() if name not in times}
    # Only what is empty is missing: a text "NA" is a text, as it is where the model is served.
    rows = pd.read_csv(
        order["rows"],
        dtype=plain,
        parse_dates=times,
        keep_default_na=False,
        na_values=[""],
    )
    sys.path.insert(0, order["root"])
    name = order["target"].removesuffix(".py").replace("/", ".")
    module = types.ModuleType(name)
    module.__file__ = os.path.join(order["root"], order["target"])  # noqa: PTH118
    sys.modules[name] = module
    # The candidate's text: this process is in the sandbox for its sake.
    exec(compile(order["source"], module.__file__, "exec"), module.__dict__)  # noqa: S102
    made = getattr(module, order["function"])(rows)
    if not isinstance(made, pd.DataFrame) or len(made) != len(rows):
        shape = getattr(made, "shape", None)
        sys.exit(f"{order['function']} returned a {type(made).__name__} of shape {shape}")
    made.to_csv(answer, index=False)
    answer.close()


if __name__ == "__main__":
    _main()
