"""Features of a bot's rows are made in the sandbox as the pipeline makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from menace.errors import CodingError
from menace.records import BotConfig
from menace.self_coding_engine import CodingSettings
from menace.self_coding_engine.attempt_sandbox import AttemptSandbox
from menace.self_coding_engine.sandbox import Sandbox
from menace.self_coding_engine.workbench import SandboxWorkbench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = pd.DataFrame(
    {
        "at": pd.to_datetime(["2026-01-01 05:00", "2026-01-02 06:00", "2026-01-03 07:00"]),
        "country": ["NA", "", "DE"],
        "size": [1, 2, 3],
        "leak": [7, 8, 9],
        "y": [0, 1, 0],
    }
)
BOT = BotConfig("alpha", None, "y", time="at", drop=("leak",))


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[SandboxWorkbench]:
    """Give a workbench over these rows, with a file beside the helper."""
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "units.py").write_text("FACTOR = 10\n")
    sandbox = AttemptSandbox(Sandbox.find())
    settings = CodingSettings(features="helpers/features.py:features")
    with SandboxWorkbench(
        sandbox,
        root=tmp_path,
        target="helpers/features.py",
        settings=settings,
        seconds=60.0,
        rows=ROWS,
        bot=BOT,
    ) as made:
        yield made


def test_rows_come_with_their_types_and_without_what_no_model_may_see(
    workbench: SandboxWorkbench,
) -> None:
    made = workbench.features(
        "import pandas as pd\nfrom helpers.units import FACTOR\n\n\n"
        "def features(rows):\n"
        "    print('printed by the helper')\n"
        "    assert list(rows) == ['at', 'country', 'size']\n"
        "    return pd.DataFrame({'hour': rows['at'].dt.hour, 'size10': rows['size'] * FACTOR,\n"
        "                         'namibia': rows['country'] == 'NA'})\n"
    )
    assert made is not None
    assert made["hour"].tolist() == [5, 6, 7]
    assert made["size10"].tolist() == [10, 20, 30]
    assert made["namibia"].tolist() == [True, False, False]
    assert workbench.cpu_seconds > 0.1


def test_a_helper_that_makes_no_columns_yet_is_no_error(workbench: SandboxWorkbench) -> None:
    made = workbench.features(
        "import pandas as pd\n\n\ndef features(rows):\n    return pd.DataFrame(index=rows.index)\n"
    )
    assert made is not None
    assert made.shape == (3, 0)


@pytest.mark.parametrize(
    "text", ["def features(rows):\n    return rows.iloc[:1]\n", "def features(rows):\n    1 / 0\n"]
)
def test_a_helper_that_fails_is_named_with_what_it_said(
    workbench: SandboxWorkbench, text: str
) -> None:
    with pytest.raises(CodingError, match=r"the feature helper helpers/features\.py:features"):
        workbench.features(text)
