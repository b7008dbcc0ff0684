from __future__ import annotations

from dataclasses import replace

import pytest

from menace.report import ModuleRow
from menace.report.module_chart import BEST, WORST
from report.test_report import charts, make_report, read

ROWS = (
    ModuleRow("window", 12.5, 9, 0.4),
    ModuleRow("params:trees", 0.25, 2),
    ModuleRow("family:linear", -3.0, 1),
)


def test_the_modules_are_bars_on_either_side_of_zero_best_first() -> None:
    page = read(replace(make_report(), modules=ROWS))
    assert "What changing each part brought" in page.said
    for size in ("wide", "compact"):
        chart = charts(page)[f"modules-{size}"]
        assert len(chart.classed("paid")) == 2
        assert len(chart.classed("lost")) == 1
        texts = chart.said("text")
        assert texts[::2] == ["window", "params:trees", "family:linear"]
        assert chart.said("title")[1].startswith("window: ")
        assert "over 9 cycles, trend +0.4" in chart.said("title")[1]
        [zero] = chart.classed("zero")
        bars = [item for name, item in chart.elements if name == "rect"]
        assert [float(bar["x"]) >= float(zero["x1"]) for bar in bars] == [True, True, False]
        width = float(chart.elements[0][1]["viewBox"].split()[2])
        for bar in bars:
            assert 0 <= float(bar["x"]) <= float(bar["x"]) + float(bar["width"]) <= width


def test_without_modules_there_is_no_such_section() -> None:
    page = read(make_report())
    assert "What changing each part brought" not in page.said
    assert "modules-wide" not in charts(page)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e9, float("nan")])
def test_one_module_is_drawn_whatever_it_brought(value: float) -> None:
    page = read(replace(make_report(), modules=(ModuleRow("<window>", value, 1),)))
    assert "modules-wide" in charts(page)
    assert "<window>" not in page.text


def test_of_many_modules_the_best_and_the_worst_are_drawn() -> None:
    many = [ModuleRow(f"helper:{n}.py", 50.0 - n, 1) for n in range(100)]
    chart = charts(read(replace(make_report(), modules=many)))["modules-wide"]
    names = chart.said("text")[::2]
    assert len(names) == BEST + WORST
    assert (names[0], names[-1]) == ("helper:0.py", "helper:99.py")
    assert "100 modules" in chart.said("desc")[0]
