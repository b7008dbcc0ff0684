"""The sandbox as its callers know it: runs, sessions, limits, and its proof."""

from __future__ import annotations

import hashlib
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from menace.errors import ConfigError, SandboxError
from menace.self_coding_engine.sandbox import (
    Sandbox,
    SandboxLimits,
    SessionEndedError,
    bubblewrap,
    sandbox_state,
)
from menace.self_coding_engine.sandbox.proof import what_is_wrong

if TYPE_CHECKING:
    from collections.abc import Callable

ECHO = """\
import json, os, sys, time
for line in sys.stdin:
    document = json.loads(line)
    if "do" in document:
        exec(document["do"])
    print(json.dumps({"echo": document}), flush=True)
"""
SHORT = SandboxLimits(wall_seconds=20.0, cpu_seconds=20.0)
FOREVER = SandboxLimits(wall_seconds=math.inf, cpu_seconds=math.inf)


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox.find()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "checkout"
    place.mkdir()
    return place


def python(program: str) -> list[str]:
    return ["{python}", "-c", program]


def test_a_run_tells_what_the_command_said_and_how_it_ended(sandbox: Sandbox, folder: Path) -> None:
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    run = sandbox.run(python(program), folder=folder)
    assert (run.reason, run.code, run.output, run.errors) == ("exited", 3, b"out\n", b"err\n")
    assert run.violations == ()
    assert not run.succeeded
    assert 0.0 < run.cpu_seconds < 10.0
    assert run.wall_seconds > 0.0


def test_the_input_reaches_the_command(sandbox: Sandbox, folder: Path) -> None:
    text = bytes(range(256)) * 1000
    program = "import sys, hashlib; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    run = sandbox.run(python(program), folder=folder, input=text)
    assert run.output.decode().strip() == hashlib.sha256(text).hexdigest()


