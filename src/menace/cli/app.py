"""The command's frame: its groups, its errors, its exit codes."""

from __future__ import annotations

import json
import logging
import sys
from typing import NoReturn

from cyclopts import App

from menace import __version__
from menace.errors import MenaceError

app = App(
    name="menace",
    help="Watch deployed models, improve one only when it pays, prove that it paid.",
    version=__version__,
)
app.register_install_completion_command()

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command: exit 0 when done, 1 after an error, 130 after Ctrl-C."""
    tokens = sys.argv[1:] if arguments is None else arguments
    _register_commands()
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    try:
        code = app(tokens)
    except MenaceError as error:
        _tell(error, as_json="--json" in tokens)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing is half-written\n")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_ERROR)
    sys.exit(code if isinstance(code, int) else 0)


def _register_commands() -> None:
    from menace.cli import bots, caring, looking

    del bots, caring, looking


def _tell(error: MenaceError, *, as_json: bool) -> None:
    if as_json:
        document = {
            "error": type(error).__name__,
            "message": error.message,
            "bot": error.bot,
            "cycle_id": error.cycle_id,
            "remedy": error.remedy,
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    from menace.cli.output import console

    out = console(stderr=True)
    where = f"bot {error.bot!r}: " if error.bot else ""
    out.print(f"error: {where}{error.message}", style="bold red", markup=False)
    if error.remedy:
        out.print(f"  remedy: {error.remedy}", markup=False)
