"""Commands as pipelines, with real processes throughout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import PackageError, PipelineError
from menace.execution.process_pool import ProcessPool
from menace.model_automation_pipeline import CommandPipeline
from menace.records import CycleState
from menace.supervision.supervised_command import (
    Limits,
    run_supervised,
)
from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]

FAST = ["{python}", "-I", "-S"]
MODEL = """\
import csv, json, os
from pathlib import Path

folder = Path(os.environ["MENACE_FOLDER"])
with (folder / "rows.csv").open(newline="") as file:
    rows = list(csv.DictReader(file))
request = json.loads((folder / "request.json").read_text())
assert request["step"] == os.environ["MENACE_STEP"]
assert request["rows"] == len(rows)
key = lambda row: f"{float(row['x']) > 0} {float(row['y']) > float(row['x'])} {row['colour']}"
if request["step"] == "train":
    votes = {}
    for row in rows:
        votes.setdefault(key(row), []).append(int(row[request["target"]]))
    table = {name: sum(ones) / len(ones) for name, ones in votes.items()}
    (folder / "artifact" / "table.json").write_text(json.dumps(table))
    told = {name: value for name, value in os.environ.items() if name.startswith("MENACE_")}
    (folder / "metrics.json").write_text(json.dumps({"told": told, "asked": request}))
else:
    assert request["target"] not in rows[0]
    table = json.loads((folder / "artifact" / "table.json").read_text())
    lines = [str(int(table.get(key(row), 0.5) > 0.5)) for row in rows]
    (folder / "predictions.csv").write_text("\\n".join(["prediction", *lines, ""]))
"""
LEAVES_ALL_SORTS = """\
import os, sys
from pathlib import Path

folder = Path(os.environ["MENACE_FOLDER"])
artifact = folder / "artifact"
if os.environ["MENACE_STEP"] == "train":
    (artifact / "model").write_text("m")
    exec(sys.argv[1])
else:
    count = len((folder / "rows.csv").read_text().splitlines()) - 1
    (folder / "predictions.csv").write_text("prediction\\n" + "1\\n" * count)
    exec(sys.argv[2])
"""


@pytest.fixture
def workspace(open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream) -> Workspace:
    """Give a workspace with a bot whose source has 400 rows, and two commands beside it."""
    opened = open_workspace()
    stream.grow(400)
    opened.add_bot(alpha(stream))
    (opened.folder / "model.py").write_text(MODEL)
    (opened.folder / "sorts.py").write_text(LEAVES_ALL_SORTS)
    return opened


def pipeline_of(workspace: Workspace, *arguments: str, **options: Any) -> CommandPipeline:
    return CommandPipeline([*FAST, *arguments], folder=workspace.folder, **options)


def run(
    code: str, *, seconds: float = 30.0, memory_mb: int | None = None, output: int = 1000
) -> Any:
    return run_supervised(
        [*FAST, "-c", code],
        cwd=Path.cwd(),
        environment=os.environ,
        limits=Limits(seconds, None if memory_mb is None else memory_mb * 2**20, output),
        bot="alpha",
    )


def is_running(process: int) -> bool:
    """Whether a process does anything; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.02)


