"""The gates *speed* and *quality*: what is claimed is measured, and clears the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from menace.patches import Claim, GateReport
from menace.self_coding_engine.measuring import compare_speed

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from menace.records import Json
    from menace.self_coding_engine.gates.candidate import Candidate
    from menace.self_coding_engine.gates.differential import DifferentialGate
    from menace.self_coding_engine.measuring import PairedSettings, SpeedComparison
    from menace.self_coding_engine.sandbox import Sandbox

    FloatArray = npt.NDArray[np.float64]

LEAST_Z = 2.0
"""Standard errors by which a loss has to fall."""

BLOCKS = 40


class SpeedGate:
    """Times both texts in turns on the recorded inputs.

    The present text is run against itself in between, which shows the noise: the whole interval of
    the gain has to clear it. Only for what claims to be faster. Where there is nothing to time it
    on it refuses: a claim that cannot be shown is not kept.

    Parameters
    ----------
    sandbox
        Where everything runs.
    inputs
        The gate *old against new*, which has recorded them.
    seconds
        CPU-seconds that are left for it, asked anew for every candidate; ``None``: as it takes.
    settings
        How sure to be.
    """

    name = "speed"

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        inputs: DifferentialGate,
        seconds: Callable[[], float] | None = None,
        settings: PairedSettings | None = None,
    ) -> None:
        self._sandbox, self._inputs = sandbox, inputs
        self._seconds, self._settings = seconds, settings
        self.cpu_seconds = 0.0

    def judge(self, candidate: Candidate) -> GateReport:
        """Measure.

        Raises
        ------
        CodingError
            If the inputs cannot be recorded, or the sandbox does not hold.
        """
        if candidate.claim is not Claim.SPEEDS:
            return GateReport(self.name, None, "it does not claim to be faster")
        base = self._inputs.baseline(candidate)
        calls = [
            call
            for at, call in enumerate(base.calls)
            if at not in base.unsteady and base.outcomes[at].raised is None
        ]
        if not calls:
            return GateReport(self.name, False, "there are no recorded inputs to time it on")
        found = compare_speed(
            self._sandbox,
            folder=candidate.root,
            target=candidate.target,
            before=candidate.before,
            after=candidate.after,
            calls=calls,
            settings=self._settings,
            seed=candidate.task.seed,
            seconds=None if self._seconds is None else self._seconds(),
        )
        self.cpu_seconds += found.cpu_seconds
        figures = {**found.to_json(), "calls": len(calls)}
        if found.faster:
            figures["deltas"] = {"seconds": found.ratio - 1.0}
        return GateReport(self.name, found.faster, found.reason, figures)


@dataclass(frozen=True, slots=True)
class QualityComparison:
    """A figure of both texts, lower is better, and whether the new one is surely better.

    Attributes
    ----------
    before, after
        The figure.
    low, high
        Interval of its change, relative to ``before``; negative is better.
    better
        Whether the interval clears the noise.
    reason
        One sentence for people.
    """

    before: float
    after: float
    low: float
    high: float
    better: bool
    reason: str

    @classmethod
    def of_losses(cls, before: FloatArray, after: FloatArray, *, least_z: float = LEAST_Z) -> Self:
        r"""Compare losses of the same rows, in time order.

        The mean difference has to be ``least_z`` standard errors below 0. Its standard error is the
        larger of the one over rows, :math:`s_d / \sqrt n`, and the one over the means of up to 40
        blocks of neighbouring rows, which are more alike than rows apart (batch means; Law and
        Kelton, Simulation Modeling and Analysis, ch. 9).

        Parameters
        ----------
        before, after
            Shape (rows,), lower is better.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(1)
        >>> losses = rng.exponential(1.0, 400)
        >>> QualityComparison.of_losses(losses, 0.9 * losses).better
        True
        >>> QualityComparison.of_losses(losses, losses + rng.normal(0, 0.1, 400)).better
        False
        """
        import numpy as np

        change = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
        mean, scale = float(change.mean()), abs(float(np.mean(before))) or 1.0
        blocks = [part.mean() for part in np.array_split(change, min(BLOCKS, len(change)))]
        error = max(
            float(change.std(ddof=1)) / math.sqrt(len(change)) if len(change) > 1 else math.inf,
            float(np.std(blocks, ddof=1)) / math.sqrt(len(blocks)) if len(blocks) > 1 else 0.0,
        )
        low, high = (mean - least_z * error) / scale, (mean + least_z * error) / scale
        better = bool(math.isfinite(high) and high < 0.0)
        found = f"{100 * mean / scale:+.2f} % ({100 * low:+.2f} to {100 * high:+.2f}) on later rows"
        return cls(
            before=float(np.mean(before)),
            after=float(np.mean(after)),
            low=low,
            high=high,
            better=better,
            reason=f"the loss changes by {found}" if better else f"no sure gain: {found}",
        )

    @classmethod
    def of_figures(cls, found: SpeedComparison) -> Self:
        """Take over what :func:`menace.self_coding_engine.measuring.compare_figures` found."""
        return cls(
            before=found.before_seconds,
            after=found.after_seconds,
            low=found.low - 1.0,
            high=found.high - 1.0,
            better=found.faster,
            reason=found.reason,
        )


class QualityGate:
    """Compares a figure of both texts: the bot's loss on later rows, or the user's measure.

    Only for what claims to improve it. Where there is no figure it refuses: a claim that cannot be
    shown is not kept.

    Parameters
    ----------
    compare
        Compares the present text with the new one; ``None`` where there is nothing to compare.
    figure
        What the figure is called in the patch's deltas.
    """

    name = "quality"

    def __init__(
        self,
        compare: Callable[[str, str], QualityComparison | None],
        *,
        figure: str = "loss",
    ) -> None:
        self._compare, self._figure = compare, figure

    def judge(self, candidate: Candidate) -> GateReport:
        """Compare.

        Raises
        ------
        CodingError
            If a text fails where the figure is measured.
        """
        if candidate.claim is not Claim.IMPROVES:
            return GateReport(self.name, None, "it does not claim a better figure")
        found = self._compare(candidate.before, candidate.after)
        if found is None:
            return GateReport(self.name, False, "there is no figure that could show it")
        ends = {
            name: value if math.isfinite(value) else None
            for name, value in (("low", found.low), ("high", found.high))
        }
        figures: Json = {"before": found.before, "after": found.after, **ends}
        if found.better:
            change = (found.after - found.before) / (abs(found.before) or 1.0)
            figures["deltas"] = {self._figure: change}
        return GateReport(self.name, found.better, found.reason, figures)
