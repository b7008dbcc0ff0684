"""Hold the pages to the code: links, commands, settings, tables, snippets."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import MISSING, Field, fields
from gzip import decompress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

import menace.cli
from menace.cli import app as cli
from menace.config import AutoscaleSettings, CapitalSettings, LoopSettings, WorkspaceSettings
from menace.patches import PatchStatus
from menace.records import BotConfig, CycleState, Economics
from menace.self_improvement_engine import SelfImprovementEngine
from menace.self_improvement_policy.staleness import PRIOR

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
        *DOCS.rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)
SERVED_ROWS = 1_200

USERS_SNIPPET = """\
from menace.self_improvement_engine import SelfImprovementEngine, ImprovementEngineRegistry
from menace.model_automation_pipeline import ModelAutomationPipeline

engine = SelfImprovementEngine(bot_name="alpha", pipeline=ModelAutomationPipeline())
registry = ImprovementEngineRegistry()
registry.register_engine("alpha", engine)
registry.run_all_cycles()
"""

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page; ``label`` is what follows the fence."""

    page: Path
    label: str
    text: str

    @property
    def is_runnable(self) -> bool:
        return self.label.endswith(" runnable")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(language: str) -> list[Block]:
    return [
        Block(page, label, text)
        for page in PAGES
        for label, text in _FENCE.findall(page.read_text(encoding="utf-8"))
        if label.split(" ")[0] == language
    ]


def section(page: Path, heading: str) -> str:
    _, _, after = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    return after.partition("\n## ")[0]


def rows_of_tables(text: str) -> list[list[str]]:
    """Cells of all table rows but headers and rules."""
    lines = text.splitlines()
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not re.match(r"\|[\s:|-]+$", after)
    ]
    return [row for row in rows if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]


def first_cells(text: str) -> list[str]:
    """Names in backticks in the first cell of each row of a table."""
    return [name for row in rows_of_tables(text) for name in re.findall(r"`(\w+)", row[0])]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def options_of(*chain: str) -> set[str]:
    """All flags and arguments of a command."""
    _, apps, _ = cli.app.parse_commands(list(chain))
    return {
        name
        for argument in apps[-1].assemble_argument_collection()
        for name in (*argument.names, argument.name)
    }


def shell_lines(text: str) -> list[list[str]]:
    """Commands of a shell block, as tokens."""
    joined = text.replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in joined.splitlines()]
    return [tokens for tokens in lines if tokens]


