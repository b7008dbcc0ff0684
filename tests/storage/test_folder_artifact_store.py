from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from menace.errors import PackageError, StoreError
from menace.storage.folder_artifact_store import FolderArtifactStore, checksum

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"model.txt": b"tree\n", "manifest.json": b"{}", "empty": b""}


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path / "models")


def test_making_an_artifact_store_makes_no_folder(tmp_path: Path) -> None:
    FolderArtifactStore(tmp_path / "models")

    assert list(tmp_path.iterdir()) == []


def test_a_package_is_read_back_as_it_was_stored(
    artifacts: FolderArtifactStore, tmp_path: Path
) -> None:
    artifact, sha256 = artifacts.put("alpha", FILES)

    assert artifact == f"alpha/{sha256[:16]}"
    assert artifacts.get(artifact, sha256) == FILES
    assert [path.name for path in (tmp_path / "models" / "alpha").iterdir()] == [sha256[:16]]


def test_the_same_files_give_the_same_package(artifacts: FolderArtifactStore) -> None:
    first = artifacts.put("alpha", FILES)

    assert artifacts.put("alpha", dict(reversed(FILES.items()))) == first
    assert artifacts.put("beta", FILES)[1] == first[1]
    assert artifacts.put("alpha", {**FILES, "model.txt": b"other"}) != first


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
        st.binary(max_size=200),
        min_size=1,
        max_size=4,
    )
)
def test_any_package_comes_back_whole(
    artifacts: FolderArtifactStore, files: dict[str, bytes]
) -> None:
    artifact, sha256 = artifacts.put("alpha", files)

    assert artifacts.get(artifact, sha256) == files


def test_where_one_file_ends_and_the_next_begins_is_part_of_the_checksum() -> None:
    sums = {
        checksum({"a": b"bc"}),
        checksum({"ab": b"c"}),
        checksum({"a": b"b", "c": b""}),
        checksum({"a": b"", "b": b"c"}),
    }

    assert len(sums) == 4


@pytest.mark.parametrize("damage", ["changed", "missing file", "additional file", "torn", "gone"])
def test_a_damaged_package_is_refused_by_name(
    artifacts: FolderArtifactStore, tmp_path: Path, damage: str
) -> None:
    artifact, sha256 = artifacts.put("alpha", FILES)
    folder = tmp_path / "models" / artifact
    if damage == "changed":
        (folder / "model.txt").write_bytes(b"trap\n")
    elif damage == "missing file":
        (folder / "empty").unlink()
    elif damage == "additional file":
        (folder / "extra").touch()
    elif damage == "torn":
        (folder / "model.txt").write_bytes(b"tr")
    else:
        shutil.rmtree(folder)

    with pytest.raises(PackageError, match=r"bot 'alpha'.*menace rollback alpha") as raised:
        artifacts.get(artifact, sha256)

    assert str(folder) in str(raised.value)


def test_storing_a_damaged_package_again_mends_it(
    artifacts: FolderArtifactStore, tmp_path: Path
) -> None:
    artifact, sha256 = artifacts.put("alpha", FILES)
    (tmp_path / "models" / artifact / "model.txt").write_bytes(b"trap\n")

    assert artifacts.put("alpha", FILES) == (artifact, sha256)
    assert artifacts.get(artifact, sha256) == FILES


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "..", "a\x00b", "/etc/passwd"])
def test_a_name_that_leads_elsewhere_is_refused(
    artifacts: FolderArtifactStore, tmp_path: Path, name: str
) -> None:
    with pytest.raises(PackageError, match="not a plain name"):
        artifacts.put("alpha", {name: b"x"})
    with pytest.raises(PackageError, match="not a plain name"):
        artifacts.put(name, FILES)
    with pytest.raises(PackageError, match="names no package"):
        artifacts.get(f"alpha/{name}", checksum(FILES))

    assert list(tmp_path.iterdir()) == []


def test_a_package_without_files_is_refused(artifacts: FolderArtifactStore) -> None:
    with pytest.raises(PackageError, match="without files"):
        artifacts.put("alpha", {})


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")

    with pytest.raises(StoreError, match=r"cannot be written.*nothing was half-written") as raised:
        FolderArtifactStore(tmp_path / "models").put("alpha", FILES)

    assert str(tmp_path / "models") in str(raised.value)


def test_a_write_that_fails_leaves_nothing_behind(
    artifacts: FolderArtifactStore, tmp_path: Path
) -> None:
    # The longest name that is plain and that a file system refuses, after one that it takes.
    with pytest.raises(StoreError, match="cannot be written"):
        artifacts.put("alpha", {"a": b"fine", "b" * 300: b"too long"})

    assert list((tmp_path / "models" / "alpha").iterdir()) == []


def test_threads_that_store_the_same_package_at_once_all_succeed(
    artifacts: FolderArtifactStore, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(8) as pool:
        stored = set(pool.map(lambda _: artifacts.put("alpha", FILES), range(16)))

    ((artifact, sha256),) = stored
    assert artifacts.get(artifact, sha256) == FILES
    assert len(list((tmp_path / "models" / "alpha").iterdir())) == 1


STORES_UNTIL_KILLED = """
    import sys
    from pathlib import Path
    from menace.storage.folder_artifact_store import FolderArtifactStore

    store, number = FolderArtifactStore(Path(sys.argv[1])), 0
    while True:
        store.put("alpha", {"model.txt": b"%d" % number * 2000, "manifest.json": b"{}"})
        print(number, flush=True)
        number += 1
"""


def test_a_killed_process_leaves_whole_packages_only(tmp_path: Path) -> None:
    program = [sys.executable, "-c", textwrap.dedent(STORES_UNTIL_KILLED), str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stored = [process.stdout.readline() for _ in range(20)]
        process.kill()

    packages = list(tmp_path.glob("alpha/[0-9a-f]*"))
    assert len(packages) >= len(stored)
    for folder in packages:
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert checksum(files).startswith(folder.name)
