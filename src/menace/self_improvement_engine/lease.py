"""One process cares for a bot at a time: a lease row guards that, and outlives no dead process."""

from __future__ import annotations

import logging
import os
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import CycleConflictError, MenaceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.interfaces import Clock, Store

logger = logging.getLogger(__name__)


def process_identity() -> str:
    """``host/pid/start``: unique among processes even when a pid comes round again."""
    return f"{socket.gethostname()}/{os.getpid()}/{_start_of(os.getpid())}"


def is_dead_neighbour(owner: str) -> bool:
    """Whether ``owner`` was a process on this host that is gone."""
    try:
        host, pid_text, rest = owner.split("/", 2)
        pid = int(pid_text)
    except ValueError:
        return False
    start = rest.split("/", 1)[0]
    return host == socket.gethostname() and _start_of(pid) != start


@contextmanager
def lease(store: Store, bot: str, *, owner: str, seconds: float, clock: Clock) -> Iterator[bool]:
    """Hold the bot's lease inside the block; yields False if somebody else holds it.

    While the block runs, the lease is renewed three times per ``seconds``, however long it takes. A
    lease whose holder was killed on this host is taken over at once; one from another host after it
    has run out.
    """
    held = store.acquire_lease(bot, owner=owner, seconds=seconds, now=clock.now())
    if not held:
        holder = store.lease_owner(bot)
        if holder is not None and is_dead_neighbour(holder):
            store.release_lease(bot, owner=holder)
            held = store.acquire_lease(bot, owner=owner, seconds=seconds, now=clock.now())
    if not held:
        yield False
        return
    done = threading.Event()

    def renew() -> None:
        while not done.wait(seconds / 3):
            try:
                store.acquire_lease(bot, owner=owner, seconds=seconds, now=clock.now())
            except MenaceError as error:
                # Two more chances before it runs out; the cycle's steps are guarded besides.
                logger.warning("bot %s: its lease could not be renewed: %s", bot, error)

    renewing = threading.Thread(target=renew, name=f"menace lease {bot}", daemon=True)
    renewing.start()
    try:
        yield True
    finally:
        done.set()
        renewing.join()
        store.release_lease(bot, owner=owner)


def check_held(held: bool, bot: str) -> None:
    """Refuse to go on without the bot's lease.

    Raises
    ------
    CycleConflictError
        If it is not held.
    """
    if not held:
        raise CycleConflictError(
            "another process cares for this bot at the moment.",
            bot=bot,
            remedy="wait for it to finish, or stop it",
        )


def _start_of(pid: int) -> str:
    """Start time of a process in clock ticks since boot; empty if it is gone or not knowable."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return "" if not _alive(pid) else "?"
    state, *rest = stat.rsplit(")", 1)[1].split()
    return "" if state == "Z" else rest[18]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
