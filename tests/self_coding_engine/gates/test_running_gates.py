"""Gates that run texts, in the sandbox: tests, hidden tests, old against new, speed, mutants."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from menace.patches import Claim, GateReport
from menace.self_coding_engine.gates import (
    DifferentialGate,
    HiddenTestGate,
    MutationScoreGate,
    QualityComparison,
    QualityGate,
    SpeedGate,
    TestGate,
    mutation_score,
    run_gates,
)
from menace.self_coding_engine.gates.differential import only_tests
from menace.self_coding_engine.recorded_calls import RecordedCall
from menace.self_coding_engine.repair import mutants
from menace.self_coding_engine.sandbox import Sandbox
from menace.self_coding_engine.testing import TestServer
from self_coding_engine.gates.gate_folders import HELPER, TESTS, candidate, changed, make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from menace.self_coding_engine.gates import Candidate
    from menace.self_coding_engine.proposal import TestReport

TARGET = "helpers/prices.py"
FAULTY = changed("price > 1", "price > 15")
MENDED = HELPER


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox.find()


@pytest.fixture
def serve(sandbox: Sandbox) -> Iterator[Callable[..., Any]]:
    """Give a function that runs texts against a folder's tests."""
    with ExitStack() as stack:

        def start(root: Path, tests: str = "pytest -q tests") -> Callable[[str], TestReport]:
            server = stack.enter_context(
                TestServer(sandbox, folder=root, target=TARGET, tests=tests)
            )
            return server.run

        yield start


@dataclass(frozen=True)
class Plain:
    """The folder as it is, a server for it, and a gate that has recorded its calls."""

    root: Path
    run: Callable[..., TestReport]
    inputs: DifferentialGate


