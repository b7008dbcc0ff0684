"""Jobs for the tests of the pool: a worker process must be able to import them."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any, NoReturn

from menace.errors import DataError


def process_id(_: Any) -> int:
    return os.getpid()


def environment(name: str) -> str | None:
    return os.environ.get(name)


def fail_with_data_error(bot: str) -> NoReturn:
    raise DataError("row 3 has no label.", bot=bot, remedy="add one")


class StubbornError(Exception):
    """One that cannot be built anew from its message."""

    def __init__(self, *, code: int, row: int) -> None:
        super().__init__(f"code {code} in row {row}")


def fail_stubbornly(_: Any) -> NoReturn:
    raise StubbornError(code=7, row=3)


def die(_: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def leave(code: int) -> NoReturn:
    os._exit(code)


def unpicklable(_: Any) -> object:
    return threading.Lock()


def print_noise(text: str) -> str:
    print(text)
    return text


def meet(folder: str) -> int:
    """Wait in ``folder`` until two processes are there: only possible at the same time."""
    (Path(folder) / str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < 2:
        pass
    return os.getpid()


def announce_and_wait(pipe: str) -> None:
    """Open a named pipe for writing, say one's number, and never come back."""
    with Path(pipe).open("w") as stream:
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        signal.pause()


def interrupt_oneself(_: Any) -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"
