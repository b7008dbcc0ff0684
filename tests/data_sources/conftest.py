"""Real sources of every kind that grow: what the conformance suite writes into."""

from __future__ import annotations

import csv
import dataclasses
import json
import sqlite3
import sys
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
import pytest

from menace.records import BotConfig, SourceConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row = dict[str, Any]


class GrowingSource(Protocol):
    """A source that a test writes into; ``None`` is a missing value."""

    config: SourceConfig

    def append(self, rows: list[Row]) -> None: ...

    def replace(self, rows: list[Row]) -> None: ...


class GrowingCsv:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "rows.csv"
        self.config = SourceConfig("csv", "rows.csv")

    def append(self, rows: list[Row]) -> None:
        fresh = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            if fresh:
                writer.writeheader()
            writer.writerows(rows)

    def replace(self, rows: list[Row]) -> None:
        self.path.unlink(missing_ok=True)
        self.append(rows)


class GrowingParquet:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "rows.parquet"
        self.config = SourceConfig("parquet", "rows.parquet")
        self._rows: list[Row] = []

    def append(self, rows: list[Row]) -> None:
        self.replace(self._rows + rows)

    def replace(self, rows: list[Row]) -> None:
        self._rows = rows
        staged = self.path.with_suffix(".new")
        pd.DataFrame(rows).to_parquet(staged, row_group_size=7)
        staged.replace(self.path)


class GrowingParts:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "parts"
        self.path.mkdir()
        self.config = SourceConfig("parquet", "parts")

    def append(self, rows: list[Row]) -> None:
        number = len(list(self.path.iterdir()))
        pd.DataFrame(rows).to_parquet(self.path / f"part-{number:04d}.parquet")

    def replace(self, rows: list[Row]) -> None:
        sizes = [len(pd.read_parquet(path)) for path in sorted(self.path.iterdir())]
        for path in self.path.iterdir():
            path.unlink()
        for size in [*sizes, len(rows)]:
            if rows[:size]:
                self.append(rows[:size])
            rows = rows[size:]


class GrowingSqlite:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "rows.db"
        self.config = SourceConfig("sql", "SELECT * FROM events", url="sqlite:///rows.db")

    def append(self, rows: list[Row]) -> None:
        names = ", ".join(f'"{name}"' for name in rows[0])
        marks = ", ".join("?" for _ in rows[0])
        with sqlite3.connect(self.path) as connection:
            connection.execute(f"CREATE TABLE IF NOT EXISTS events ({names})")
            connection.executemany(
                f"INSERT INTO events VALUES ({marks})",  # noqa: S608
                [tuple(row.values()) for row in rows],
            )
        connection.close()

    def replace(self, rows: list[Row]) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute("DROP TABLE IF EXISTS events")
        connection.close()
        self.append(rows)


class GrowingList:
    """A module with a function, as a user would write one."""

    def __init__(self, folder: Path) -> None:
        self.config = SourceConfig("callable", "menace_test_rows:read")
        self._path = folder / "menace_test_rows.json"
        (folder / "menace_test_rows.py").write_text(
            "import json\n"
            "from pathlib import Path\n"
            "import pandas as pd\n"
            "def read(start_row, max_rows):\n"
            "    rows = json.loads(Path(__file__).with_suffix('.json').read_text())\n"
            "    chosen = rows[start_row : start_row + max_rows]\n"
            "    return pd.DataFrame(chosen, columns=list(rows[0]))\n",
            encoding="utf-8",
        )
        self._rows: list[Row] = []

    def append(self, rows: list[Row]) -> None:
        self.replace(self._rows + rows)

    def replace(self, rows: list[Row]) -> None:
        self._rows = rows
        self._path.write_text(json.dumps(rows), encoding="utf-8")


BACKENDS: dict[str, Callable[[Path], GrowingSource]] = {
    "csv": GrowingCsv,
    "parquet": GrowingParquet,
    "parquet parts": GrowingParts,
    "sqlite": GrowingSqlite,
    "callable": GrowingList,
}


@pytest.fixture(params=list(BACKENDS))
def source(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> GrowingSource:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "menace_test_rows", raising=False)
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def make_bot() -> Callable[..., BotConfig]:
    def made(config: SourceConfig, **changes: Any) -> BotConfig:
        bot = BotConfig(name="alpha", source=config, target="y", time="at", label_wait_rows=5)
        return dataclasses.replace(bot, **changes)

    return made
