"""State files: whole or refused by name, whatever happens to the writer, the disk or the file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.errors import StateFileError
from menace.state_file import read_state, write_state

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
FIELD_NAMES = st.text(min_size=1).filter(lambda name: name not in {"menace", "version", "sha256"})

WRITE_FOREVER = """
import sys
from pathlib import Path
from menace.state_file import write_state
for count in range(1_000_000):
    write_state(Path(sys.argv[1]), kind="engine", version=1,
                data={"count": count, "ballast": [count] * 2000})
    print(count, flush=True)
"""

WRITE_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from menace.errors import StateFileError
from menace.state_file import write_state
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_state(Path(sys.argv[1]), kind="engine", version=1, data={"ballast": "x" * 100_000})
except StateFileError as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engine.json"


def write(path: Path, **data: object) -> None:
    write_state(path, kind="engine", version=1, data=dict(data))


def read(path: Path) -> dict[str, object] | None:
    return read_state(path, kind="engine", version=1)


def test_what_is_written_is_read_back(path: Path) -> None:
    write(path, roi_deltas=[0.1, -2.0], roi_delta_ema=None)
    assert read(path) == {"roi_deltas": [0.1, -2.0], "roi_delta_ema": None}


@settings(max_examples=50)
@given(data=st.dictionaries(FIELD_NAMES, JSON_VALUES, max_size=5))
def test_any_json_object_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("state") / "any.json"
    write_state(path, kind="engine", version=1, data=data)
    assert read(path) == data


def test_fields_stand_at_the_top_level_of_the_file(path: Path) -> None:
    write(path, roi_delta_ema=0.5)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["roi_delta_ema"] == 0.5
    assert document["menace"] == "engine"
    assert document["version"] == 1


def test_numbers_as_keys_are_read_back_as_text(path: Path) -> None:
    write(path, by_version={2: "b", 10: "a"})
    assert read(path) == {"by_version": {"2": "b", "10": "a"}}


def test_a_missing_file_reads_as_none(path: Path) -> None:
    assert read(path) is None


def test_the_previous_file_stays_beside_the_new_one(path: Path) -> None:
    write(path, count=1)
    write(path, count=2)
    write(path, count=3)
    assert read(path) == {"count": 3}
    assert read(path.with_name("engine.json.bak")) == {"count": 2}
    assert sorted(item.name for item in path.parent.iterdir()) == [
        "engine.json",
        "engine.json.bak",
    ]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_torn_file_is_refused_by_name_and_left_alone(path: Path, share: float) -> None:
    write(path, count=1)
    write(path, count=2)
    whole = path.read_text(encoding="utf-8")
    torn = whole[: int(share * len(whole))]
    path.write_text(torn, encoding="utf-8")
    with pytest.raises(StateFileError, match=r"engine\.json is torn") as caught:
        read(path)
    assert "engine.json.bak" in str(caught.value)
    assert path.read_text(encoding="utf-8") == torn
    assert read(path.with_name("engine.json.bak")) == {"count": 1}


def test_a_torn_file_without_a_backup_says_that_there_is_none(path: Path) -> None:
    path.write_text("{", encoding="utf-8")
    with pytest.raises(StateFileError, match="there is no backup"):
        read(path)


@pytest.mark.parametrize(
    "content",
    ["[]", "7", '"text"', "{}", '{"menace": "policy", "version": 1}', '{"other": "tool"}'],
)
def test_a_foreign_file_is_refused(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(StateFileError, match="is not a menace engine file"):
        read(path)


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(StateFileError, match="cannot be read"):
        read(path)


def test_a_folder_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StateFileError, match="cannot be read"):
        read(path)


@pytest.mark.parametrize("version", ["2", "null", '"1"'])
def test_a_newer_or_nonsensical_version_is_refused(path: Path, version: str) -> None:
    path.write_text(f'{{"menace": "engine", "version": {version}}}', encoding="utf-8")
    with pytest.raises(StateFileError, match="newer than 1"):
        read(path)


def test_an_older_version_is_given_to_the_caller(path: Path) -> None:
    write(path, count=1)
    assert read_state(path, kind="engine", version=2) == {"count": 1}


def test_a_changed_figure_does_not_pass_the_checksum(path: Path) -> None:
    write(path, count=1)
    path.write_text(
        path.read_text(encoding="utf-8").replace('"count": 1', '"count": 2'), encoding="utf-8"
    )
    with pytest.raises(StateFileError, match="checksum"):
        read(path)


def test_a_file_with_nan_is_refused_and_not_a_crash(path: Path) -> None:
    path.write_text('{"menace": "engine", "version": 1, "x": NaN}', encoding="utf-8")
    with pytest.raises(StateFileError, match="NaN is no JSON number"):
        read(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes", object()])
def test_what_is_not_json_is_refused_before_anything_is_written(path: Path, value: object) -> None:
    write(path, count=1)
    with pytest.raises(StateFileError, match="not plain JSON"):
        write(path, count=value)
    assert read(path) == {"count": 1}


def test_a_field_with_the_name_of_a_header_is_refused(path: Path) -> None:
    with pytest.raises(StateFileError, match="name of the header"):
        write(path, version=3)


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "engine.json"
    write(path, count=1)
    assert read(path) == {"count": 1}


def test_a_folder_that_is_a_file_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("", encoding="utf-8")
    path = tmp_path / "plain" / "engine.json"
    with pytest.raises(StateFileError, match="cannot be written") as caught:
        write(path, count=1)
    assert str(path) in str(caught.value)


def test_an_unwritable_folder_is_named_in_the_error() -> None:
    # /proc takes no files, not even from root, whom permissions do not stop.
    with pytest.raises(StateFileError, match=r"/proc/engine\.json cannot be written"):
        write(Path("/proc/engine.json"), count=1)


def test_a_full_disk_leaves_the_old_file_and_no_leftovers(path: Path) -> None:
    write(path, count=1)
    done = subprocess.run(
        [sys.executable, "-c", WRITE_ON_A_FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "cannot be written: File too large" in done.stdout
    assert read(path) == {"count": 1}
    assert [item.name for item in path.parent.iterdir()] == ["engine.json"]


@pytest.mark.parametrize("writes_seen", [1, 2, 5, 17, 40])
def test_a_writer_killed_at_any_moment_leaves_a_whole_file(path: Path, writes_seen: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOREVER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(writes_seen):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        later = [int(line) for line in writer.stdout if line.endswith("\n")]
    acknowledged = max([acknowledged, *later])
    state = read(path)
    assert state is not None
    # What was acknowledged is there; at most the one write under way may be there beyond it.
    assert state["count"] in {acknowledged, acknowledged + 1}
    backup = read(path.with_name("engine.json.bak"))
    if backup is not None:
        assert backup["count"] in {acknowledged - 1, acknowledged, acknowledged + 1}
    write(path, count=-1)
    assert read(path) == {"count": -1}
