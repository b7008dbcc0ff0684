"""Time and memory of one tick over a CSV file of 10,000, 1,000,000 and 10,000,000 rows.

A file is generated and grown from size to size. At each size a bot stands at its end, 1,000 rows
are appended, and a process of its own, warmed up on another file, reads them and a window of 5,000
rows: the median time, the CPU time of the fastest run, and how far the resident memory rises above
where it stood. None may grow with the size; CPU times are compared, so that a busy machine does not
decide. Linux only: the peak is read from ``/proc/self``.

``python -m benchmarks.source_tick [--rows N] [--runs N] [--json]``
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from menace.data_sources import rows_of
from menace.records import BotConfig, SourceConfig, SourcePosition

SIZES = (10_000, 1_000_000)
TICK_ROWS = 1_000
WINDOW_ROWS = 5_000
BLOCK_ROWS = 200_000
MOST_TIMES_SLOWER = 2.0
MOST_GROWTH_MB = 32.0
FEATURES = [
    f"{k % 24},{k % 7},{(k * 37 % 1000) / 1000},{(k * 91 % 977) / 977:.4f},zone {k % 13},"
    f'"{k % 5}, {k % 3}",{int(k % 3 == 0)}'
    for k in range(9_973)
]


def bot_of(path: Path) -> BotConfig:
    """Make a bot that reads ``path``."""
    return BotConfig(
        name="alpha",
        source=SourceConfig("csv", str(path)),
        target="y",
        time="at",
        label_wait_rows=1,
    )


def grow(path: Path, first: int, last: int) -> None:
    """Append the rows ``first`` .. ``last - 1``, and say how far it is."""
    with path.open("a", encoding="utf-8", newline="") as stream:
        if first == 0:
            stream.write("at,hour,day,level,share,zone,pair,y\n")
        for start in range(first, last, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, last)
            features = islice(cycle(FEATURES), start % len(FEATURES), None)
            stream.writelines(
                f"{row},{text}\n" for row, text in zip(range(start, stop), features, strict=False)
            )
            if last - first > BLOCK_ROWS:
                print(f"\rgenerating: {stop:,} of {last:,} rows", end="", file=sys.stderr)
    if last - first > BLOCK_ROWS:
        print(file=sys.stderr)


def memory_kb(field: str) -> int:
    """Read ``VmRSS`` or ``VmHWM`` of this process, KiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise OSError(f"/proc/self/status has no {field}")


def take_ticks(job: dict[str, Any]) -> dict[str, float]:
    """Read the same tick several times, warmed up on another file: seconds, and MB of peak."""
    warm = rows_of(bot_of(Path(job["warm_up"])), Path())
    first = warm.read_new(None, max_rows=TICK_ROWS)
    for _ in range(3):
        warm.read_new(first.position, max_rows=TICK_ROWS)
    mark, position = SourcePosition(*job["mark"]), SourcePosition(*job["position"])
    # Writing 5 sets the high-water mark back to what is resident now.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = memory_kb("VmRSS")
    stream = rows_of(bot_of(Path(job["path"])), Path())
    seconds, cpu_seconds, window_seconds = [], [], []
    for _ in range(job["runs"]):
        start, cpu_start = time.perf_counter(), time.process_time()
        batch = stream.read_new(position, max_rows=TICK_ROWS)
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
        if len(batch.frame) != TICK_ROWS:
            raise ValueError(f"the tick read {len(batch.frame)} rows, not {TICK_ROWS}")
    tick_peak = memory_kb("VmHWM") - before
    for _ in range(job["runs"]):
        start = time.perf_counter()
        window = stream.read_window(mark, batch.position, rows=WINDOW_ROWS)
        window_seconds.append(time.perf_counter() - start)
        if len(window) != WINDOW_ROWS:
            raise ValueError(f"the window has {len(window)} rows, not {WINDOW_ROWS}")
    return {
        "tick_seconds": statistics.median(seconds),
        "tick_cpu_seconds": min(cpu_seconds),
        "tick_growth_mb": tick_peak / 1024,
        "window_seconds": statistics.median(window_seconds),
        "growth_mb": (memory_kb("VmHWM") - before) / 1024,
    }


def measure(sizes: list[int], runs: int) -> dict[str, Any]:
    """Measure a tick at every size of a growing file."""
    results = []
    with tempfile.TemporaryDirectory(prefix="menace-source-") as name:
        folder = Path(name)
        warm_up, path = folder / "warm_up.csv", folder / "rows.csv"
        grow(warm_up, 0, 2 * TICK_ROWS)
        rows = 0
        for size in sizes:
            grow(path, rows, size)
            print(f"counting to row {size:,} (only a bot without a bookmark does)", file=sys.stderr)
            start = time.perf_counter()
            stream = rows_of(bot_of(path), folder)
            mark = stream.read_new(SourcePosition(size - WINDOW_ROWS - 1, {}), max_rows=1).position
            counting = time.perf_counter() - start
            end = stream.read_new(mark, max_rows=WINDOW_ROWS).position
            rows = size + TICK_ROWS
            grow(path, size, rows)
            job = {"path": str(path), "warm_up": str(warm_up), "runs": runs}
            job |= {"mark": list(mark), "position": list(end)}
            ran = subprocess.run(
                [sys.executable, "-m", "benchmarks.source_tick", "--job", json.dumps(job)],
                capture_output=True,
                text=True,
                check=False,
            )
            if ran.returncode:
                raise RuntimeError(ran.stderr)
            figures = {"rows": size, "file_mb": round(path.stat().st_size / 2**20, 1)}
            results.append(figures | json.loads(ran.stdout) | {"counting_seconds": counting})
    slower = results[-1]["tick_cpu_seconds"] / results[0]["tick_cpu_seconds"]
    growth = max(r["growth_mb"] for r in results)
    return {
        "tick_rows": TICK_ROWS,
        "window_rows": WINDOW_ROWS,
        "sizes": results,
        "largest_over_smallest_cpu": round(slower, 2),
        "largest_growth_mb": round(growth, 1),
        "flat": slower <= MOST_TIMES_SLOWER and growth <= MOST_GROWTH_MB,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 1 if a tick depends on the size of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the largest file")
    parser.add_argument("--runs", type=int, default=15, help="times that a tick is timed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        print(json.dumps(take_ticks(json.loads(options.job))))
        return 0
    if options.rows < SIZES[0] or options.runs < 1:
        parser.error(f"--rows must be {SIZES[0]} or more, --runs 1 or more")
    sizes = [size for size in SIZES if size + TICK_ROWS < options.rows]
    figures = measure([*sizes, options.rows], options.runs)
    if options.json:
        print(json.dumps(figures))
        return 0 if figures["flat"] else 1
    for size in figures["sizes"]:
        print(
            f"{size['rows']:>11,} rows {size['file_mb']:>7,.1f} MB   "
            f"tick {1e3 * size['tick_seconds']:6.1f} ms "
            f"({1e3 * size['tick_cpu_seconds']:.1f} CPU)   "
            f"window {1e3 * size['window_seconds']:6.1f} ms   +{size['growth_mb']:.1f} MB"
        )
    print("flat" if figures["flat"] else "NOT flat")
    return 0 if figures["flat"] else 1


if __name__ == "__main__":
    sys.exit(main())
