"""What menace costs before it does anything, and how much memory it takes when it does.

- ``import menace`` with its engine and pipeline, in a fresh process, and what that opens;
- ``menace --help``, the whole process;
- memory of an idle engine: many in one registry over one workspace, as they are made, and after
  each has found its parts and decided once;
- the demonstration: wall time, and the peak memory of its whole process tree.

Times are of the best of several runs, because other programs can only add to them; the median and
the CPU time stand beside. Byte code is written before the first timed run.

``python -m benchmarks.footprint [--runs N] [--engines N] [--no-demo] [--json]``
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.process_tree import children_cpu_seconds, own_rss_bytes, run_watched

if TYPE_CHECKING:
    from menace.records import Json

IMPORT_SECONDS = 0.3
HELP_SECONDS = 0.6
ENGINE_KB = 20.0
DEMO_MB = 800.0
DEMO_SECONDS = 90.0

_IMPORT = """\
import sys, time
opened = []
def watch(event, details):
    if event == "open" and isinstance(details[1], str) and set(details[1]) & set("wax+"):
        opened.append(str(details[0]))
    elif event.startswith(("socket.", "sqlite3.", "subprocess.")):
        opened.append(event)
sys.addaudithook(watch)
start, cpu = time.perf_counter(), time.process_time()
import menace
import menace.self_improvement_engine
import menace.model_automation_pipeline
print(time.perf_counter() - start, time.process_time() - cpu, *opened)
"""


def measure_import(runs: int) -> Json:
    """Time the import in fresh processes, and list what it opened for writing."""
    seconds: list[float] = []
    cpu: list[float] = []
    opened: set[str] = set()
    for number in range(runs + 1):
        _say(f"import {number} of {runs}")
        command = [sys.executable, "-c", _IMPORT]
        words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        if number:  # the first one writes byte code
            seconds.append(float(words[0]))
            cpu.append(float(words[1]))
            opened |= set(words[2:])
    return {**_times(seconds, cpu), "opened": sorted(opened), "target_seconds": IMPORT_SECONDS}


def measure_help(runs: int) -> Json:
    """Time ``menace --help`` from start to exit."""
    seconds: list[float] = []
    cpu: list[float] = []
    for number in range(runs + 1):
        _say(f"menace --help {number} of {runs}")
        start, cpu_start = time.perf_counter(), children_cpu_seconds()
        command = [sys.executable, "-m", "menace", "--help"]
        subprocess.run(command, capture_output=True, check=True)
        if number:
            seconds.append(time.perf_counter() - start)
            cpu.append(children_cpu_seconds() - cpu_start)
    return {**_times(seconds, cpu), "target_seconds": HELP_SECONDS}


def measure_engines(engines: int) -> Json:
    """Measure engines in a process of their own, whose memory nothing else has stirred."""
    _say(f"{engines} engines")
    command = [sys.executable, "-m", "benchmarks.footprint", "--only-engines", str(engines)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    figures: Json = json.loads(output)
    return figures


def hold_engines(engines: int) -> Json:
    """Register engines in this process and see how its resident set grows."""
    from benchmarks.cared_bot import make_workspace
    from menace.config import validated_bot
    from menace.self_improvement_engine import ImprovementEngineRegistry

    with tempfile.TemporaryDirectory() as name, make_workspace(Path(name)) as workspace:
        bots = [f"bot-{number}" for number in range(engines + 1)]
        for number, bot in enumerate(bots):
            workspace.store.add_bot(validated_bot({"name": bot, "source": None, "target": "y"}))
            if number % 100 == 0:
                _say(f"bot {number} of {engines}")
        # The first engine brings with it what all share: modules, statements, connections.
        workspace.engine(bots.pop())._should_trigger()
        registry = ImprovementEngineRegistry()
        before = _settled_rss()
        for bot in bots:
            registry.register_engine(bot, workspace.engine(bot))
        made = _settled_rss()
        for number, engine in enumerate(registry.engines.values()):
            engine._should_trigger()
            if number % 100 == 0:
                _say(f"decision {number} of {engines}")
        decided = _settled_rss()
    return {
        "engines": engines,
        "made_kb": round((made - before) / engines / 1000, 2),
        "decided_kb": round((decided - before) / engines / 1000, 2),
        "target_kb": ENGINE_KB,
    }


def measure_demo(ticks: int | None) -> Json:
    """Run the demonstration and watch its whole process tree."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "menace", "demo", f"{name}/demo", "--json", "--quiet"]
        if ticks is not None:
            command += ["--ticks", str(ticks)]
        peak = run_watched(command, tick=lambda seconds: _say(f"demo: {seconds:.0f} s"))
    return {
        "rss_mb": round(peak.rss_mb, 1),
        "pss_mb": round(peak.pss_mb, 1),
        "processes": peak.processes,
        "seconds": round(peak.seconds, 1),
        "cpu_seconds": round(peak.cpu_seconds, 1),
        "target_mb": DEMO_MB,
        "target_seconds": DEMO_SECONDS,
    }