@pytest.fixture(scope="module")
def plain(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    root = make_folder(tmp_path_factory.mktemp("plain"))
    with TestServer(sandbox, folder=root, target=TARGET) as server:
        yield Plain(root, server.run, differential(sandbox))


def judged(gate: Any, found: Candidate) -> GateReport:
    (report,) = run_gates([gate], found)
    return report


# What passed has to pass, three times.


def test_a_change_that_keeps_the_tests_passing_passes(plain: Plain) -> None:
    report = judged(TestGate(plain.run), candidate(plain.root, changed("0.0", "0.00")))
    assert report.passed, report.reason
    assert report.figures["passed_before"] == 4


def test_a_change_that_breaks_a_test_is_refused_by_its_name(plain: Plain) -> None:
    report = judged(TestGate(plain.run), candidate(plain.root, changed("0.0", "1.0")))
    assert report.passed is False
    assert "test_total" in report.reason
    assert len(report.figures["broken"]) == 2


@pytest.mark.parametrize(
    "hostile",
    [
        "import os\nos._exit(0)\n",
        "import sys\nsys.exit(0)\n",
        "raise SystemExit\n",
        "while True:\n    pass\n",
        "import builtins\nbuiltins.round = lambda *a: 12.0\ndef total(p): return None\n",
        "def with_tax(price, rate=0.2): import os; os._exit(0)\n",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n",
    ],
)
def test_a_text_that_ends_or_blocks_the_run_passes_no_test(plain: Plain, hostile: str) -> None:
    gate = TestGate(lambda text: plain.run(text, seconds=5.0), runs=1)
    report = judged(gate, candidate(plain.root, f"{HELPER}\n{hostile}"))
    assert report.passed is False


def test_a_repair_has_to_mend_a_test(tmp_path: Path, serve: Any) -> None:
    root = make_folder(tmp_path, helper=FAULTY)
    gate = TestGate(serve(root))
    mended = candidate(root, MENDED, before=FAULTY, claim=Claim.REPAIRS)
    report = judged(gate, mended)
    assert report.passed, report.reason
    assert report.figures["mended"] == ["tests/test_prices.py::test_total"]
    assert report.figures["deltas"] == {"failing_tests": -1.0}
    useless = changed("price > 15", "price > 12", of=FAULTY)
    refused = judged(gate, candidate(root, useless, before=FAULTY, claim=Claim.REPAIRS))
    assert refused.reason == "no test that failed passes now"


def test_a_repair_of_one_of_two_faults_passes(tmp_path: Path, serve: Any) -> None:
    both = changed("math.isqrt(number)", "number", of=FAULTY)
    root = make_folder(tmp_path, helper=both)
    one = changed("return number", "return math.isqrt(number)", of=both)
    report = judged(TestGate(serve(root)), candidate(root, one, before=both, claim=Claim.REPAIRS))
    assert report.passed, report.reason
    assert report.figures["still_failing"] == ["tests/test_prices.py::test_total"]


def test_a_flaky_test_does_not_count(tmp_path: Path) -> None:
    """The runs are given here: a real test that is flaky on purpose would make this one so."""
    from menace.self_coding_engine.proposal import CaseReport, TestReport

    runs = iter([True, False, True, False, False, False])

    def run(_source: str) -> TestReport:
        return TestReport((CaseReport("steady", True), CaseReport("flaky", next(runs))), True)

    root = make_folder(tmp_path)
    report = judged(TestGate(run), candidate(root, changed("0.0", "0.00")))
    assert report.passed, report.reason
    assert report.figures["flaky"] == ["flaky"]


def test_a_test_that_becomes_flaky_is_broken(tmp_path: Path) -> None:
    from menace.self_coding_engine.proposal import CaseReport, TestReport

    runs = iter([True, True, True, True, False, True])
    gate = TestGate(lambda _source: TestReport((CaseReport("case", next(runs)),), True))
    report = judged(gate, candidate(make_folder(tmp_path), changed("0.0", "0.00")))
    assert (report.passed, report.figures["broken"]) == (False, ["case"])


def test_a_run_for_which_there_is_no_time_refuses(tmp_path: Path) -> None:
    report = judged(TestGate(lambda _source: None), candidate(tmp_path, "x = 1\n"))
    assert report.passed is False


# Hidden tests.

HIDDEN = """from helpers.prices import total


def test_small_prices():
    assert total([2, 3]) == 6.0
"""


def test_what_is_made_to_measure_for_shown_tests_fails_hidden_ones(
    tmp_path: Path, serve: Any
) -> None:
    root = make_folder(tmp_path, helper=FAULTY, hidden=HIDDEN)
    gates = [TestGate(serve(root)), HiddenTestGate(serve(root, "pytest -q hidden"))]
    measured = changed(
        "    added = 0.0\n",
        "    added = 0.0\n    if prices == [10, 20, 0.5]:\n        return 36.0\n",
        of=FAULTY,
    )
    reports = run_gates(gates, candidate(root, measured, before=FAULTY, claim=Claim.REPAIRS))
    assert [(report.name, report.passed) for report in reports] == [
        ("tests", True),
        ("hidden tests", False),
    ]
    told = f"{reports[-1].reason} {reports[-1].figures}"
    assert "test_small_prices" not in told
    honest = run_gates(gates, candidate(root, MENDED, before=FAULTY, claim=Claim.REPAIRS))
    assert honest[-1].passed, honest[-1].reason


def test_breaking_a_hidden_test_is_refused_without_naming_it(tmp_path: Path, serve: Any) -> None:
    root = make_folder(tmp_path, hidden=HIDDEN)
    gate = HiddenTestGate(serve(root, "pytest -q hidden"))
    report = judged(gate, candidate(root, changed("price > 1:", "price > 5:")))
    assert (report.passed, report.reason) == (False, "1 that passed fail now")


# Old against new.


def differential(sandbox: Sandbox, tests: TestGate | None = None, **more: Any) -> DifferentialGate:
    return DifferentialGate(sandbox, tests="pytest -q tests", outcomes=tests, **more)


def test_the_same_results_pass(plain: Plain) -> None:
    after = changed("        if price > 1:\n", "        if not price <= 1:\n")
    report = judged(plain.inputs, candidate(plain.root, after, claim=Claim.SPEEDS))
    assert report.passed, report.reason
    assert report.figures["calls"] == 4
    assert report.figures["different"] == 0


def test_another_result_is_shown_and_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    loose = TESTS.replace("assert root(17) == 4", "assert root(17) > 0")
    root = make_folder(tmp_path, tests=loose)
    after = changed("math.isqrt(number)", "math.sqrt(number)")
    report = judged(differential(sandbox), candidate(root, after, claim=Claim.SPEEDS))
    assert report.passed is False
    (shown,) = report.figures["differences"]
    assert (shown["call"], shown["before"]) == ("root(17)", "4")
    assert shown["after"].startswith("4.12")


def test_changed_arguments_errors_and_prints_are_differences(plain: Plain) -> None:
    for after in (
        changed("    return added\n", "    prices.append(1)\n    return added\n"),
        changed("    return added\n", "    return added if prices else int('x')\n"),
        changed("    return added\n", "    print('total', added)\n    return added\n"),
    ):
        report = judged(plain.inputs, candidate(plain.root, after, claim=Claim.SPEEDS))
        assert report.passed is False, after


def test_a_text_that_ends_the_process_differs_in_the_rest(plain: Plain) -> None:
    after = changed("import math\n", "import math\nimport os\n")
    after = changed("    return added\n", "    os._exit(0)\n", of=after)
    report = judged(plain.inputs, candidate(plain.root, after, claim=Claim.SPEEDS))
    assert report.passed is False
    assert "the process had ended" in report.reason


def test_a_repair_may_change_what_the_mended_tests_call(
    tmp_path: Path, sandbox: Sandbox, serve: Any
) -> None:
    weak = f"{TESTS}\n\ndef test_it_is_a_number():\n    assert total([10, 20, 0.5]) > 0\n"
    root = make_folder(tmp_path, helper=FAULTY, tests=weak)
    tests = TestGate(serve(root))
    repair = candidate(root, MENDED, before=FAULTY, claim=Claim.REPAIRS)
    reports = run_gates([tests, differential(sandbox, tests)], repair)
    assert reports[-1].passed, reports[-1].reason
    assert reports[-1].figures["allowed"] == {"a mended test asks for it": 1}


def test_a_repair_may_change_nothing_else(tmp_path: Path, sandbox: Sandbox, serve: Any) -> None:
    weak = f"{TESTS}\n\ndef test_it_is_a_number():\n    assert total([30, 0.5]) > 0\n"
    root = make_folder(tmp_path, helper=FAULTY, tests=weak)
    tests = TestGate(serve(root))
    after = changed("    return added\n", "    return added + (len(prices) == 2)\n", of=MENDED)
    repair = candidate(root, after, before=FAULTY, claim=Claim.REPAIRS)
    reports = run_gates([tests, differential(sandbox, tests)], repair)
    assert [(report.name, report.passed) for report in reports] == [
        ("tests", True),
        ("old against new", False),
    ]
    assert "total([30, 0.5])" in reports[-1].reason


def test_a_test_that_ends_the_process_now_can_be_mended_and_keeps_no_gate_from_judging(
    tmp_path: Path, sandbox: Sandbox, serve: Any
) -> None:
    ends = changed("import math\n", "import math\nimport os\n")
    ends = changed("    added = 0.0\n", "    added = 0.0 if prices else os._exit(1)\n", of=ends)
    root = make_folder(tmp_path, helper=ends)
    tests = TestGate(serve(root), runs=1)
    repair = candidate(root, HELPER, before=ends, claim=Claim.REPAIRS)
    first, second = run_gates([tests, differential(sandbox, tests)], repair)
    assert first.figures["mended"] == ["tests/test_prices.py::test_total_of_nothing"]
    assert second.passed, second.reason
    assert second.figures["calls"] == 3


FEATURES = """import pandas as pd


def features(rows):
    return pd.DataFrame({"double": rows["x"] * 2}, index=rows.index)
"""
FEATURE_TESTS = """import pandas as pd
from helpers.prices import features


def test_features():
    assert len(features(pd.DataFrame({"x": [1.0, 2.0]}))) == 2
"""


def test_an_improvement_may_add_columns_or_change_constants(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    root = make_folder(tmp_path, helper=FEATURES, tests=FEATURE_TESTS)
    gate = differential(sandbox)
    double = '"double": rows["x"] * 2'
    for new, allowed in {
        f'{{{double}, "half": rows["x"] / 2}}': True,
        f'{{"half": rows["x"] / 2, {double}}}': True,
        f"{{{double.replace('2', '3')}}}": True,
        f'{{{double.replace("2", "3")}, "half": rows["x"] / 2}}': False,
        f'{{{double.replace("*", "+")}, "half": rows["x"]}}': False,
        '{"half": rows["x"] / 2}': False,
    }.items():
        after = changed(f"{{{double}}}", new, of=FEATURES)
        report = judged(gate, candidate(root, after, before=FEATURES))
        assert report.passed is allowed, (new, report.reason)
        if allowed:
            faster = candidate(root, after, before=FEATURES, claim=Claim.SPEEDS)
            assert judged(gate, faster).passed is False
    fewer = changed("index=rows.index)", "index=rows.index)[:1]", of=FEATURES)
    assert judged(gate, candidate(root, fewer, before=FEATURES)).passed is False


GENERATED = """import pandas as pd


def double(rows):
    return pd.DataFrame({"double": rows["x"] * 2}, index=rows.index)


def half(rows):
    return pd.DataFrame({"half": rows["x"] / 2}, index=rows.index)


GENERATED = (double, half)


def features(rows):
    return pd.concat([make(rows) for make in GENERATED], axis="columns")
"""


def test_columns_may_go_with_the_generated_function_that_made_them(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    root = make_folder(tmp_path, helper=GENERATED, tests=FEATURE_TESTS)
    gate = differential(sandbox)
    without = changed("GENERATED = (double, half)", "GENERATED = (double,)", of=GENERATED)
    report = judged(gate, candidate(root, without, before=GENERATED))
    assert report.passed, report.reason
    other = changed("* 2", "+ 2", of=without)
    assert judged(gate, candidate(root, other, before=GENERATED)).passed is False
    short = changed("for make in GENERATED]", "for make in GENERATED[:1]]", of=GENERATED)
    assert judged(gate, candidate(root, short, before=GENERATED)).passed is False


def test_an_improvement_may_choose_another_of_the_marked_implementations(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    text = (
        "def half(x):\n    return x / 2\n\n\ndef whole(x):\n    return x // 2\n\n\n"
        "root = half  # one of: half, whole\n"
    )
    tests = "from helpers.prices import root\n\n\ndef test_it():\n    assert root(3) > 0\n"
    root = make_folder(tmp_path, helper=text, tests=tests)
    gate = differential(sandbox, further=[RecordedCall.of("root", 3)])
    other = changed("root = half ", "root = whole ", of=text)
    report = judged(gate, candidate(root, other, before=text))
    assert report.passed, report.reason
    assert "that the user has marked" in report.reason
    more = changed("x // 2", "x // 3 + x", of=other)
    assert judged(gate, candidate(root, more, before=text)).passed is False


def test_other_constants_may_not_bring_errors(plain: Plain) -> None:
    assert judged(plain.inputs, candidate(plain.root, changed("rate=0.2", "rate=0.3"))).passed
    broken = candidate(plain.root, changed("rate), 2)", "rate), 2.5)"))
    assert judged(plain.inputs, broken).passed is False


def test_what_is_never_the_same_twice_shows_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    clock = "import time\n\n\ndef root(number):\n    return time.perf_counter_ns()\n"
    tests = "from helpers.prices import root\n\n\ndef test_it():\n    assert root(3)\n"
    root = make_folder(tmp_path, helper=clock, tests=tests)
    after = changed("perf_counter_ns()", "perf_counter_ns() + 1", of=clock)
    report = judged(differential(sandbox), candidate(root, after, before=clock))
    assert (report.passed, report.reason) == (None, "no call gives the same twice")


def test_further_inputs_are_compared_too(plain: Plain, sandbox: Sandbox) -> None:
    found = candidate(plain.root, changed("price > 1:", "price > 3:"), claim=Claim.SPEEDS)
    assert judged(plain.inputs, found).passed
    gate = differential(sandbox, further=[RecordedCall.of("total", [2, 2])])
    assert "total([2, 2])" in judged(gate, found).reason


def test_tests_are_named_from_the_folder_that_pytest_is_started_in(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    found = only_tests(
        root, "pytest -q -k total tests", ["bots/a/tests/test_prices.py::test_x[a b]"]
    )
    assert found == "pytest -q -k total 'tests/test_prices.py::test_x[a b]'"


# Speed and quality.

SLOW = """def unique(values):
    seen = []
    for value in values:
        if value not in seen:
            seen.append(value)
    return seen
"""
FAST = "def unique(values):\n    return list(dict.fromkeys(values))\n"
UNIQUE_TESTS = """from helpers.prices import unique


def test_unique():
    assert unique(list(range(400)) * 2) == list(range(400))
"""


def test_a_faster_text_passes_and_the_same_text_does_not(tmp_path: Path, sandbox: Sandbox) -> None:
    root = make_folder(tmp_path, helper=SLOW, tests=UNIQUE_TESTS)
    gate = SpeedGate(sandbox, inputs=differential(sandbox))
    report = judged(gate, candidate(root, FAST, before=SLOW, claim=Claim.SPEEDS))
    assert report.passed, report.reason
    assert report.figures["deltas"]["seconds"] < -0.5
    same = candidate(root, f"{SLOW}\n", before=SLOW, claim=Claim.SPEEDS)
    assert judged(gate, same).passed is False
    slower = candidate(root, SLOW, before=FAST, claim=Claim.SPEEDS)
    (root / TARGET).write_text(FAST, encoding="utf-8")
    assert judged(gate, slower).passed is False


def test_speed_is_asked_only_of_what_claims_it_and_refused_without_inputs(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    root = make_folder(tmp_path, tests="def test_nothing():\n    assert True\n")
    gate = SpeedGate(sandbox, inputs=differential(sandbox))
    assert judged(gate, candidate(root, FAULTY)).passed is None
    assert judged(gate, candidate(root, FAULTY, claim=Claim.SPEEDS)).passed is False


def quality(better: float, *, noise: float = 0.1) -> QualityGate:
    rng = np.random.default_rng(3)
    before = rng.exponential(1.0, 500)
    after = before * better + rng.normal(0.0, noise, 500)
    return QualityGate(lambda _old, _new: QualityComparison.of_losses(before, after))


def test_a_better_loss_passes_only_above_the_noise(tmp_path: Path) -> None:
    found = candidate(tmp_path, "x = 1\n")
    report = judged(quality(0.9), found)
    assert report.passed, report.reason
    assert -0.15 < report.figures["deltas"]["loss"] < -0.05
    assert judged(quality(0.999), found).passed is False
    assert judged(quality(1.1), found).passed is False


def test_losses_that_move_in_runs_are_not_taken_for_independent() -> None:
    rng = np.random.default_rng(5)
    drift = np.repeat(rng.permutation(np.linspace(-0.19, 0.15, 40)), 25)
    shuffled = rng.permutation(drift)
    assert QualityComparison.of_losses(np.ones(1000), 1.0 + shuffled).better
    assert not QualityComparison.of_losses(np.ones(1000), 1.0 + drift).better


def test_quality_without_a_figure_is_refused_and_without_a_claim_not_asked(
    tmp_path: Path,
) -> None:
    gate = QualityGate(lambda _old, _new: None)
    assert judged(gate, candidate(tmp_path, "x = 1\n")).passed is False
    assert judged(gate, candidate(tmp_path, "x = 1\n", claim=Claim.SPEEDS)).passed is None


# Mutants.


@dataclass(frozen=True)
class Edited:
    source: str
    line: int


def edits(source: str) -> list[Edited]:
    """Small edits of the helper, most of them for the worse."""
    pairs = [
        ("1 + rate", "1 - rate"),
        ("price *", "price +"),
        ("0.2", "0.3"),
        ("price > 1", "price < 1"),
        ("price > 1", "price > 2"),
        ("added +=", "added -="),
        ("0.0", "1.0"),
        ("isqrt", "sqrt"),
        ("return added", "return None"),
        ("return round", "return abs"),
    ]
    lines = {old: source[: source.index(old)].count("\n") + 1 for old, _ in pairs}
    return [Edited(source.replace(old, new, 1), lines[old]) for old, new in pairs]


def mutation_gate(run: Any, tests: TestGate, **more: Any) -> MutationScoreGate:
    def passing(source: str) -> frozenset[str]:
        found = tests.steady(source)
        return frozenset() if found is None else found.passed

    return MutationScoreGate(edits, run, passing=passing, **more)


def test_good_tests_kill_most_mutants_and_the_score_is_remembered(
    tmp_path: Path, serve: Any
) -> None:
    root = make_folder(tmp_path)
    run, known = serve(root), dict[str, Any]()
    tests = TestGate(run)
    found = candidate(root, FAULTY)
    report = judged(mutation_gate(run, tests, known=known), found)
    assert report.passed, report.reason
    assert report.figures["run"] == 10
    assert report.figures["killed"] >= 7
    assert 15 in report.figures["survivors"]
    (key,) = known
    again = judged(mutation_gate(lambda _source: None, tests, known=known), found)
    assert again.figures == report.figures
    (root / "tests" / "test_prices.py").write_text("", encoding="utf-8")
    other = judged(mutation_gate(lambda _source: None, tests, known=known), found)
    assert other.figures["weak"]
    assert list(known) == [key]


def test_weak_tests_refuse_nothing_but_ask_for_a_person(tmp_path: Path, serve: Any) -> None:
    weak = "from helpers.prices import root\n\n\ndef test_root():\n    assert root(17) == 4\n"
    root = make_folder(tmp_path, tests=weak)
    run = serve(root)
    report = judged(mutation_gate(run, TestGate(run)), candidate(root, FAULTY))
    assert (report.passed, report.figures["weak"]) == (None, True)
    assert 0.0 < report.figures["low"] < report.figures["score"] < 0.6


def test_an_empty_budget_makes_the_tests_weak(plain: Plain) -> None:
    gate = mutation_gate(plain.run, TestGate(plain.run), seconds_left=lambda: 0.0)
    report = judged(gate, candidate(plain.root, FAULTY))
    assert report.figures["weak"]
    assert "only 0 mutants" in report.reason


def test_few_mutants_of_the_real_operators_tell_good_tests(plain: Plain) -> None:
    steady = TestGate(plain.run, runs=1).steady(HELPER)
    passing = frozenset() if steady is None else steady.passed
    score = mutation_score(HELPER, mutants, plain.run, passing=passing, least=0.6, seed=1)
    assert score.score > 0.7
    assert 10 <= score.run < 40 < score.possible


def test_the_sample_of_mutants_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    from menace.self_coding_engine.proposal import CaseReport, TestReport

    def tried(seed: int) -> list[str]:
        sources: list[str] = []

        def run(source: str) -> TestReport:
            sources.append(source)
            return TestReport((CaseReport("case", False),), True)

        passing = frozenset({"case"})
        score = mutation_score(HELPER, edits, run, passing=passing, most=4, seed=seed)
        assert (score.killed, score.run, score.possible) == (4, 4, 10)
        return sources

    assert tried(1) == tried(1)
    assert tried(1) != tried(2)