@pytest.fixture(scope="module", autouse=True)
def _all_commands() -> None:
    for module in pkgutil.iter_modules(menace.cli.__path__, "menace.cli."):
        importlib.import_module(module.name)


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Give a folder with a ``served.csv``, as the pages presume it."""
    packed = ROOT / "examples" / "bike_sharing" / "bike_sharing.csv.gz"
    lines = decompress(packed.read_bytes()).decode().splitlines(keepends=True)
    (tmp_path / "served.csv").write_text("".join(lines[: SERVED_ROWS + 1]))
    return tmp_path


def run_in(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MENACE_HOME"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_that_the_code_names_exists() -> None:
    missing = []
    for folder in ("src", "scripts", "benchmarks", "tests"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_dir() or file.suffix == ".pyc":
                continue
            for name in re.findall(r"docs/[\w/-]+(?:\.md)?", file.read_text(encoding="utf-8")):
                found = name.endswith("/") or list(ROOT.glob(f"{name}*"))
                if not found and "test_docs" not in file.name:
                    missing.append(f"{file.relative_to(ROOT)}: {name}")
    assert missing == []


def test_the_index_lists_every_page_and_the_list_of_decisions_every_record() -> None:
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md"}
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", prose(DOCS / "README.md")))
    assert pages <= listed
    records = {page.name for page in (DOCS / "adr").glob("*.md")} - {"README.md"}
    assert records == set(re.findall(r"\]\(([\w-]+\.md)\)", prose(DOCS / "adr" / "README.md")))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_named_in_a_sentence_exists_with_its_flags(page: Path) -> None:
    for span in re.findall(r"`(menace [^`]+)`", prose(page)):
        _, *tokens = shlex.split(span)
        chain, _, rest = cli.app.parse_commands(tokens)
        assert chain, f"{span!r}: no such command"
        unknown = {token for token in rest if token.startswith("-")} - options_of(*chain)
        assert not unknown, f"{span!r}: no such flag"


@pytest.mark.parametrize("block", blocks("sh"), ids=lambda block: named(block.page))
def test_every_command_of_a_shell_block_can_be_given_like_this(block: Block) -> None:
    for tokens in shell_lines(block.text):
        if tokens[0] == "menace":
            cli.app.parse_args(tokens[1:], exit_on_error=False, print_error=False)
        elif tokens[0].startswith("./"):
            assert os.access(ROOT / tokens[0], os.X_OK)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_script_and_benchmark_named_in_a_sentence_exists(page: Path) -> None:
    for script in re.findall(r"`(\./scripts/\w+)", prose(page)):
        assert os.access(ROOT / script, os.X_OK), script
    for name in re.findall(r"python -m benchmarks\.([a-z_]+)", prose(page)):
        places = (ROOT / "benchmarks" / f"{name}.py", ROOT / "benchmarks" / name / "__main__.py")
        assert any(place.is_file() for place in places), name


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: named(block.page))
def test_every_python_snippet_parses_and_imports_what_exists(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("menace"):
            module = importlib.import_module(str(node.module))
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_the_users_snippet_stands_in_the_readme_and_leaves_an_empty_folder_empty(
    tmp_path: Path,
) -> None:
    assert USERS_SNIPPET in [block.text for block in blocks("python")]
    ran = run_in(tmp_path, sys.executable, "-c", USERS_SNIPPET + "\nprint(engine.roi_deltas)")
    assert ran.returncode == 0, ran.stderr
    assert "menace bot add alpha" in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "block",
    [block for block in blocks("python") if block.is_runnable and block.text != USERS_SNIPPET],
    ids=lambda block: named(block.page),
)
def test_a_runnable_python_snippet_runs(block: Block, served: Path) -> None:
    ran = run_in(served, sys.executable, "-c", block.text)
    assert ran.returncode == 0, ran.stderr
    assert "first model promoted" in ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "block",
    [block for block in blocks("sh") if block.is_runnable],
    ids=lambda block: named(block.page),
)
def test_a_runnable_shell_block_runs(block: Block, served: Path) -> None:
    ran = run_in(served, "bash", "-euo", "pipefail", "-c", block.text)
    assert ran.returncode == 0, ran.stderr
    assert "alpha: promoted" in ran.stdout
    predicted = (served / "care" / "predictions.csv").read_text().splitlines()
    assert len(predicted) == SERVED_ROWS + 1


@pytest.mark.parametrize(
    ("heading", "record", "left_out"),
    [
        (
            "The workspace",
            WorkspaceSettings,
            {"loop", "capital", "autoscale", "pipelines", "coding"},
        ),
        ("The loop", LoopSettings, set()),
        ("The capital", CapitalSettings, set()),
        ("Autoscaling", AutoscaleSettings, set()),
        ("A bot", BotConfig, set()),
        ("Economics", Economics, set()),
    ],
)
def test_the_settings_listed_are_those_that_exist_with_their_defaults(
    heading: str, record: Any, left_out: set[str]
) -> None:
    rows = rows_of_tables(section(DOCS / "configuration.md", heading))
    listed = {row[0].strip("`"): row[1] for row in rows}
    known: dict[str, Field[Any]] = {f.name: f for f in fields(record) if f.name not in left_out}
    assert list(listed) == list(known)
    for name, cell in listed.items():
        default = known[name].default
        if cell.startswith("`"):
            assert ast.literal_eval(cell.strip("`")) == default, name
        else:
            assert default in {MISSING, None, ()}, name


@pytest.mark.parametrize(
    ("heading", "prefix"),
    [
        ("The workspace", "MENACE_"),
        ("The loop", "MENACE_LOOP__"),
        ("The capital", "MENACE_CAPITAL__"),
        ("Autoscaling", "MENACE_AUTOSCALE__"),
    ],
)
def test_the_environment_variables_listed_belong_to_their_settings(
    heading: str, prefix: str
) -> None:
    for row in rows_of_tables(section(DOCS / "configuration.md", heading)):
        assert row[2].strip("`") == prefix + row[0].strip("`").upper()


@pytest.mark.parametrize("heading", ["A bot", "Economics"])
def test_the_flags_listed_are_those_of_the_command(heading: str) -> None:
    options = options_of("bot", "add")
    rows = rows_of_tables(section(DOCS / "configuration.md", heading))
    flags = {row[2].strip("`") for row in rows} - {"–", "below"}
    assert flags <= options


def test_the_engines_arguments_listed_are_those_it_takes() -> None:
    text = section(DOCS / "engine.md", "SelfImprovementEngine").partition("| method |")[0]
    listed = [name for row in rows_of_tables(text) for name in re.findall(r"`(\w+)`", row[0])]
    known = set(inspect.signature(SelfImprovementEngine.__init__).parameters) - {"self"}
    assert sorted(listed) == sorted(known)


def test_the_stores_tables_listed_are_those_it_has() -> None:
    from menace.storage.schema import metadata

    assert set(first_cells(section(DOCS / "store.md", "Tables"))) == {
        *metadata.tables,
        "alembic_version",
    }


def test_every_state_of_a_cycle_is_drawn_and_has_its_event_listed() -> None:
    drawn, topics = (DOCS / "cycle.md").read_text(), (DOCS / "events.md").read_text()
    for state in CycleState:
        assert re.search(rf"^ *{state.value} --> |--> {state.value}\b", drawn, re.MULTILINE)
        assert f"`cycle.{state.value}`" in topics


def test_every_state_of_a_patch_has_its_event_listed() -> None:
    topics = (DOCS / "events.md").read_text()
    assert [status for status in PatchStatus if f"`patch.{status}`" not in topics] == []


def test_the_estimators_constants_listed_are_those_it_uses() -> None:
    rows = rows_of_tables(section(DOCS / "staleness.md", "The estimator"))
    listed = {re.findall(r"`(\w+)`", row[0])[0]: float(row[1]) for row in rows}
    assert listed == {item.name: getattr(PRIOR, item.name) for item in fields(PRIOR)}


def test_every_runtime_dependency_has_its_row_in_the_record() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[<>=]", requirement)[0] for requirement in project["dependencies"]]
    rows = rows_of_tables((DOCS / "adr" / "0001-dependencies.md").read_text())
    assert [row[0] for row in rows] == sorted(names)
