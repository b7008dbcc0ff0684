"""Schema and missing values: what counts as a change, and how severe it is."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.diagnostic_manager import column_kinds, null_rate_issues, null_rates, schema_issues
from menace.records import IssueKind

KINDS = st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["number", "text", "empty"]))
RATES = st.dictionaries(st.sampled_from("abcde"), st.floats(0, 1))


def test_columns_are_numbers_text_or_empty() -> None:
    frame = pd.DataFrame(
        {
            "temperature": [1.5, None],
            "count": [1, 2],
            "holiday": [True, False],
            "city": ["Ghent", None],
            "day": pd.to_datetime(["2026-01-01", "2026-01-02"]),
            "season": pd.Categorical(["dry", "wet"]),
            "nothing": [None, None],
        }
    )
    assert column_kinds(frame) == {
        "temperature": "number",
        "count": "number",
        "holiday": "number",
        "city": "text",
        "day": "text",
        "season": "text",
        "nothing": "empty",
    }
    assert null_rates(frame)["temperature"] == 0.5
    assert null_rates(frame)["nothing"] == 1.0
    assert null_rates(frame.head(0)) == {}


@pytest.mark.parametrize(
    ("before", "now", "severity"),
    [
        ({"a": "number", "b": "text"}, {"a": "number"}, 0.9),
        ({"a": "number"}, {"a": "text"}, 0.9),
        ({"a": "text"}, {"a": "number"}, 0.5),
        ({"a": "number"}, {"a": "number", "b": "text"}, 0.3),
        ({"a": "number"}, {"b": "number"}, 0.9),
    ],
)
def test_a_changed_schema_is_one_issue_as_severe_as_its_worst_part(
    before: dict[str, str], now: dict[str, str], severity: float
) -> None:
    (issue,) = schema_issues("alpha", before, now, 40)
    assert (issue.bot, issue.kind, issue.row) == ("alpha", IssueKind.SCHEMA_CHANGE, 40)
    assert issue.severity == severity


def test_a_changed_schema_names_its_columns() -> None:
    (issue,) = schema_issues(
        "alpha",
        {"a": "number", "b": "text", "c": "text"},
        {"b": "number", "c": "text", "d": "text"},
        0,
    )
    assert issue.evidence == {
        "missing": ["a"],
        "added": ["d"],
        "changed": {"b": ["text", "number"]},
    }


def test_a_tick_in_which_a_column_has_no_value_changes_no_schema() -> None:
    assert schema_issues("alpha", {"a": "text"}, {"a": "empty"}, 0) == []
    assert schema_issues("alpha", {"a": "empty"}, {"a": "number"}, 0) == []


def test_the_first_rows_ever_are_no_change() -> None:
    assert schema_issues("alpha", {}, {"a": "number"}, 0) == []


@given(kinds=KINDS)
def test_the_same_schema_is_no_issue(kinds: dict[str, str]) -> None:
    assert schema_issues("alpha", kinds, dict(reversed(kinds.items())), 0) == []


def test_values_that_begin_to_be_missing_are_an_issue_with_the_columns_named() -> None:
    (issue,) = null_rate_issues(
        "alpha", {"a": 0.0, "b": 0.5, "c": 0.5}, {"a": 0.5, "b": 0.55, "d": 1.0}, 9, rows=168
    )
    assert issue.kind is IssueKind.NULL_RATE
    assert issue.evidence == {"columns": {"a": [0.0, 0.5]}}
    assert issue.severity == pytest.approx(0.9)


def test_a_few_rows_are_little_evidence_of_missing_values() -> None:
    before, now = {"a": 0.3}, {"a": 0.7}
    (many,) = null_rate_issues("alpha", before, now, 0, rows=1000)
    (few,) = null_rate_issues("alpha", before, now, 0, rows=5)
    assert few.severity < 0.7 < many.severity


@given(before=RATES, now=RATES, rows=st.none() | st.integers(1, 10_000))
def test_missing_values_are_judged_within_0_and_1_and_alike_in_both_directions(
    before: dict[str, float], now: dict[str, float], rows: int | None
) -> None:
    for issue in null_rate_issues("alpha", before, now, 0, rows=rows):
        assert 0.0 < issue.severity <= 1.0
    assert null_rate_issues("alpha", before, before, 0, rows=rows) == []
    forth, back = (
        null_rate_issues("alpha", before, now, 0),
        null_rate_issues("alpha", now, before, 0),
    )
    assert [issue.severity for issue in forth] == [issue.severity for issue in back]