def test_the_folder_is_read_where_it_lies_even_if_only_its_owner_may(
    sandbox: Sandbox, folder: Path
) -> None:
    (folder / "helper.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "helper.py").chmod(0o600)
    folder.chmod(0o700)
    program = (
        f"import os; print(os.getcwd(), open('helper.py').read(), os.access({str(folder)!r}, 7))"
    )
    run = sandbox.run(python(program), folder=folder)
    assert run.output.decode() == f"{folder} x = 1\n False\n"


def test_what_is_bound_is_shown_and_what_is_hidden_seems_empty(
    sandbox: Sandbox, folder: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for path in (data / "rows.csv", folder / "hidden" / "test.py", folder / "answers"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("text", encoding="utf-8")
    program = f"""
import os
print(os.listdir({str(data)!r}), os.listdir('hidden'), repr(open('answers').read()))
"""
    hide = [Path("hidden"), folder / "answers", Path("missing")]
    run = sandbox.run(python(program), folder=folder, bind=[data], hide=hide)
    assert run.output.decode() == "['rows.csv'] [] ''\n"
    assert len(run.violations) == 2


def test_nothing_stays_in_the_private_folder_for_the_next_run(
    sandbox: Sandbox, folder: Path
) -> None:
    leave = "import os; os.mkdir('/tmp/evil'); open('/tmp/evil/sitecustomize.py', 'w').write('1')"
    assert sandbox.run(python(leave), folder=folder).succeeded
    look = "import os; print(os.listdir('/tmp'), os.listdir('/dev/shm'))"
    left = sandbox.run(python(look), folder=folder).output
    assert b"evil" not in left


def test_only_few_variables_are_set_besides_those_that_are_asked_for(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/evil.so")
    monkeypatch.setenv("PYTHONSTARTUP", "/evil.py")
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    run = sandbox.run(python(program), folder=folder, environment={"SEED": "7"})
    variables = json.loads(run.output)
    assert variables["SEED"] == "7"
    assert variables["HOME"] == variables["TMPDIR"] != os.environ["HOME"]
    assert not {"LD_PRELOAD", "PYTHONSTARTUP", "USER", "PYTEST_CURRENT_TEST"} & set(variables)


@pytest.mark.parametrize("flags", [["-I"], ["-I", "-S"], ["-X", "utf8", "-E"], ["-B"]])
def test_the_audit_hook_is_there_whatever_the_flags_of_python(
    sandbox: Sandbox, folder: Path, flags: list[str]
) -> None:
    program = "import sys; print(sys.argv, __name__); open('/etc/shadow')"
    run = sandbox.run(["{python}", *flags, "-c", program, "a"], folder=folder)
    assert run.output == b"['-c', 'a'] __main__\n"
    assert run.violations == ("read: /etc/shadow",)


def test_modules_and_scripts_run_with_the_hook_in_isolated_mode(
    sandbox: Sandbox, folder: Path
) -> None:
    script = folder / "script.py"
    script.write_text("import sys; print(sys.argv[1:]); open('/etc/shadow')", encoding="utf-8")
    run = sandbox.run(["{python}", "-I", "script.py", "-c"], folder=folder)
    assert (run.output, run.violations) == (b"['-c']\n", ("read: /etc/shadow",))
    run = sandbox.run(["{python}", "-I", "-m", "json.tool", "--help"], folder=folder)
    assert run.succeeded, run


def test_honest_programs_of_the_scientific_stack_run_without_a_violation(
    sandbox: Sandbox, folder: Path
) -> None:
    program = """
import concurrent.futures, multiprocessing, sqlite3, tempfile
import numpy as np, pandas as pd
with tempfile.TemporaryDirectory() as place:
    pd.DataFrame({"x": np.arange(5)}).to_csv(place + "/x.csv")
    print(pd.read_csv(place + "/x.csv")["x"].sum())
with multiprocessing.Pool(2) as pool:
    print(sum(pool.map(abs, range(-3, 3))))
with concurrent.futures.ThreadPoolExecutor(4) as threads:
    print(sum(threads.map(abs, range(-3, 3))))
sqlite3.connect(":memory:").execute("select 1")
"""
    run = sandbox.run(python(program), folder=folder)
    assert run.output.split() == [b"10", b"9", b"9"]
    assert run.succeeded, run


def test_pytest_runs_in_a_folder_that_cannot_be_written(sandbox: Sandbox, folder: Path) -> None:
    (folder / "test_it.py").write_text("def test_it(tmp_path):\n    assert 1\n", encoding="utf-8")
    run = sandbox.run(["{python}", "-m", "pytest", "-q"], folder=folder)
    assert b"1 passed" in run.output
    assert run.succeeded, run


def test_a_program_that_is_not_there_was_not_started(sandbox: Sandbox, folder: Path) -> None:
    run = sandbox.run(["no-such-program"], folder=folder)
    assert (run.reason, run.code) == ("not_started", None)
    assert b"No such file" in run.errors


def test_cpu_time_of_a_process_that_was_killed_with_its_sandbox_is_counted(
    sandbox: Sandbox, folder: Path
) -> None:
    limits = SandboxLimits(cpu_seconds=0.5)
    run = sandbox.run(
        python("import os; os.fork()\nwhile True: pass"), folder=folder, limits=limits
    )
    assert run.reason == "cpu"
    assert run.cpu_seconds > 0.4


@pytest.mark.parametrize("path", [Path("/"), Path.home(), Path.home().parent])
def test_a_folder_that_holds_everything_is_not_shown(sandbox: Sandbox, path: Path) -> None:
    with pytest.raises(SandboxError, match="must not be shown"):
        sandbox.run(["true"], folder=path)


@pytest.mark.parametrize("name", list(SandboxLimits.__slots__))
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_limits_are_positive(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        SandboxLimits(**{name: value})  # type: ignore[arg-type]


def test_a_session_answers_again_and_again(sandbox: Sandbox, folder: Path) -> None:
    with sandbox.session(python(ECHO), folder=folder, limits=FOREVER) as session:
        for number in range(3):
            assert session.ask({"n": number}, seconds=20.0) == {"echo": {"n": number}}
        large = {"text": "x" * 3_000_000}
        assert session.ask(large, seconds=20.0) == {"echo": large}
        before = session.cpu_seconds
        session.ask({"do": "sum(range(10 ** 6))"}, seconds=20.0)
        assert session.cpu_seconds > before > 0.0
    assert session.close().cpu_seconds >= before


@pytest.mark.parametrize(
    ("act", "reason", "what"),
    [
        ("raise SystemExit(0)", "exited", "has ended"),
        ("os._exit(3)", "exited", "has ended"),
        ("os.kill(os.getpid(), 9)", "killed", "has ended"),
        ("time.sleep(600)", "time", "did not answer within 0.5 s"),
        ("print('[1]')", "output", "no JSON object"),
        ("print('{' * 10 ** 6)", "output", "no JSON object"),
        ("print('[' * 10 ** 6)", "output", "no JSON object"),
        ("print('{\"x\": ' + '1' * 10 ** 6 + '}')", "output", "no JSON object"),
        ("while True: os.write(1, b'x' * 65536)", "output", "too long"),
    ],
)
def test_a_session_ends_with_its_reason(
    sandbox: Sandbox, folder: Path, act: str, reason: str, what: str
) -> None:
    with sandbox.session(python(ECHO), folder=folder, limits=SHORT) as session:
        seconds = 0.5 if reason == "time" else 20.0
        with pytest.raises(SessionEndedError, match=what) as caught:
            session.ask({"do": act}, seconds=seconds)
        assert caught.value.reason == reason
        with pytest.raises(SessionEndedError, match="is over"):
            session.ask({}, seconds=1.0)


def test_who_answers_twice_is_not_asked_for_long(sandbox: Sandbox, folder: Path) -> None:
    twice = """
import sys
for line in sys.stdin:
    for word in ('forged', 'real'):
        print('{"answer": "%s"}' % word, flush=True)
"""
    with sandbox.session(python(twice), folder=folder, limits=SHORT) as session:
        with pytest.raises(SessionEndedError) as caught:
            [session.ask({}, seconds=20.0) for _ in range(100)]
        assert caught.value.reason == "output"


def test_a_session_that_passes_a_limit_ends_with_it(sandbox: Sandbox, folder: Path) -> None:
    limits = SandboxLimits(cpu_seconds=1.0)
    with sandbox.session(python(ECHO), folder=folder, limits=limits) as session:
        with pytest.raises(SessionEndedError) as caught:
            session.ask({"do": "while True: pass"}, seconds=60.0)
        assert caught.value.reason == "cpu"
        assert caught.value.run.cpu_seconds > 0.8


def test_what_a_session_reads_and_writes_cannot_be_opened_by_a_child(
    sandbox: Sandbox, folder: Path
) -> None:
    act = """
import subprocess, sys
told = []
for path in (f"/proc/{os.getppid()}/fd/0", f"/proc/self/fd/1"):
    try:
        open(path, "r+b")
        told.append(path)
    except OSError:
        pass
document["told"] = told
"""
    with sandbox.session(python(ECHO), folder=folder, limits=SHORT) as session:
        assert session.ask({"do": act}, seconds=20.0)["echo"]["told"] == []


@pytest.mark.parametrize("victim", ["menace", "supervisor"])
def test_nothing_survives_menace_or_the_supervisor(
    folder: Path, victim: str, marked: Callable[[str], list[int]]
) -> None:
    mark = f"mark-{os.getpid()}-{victim}"
    program = f"""
import sys
from pathlib import Path
from menace.self_coding_engine.sandbox import Sandbox
with Sandbox.find().session(
    ["{{python}}", "-c", {ECHO!r}, {mark!r}], folder=Path({str(folder)!r})
) as session:
    session.ask({{"do": "os.fork() or os.setsid() or time.sleep(600)"}}, seconds=20.0)
    print(session._supervisor.pid, flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        supervisor = int(process.stdout.readline())
        inside = marked(mark)
        assert len(inside) >= 2
        ends = [os.pidfd_open(one) for one in inside]
        os.kill(process.pid if victim == "menace" else supervisor, signal.SIGKILL)
        for end in ends:
            assert select.select([end], [], [], 20.0)[0]
            os.close(end)
        process.kill()
    assert marked(mark) == []


@pytest.fixture
def marked() -> Callable[[str], list[int]]:
    """Give a function that lists the processes with a mark in their arguments."""

    def find(mark: str) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.append(int(entry.parent.name))
        return found

    return find


def test_the_sandbox_is_proven_once_and_shown(sandbox: Sandbox) -> None:
    state = sandbox_state()
    assert state.holds, state
    assert state.program == sandbox.program
    assert sandbox_state() == state


def test_the_probe_sees_that_nothing_holds_where_there_is_no_sandbox(
    folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        question = {"secret": str(secret), "port": port, "folder": str(folder), "processes": 2}
        probe = bubblewrap.INSIDE / "probe.py"
        told = subprocess.run(
            [sys.executable, "-I", "-S", str(probe)],
            input=json.dumps(question) + "\n",
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert {
        "no filter stands before the kernel",
        "it reads a file that is not its own",
        "it writes where it must not",
        "it sees other processes",
        "it reaches the network",
        "it can start more processes than it may",
    } <= set(json.loads(told))


def test_a_program_that_is_no_bubblewrap_holds_nothing() -> None:
    assert "does not start" in str(what_is_wrong(Sandbox("/bin/false")))


def test_the_example_on_the_sandboxs_page_runs(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "sandbox.md"
    example = page.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    subprocess.run([sys.executable, "-c", example], cwd=tmp_path, check=True)
