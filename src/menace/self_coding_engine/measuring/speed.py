"""Time two texts of a file on recorded inputs, in the sandbox, from outside the code timed."""

from __future__ import annotations

import math
import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from menace.errors import SandboxError
from menace.self_coding_engine.measuring.figures import describe_verdict
from menace.self_coding_engine.measuring.paired import (
    PairedSettings,
    SpeedComparison,
    judge,
    signed_rank_interval,
)
from menace.self_coding_engine.measuring.programs import ENVIRONMENT, PACKAGE, program
from menace.self_coding_engine.sandbox import SandboxLimits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from menace.records import Json
    from menace.self_coding_engine.recorded_calls import RecordedCall
    from menace.self_coding_engine.sandbox import Sandbox, SandboxSession

TIMING_LIMITS = SandboxLimits(
    wall_seconds=3600.0, cpu_seconds=1800.0, memory_bytes=4 << 30, processes=64
)
BEFORE, AGAIN, AFTER = "before", "again", "after"


@dataclass(frozen=True, slots=True)
class TimingSettings:
    """How long a pass over the inputs is.

    Attributes
    ----------
    pass_seconds
        A shorter one is lengthened by fresh copies of the module and its inputs, CPU-seconds.
    longest_seconds
        Of a longer one, calls are left out at random as long as more than one is there.
    most_copies
        Copies at most.
    mirror_seconds
        Up to this length a block runs its texts in an order and then in the reverse order, so
        that a drift of the machine cancels within the block.
    warm_seconds
        Where the shorter text's pass is no longer than this, some calls are run beforehand,
        untimed; longer passes warm themselves.
    call_seconds
        A pass that takes longer on the wall clock is given up.
    hopeless_ratio
        A new text whose first passes take so many times the time of the present one is not
        timed further.
    """

    pass_seconds: float = 0.005
    longest_seconds: float = 0.25
    most_copies: int = 64
    mirror_seconds: float = 0.03
    warm_seconds: float = 0.01
    call_seconds: float = 60.0
    hopeless_ratio: float = 2.0