def _settled_rss() -> int:
    gc.collect()
    return own_rss_bytes()


def _times(seconds: list[float], cpu: list[float]) -> Json:
    return {
        "cpu_seconds": round(min(cpu), 4),
        "best_seconds": round(min(seconds), 4),
        "median_seconds": round(statistics.median(seconds), 4),
        "runs": len(seconds),
    }


def _say(text: str) -> None:
    print(f"\r{text:<40}", end="", file=sys.stderr, flush=True)


def _rows(figures: Json) -> list[tuple[str, str, str, bool]]:
    """Figure, value, target, whether it is reached."""
    imported, helped, engines = figures["import"], figures["help"], figures["engines"]
    rows = [
        (
            "import menace, engine, pipeline",
            _told(imported),
            f"< {IMPORT_SECONDS} s",
            imported["best_seconds"] < IMPORT_SECONDS,
        ),
        (
            "  opened by it",
            ", ".join(imported["opened"]) or "nothing",
            "nothing",
            not imported["opened"],
        ),
        (
            "menace --help",
            _told(helped),
            f"< {HELP_SECONDS} s",
            helped["best_seconds"] < HELP_SECONDS,
        ),
    ]
    for name, label in (("made_kb", "made"), ("decided_kb", "after a decision")):
        rows.append(
            (
                f"an engine, {label}",
                f"{engines[name]:.1f} KB",
                f"< {ENGINE_KB:.0f} KB",
                engines[name] < ENGINE_KB,
            )
        )
    demo = figures.get("demo")
    if demo is not None:
        rows += [
            (
                "demo, peak of the process tree",
                f"{demo['rss_mb']:.0f} MB resident, {demo['pss_mb']:.0f} MB proportional",
                f"< {DEMO_MB:.0f} MB",
                demo["rss_mb"] < DEMO_MB,
            ),
            (
                "demo, wall time",
                f"{demo['seconds']:.0f} s ({demo['cpu_seconds']:.0f} s of CPU)",
                f"< {DEMO_SECONDS:.0f} s",
                demo["seconds"] < DEMO_SECONDS,
            ),
        ]
    return rows


def _told(times: Json) -> str:
    return (
        f"{times['best_seconds']:.3f} s (median {times['median_seconds']:.3f}, "
        f"CPU {times['cpu_seconds']:.3f})"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=9, help="fresh processes per time")
    parser.add_argument("--engines", type=int, default=10_000, help="engines in one registry")
    parser.add_argument("--no-demo", action="store_true", help="leave the demonstration out")
    parser.add_argument("--demo-ticks", type=int, help="reveal so many weeks; by default all")
    parser.add_argument("--only-engines", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if options.runs < 1 or options.engines < 1:
        parser.error("--runs and --engines must be 1 or more")
    if options.only_engines is not None:
        print(json.dumps(hold_engines(options.only_engines)))
        return 0
    figures: Json = {
        "import": measure_import(options.runs),
        "help": measure_help(options.runs),
        "engines": measure_engines(options.engines),
    }
    if not options.no_demo:
        figures["demo"] = measure_demo(options.demo_ticks)
    print(file=sys.stderr)
    rows = _rows(figures)
    figures["reached"] = all(reached for *_, reached in rows)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value, target, reached in rows:
            print(f"{name:<34}{value:<44}{target:<10}{'' if reached else '  NOT reached'}")
    return 0 if figures["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
