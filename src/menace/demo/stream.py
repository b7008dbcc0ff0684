"""The bundled stream, revealed batch by batch into a file that grows."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

from menace.errors import DataError

BUNDLED = Path("examples") / "bike_sharing" / "bike_sharing.csv.gz"


@dataclass(frozen=True, slots=True)
class Stream:
    """A CSV stream cut into batches of the same length; a remainder is dropped.

    Attributes
    ----------
    header
        The header line.
    batches
        Per batch, its lines.
    """

    header: str
    batches: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, path: Path, *, batch_rows: int) -> Stream:
        """Read a CSV file, gzipped or not.

        Raises
        ------
        DataError
            If there is no such file or it is too short for two batches.
        """
        try:
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
        except OSError as error:
            raise DataError(
                f"the stream {path} cannot be read: {error.strerror or error}.",
                remedy="run the demo from a checkout of the repository",
            ) from error
        header, *lines = content.decode("utf-8").splitlines()
        whole = len(lines) // batch_rows
        if whole < 2:
            raise DataError(
                f"the stream {path} has {len(lines)} rows, fewer than two batches of {batch_rows}.",
                remedy="give a longer stream or smaller batches",
            )
        batches = (tuple(lines[k * batch_rows : (k + 1) * batch_rows]) for k in range(whole))
        return cls(header, tuple(batches))

    def label(self, batch: int) -> str:
        """First field of the batch's first row: the date, in the bundled stream."""
        return self.batches[batch][0].split(",", 1)[0]

    def begin(self, path: Path) -> None:
        """Write a file that holds the header only."""
        path.write_text(self.header + "\n", encoding="utf-8")

    def reveal(self, path: Path, batch: int) -> None:
        """Append one batch to the file, as a system that serves the model would."""
        with path.open("a", encoding="utf-8") as file:
            file.write("\n".join(self.batches[batch]) + "\n")


def bundled_path() -> Path:
    """Find the bundled stream in the checkout that this package is installed from.

    Raises
    ------
    DataError
        If menace was not installed from a checkout.
    """
    for folder in Path(__file__).resolve().parents:
        if (folder / BUNDLED).is_file():
            return folder / BUNDLED
    raise DataError(
        f"{BUNDLED} is not beside this installation.",
        remedy="clone the repository and run ./scripts/demo there",
    )