class SpeedBench:
    """Times texts of one file on given calls; a context manager, which holds a sandbox session.

    Parameters
    ----------
    sandbox
        Where everything runs.
    folder, target
        A checkout, and the file relative to it.
    calls
        Inputs to drive.
    settings, timing
        How sure to be, and how long to measure.

    Raises
    ------
    SandboxError
        From :meth:`compare`, where the timing program itself ends.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        folder: Path,
        target: str,
        calls: Sequence[RecordedCall],
        settings: PairedSettings | None = None,
        timing: TimingSettings | None = None,
        limits: SandboxLimits = TIMING_LIMITS,
    ) -> None:
        self._sandbox, self._folder, self._target = sandbox, folder, target
        self._calls = calls
        self._settings = settings or PairedSettings()
        self._timing = timing or TimingSettings()
        self._limits = limits
        self._closing = ExitStack()
        self._session: SandboxSession | None = None
        self._able = 0

    def __enter__(self) -> Self:
        self._session = self._closing.enter_context(
            self._sandbox.session(
                program("time"),
                folder=self._folder,
                limits=self._limits,
                environment=ENVIRONMENT,
                bind=(PACKAGE,),
            )
        )
        source = (self._folder / self._target).read_text(encoding="utf-8")
        opened = self._ask(
            {
                "ask": "open",
                "folder": str(self._folder),
                "target": self._target,
                "source": source,
                "calls": [call.to_json() for call in self._calls],
            }
        )
        self._able = int(opened["calls"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()
        self._session = None

    @property
    def cpu_seconds(self) -> float:
        """What the session has used."""
        return self._session.cpu_seconds if self._session is not None else 0.0

    def _ask(self, question: Json) -> Json:
        if self._session is None:
            message = "a speed bench is used in a with block"
            raise SandboxError(message)
        answer: Json = self._session.ask(question, seconds=self._timing.call_seconds * 2)
        return answer

    def compare(
        self, before: str, after: str, *, seed: int = 0, seconds: float | None = None
    ) -> SpeedComparison:
        """Compare the new text with the present one.

        Parameters
        ----------
        seed
            Of the order within the blocks, and of the choice of calls.
        seconds
            CPU-seconds after which no further block is begun.
        """
        start = self.cpu_seconds
        for name, text in ((BEFORE, before), (AGAIN, before), (AFTER, after)):
            self._ask({"ask": "text", "name": name, "source": text})
        run = _Run(self, self._timing, self._able, seed)
        trouble = run.prepare()
        if trouble:
            return _undecided(trouble, run, self.cpu_seconds - start)
        looks = self._settings.looks
        for blocks in range(1, looks[-1] + 1):
            if seconds is not None and self.cpu_seconds - start > seconds and blocks <= looks[0]:
                return _undecided("no time left to time it", run, self.cpu_seconds - start)
            trouble = run.add_block()
            if trouble:
                return _undecided(trouble, run, self.cpu_seconds - start)
            if blocks in looks:
                verdict = judge(run.after, run.again, self._settings)
                over = seconds is not None and self.cpu_seconds - start > seconds
                if verdict.better or verdict.hopeless or over:
                    break
        return _decided(run, self._settings, self.cpu_seconds - start)

    def time_once(
        self, name: str, *, copies: int, chosen: Sequence[int], warm: bool = True
    ) -> Json:
        """One pass of a text: ``cpu_ns`` and ``clock_ns``, or ``error``."""
        return self._ask(
            {
                "ask": "time",
                "name": name,
                "copies": copies,
                "warm": warm,
                "chosen": list(chosen),
                "seconds": self._timing.call_seconds,
            }
        )


class _Run:
    """One comparison: which calls, how many copies, and the blocks so far."""

    def __init__(self, bench: SpeedBench, timing: TimingSettings, calls: int, seed: int) -> None:
        import numpy as np

        self._bench, self._timing = bench, timing
        self._rng = np.random.default_rng(seed)
        self._chosen = list(range(calls))
        self._copies = 1
        self._mirror = self._warm = True
        self.after: list[float] = []
        self.again: list[float] = []
        self.clock: list[float] = []
        self.before_seconds: list[float] = []

    def _seconds(self, name: str, copies: int) -> float | str:
        answer = self._bench.time_once(name, copies=copies, chosen=self._chosen)
        return str(answer["error"]) if "error" in answer else max(1, answer["cpu_ns"]) / 1e9

    def prepare(self) -> str:
        """Choose calls and copies; give what speaks against timing, or nothing."""
        if not self._chosen:
            return "there are no recorded inputs to time it on"
        seconds = self._seconds(BEFORE, 1)
        while isinstance(seconds, float) and (
            seconds > self._timing.longest_seconds and len(self._chosen) > 1
        ):
            size = max(1, min(len(self._chosen) // 2, int(len(self._chosen) * 0.25 / seconds)))
            self._chosen = sorted(self._rng.choice(self._chosen, size, replace=False).tolist())
            seconds = self._seconds(BEFORE, 1)
        if isinstance(seconds, str):
            return f"the present text cannot be timed: {seconds}"
        self._copies = max(
            1, min(self._timing.most_copies, round(self._timing.pass_seconds / seconds))
        )
        length = seconds * self._copies
        self._mirror = length <= self._timing.mirror_seconds
        return self._look_at_new(seconds)

    def _look_at_new(self, before: float) -> str:
        tries = [self._seconds(AFTER, 1) for _ in range(2)]
        for found in tries:
            if isinstance(found, str):
                return f"the new text cannot be timed: {found}"
        least = min(found for found in tries if isinstance(found, float))
        shorter = min(before, least) * self._copies
        self._warm = shorter <= self._timing.warm_seconds
        if least > self._timing.hopeless_ratio * before:
            self.after.append(math.log(least / before))
            return f"the new text is slower: {least / before:.3g} times the time"
        return ""

    def add_block(self) -> str:
        """Run one block; give what went wrong, or nothing."""
        order = [(BEFORE, AGAIN, AFTER)[place] for place in self._rng.permutation(3)]
        logs: dict[str, list[float]] = {BEFORE: [], AGAIN: [], AFTER: []}
        clocks: dict[str, list[float]] = {BEFORE: [], AGAIN: [], AFTER: []}
        for name in order + order[::-1] if self._mirror else order:
            answer = self._bench.time_once(
                name, copies=self._copies, chosen=self._chosen, warm=self._warm
            )
            if "error" in answer:
                return f"a text could not be timed: {answer['error']}"
            logs[name].append(math.log(max(1, answer["cpu_ns"])))
            clocks[name].append(math.log(max(1, answer["clock_ns"])))
        mean = {name: statistics.fmean(values) for name, values in logs.items()}
        self.after.append(mean[AFTER] - mean[BEFORE])
        self.again.append(mean[AGAIN] - mean[BEFORE])
        self.clock.append(statistics.fmean(clocks[AFTER]) - statistics.fmean(clocks[BEFORE]))
        self.before_seconds.append(math.exp(mean[BEFORE]) / 1e9 / self._copies)
        return ""


def _undecided(reason: str, run: _Run, cpu_seconds: float) -> SpeedComparison:
    ratio = math.exp(statistics.median(run.after)) if run.after else 1.0
    return SpeedComparison(
        ratio=ratio,
        low=0.0,
        high=math.inf,
        noise_floor=math.inf,
        faster=False,
        blocks=len(run.again),
        reason=reason,
        cpu_seconds=cpu_seconds,
    )


def _decided(run: _Run, settings: PairedSettings, cpu_seconds: float) -> SpeedComparison:
    verdict = judge(run.after, run.again, settings)
    clock = signed_rank_interval(run.clock, settings.floor_tail)
    hidden = clock.low > 0.5 * verdict.after.centre + CLOCK_SLACK
    before = statistics.median(run.before_seconds)
    return SpeedComparison(
        ratio=math.exp(verdict.after.centre),
        low=math.exp(verdict.after.low),
        high=math.exp(verdict.after.high),
        noise_floor=math.exp(verdict.floor),
        faster=verdict.better and not hidden,
        blocks=len(run.after),
        again_ratio=math.exp(verdict.again.centre),
        clock_ratio=math.exp(clock.centre),
        before_seconds=before,
        after_seconds=before * math.exp(verdict.after.centre),
        reason=HIDDEN_WORK if verdict.better and hidden else describe_verdict(verdict),
        cpu_seconds=cpu_seconds,
    )


CLOCK_SLACK = math.log(1.1)
"""The wall clock may surely show so much less than half of a gain, on the logarithmic scale."""
HIDDEN_WORK = "the process uses less time, but the answer comes as late: the work is done elsewhere"


def compare_speed(
    sandbox: Sandbox,
    *,
    folder: Path,
    target: str,
    before: str,
    after: str,
    calls: Sequence[RecordedCall],
    settings: PairedSettings | None = None,
    timing: TimingSettings | None = None,
    seed: int = 0,
    seconds: float | None = None,
) -> SpeedComparison:
    """Compare two texts in a session of its own; see :class:`SpeedBench`."""
    with SpeedBench(
        sandbox, folder=folder, target=target, calls=calls, settings=settings, timing=timing
    ) as bench:
        return bench.compare(before, after, seed=seed, seconds=seconds)
