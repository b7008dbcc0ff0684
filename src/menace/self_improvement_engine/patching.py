"""What an engine's bot lends to the patching of its helper code."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from menace.accounting.module_roi_log import ModuleRoiLog, module_log_path
from menace.self_coding_engine import CaredBot
from menace.self_improvement_engine.lease import check_held, lease, process_identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from menace.interfaces import Services
    from menace.records import BotConfig


JUDGED_WINDOWS = 6
"""So many of the bot's windows of newest rows are read to judge features on."""


def cared_bot(services: Services, bot: BotConfig) -> CaredBot:
    """Put together what a :class:`~menace.self_coding_engine.SelfCodingEngine` is bound to."""
    from menace.model_automation_pipeline.forward_validation import ForwardValidation

    folder = services.state_folder
    log_path = None if folder is None else module_log_path(folder, bot.name)
    return CaredBot(
        bot=bot,
        store=services.store,
        clock=services.clock,
        rows=lambda: _newest_rows(services, bot.name),
        judge=ForwardValidation(seed=bot.seed),
        rankings=lambda: ModuleRoiLog(log_path).rankings(),
        state_path=None if folder is None else folder / f"{bot.name}.coding.json",
    )


@contextmanager
def held_bot(services: Services, bot: str) -> Iterator[None]:
    """Keep every other process from caring for a bot while the block runs.

    Raises
    ------
    CycleConflictError
        If another one does at the moment.
    """
    seconds = services.settings.lease_seconds
    with lease(
        services.store,
        bot,
        owner=f"{process_identity()}/by hand",
        seconds=seconds,
        clock=services.clock,
    ) as held:
        check_held(held, bot)
        yield


def _newest_rows(services: Services, name: str) -> pd.DataFrame | None:
    from menace.model_automation_pipeline.window_reading import read_newest

    bot, snapshot = services.store.bot(name), services.store.snapshot(name)
    return read_newest(services, bot, snapshot, JUDGED_WINDOWS * bot.window_rows)
