"""The command's frame: its groups, its errors, its exit codes."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from typing import NoReturn

from cyclopts import App, CycloptsError

from menace import __version__
from menace.errors import ConfigError, MenaceError, NoDataWarning, PatchConflictError

app = App(
    name="menace",
    help="Watch deployed models, improve one only when it pays, prove that it paid.",
    version=__version__,
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command()

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_TOLD_BY_COMMANDS = (
    "menace.self_improvement_engine.cycle",
    "menace.self_improvement_engine.registry",
)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command.

    Exit codes: 0 done, 1 an error, 2 the command line itself is wrong, 130 after Ctrl-C.
    """
    tokens = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in tokens
    _register_commands()
    _log_to_stderr()
    # The commands show the same sentence as their result.
    warnings.simplefilter("ignore", NoDataWarning)
    try:
        code = app(tokens, print_error=False, exit_on_error=False)
        sys.stdout.flush()
    except MenaceError as error:
        _tell(error, as_json=as_json)
        sys.exit(EXIT_ERROR)
    except CycloptsError as error:
        _tell(_usage_error(error), as_json=as_json)
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        sys.stderr.write(
            "stopped; nothing is half-written, and a cycle under way goes on at the next start\n"
        )
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    sys.exit(code if isinstance(code, int) else 0)


def _register_commands() -> None:
    from menace.cli import (
        approvals,
        bots,
        capital,
        caring,
        doctor,
        looking,
        patches,
        patching,
        rankings,
        replaying,
        service,
    )

    del approvals, bots, capital, caring, doctor, looking, patches, patching, rankings, replaying
    del service


def _log_to_stderr() -> None:
    """Log errors, save those that the commands themselves put into words."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_is_news)
    logging.basicConfig(level=logging.ERROR, handlers=[handler])


def _is_news(record: logging.LogRecord) -> bool:
    expected = record.exc_info is not None and isinstance(record.exc_info[1], MenaceError)
    return not (expected and record.name in _TOLD_BY_COMMANDS)


def _usage_error(error: CycloptsError) -> ConfigError:
    chain = " ".join(["menace", *(error.command_chain or ())])
    return ConfigError(" ".join(str(error).split()), remedy=f"{chain} --help")


def _tell(error: MenaceError, *, as_json: bool) -> None:
    if as_json:
        document: dict[str, object] = {
            "error": type(error).__name__,
            "message": error.message,
            "bot": error.bot,
            "cycle_id": error.cycle_id,
            "remedy": error.remedy,
        }
        if isinstance(error, PatchConflictError):
            document["lines"] = list(error.lines)
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    from menace.cli.output import console, line

    out = console(stderr=True)
    where = f"bot {error.bot!r}: " if error.bot else ""
    line(out, f"error: {where}{error.message}", style="bold red")
    if error.remedy:
        line(out, f"  remedy: {error.remedy}")
