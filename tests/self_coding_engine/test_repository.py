from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import RepositoryError
from menace.self_coding_engine.repository import Repository
from self_coding_engine.git_repositories import (
    FASTER,
    HELPER,
    TARGET,
    commit_all,
    contents,
    git,
    make_repository,
    patched,
    status,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "bot")


def test_it_tells_what_is_checked_out(folder: Path) -> None:
    repository = Repository(folder)

    assert repository.head() == git(folder, "rev-parse", "HEAD")
    assert repository.branch() == "main"
    assert repository.read(repository.head(), TARGET) == HELPER
    assert repository.paths(repository.head()) == [TARGET]
    git(folder, "switch", "-q", "--detach")
    assert repository.branch() is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "there is no folder"),
        (lambda path: path.mkdir(), "in no git repository.*git init"),
        (lambda path: (path.mkdir(), git(path, "init", "-q", "--bare")), "bare repository"),
        (lambda path: make_repository(path.parent, a="") and path, "there is no folder"),
    ],
)
def test_what_is_no_checkout_is_refused_with_the_remedy(
    tmp_path: Path, make: Any, said: str
) -> None:
    make(tmp_path / "bot")

    with pytest.raises(RepositoryError, match=said):
        Repository(tmp_path / "bot")


def test_the_inside_of_a_git_folder_is_no_checkout(folder: Path) -> None:
    with pytest.raises(RepositoryError, match="no work tree"):
        Repository(folder / ".git")


def test_a_work_tree_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    git(folder, "config", "core.worktree", str(tmp_path / "elsewhere"))

    with pytest.raises(RepositoryError, match=r"git takes .*elsewhere|no work tree"):
        Repository(folder)


def test_a_repository_without_commits_says_what_to_do(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")

    with pytest.raises(RepositoryError, match=r"no commit yet.*git commit"):
        Repository(tmp_path).head()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who alone can give a folder away")
def test_another_users_repository_is_refused_until_the_user_trusts_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for path in (folder, folder / ".git"):
        os.chown(path, NOBODY, NOBODY)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("SUDO_UID", raising=False)

    with pytest.raises(RepositoryError, match=r"another user.*--add safe\.directory") as raised:
        Repository(folder)

    assert str(folder) in str(raised.value.remedy)
    (tmp_path / ".gitconfig").write_text(f"[safe]\n\tdirectory = {folder}\n")
    assert Repository(folder).branch() == "main"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("helpers/none.py", "is not in commit"),
        ("helpers", "a link, a folder or a submodule"),
        ("link.py", "a link, a folder or a submodule"),
        ("../bot/helpers/days.py", "no plain path"),
        ("/etc/passwd", "no plain path"),
        ("helpers//days.py", "no plain path"),
        (".git/config", "no plain path"),
        ("", "no plain path"),
        ("latin.py", "not UTF-8: byte 3"),
    ],
)
def test_only_plain_text_files_are_read(folder: Path, path: str, said: str) -> None:
    (folder / "link.py").symlink_to("helpers/days.py")
    write(folder, "latin.py", b"# \xe9\n")
    commit_all(folder, "More")
    repository = Repository(folder)

    with pytest.raises(RepositoryError, match=said):
        repository.read(repository.head(), path)


def test_a_glob_in_a_name_stands_for_itself(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "bot")
    write(folder, "a[bc].py", "odd = 1\n")
    write(folder, "ab.py", "even = 2\n")
    commit_all(folder, "More")
    repository = Repository(folder)

    assert repository.read(repository.head(), "a[bc].py") == "odd = 1\n"
    with pytest.raises(RepositoryError, match="is not in commit"):
        repository.read(repository.head(), "*.py")


def test_edits_in_work_tree_or_index_make_a_file_unclean(folder: Path) -> None:
    repository = Repository(folder)
    assert repository.is_clean(TARGET)
    write(folder, "other.py", "untracked = 1\n")
    assert repository.is_clean(TARGET)

    write(folder, TARGET, FASTER)
    assert not repository.is_clean(TARGET)
    git(folder, "add", TARGET)
    write(folder, TARGET, HELPER)
    assert not repository.is_clean(TARGET)
    git(folder, "reset", "-q", "--hard")
    assert repository.is_clean(TARGET)
    (folder / TARGET).unlink()
    assert not repository.is_clean(TARGET)
    git(folder, "rm", "-q", "--cached", TARGET)
    assert not repository.is_clean(TARGET)


def test_a_commit_is_made_without_touching_what_the_user_has(folder: Path) -> None:
    write(folder, "other.py", "edited = 1\n")
    git(folder, "add", "other.py")
    write(folder, "other.py", "edited = 2\n")
    before = contents(folder), status(folder), (folder / ".git" / "index").read_bytes()
    repository = Repository(folder)

    commit = patched(repository)

    assert repository.read(commit, TARGET) == FASTER
    assert repository.parent(commit) == repository.head() == git(folder, "rev-parse", "main")
    assert not repository.holds(commit)
    assert git(folder, "diff", "--name-only", "main", commit) == TARGET
    assert git(folder, "log", "-1", "--format=%an %ae %cn %at", commit) == (
        "menace menace@localhost menace 1700000000"
    )
    index = (folder / ".git" / "index").read_bytes()
    assert (contents(folder), status(folder), index) == before


