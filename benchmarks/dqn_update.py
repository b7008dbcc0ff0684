"""What one update of the Q-network costs, beside PyTorch's and Stable-Baselines3's of an equal one.

An update draws a batch of 32 from the replay memory, computes the double-DQN target, the gradient
of the Huber loss, and Adam's step, for a network 8-64-64-4. On one thread, in turn, in one process:

- menace: :class:`menace.synergy.dqn_learner.DoubleDqn`;
- torch: the same double-DQN update as a loop of its own in PyTorch, batches from NumPy arrays;
- stable-baselines3: its own ``DQN.train`` (a plain DQN target, and gradients clipped to norm 10).

The peers need ``pip install 'menace[dqn-peers]'``; without it they are said to be missing.

``OMP_NUM_THREADS=1 python -m benchmarks.dqn_update [--updates N] [--rounds N] [--json]``
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from menace.synergy.dqn_learner import SYNERGY_SETTINGS, DoubleDqn, DqnSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.records import Json

STATE_SIZE, ACTIONS, HIDDEN = 8, 4, (64, 64)
BATCH_ROWS, MEMORY_ROWS, GAMMA, LEARNING_RATE = 32, 2000, 0.99, 1e-3
PEERS = ("torch", "stable-baselines3")
TARGET_SHARE = 0.5
"""An update of ours is to take at most this share of each peer's."""


def own_update(settings: DqnSettings, state_size: int) -> Callable[[], object]:
    """Make an update of our own network."""
    agent = DoubleDqn(state_size, ACTIONS, settings, np.random.default_rng(0))
    states, actions, rewards, following = _transitions(state_size, settings.memory_rows)
    for row in range(settings.memory_rows):
        agent.memory.add(
            states[row], int(actions[row]), float(rewards[row]), following[row], terminal=False
        )
    return agent.learn


def torch_update() -> Callable[[], object]:
    """Make an update of an equal network in PyTorch.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    """
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)

    def network() -> Any:
        linear, relu = torch.nn.Linear, torch.nn.ReLU
        first, second = HIDDEN
        return torch.nn.Sequential(
            linear(STATE_SIZE, first),
            relu(),
            linear(first, second),
            relu(),
            linear(second, ACTIONS),
        )

    online, target = network(), network()
    target.load_state_dict(online.state_dict())
    adam = torch.optim.Adam(online.parameters(), lr=LEARNING_RATE)
    huber = torch.nn.SmoothL1Loss()
    rng = np.random.default_rng(0)
    memory = _transitions(STATE_SIZE, MEMORY_ROWS)

    def update() -> None:
        drawn = rng.integers(MEMORY_ROWS, size=BATCH_ROWS)
        states, actions, rewards, following = (torch.as_tensor(part[drawn]) for part in memory)
        with torch.no_grad():
            best = online(following).argmax(1, keepdim=True)
            goal = rewards + GAMMA * target(following).gather(1, best).squeeze(1)
        loss = huber(online(states).gather(1, actions.unsqueeze(1)).squeeze(1), goal)
        adam.zero_grad()
        loss.backward()
        adam.step()

    return update


def sb3_update() -> Callable[[], object]:
    """Make an update of an equal network in Stable-Baselines3.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    sb3: Any = importlib.import_module("stable_baselines3")
    logger: Any = importlib.import_module("stable_baselines3.common.logger")
    gymnasium: Any = importlib.import_module("gymnasium")
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    box = gymnasium.spaces.Box(-10.0, 10.0, shape=(STATE_SIZE,), dtype=np.float32)

    class Still(gymnasium.Env):  # type: ignore[misc]
        """An environment that is only asked for its spaces."""

        observation_space, action_space = box, gymnasium.spaces.Discrete(ACTIONS)

    agent = sb3.DQN(
        "MlpPolicy",
        Still(),
        learning_rate=LEARNING_RATE,
        buffer_size=MEMORY_ROWS,
        batch_size=BATCH_ROWS,
        gamma=GAMMA,
        policy_kwargs={"net_arch": list(HIDDEN)},
        device="cpu",
        seed=0,
    )
    agent.set_logger(logger.configure(format_strings=[]))
    states, actions, rewards, following = _transitions(STATE_SIZE, MEMORY_ROWS)
    for row in range(MEMORY_ROWS):
        agent.replay_buffer.add(
            states[row], following[row], actions[row], rewards[row], np.zeros(1), [{}]
        )
    return lambda: agent.train(gradient_steps=1, batch_size=BATCH_ROWS)


def measure(updates: int, rounds: int) -> Json:
    """Time every update in turn, so that whatever else the machine does harms all alike."""
    equal = DqnSettings(
        hidden=HIDDEN,
        gamma=GAMMA,
        learning_rate=LEARNING_RATE,
        batch_rows=BATCH_ROWS,
        memory_rows=MEMORY_ROWS,
    )
    found: dict[str, Callable[[], object]] = {
        "menace": own_update(equal, STATE_SIZE),
        "menace, as the synergy learner has it": own_update(SYNERGY_SETTINGS, ACTIONS),
    }
    missing = []
    for name, make in zip(PEERS, (torch_update, sb3_update), strict=True):
        try:
            found[name] = make()
        except ImportError:
            missing.append(name)
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, update in found.items():
            start = time.perf_counter()
            for _ in range(updates):
                update()
            times[name].append((time.perf_counter() - start) / updates * 1e6)
    fastest = {name: min(figures) for name, figures in times.items()}
    return {
        "rows": [
            {
                "name": name,
                "fastest_us": round(fastest[name], 1),
                "median_us": round(statistics.median(times[name]), 1),
                "menace_share": round(fastest["menace"] / fastest[name], 3)
                if name in PEERS
                else None,
            }
            for name in found
        ],
        "missing": missing,
        "target_share": TARGET_SHARE,
        "reached": all(
            fastest["menace"] <= TARGET_SHARE * fastest[name] for name in PEERS if name in found
        ),
    }


def _transitions(state_size: int, rows: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    return (
        rng.normal(size=(rows, state_size)).astype(np.float32),
        rng.integers(ACTIONS, size=rows),
        rng.normal(size=rows).astype(np.float32),
        rng.normal(size=(rows, state_size)).astype(np.float32),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--updates", type=int, default=300, help="per round")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if options.updates < 1 or options.rounds < 1:
        parser.error("--updates and --rounds must be 1 or more")
    figures = measure(options.updates, options.rounds)
    if options.json:
        print(json.dumps(figures))
        return 0 if figures["reached"] else 1
    print(f"{'an update':<40}{'fastest':>12}{'median':>12}{'menace / it':>14}")
    for row in figures["rows"]:
        share = "" if row["menace_share"] is None else f"{row['menace_share']:.2f}"
        print(
            f"{row['name']:<40}{row['fastest_us']:>9.0f} µs{row['median_us']:>9.0f} µs{share:>14}"
        )
    if figures["missing"]:
        print(f"missing: {', '.join(figures['missing'])} (pip install 'menace[dqn-peers]')")
    if not figures["reached"]:
        print(f"NOT reached: at most {TARGET_SHARE} of each peer's")
    return 0 if figures["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
