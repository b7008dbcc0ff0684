from __future__ import annotations

from typing import Any

from menace.report.alternatives import best_text, choice_name, choice_rows

TABLE: dict[str, Any] = {
    "horizon_ticks": 2.0,
    "best": "roll back",
    "lead_usd": 1.5,
    "rows": [
        {"kind": "wait", "gain_usd": 0.0, "error_usd": 0.0, "cost_usd": 0.0, "net_usd": 0.0},
        {"kind": "roll back", "gain_usd": 3.0, "error_usd": 0.5, "cost_usd": 0.0, "net_usd": 3.0},
        {"kind": "search", "gain_usd": 9.0, "error_usd": 4.0, "cost_usd": 7.5, "net_usd": 1.5},
    ],
}
for row, eligible in zip(TABLE["rows"], (True, True, False), strict=True):
    row["eligible"] = eligible
TABLE["rows"][1]["version"] = 4
TABLE["rows"][2]["energy"] = 5


def test_the_best_alternative_is_named_with_its_lead() -> None:
    assert best_text(TABLE) == "go back to version 4, by $1.50"
    assert choice_name(TABLE["rows"][2]) == "search with energy 5"
    assert choice_name({"kind": "of a later version"}) == "of a later version"


def test_what_was_done_stands_beside_what_was_judged_best() -> None:
    went = choice_rows({"alternatives": TABLE, "roll_back": {"from": 5, "to": 4}})
    assert [row.note for row in went] == [
        "",
        "judged best, done",
        "only in a cycle that runs anyway",
    ]
    ran = choice_rows({"alternatives": TABLE, "plan": {"kind": "search"}})
    assert [row.note for row in ran] == ["", "judged best", "done"]
    held = choice_rows(
        {"alternatives": TABLE, "plan": {"kind": "search"}, "purse": {"allowed": False}}
    )
    assert held[0].note == "done"
    assert held[1] == ("go back to version 4", "+$3.00", "± $0.50", "$0", "+$3.00", "judged best")


def test_without_a_model_there_is_no_table() -> None:
    assert choice_rows({"row": 3}) == []