def test_the_same_patch_is_the_same_commit(folder: Path) -> None:
    repository = Repository(folder)

    assert patched(repository) == patched(repository)
    assert patched(repository, message="Another") != patched(repository)


@pytest.mark.parametrize("at", [0.0, 1.9, 1e10])
def test_any_time_is_kept_in_whole_seconds(folder: Path, at: float) -> None:
    commit = patched(Repository(folder), at=at)

    assert git(folder, "log", "-1", "--format=%at %ct", commit) == f"{int(at)} {int(at)}"


def test_the_trailers_are_read_by_git_whatever_the_message_says(folder: Path) -> None:
    repository = Repository(folder)
    message = "Raise the limit\n\nMenace-Patch: 99\nWith two, tests pass.\0"

    commit = patched(
        repository,
        message=message,
        trailers={"Menace-Patch": "7", "Menace-Proposer": "tuning\nMenace-Bot: evil"},
    )

    parsed = git(
        folder,
        "interpret-trailers",
        "--parse",
        given=git(folder, "log", "-1", "--format=%B", commit).encode(),
    )
    assert parsed.splitlines() == ["Menace-Patch: 7", "Menace-Proposer: tuning Menace-Bot: evil"]
    assert repository.trailers(commit) == {
        "Menace-Patch": "7",
        "Menace-Proposer": "tuning Menace-Bot: evil",
    }
    base = repository.head()
    git(folder, "merge", "-q", "--ff-only", commit)
    assert repository.commit_with_trailer("Menace-Patch", "7", since=base) == commit
    assert repository.commit_with_trailer("Menace-Patch", "99", since=base) is None
    assert repository.commit_with_trailer("Menace-Patch", "7", since=commit) is None


def test_a_patch_that_changes_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(RepositoryError, match="would not change"):
        patched(Repository(folder), HELPER)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("helpers/plain.py", "a = 1", "a = 2"),
        ("helpers/crlf.py", "a = 1\r\nb = 2\r\n", "a = 2\r\nb = 2\r\n"),
        ("helpers/mixed.py", "a = 1\r\nb = 2\n", "a = 2\r\nb = 2\n"),
        ("helpers/días 日本/größe\t1.py", "ü = '→'\n", "ü = '⇒'\n"),
        ("helpers/bom.py", "\ufeffa = 1\n", "\ufeffa = 2\n"),
        ("helpers/empty.py", "", "a = 1\n"),
        ("-x.py", "a = 1\n", ""),
    ],
)
def test_a_patch_is_brought_in_to_the_byte(folder: Path, name: str, old: str, new: str) -> None:
    write(folder, name, old)
    commit_all(folder, "More")
    repository = Repository(folder)

    commit = patched(repository, new, name)
    repository.bring(commit)

    assert (folder / name).read_bytes() == new.encode()
    assert repository.read("HEAD", name) == new
    assert git(folder, "rev-parse", "main") == commit
    assert status(folder) == ""


def test_the_executable_bit_stays(folder: Path) -> None:
    (folder / TARGET).chmod(0o755)
    commit_all(folder, "Make it executable")
    repository = Repository(folder)

    repository.bring(patched(repository))

    assert stat.S_IMODE((folder / TARGET).stat().st_mode) == 0o755
    assert status(folder) == ""


def test_a_checkout_with_cr_lf_keeps_it(folder: Path) -> None:
    git(folder, "config", "core.autocrlf", "true")
    (folder / TARGET).unlink()
    git(folder, "checkout", "-q", "--", ".")
    assert b"\r\n" in (folder / TARGET).read_bytes()
    repository = Repository(folder)

    assert repository.is_clean(TARGET)
    repository.bring(patched(repository))

    assert (folder / TARGET).read_bytes() == FASTER.replace("\n", "\r\n").encode()
    assert repository.read("HEAD", TARGET) == FASTER
    assert status(folder) == ""


def test_a_folder_below_the_top_is_a_repository_of_its_own(tmp_path: Path) -> None:
    top = make_repository(
        tmp_path / "all", bots__alpha__helpers__days=HELPER, bots__beta__x="x = 1\n"
    )
    repository = Repository(top / "bots" / "alpha")
    head = repository.head()

    assert repository.paths(head) == [TARGET]
    assert repository.read(head, TARGET) == HELPER
    with pytest.raises(RepositoryError, match="is not in commit"):
        repository.read(head, "bots/beta/x.py")
    with repository.worktree(head) as worktree:
        assert (worktree / TARGET).read_text() == HELPER
        assert (worktree.parent / "beta" / "x.py").is_file()
    repository.bring(patched(repository))
    assert (top / "bots" / "alpha" / TARGET).read_text() == FASTER
    assert status(top) == ""