def test_a_bot_of_a_command_is_promoted_archived_settled_and_rolled_back(
    workspace: Workspace, stream: DriftingStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENACE_STORE_URL", "postgresql://user:secret@host/db")
    engine = workspace.engine("alpha", pipeline=pipeline_of(workspace, "model.py"))
    first = engine.run_cycle(energy=3)
    assert first.status == "promoted", first.error
    assert first.package is not None
    own = first.package.manifest["user_metrics"]
    assert own["told"]["MENACE_ENERGY"] == "3"
    assert float(own["told"]["MENACE_SECONDS"]) == pytest.approx(3 * 300 / 500)
    assert int(own["told"]["MENACE_SEED"]) == first.package.manifest["seed"] == own["asked"]["seed"]
    assert sorted(own["told"]) == [
        f"MENACE_{name}" for name in ("BOT", "ENERGY", "FOLDER", "SECONDS", "SEED", "STEP")
    ]
    assert not Path(own["told"]["MENACE_FOLDER"]).exists()

    stream.grow(300)
    second = engine.run_cycle()
    assert second.status == "promoted"
    assert second.metrics["challenger_loss"] < second.metrics["champion_loss"] - 0.2
    stream.grow(200, turned=True)
    engine.tick()
    entry = next(e for e in workspace.store.ledger("alpha") if e.cycle_id == second.cycle_id)
    assert entry.rows == 200
    assert entry.gain_usd > 40
    assert engine.roll_back(to=1).version == 1


def test_cpu_time_of_a_cycle_includes_every_process_that_the_command_starts(
    workspace: Workspace,
) -> None:
    burning = (
        "import subprocess; subprocess.run([sys.executable, '-I', '-S', '-c', "
        "'import time\\nwhile time.process_time() < 0.4: pass'], check=True)"
    )
    engine = workspace.engine("alpha", pipeline=pipeline_of(workspace, "sorts.py", burning, ""))
    result = engine.run_cycle()
    assert result.status == "promoted", result.error
    assert 0.8 <= result.metrics["measured_cpu_seconds"] < 4.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets orphans be adopted")
def test_cpu_time_of_orphans_that_left_the_group_is_counted_and_they_are_ended(
    tmp_path: Path,
) -> None:
    pid_file = tmp_path / "pid"
    report = run(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        while time.process_time() < 0.4: pass\n"
        f"        open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "        time.sleep(600)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        f"while not os.path.exists({str(pid_file)!r}) or not open({str(pid_file)!r}).read():\n"
        "    time.sleep(0.02)\n"
    )
    assert 0.4 <= report.cpu_seconds < 4.0
    assert not is_running(int(pid_file.read_text()))


def test_a_time_limit_ends_the_whole_family(tmp_path: Path) -> None:
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('begun', flush=True)\n"
        "children = [os.fork() for _ in range(2)]\n"
        "if 0 in children: os.setpgid(0, 0)\n"
        f"open(os.path.join({str(tmp_path)!r}, str(os.getpid())), 'w')\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(PipelineError, match=r"longer than 1 s and was killed. It said: begun"):
        run(code, seconds=1.0)
    family = [int(path.name) for path in tmp_path.iterdir()]
    assert len(family) == 4
    assert [process for process in family if is_running(process)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="memory can be limited on Linux only")
def test_a_memory_limit_holds_for_all_processes_together() -> None:
    two_of_60_mb = (
        "import os, time\n"
        "os.fork()\n"
        "kept = bytearray(os.urandom(1) * (60 * 2**20))\n"
        "time.sleep({rest})\n"
    )
    assert run(two_of_60_mb.format(rest=0.5), memory_mb=400).peak_memory_bytes > 100 * 2**20
    with pytest.raises(PipelineError, match=r"used \d\d\d MB, more than 100 MB, and was killed"):
        run(two_of_60_mb.format(rest=600), memory_mb=100)


def test_output_is_kept_to_its_end_and_never_holds_the_command_up() -> None:
    report = run("import sys\nfor k in range(200_000): print(k)\nsys.stderr.write('last')")
    assert report.output_bytes == sum(len(f"{k}\n") for k in range(200_000)) + len("last")
    assert len(report.output) == 1000
    assert report.output.endswith("last")
    assert run("print('x' * 100_000)", output=0).output == ""


@pytest.mark.parametrize(("killing", "workers"), [(signal.SIGINT, 1), (signal.SIGKILL, 0)])
def test_a_cycle_that_is_interrupted_ends_the_command_and_goes_on_at_the_next_start(
    tmp_path: Path, stream: DriftingStream, killing: signal.Signals, workers: int
) -> None:
    folder = tmp_path / "care"
    folder.mkdir()
    (folder / "menace.toml").write_text(
        f"[loop]\nworkers = {workers}\n[pipelines.mine]\nkind = 'command'\n"
        "command = ['{python}', '-I', '-S', 'slow.py']\n"
    )
    # The first time it starts a process of its own, leaves its number, and never ends.
    (folder / "slow.py").write_text(
        "import os, pathlib, time\n"
        "mark = pathlib.Path('pids')\n"
        "if not mark.exists():\n"
        "    child = os.fork() or time.sleep(600)\n"
        "    part = pathlib.Path('pids.part')\n"
        "    part.write_text(f'{os.getpid()} {child}')\n"
        "    part.rename(mark)\n"
        "    time.sleep(600)\n" + MODEL
    )
    stream.grow(300)
    menace = [str(Path(sys.executable).with_name("menace"))]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MENACE_", "COV_"))}
    adding = [*menace, "bot", "add", "alpha", "--source", str(stream.path), "--target", "label"]
    subprocess.run([*adding, "--pipeline", "mine"], cwd=folder, env=kept, check=True)
    first = subprocess.Popen([*menace, "cycle", "alpha"], cwd=folder, env=kept)
    wait_until((folder / "pids").exists, "the command runs")
    family = [int(word) for word in (folder / "pids").read_text().split()]
    assert all(is_running(process) for process in family)
    first.send_signal(killing)
    assert first.wait(60) == (130 if killing is signal.SIGINT else -signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, family)), "the command has ended")

    # A lease that a killed process holds is free again, since its process is gone.
    again = subprocess.run(
        [*menace, "cycle", "alpha", "--json"],
        cwd=folder,
        env=kept,
        check=False,
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads(again.stdout)["status"] == "promoted"
    with Workspace(folder) as workspace:
        [cycle] = workspace.store.cycles("alpha", last=9)
        assert (cycle.attempts, cycle.state) == (2, CycleState.SETTLED)
        assert len(workspace.store.models("alpha", last=9)) == 1
        assert len(workspace.store.ledger("alpha")) == 1


@pytest.mark.parametrize(
    ("leaving", "why"),
    [
        ("(folder / 'metrics.json').write_text('{torn')", "metrics.json is not plain JSON"),
        ("(folder / 'metrics.json').write_text('[1]')", "metrics.json is no JSON object"),
        ("(folder / 'metrics.json').write_text('{\"a\": NaN}')", "metrics.json is not plain JSON"),
        ("(folder / 'metrics.json').write_text('{\"a\": 1e999}')", "metrics.json is not plain"),
        ("(folder / 'metrics.json').write_text('[' * 500_000)", "metrics.json is not plain JSON"),
        ("(folder / 'metrics.json').write_bytes(b'\\xff\\xfe')", "metrics.json is not plain JSON"),
        ("(folder / 'metrics.json').write_text(' ' * 2**21)", "metrics.json is larger than"),
        ("(folder / 'metrics.json').symlink_to('/etc/hostname')", "metrics.json cannot be read"),
        ("(artifact / 'out').symlink_to('/etc/passwd')", "artifact/out cannot be read"),
        ("(artifact / 'out').symlink_to('model')", "artifact/out cannot be read"),
        ("(artifact / 'out').hardlink_to(artifact / 'model')", "is not a plain file of its own"),
        ("(artifact / 'sub').mkdir()", "artifact/sub is not a plain file"),
        ("os.mkfifo(artifact / 'pipe')", "artifact/pipe is not a plain file"),
        ("(artifact / '.hidden').write_text('')", "artifact/.hidden has a name that is not plain"),
        ("(artifact / 'a b').write_text('')", "has a name that is not plain"),
        ("(artifact / 'manifest.json').write_text('')", "the package's own file"),
        ("(artifact / 'model').unlink()", "left no model"),
        (
            "(artifact / 'model').unlink(); artifact.rmdir(); artifact.symlink_to('/etc')",
            "artifact is no folder any more",
        ),
        ("print('out of luck'); sys.exit(3)", "ended with code 3. It said: out of luck"),
        ("os.kill(os.getpid(), 11)", "ended with code -11"),
    ],
)
def test_what_a_training_leaves_is_not_trusted(
    workspace: Workspace, leaving: str, why: str
) -> None:
    pipeline = pipeline_of(workspace, "sorts.py", leaving, "")
    result = workspace.engine("alpha", pipeline=pipeline).run_cycle()
    assert result.status == "failed"
    assert why in str(result.error)
    assert workspace.store.models("alpha", last=9) == []


@pytest.mark.parametrize(
    ("leaving", "why"),
    [
        ("(folder / 'predictions.csv').unlink()", "predictions.csv is missing"),
        ("(folder / 'predictions.csv').write_text('prediction\\n1\\n')", "has 1 rows where 100"),
        ("(folder / 'predictions.csv').write_text('')", "predictions.csv is no CSV file"),
        ("(folder / 'predictions.csv').write_text('a\\n' + 'x\\n' * 100)", "has no column"),
    ],
)
def test_what_a_prediction_leaves_is_not_trusted(
    workspace: Workspace, leaving: str, why: str
) -> None:
    pipeline = pipeline_of(workspace, "sorts.py", "", leaving)
    result = workspace.engine("alpha", pipeline=pipeline).run_cycle()
    assert result.status == "failed"
    assert why in str(result.error)


@pytest.mark.parametrize("when", ["train", "predict"])
def test_what_a_failing_command_has_used_is_paid_for(workspace: Workspace, when: str) -> None:
    burns = "sum(number * number for number in range(6_000_000)); "
    ends = "sys.exit(3)"
    code = {"train": (burns + ends, ""), "predict": (burns, ends)}[when]
    engine = workspace.engine("alpha", pipeline=pipeline_of(workspace, "sorts.py", *code))
    result = engine.run_cycle()
    assert result.status == "failed"
    (cycle,) = workspace.store.cycles("alpha", last=9)
    price = workspace.store.bot("alpha").economics.cpu_second_usd
    assert cycle.cpu_seconds > 0.1
    assert cycle.cost_usd == pytest.approx(cycle.cpu_seconds * price)


def test_a_command_that_cannot_be_started_fails_the_cycle(workspace: Workspace) -> None:
    pipeline = CommandPipeline(["no-such-program"], folder=workspace.folder)
    result = workspace.engine("alpha", pipeline=pipeline).run_cycle()
    assert result.status == "failed"
    assert "'no-such-program' cannot be started" in str(result.error)


def test_no_shell_reads_the_arguments(workspace: Workspace) -> None:
    pipeline = pipeline_of(workspace, "sorts.py", "print(sys.argv); sys.exit(1)", "$(id); *")
    result = workspace.engine("alpha", pipeline=pipeline).run_cycle()
    assert "'$(id); *'" in str(result.error)


def test_a_model_whose_command_fails_is_passed_over_at_a_tick(
    workspace: Workspace, stream: DriftingStream
) -> None:
    engine = workspace.engine("alpha", pipeline=pipeline_of(workspace, "model.py"))
    assert engine.run_cycle().status == "promoted"
    broken = pipeline_of(workspace, "sorts.py", "", "sys.exit('no more')")
    stream.grow(100)
    with pytest.raises(PackageError, match="no more"):
        broken.bound_to(workspace.services).predict("alpha", 1, one_row())
    workspace.engine("alpha", pipeline=broken).tick()
    assert workspace.store.snapshot("alpha").loop.labelled_rows == 500


def one_row() -> Any:
    import pandas as pd

    return pd.DataFrame({"x": [0.1], "y": [0.2], "colour": ["red"]})


def test_a_command_runs_from_a_worker_too(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace(executor=ProcessPool(1))
    (workspace.folder / "model.py").write_text(MODEL)
    stream.grow(300)
    workspace.add_bot(alpha(stream, metric="log_loss"))
    engine = workspace.engine("alpha", pipeline=pipeline_of(workspace, "model.py"))
    assert engine.run_cycle().status == "promoted"
