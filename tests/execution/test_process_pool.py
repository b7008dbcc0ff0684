from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from execution import worker_jobs
from menace.errors import ConfigError, DataError, PipelineError
from menace.execution.inline_executor import InlineExecutor
from menace.execution.process_pool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from menace.interfaces import Executor


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    pool = ProcessPool(workers=1)
    yield pool
    pool.close()


@pytest.fixture(params=[InlineExecutor, lambda: ProcessPool(1)], ids=["inline", "pool"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    make: Callable[[], Executor] = request.param
    executor = make()
    yield executor
    executor.close()


def is_running(process_id: int) -> bool:
    """Whether a process exists and has not ended; a zombie has."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def test_a_job_returns_its_result(executor: Executor) -> None:
    assert executor.run(sorted, [3, 1, 2]) == [1, 2, 3]


def test_what_a_job_raises_passes_through_with_all_it_says(executor: Executor) -> None:
    with pytest.raises(DataError, match="bot 'alpha': row 3 has no label") as raised:
        executor.run(worker_jobs.fail_with_data_error, "alpha")

    assert (raised.value.bot, raised.value.remedy) == ("alpha", "add one")
    assert executor.run(len, "abc") == 3


def test_closing_twice_is_allowed(executor: Executor) -> None:
    executor.close()
    executor.close()


def test_a_pool_without_workers_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 workers"):
        ProcessPool(workers=0)


def test_a_job_runs_in_another_process_that_is_used_again(pool: ProcessPool) -> None:
    first = pool.run(worker_jobs.process_id, None)

    assert first != os.getpid()
    assert pool.run(worker_jobs.process_id, None) == first


def test_a_remote_traceback_is_shown(pool: ProcessPool) -> None:
    with pytest.raises(DataError) as raised:
        pool.run(worker_jobs.fail_with_data_error, "alpha")

    assert "fail_with_data_error" in "".join(raised.value.__notes__)


def test_an_error_that_cannot_be_sent_is_described(pool: ProcessPool) -> None:
    with pytest.raises(PipelineError, match="StubbornError: code 7 in row 3") as raised:
        pool.run(worker_jobs.fail_stubbornly, None)

    assert "fail_stubbornly" in "".join(raised.value.__notes__)
    assert pool.run(len, "abc") == 3


def test_a_result_that_cannot_be_sent_is_an_error_of_its_job_only(pool: ProcessPool) -> None:
    worker = pool.run(worker_jobs.process_id, None)

    with pytest.raises(TypeError, match="pickle"):
        pool.run(worker_jobs.unpicklable, None)

    assert pool.run(worker_jobs.process_id, None) == worker


def test_a_job_that_cannot_be_sent_costs_no_worker(pool: ProcessPool) -> None:
    worker = pool.run(worker_jobs.process_id, None)

    with pytest.raises(TypeError, match="pickle"):
        pool.run(len, threading.Lock())

    assert pool.run(worker_jobs.process_id, None) == worker


def test_workers_compute_on_one_thread_each(pool: ProcessPool) -> None:
    before = os.environ.get("OMP_NUM_THREADS")

    assert pool.run(worker_jobs.environment, "OMP_NUM_THREADS") == "1"
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_what_a_library_prints_does_not_mix_with_the_output(
    pool: ProcessPool, capfd: pytest.CaptureFixture[str]
) -> None:
    pool.run(worker_jobs.print_noise, "noise")

    assert capfd.readouterr().out == ""


def test_two_workers_run_at_the_same_time(tmp_path: Path) -> None:
    pool = ProcessPool(workers=2)
    with ThreadPoolExecutor(2) as threads:
        met = list(threads.map(lambda _: pool.run(worker_jobs.meet, str(tmp_path)), range(2)))
    pool.close()

    assert len(set(met)) == 2


def test_a_killed_worker_fails_its_job_and_the_next_one_gets_a_new_worker(
    pool: ProcessPool,
) -> None:
    first = pool.run(worker_jobs.process_id, None)

    with pytest.raises(PipelineError, match=r"was killed \(signal 9\).*memory"):
        pool.run(worker_jobs.die, None)

    second = pool.run(worker_jobs.process_id, None)
    assert second != first
    assert not is_running(first)


def test_a_killed_worker_does_not_harm_the_job_of_another(tmp_path: Path) -> None:
    pool = ProcessPool(workers=2)
    with ThreadPoolExecutor(2) as threads:
        other = threads.submit(pool.run, worker_jobs.meet, str(tmp_path))
        with pytest.raises(PipelineError, match="signal 9"):
            pool.run(worker_jobs.die, None)
        # The other job ends only when it is met, so it was under way while the worker died.
        met = pool.run(worker_jobs.meet, str(tmp_path))
        assert other.result() != met
    pool.close()


def test_a_worker_killed_while_idle_is_replaced(pool: ProcessPool) -> None:
    worker = pool.run(worker_jobs.process_id, None)
    os.kill(worker, signal.SIGKILL)
    while is_running(worker):
        pass

    assert pool.run(worker_jobs.process_id, None) != worker


def test_a_worker_that_leaves_says_with_which_code(pool: ProcessPool) -> None:
    with pytest.raises(PipelineError, match="ended with code 3"):
        pool.run(worker_jobs.leave, 3)


def test_a_worker_leaves_an_interrupt_to_the_calling_process(pool: ProcessPool) -> None:
    assert pool.run(worker_jobs.interrupt_oneself, None) == "still here"


def test_closing_ends_the_workers() -> None:
    pool = ProcessPool(workers=1)
    worker = pool.run(worker_jobs.process_id, None)
    pool.close()

    assert not is_running(worker)
    with pytest.raises(PipelineError, match="closed"):
        pool.run(len, "abc")


def test_a_pool_that_has_nothing_to_do_starts_no_process() -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from menace.execution.process_pool import ProcessPool\n"
            "import os, pathlib\n"
            "ProcessPool(4)\n"
            "print(pathlib.Path(f'/proc/{os.getpid()}/task/{os.getpid()}/children').read_text())",
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.communicate()[0].strip() == ""


USES_A_POOL = """
    import sys
    from execution import worker_jobs
    from menace.execution.process_pool import ProcessPool

    print("the script runs", flush=True)
    pool = ProcessPool(1)
    print(pool.run(len, "abc"), flush=True)
    {ending}
"""


def script(folder: Path, ending: str) -> list[str]:
    (folder / "script.py").write_text(textwrap.dedent(USES_A_POOL).format(ending=ending))
    return [sys.executable, str(folder / "script.py")]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_script_without_a_main_guard_can_use_a_pool(tmp_path: Path) -> None:
    done = subprocess.run(
        script(tmp_path, "pool.close()"),
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split("\n") == ["the script runs", "3", ""]
    assert done.stderr == ""


def test_a_function_of_the_script_itself_is_refused_with_the_remedy(tmp_path: Path) -> None:
    done = subprocess.run(
        script(tmp_path, "def job(x): return x\npool.run(job, 1)"),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "<function job" in done.stderr
    assert "of the script itself cannot run in a worker" in done.stderr
    assert "move it into a module" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_training_ends_with_the_process_that_asked_for_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = script(tmp_path, f"pool.run(worker_jobs.announce_and_wait, {str(pipe)!r})")
    with subprocess.Popen(
        program, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        with pipe.open() as stream:
            worker = int(stream.readline())
            assert is_running(worker)
            process.send_signal(number)
            # The pipe ends when the only process that has it open for writing does.
            assert stream.read() == ""
        process.communicate()
    while is_running(worker):
        pass
