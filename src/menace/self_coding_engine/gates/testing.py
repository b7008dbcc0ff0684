"""The gates *tests* and *hidden tests*: what passed still passes, and what was to be mended is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.patches import Claim, GateReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from menace.records import Json
    from menace.self_coding_engine.gates.candidate import Candidate
    from menace.self_coding_engine.proposal import TestReport

    RunTests = Callable[[str], TestReport | None]

RUNS = 3


@dataclass(frozen=True, slots=True)
class SteadyTests:
    """What several runs over one text have in common.

    Attributes
    ----------
    passed, failed
        Names of the tests that did so in every run.
    flaky
        Those that did now this, now that.
    trouble
        Why a run did not come to its end; empty where all did.
    messages
        Failed test → the end of what it said.
    """

    passed: frozenset[str]
    failed: frozenset[str]
    flaky: frozenset[str]
    trouble: str
    messages: dict[str, str]

    @property
    def named(self) -> frozenset[str]:
        """All tests."""
        return self.passed | self.failed | self.flaky


def steady_tests(reports: Sequence[TestReport]) -> SteadyTests:
    """Take several runs together. A test that is missing in a run has failed in it."""
    named = {case.name for report in reports for case in report.cases}
    passing = [{case.name for case in report.cases if case.passed} for report in reports]
    passed = named.intersection(*passing) if passing else set()
    failed = named.difference(*passing)
    return SteadyTests(
        passed=frozenset(passed),
        failed=frozenset(failed),
        flaky=frozenset(named - passed - failed),
        trouble=next((report.reason or "no end" for report in reports if not report.complete), ""),
        messages={
            case.name: case.message
            for report in reports
            for case in report.cases
            if not case.passed
        },
    )


class TestGate:
    """Runs the tests three times over both texts.

    A test that is not the same in all runs over the present text is flaky and does not count. Every
    other one that passed has to pass in all runs over the new text. A repair has to mend at least
    one test that failed, in all runs; it need not mend all of them, since a file may have several
    faults.

    Parameters
    ----------
    run_tests
        Runs them over a text; ``None`` where it cannot, which refuses the candidate.
    runs
        Over each text, ≥ 1; no text is run again.
    """

    __test__ = False

    name = "tests"

    def __init__(self, run_tests: RunTests, *, runs: int = RUNS) -> None:
        self._run, self._runs = run_tests, runs
        self._found: dict[str, SteadyTests] = {}

    def judge(self, candidate: Candidate) -> GateReport:
        """Run the tests; the report's figures say which count, and what became of them."""
        before = self.steady(candidate.before)
        if before is not None and not before.trouble and not before.named:
            return GateReport(self.name, None, "there are no tests")
        after = None if before is None else self.steady(candidate.after)
        if before is None or after is None:
            return GateReport(self.name, False, "there was no time left to run the tests")
        return self._report(candidate.claim, before, after)

    def steady(self, source: str) -> SteadyTests | None:
        """Say what the tests find in a text; ``None`` where they cannot be run."""
        if source not in self._found:
            reports: list[TestReport] = []
            for _ in range(self._runs):
                report = self._run(source)
                if report is None:
                    return None
                reports.append(report)
            self._found[source] = steady_tests(reports)
        return self._found[source]

    def mended(self, candidate: Candidate) -> tuple[str, ...]:
        """Name the tests that failed and now pass, in all runs."""
        before, after = self.steady(candidate.before), self.steady(candidate.after)
        if before is None or after is None:
            return ()
        return tuple(sorted(_failed(before, after) & after.passed))

    def _report(self, claim: Claim, before: SteadyTests, after: SteadyTests) -> GateReport:
        counted = _failed(before, after)
        mended = sorted(counted & after.passed)
        broken = sorted(before.passed - after.passed)
        figures: Json = {
            "runs": self._runs,
            "passed_before": len(before.passed),
            "failed_before": len(before.failed),
            "flaky": sorted(before.flaky),
            "mended": mended,
            "broken": broken,
            "still_failing": sorted(counted - after.passed),
        }
        if counted:
            figures["deltas"] = {"failing_tests": -len(mended) / len(counted)}
        if after.trouble:
            return GateReport(self.name, False, f"a run had no end: {after.trouble}", figures)
        if broken:
            said = after.messages.get(broken[0], "")[-200:]
            reason = f"{len(broken)} that passed fail now, such as {broken[0]}: {said}"
            return GateReport(self.name, False, reason, figures)
        if claim is Claim.REPAIRS and not mended:
            return GateReport(self.name, False, "no test that failed passes now", figures)
        flaky = f"; {len(before.flaky)} are flaky and do not count" if before.flaky else ""
        reason = f"{len(before.passed)} pass as before, {len(mended)} are mended{flaky}"
        return GateReport(self.name, True, reason, figures)


class HiddenTestGate(TestGate):
    """Runs tests that no proposer sees; only this gate's sandbox shows them.

    What passed has to pass. Where some of them failed, a repair has to mend one of these, too: one
    that mends nothing but tests that it was shown is taken for made to measure.

    Its report gives numbers and no name or message: it goes into the history, which proposers read.
    """

    name = "hidden tests"

    def _report(self, claim: Claim, before: SteadyTests, after: SteadyTests) -> GateReport:
        full = TestGate._report(self, Claim.IMPROVES, before, after)
        counts = {
            name: len(value) if isinstance(value, list) else value
            for name, value in full.figures.items()
            if name != "deltas"
        }
        if full.passed is False:
            broken = counts["broken"]
            reason = "a run had no end" if after.trouble else f"{broken} that passed fail now"
            return GateReport(self.name, False, reason, counts)
        if claim is Claim.REPAIRS and before.failed and not counts["mended"]:
            reason = f"none of {len(before.failed)} that failed passes now"
            return GateReport(self.name, False, reason, counts)
        reason = f"{counts['passed_before']} pass as before, {counts['mended']} are mended"
        return GateReport(self.name, True, reason, counts)


def _failed(before: SteadyTests, after: SteadyTests) -> frozenset[str]:
    """Name the tests that the present text fails, or never came to because it hung or ended."""
    if not before.trouble:
        return before.failed
    return before.failed | (after.named - before.named)
