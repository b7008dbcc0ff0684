"""Where a bot's rows come from: CSV, Parquet, SQL or a callable; and which have a label."""

from menace.data_sources.labelled_stream import LabelledStream
from menace.data_sources.registry import open_source, rows_of

__all__ = ["LabelledStream", "open_source", "rows_of"]
