"""Pre-training while another process cares for the bot: nothing taught is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import ConfigError
from menace.sandbox_runner import replay
from menace.sandbox_runner.pretraining import pretrain
from menace.self_improvement_policy import SelfImprovementPolicy
from menace.self_improvement_policy.prior import shipped_prior

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.workspace import Workspace
    from support import DriftingStream


def test_a_service_that_is_under_way_takes_up_what_was_taught_and_goes_on_learning(
    open_workspace: Callable[..., Workspace],
    stream: DriftingStream,
    alpha: Callable[..., dict[str, Any]],
) -> None:
    stream.grow(1000)
    workspace = open_workspace()
    bot = workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    assert engine.run_cycle().status == "promoted"
    replayed = replay(bot, workspace.services.rows_of(bot))
    trained = pretrain(workspace.services, replayed)
    taught = SelfImprovementPolicy.load(trained.policy).prior
    assert taught is not None
    assert taught != shipped_prior()
    for _ in range(4):
        stream.grow(200)
        engine.run_cycle()
    kept = SelfImprovementPolicy.load(trained.policy)
    assert len(kept) > 0  # it has learned from cycles meanwhile, and written its file
    assert kept.prior == taught
    with pytest.raises(ConfigError, match="has learned from live cycles already"):
        pretrain(workspace.services, replayed)
    assert pretrain(workspace.services, replayed, force=True).live_states == len(kept)
