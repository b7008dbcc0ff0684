from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from menace.cli.service import Memory
from menace.records import AutomationResult, CycleState, Decision
from menace.workspace import Workspace

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cli.conftest import Ran
    from support import DriftingStream

    Menace = Callable[..., Ran]
    Serve = Callable[..., contextlib.AbstractContextManager["Service"]]

PATIENCE_SECONDS = 60


class Service:
    """A real ``menace run`` process, whose lines can be awaited."""

    def __init__(self, folder: Path, environment: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "menace", "run", "--poll-seconds", "0.05", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any) -> None:
        with stream:
            for line in stream:
                self.lines.put(line)

    def await_line(self, fragment: str) -> str:
        """Wait until the service prints a line with the fragment in it."""
        while True:
            line = self.lines.get(timeout=PATIENCE_SECONDS)
            self.seen.append(line)
            if fragment in line:
                return line

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the whole process group, as a terminal does, and wait."""
        os.killpg(self.process.pid, number)
        return self.close()

    def close(self) -> int:
        """Wait for the process and for all that it wrote."""
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join()
        while not self.lines.empty():
            self.seen.append(self.lines.get())
        return code


@pytest.fixture
def serving(folder: Path, environment: dict[str, str]) -> Iterator[Callable[..., Service]]:
    """Give a function that starts ``menace run`` with a pool of one worker."""
    (folder / "menace.toml").write_text('[loop]\nworkers = 1\nmeter = "counted"\n')
    begun: list[Service] = []

    def begin(*arguments: str) -> Service:
        begun.append(Service(folder, environment, *arguments))
        return begun[-1]

    yield begin
    for service in begun:
        if service.process.poll() is None:
            service.process.kill()
        service.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_with_0_a_champion_that_loads_and_no_lease(
    number: signal.Signals,
    serving: Callable[..., Service],
    menace: Menace,
    folder: Path,
    stream: DriftingStream,
) -> None:
    stream.grow(150)
    menace("bot", "add", "alpha", "--source", stream.path, "--target", "label")
    service = serving()
    service.await_line("caring for 1 bot in")
    told = service.await_line("cycle 1: promoted version 1")
    assert told.split(" ", 1)[0].endswith("Z")
    assert "because the bot had no model yet" in told
    stream.grow(100)
    service.await_line("cycle 2: ")
    assert service.end(number) == 0
    with Workspace(folder) as workspace:
        assert workspace.store.lease_owner("alpha") is None
    assert len(menace("predict", "alpha", stream.path).out.split()) == 250


def test_the_service_is_silent_while_nothing_happens_and_tells_trouble_once(
    serving: Callable[..., Service], menace: Menace, cared: DriftingStream
) -> None:
    del menace
    service = serving("--quiet")
    away = cared.path.with_suffix(".away")
    cared.path.rename(away)
    told = service.await_line("alpha: ")
    assert "trouble: there is no file" in told
    away.rename(cared.path)
    assert "well again" in service.await_line("alpha: ")
    assert service.end(signal.SIGTERM) == 0
    assert ["trouble" in line for line in service.seen] == [True, False]


def test_the_service_speaks_json_lines_and_sees_bots_that_are_added(
    serving: Callable[..., Service], menace: Menace, cared: DriftingStream
) -> None:
    service = serving("--json")
    menace("bot", "add", "beta", "--source", cared.path, "--target", "label")
    item = json.loads(service.await_line('"beta"'))
    assert (item["bot"], item["kind"], item["result"]["status"]) == ("beta", "cycle", "promoted")
    assert item["reason"] == "first model"
    settled = json.loads(service.await_line('"settled"'))
    assert settled["entry"]["cycle_id"] == item["result"]["cycle_id"]
    assert service.end(signal.SIGINT) == 0
    assert all(json.loads(line)["bot"] for line in service.seen)


def test_ctrl_c_in_a_cycle_leaves_no_lease_and_the_next_start_goes_on_with_it(
    menace: Menace, stream: DriftingStream, folder: Path, environment: dict[str, str]
) -> None:
    stream.grow(300)
    menace(
        *("bot", "add", "alpha", "--source", stream.path, "--target", "label"),
        *("--seconds-per-energy", 0.03),
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "menace", "cycle", "alpha", "--energy", "100"],
        cwd=folder,
        env={**environment, "MENACE_LOOP__WORKERS": "1", "MENACE_LOOP__METER": "measured"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with Workspace(folder) as workspace:
        while not workspace.store.cycles("alpha", last=1, states=(CycleState.TRAINING,)):
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130
        assert told.startswith("stopped; nothing is half-written")
        assert workspace.store.lease_owner("alpha") is None
    assert menace("cycle", "alpha", "--json").document["cycle_id"] == 1
    assert [row["outcome"] for row in menace("history", "alpha", "--json").document] == ["promoted"]


def test_one_failing_bot_does_not_stop_the_others(
    menace: Menace, cared: DriftingStream, folder: Path
) -> None:
    other = folder / "other.csv"
    other.write_bytes(cared.path.read_bytes())
    menace("bot", "add", "beta", "--source", other, "--target", "label")
    other.unlink()
    cared.grow(100)
    ran = menace("run", "--once", "--json")
    assert ran.code == 1
    by_bot = {row["bot"]: row for row in ran.document}
    assert by_bot["beta"]["result"]["status"] == "failed"
    assert str(other) in by_bot["beta"]["result"]["error"]
    assert by_bot["alpha"]["reason"] != "failed"
    assert ran.err == ""


def failed(error: str) -> tuple[Decision | None, AutomationResult | None]:
    return None, AutomationResult(status="failed", bot="a", error=f"SourceError: bot 'a': {error}")


def decided(
    *issues: str, reason: str = "policy"
) -> tuple[Decision | None, AutomationResult | None]:
    found = [{"kind": kind, "severity": 0.5, "row": 1, "evidence": {}} for kind in issues]
    return Decision("a", False, reason, 0.0, {"issues": found}), None


def test_only_news_is_told() -> None:
    memory = Memory()

    def kinds(*looked: tuple[Decision | None, AutomationResult | None]) -> list[list[str]]:
        return [[item["kind"] for item in memory.news({"a": look})] for look in looked]

    assert kinds(decided(), decided()) == [[], []]
    assert kinds(failed("gone"), failed("gone"), failed("torn")) == [["trouble"], [], ["trouble"]]
    assert kinds(decided(), decided()) == [["well again"], []]
    assert kinds(decided("drift"), decided("drift")) == [["finding"], []]
    assert kinds(decided("drift", "latency"), decided(), decided("drift")) == [
        ["finding"],
        [],
        ["finding"],
    ]
    assert kinds(decided(reason="another process cares for it")) == [["trouble"]]


def test_trouble_is_told_without_the_class_and_the_bot_that_stand_before_it() -> None:
    [item] = Memory().news({"a": failed("there is no file x.csv.")})
    assert item["told"] == "there is no file x.csv."