def test_a_commit_outside_the_folder_is_not_brought_in(tmp_path: Path) -> None:
    top = make_repository(tmp_path / "all", alpha__a="a = 1\n", beta__b="b = 1\n")
    outside = patched(Repository(top), "b = 2\n", "beta/b.py")

    with pytest.raises(RepositoryError, match="lies outside"):
        Repository(top / "alpha").bring(outside)


def test_a_submodule_is_no_file_and_a_repository_of_its_own(tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner", helper=HELPER)
    folder = make_repository(tmp_path / "bot")
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "lib")
    commit_all(folder, "Add a submodule")
    repository = Repository(folder)

    for path in ("lib", "lib/helper.py"):
        with pytest.raises(RepositoryError, match=r"submodule|is not in commit"):
            repository.read(repository.head(), path)
    repository.bring(patched(repository))
    assert status(folder) == ""
    submodule = Repository(folder / "lib")
    submodule.bring(patched(submodule, FASTER, "helper.py"))
    assert (folder / "lib" / "helper.py").read_text() == FASTER


def test_a_linked_worktree_of_the_users_is_patched_like_any_other(
    folder: Path, tmp_path: Path
) -> None:
    git(folder, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    repository = Repository(tmp_path / "side")

    repository.bring(patched(repository))

    assert (tmp_path / "side" / TARGET).read_text() == FASTER
    assert (folder / TARGET).read_text() == HELPER
    assert status(tmp_path / "side") == status(folder) == ""


def test_a_target_behind_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    repository = Repository(folder)
    commit = patched(repository)
    (folder / "helpers").rename(tmp_path / "elsewhere")
    (folder / "helpers").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(RepositoryError, match="behind a link"):
        repository.bring(commit)
    assert (tmp_path / "elsewhere" / "days.py").read_text() == HELPER


def test_nothing_that_the_configuration_names_is_run(folder: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    program = write(tmp_path, "program", f'#!/bin/sh\necho "$0 $*" >> {marks}\ncat\n')
    program.chmod(0o755)
    for hook in (
        "pre-commit",
        "commit-msg",
        "prepare-commit-msg",
        "post-commit",
        "post-checkout",
        "post-index-change",
        "reference-transaction",
        "fsmonitor-watchman",
        "post-rewrite",
        "pre-auto-gc",
    ):
        (folder / ".git" / "hooks").mkdir(exist_ok=True)
        (folder / ".git" / "hooks" / hook).symlink_to(program)
    for name in (
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.askPass",
        "core.alternateRefsCommand",
        "diff.external",
        "diff.py.textconv",
        "diff.py.command",
        "merge.py.driver",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.a=b.smudge",
        "filter.long.process",
        "gpg.program",
        "credential.helper",
        "trailer.menace-patch.command",
        "pager.log",
        "uploadpack.packObjectsHook",
    ):
        git(folder, "config", name, str(program))
    for name in ("commit.gpgSign", "log.showSignature", "filter.evil.required"):
        git(folder, "config", name, "true")
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "attributes").write_text(
        "*.csv filter=evil\n*.txt filter=a=b\n*.md filter=long\n*.py diff=py merge=py\n"
    )
    tree = git(folder, "write-tree")
    for name in ("rows.csv", "notes.txt", "page.md"):
        write(folder, name, "plain\n")
        blob = git(folder, "hash-object", "-w", "--no-filters", name)
        git(folder, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    tree = git(folder, "write-tree")
    commit = git(folder, "commit-tree", tree, "-p", "HEAD", given=b"More\n")
    (folder / ".git" / "refs" / "heads" / "main").write_text(commit + "\n")
    marks.unlink(missing_ok=True)

    repository = Repository(folder)
    with repository.worktree(repository.head()) as worktree:
        for name in ("rows.csv", "notes.txt", "page.md"):
            assert (worktree / name).read_text() == "plain\n"
    assert repository.is_clean(TARGET)
    patch = patched(repository)
    repository.bring(patch)
    assert repository.commit_with_trailer("Menace-Patch", "7", since=commit) == patch
    assert repository.sweep() == 0

    assert not marks.exists(), marks.read_text()
    # The same configuration does run it where a person works.
    git(folder, "worktree", "add", "-q", "-f", str(tmp_path / "side"), "HEAD")
    assert "post-checkout" in marks.read_text()
    assert f"{program} \n" in marks.read_text()


@pytest.mark.parametrize("attribute", ["filter=lfs", "ident", "working-tree-encoding=UTF-16"])
def test_a_file_that_git_converts_is_not_patched(folder: Path, attribute: str) -> None:
    write(folder, ".gitattributes", f"helpers/*.py {attribute}\n")
    repository = Repository(folder)

    with pytest.raises(RepositoryError, match=r"converts helpers/days\.py .*gitattributes"):
        repository.bring(patched(repository))
    assert (folder / TARGET).read_text() == HELPER
