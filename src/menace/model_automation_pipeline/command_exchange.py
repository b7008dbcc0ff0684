"""The folder through which menace and a command exchange rows, models, figures and predictions.

What the command leaves there is data from outside: only plain files are read, no links are
followed, and everything has a bound.
"""

from __future__ import annotations

import csv
import json
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from menace.records import Json

FORMAT_VERSION = 1
ROWS_FILE = "rows.csv"
REQUEST_FILE = "request.json"
ARTIFACT_FOLDER = "artifact"
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
PREDICTION_COLUMN = "prediction"

MOST_FILES = 1_000
MOST_ARTIFACT_BYTES = 2**30
MOST_METRICS_BYTES = 2**20
MOST_PREDICTIONS_BYTES = 2**30

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One folder for one run of a command.

    Attributes
    ----------
    folder
        Empty at first, and nobody else's.
    bot
        Whose errors these are.
    """

    folder: Path
    bot: str

    def prepare(self, rows: pd.DataFrame, request: Json, files: Mapping[str, bytes]) -> None:
        """Write what the command is given.

        Parameters
        ----------
        rows
            Becomes ``rows.csv``: UTF-8 with a header, missing values empty.
        request
            Becomes ``request.json``.
        files
            The model to predict with; none for a training.
        """
        rows.to_csv(self.folder / ROWS_FILE, index=False)
        document = {"format": FORMAT_VERSION, **request, "rows": len(rows)}
        text = json.dumps(document, indent=1, allow_nan=False)
        (self.folder / REQUEST_FILE).write_text(text, encoding="utf-8")
        artifact = self.folder / ARTIFACT_FOLDER
        artifact.mkdir()
        for name, content in files.items():
            (artifact / name).write_bytes(content)

    def artifact(self) -> dict[str, bytes]:
        """Read the model that the command left: plain files, side by side.

        Raises
        ------
        PipelineError
            If there is none, a name is not plain, or something there is a link, a folder, a pipe or
            too large.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            opened = os.open(self.folder / ARTIFACT_FOLDER, flags)
        except OSError as error:
            raise self._refused(ARTIFACT_FOLDER, "is no folder any more") from error
        try:
            with os.scandir(opened) as entries:
                names = sorted(entry.name for entry in entries)
            if not names:
                raise PipelineError(
                    "the command left no model.",
                    bot=self.bot,
                    remedy=f"write it into the folder {ARTIFACT_FOLDER}",
                )
            if len(names) > MOST_FILES:
                raise self._refused(ARTIFACT_FOLDER, f"holds more than {MOST_FILES} files")
            files: dict[str, bytes] = {}
            left = MOST_ARTIFACT_BYTES
            for name in names:
                shown = f"{ARTIFACT_FOLDER}/{name}"
                if not _PLAIN_NAME.fullmatch(name):
                    raise self._refused(shown, "has a name that is not plain")
                files[name] = self._read(name, shown, left, within=opened)
                left -= len(files[name])
            return files
        finally:
            os.close(opened)

    def metrics(self) -> Json:
        """Read the figures that the command left; none if there is no such file.

        Raises
        ------
        PipelineError
            If the file is no JSON object, holds a number that is not finite, or is too large.
        """
        if not os.path.lexists(self.folder / METRICS_FILE):
            return {}
        content = self._read(METRICS_FILE, METRICS_FILE, MOST_METRICS_BYTES)
        try:
            document = json.loads(content)
            json.dumps(document, allow_nan=False)
        except (ValueError, RecursionError) as error:
            raise self._refused(METRICS_FILE, f"is not plain JSON ({error})") from error
        if not isinstance(document, dict):
            raise self._refused(METRICS_FILE, "is no JSON object")
        return document

    def predictions(self, rows: int) -> pd.Series[str] | pd.DataFrame:
        """Read the predictions that the command left.

        Returns
        -------
        Series of text, or DataFrame of numbers
            The column ``prediction``; or, without one, a column of probabilities for each class.

        Raises
        ------
        PipelineError
            If the file is missing, no CSV, or has another number of rows.
        """
        import io

        import pandas as pd

        content = self._read(PREDICTIONS_FILE, PREDICTIONS_FILE, MOST_PREDICTIONS_BYTES)
        try:
            table = pd.read_csv(
                io.BytesIO(content), dtype=str, keep_default_na=False, na_values=[""]
            )
        except (ValueError, csv.Error) as error:
            raise self._refused(PREDICTIONS_FILE, f"is no CSV file ({error})") from error
        if len(table) != rows:
            raise self._refused(PREDICTIONS_FILE, f"has {len(table)} rows where {rows} are wanted")
        if PREDICTION_COLUMN in table.columns:
            return table[PREDICTION_COLUMN]
        try:
            return table.astype(float)
        except ValueError as error:
            why = f"has no column {PREDICTION_COLUMN!r}, and holds no probabilities ({error})"
            raise self._refused(PREDICTIONS_FILE, why) from error

    def _read(self, name: str, shown: str, most: int, *, within: int | None = None) -> bytes:
        """Read one plain file; a link, also a hard one, leads out of the folder."""
        path = name if within is not None else self.folder / name
        # Not blocking: a pipe in a file's place must not hold menace up before it is looked at.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            opened = os.open(path, flags, dir_fd=within)
        except FileNotFoundError as error:
            raise self._refused(shown, "is missing") from error
        except OSError as error:
            raise self._refused(shown, f"cannot be read ({error.strerror})") from error
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            os.close(opened)
            raise self._refused(shown, "is not a plain file of its own")
        with os.fdopen(opened, "rb") as stream:
            content = stream.read(most + 1)
        if len(content) > most:
            raise self._refused(shown, f"is larger than {most:,} bytes")
        return content

    def _refused(self, shown: str, why: str) -> PipelineError:
        return PipelineError(
            f"what the command left is refused: {shown} {why}.",
            bot=self.bot,
            remedy="docs/pipelines.md says which files are wanted",
        )
