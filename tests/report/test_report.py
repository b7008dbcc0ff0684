from __future__ import annotations

import base64
import hashlib
import json
import math
import random
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

import pytest

from menace.errors import ReportError
from menace.report import (
    CyclePoint,
    DecisionPoint,
    Fact,
    Report,
    StrategyRow,
    TickPoint,
    VersionSpan,
    render_report,
    write_report,
)

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("never", "always", "best calendar", "menace", "hindsight")
HOSTILE = "</script><script>alert('\x00&\ud800')</script>"


@dataclass
class Page(HTMLParser):
    """A page, read strictly: every element is closed by its own end tag."""

    text: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.text)
        self.close()
        assert self.open_tags == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open_tags and "style" not in self.open_tags:
            self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> dict[str, Any]:
        found = re.search(r'id="report-data">(.*?)</script>', self.text, re.DOTALL)
        assert found is not None
        parsed: dict[str, Any] = json.loads(found[1])
        return parsed


@dataclass
class Chart:
    """An SVG, read as XML: its elements with their attributes, and its texts by element."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def classed(self, name: str) -> list[dict[str, str]]:
        return [item for _, item in self.elements if name in item.get("class", "").split()]

    def said(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def charts(page: Page) -> dict[str, Chart]:
    found = {}
    for text in re.findall(r"<svg .*?</svg>", page.text, re.DOTALL):
        chart = Chart()
        open_tags: list[str] = []
        parser = expat.ParserCreate()

        def start(
            name: str, attributes: dict[str, str], chart: Chart = chart, path: list[str] = open_tags
        ) -> None:
            path.append(name)
            chart.elements.append((name, attributes))
            chart.texts.append((name, ""))

        def said(data: str, chart: Chart = chart, path: list[str] = open_tags) -> None:
            name, before = chart.texts[-1]
            assert name == path[-1]
            chart.texts[-1] = (name, before + data)

        def end(_: str, path: list[str] = open_tags) -> None:
            path.pop()

        parser.StartElementHandler = start
        parser.CharacterDataHandler = said
        parser.EndElementHandler = end
        parser.Parse(text.encode("utf-8"), True)
        root = chart.elements[0][1]
        found[f"{root['data-kind']}-{root['class']}"] = chart
    return found


def read(report: Report) -> Page:
    return Page(render_report(report))


def make_report(count: int = 100, *, bot: str = "bikes", label: str = "week {}") -> Report:
    """A stream that decays and is mended every tenth tick, and now and then rolled back."""
    rng = random.Random(3)
    ticks, decisions, cycles, spans = [], [], [], []
    totals = dict.fromkeys(NAMES, 0.0)
    start, version, newest = 0, 1, 1
    for tick in range(count):
        age = tick - start
        loss = 0.05 + 0.01 * age + 0.02 * rng.random()
        for position, name in enumerate(NAMES):
            totals[name] += loss * (5 - position)
        ticks.append(TickPoint(tick * 168, label.format(tick), loss, version, dict(totals)))
        run = tick % 10 == 9 and tick < count - 1
        inputs = {"debt_usd": 0.5 + tick, "cycle_cost_usd": 0.25, "age_ticks": age}
        reason = "policy: the debt outweighs a cycle" if run else "policy: wait"
        decisions.append(DecisionPoint(tick, run, reason, inputs))
        if not run:
            continue
        outcome = ("promoted", "rejected", "promoted", "rolled_back")[tick // 10 % 4]
        roi = None if tick > count - 12 else rng.uniform(-1, 3)
        if outcome != "rejected":
            spans.append(VersionSpan(version, start, tick))
            newest += outcome == "promoted"
            version = newest if outcome == "promoted" else max(1, version - 1)
            start = tick + 1
        made = None if outcome == "rejected" else version
        cycles.append(CyclePoint(tick, outcome, roi, made, 0.25, None if roi is None else 0.5))
    spans.append(VersionSpan(version, start, count - 1))
    rows = [
        StrategyRow(
            name=name,
            loss_usd=total * 0.9,
            cycle_usd=total * 0.1,
            total_usd=total,
            cycles=3,
            is_menace=name == "menace",
            is_hindsight=name == "hindsight",
        )
        for name, total in totals.items()
    ]
    return Report(
        title="Bike rentals",
        subtitle="Two years.",
        generated_at="2025-01-01T00:00:00Z",
        bot=bot,
        ticks=ticks,
        decisions=decisions,
        cycles=cycles,
        versions=spans,
        strategies=rows,
        economics=[Fact("a wrong prediction", "$0.01")],
        environment=[Fact("Python", "3.13")],
        tick_name="week",
        loss_name="error rate",
        loss_is_share=True,
    )


def test_the_page_has_every_chart_in_both_sizes_with_a_title_and_a_description() -> None:
    found = charts(read(make_report()))
    kinds = ("loss", "versions", "roi", "usd", "gap")
    assert set(found) == {f"{kind}-{size}" for kind in kinds for size in ("wide", "compact")}
    for chart in found.values():
        root = chart.elements[0][1]
        assert root["role"] == "img"
        assert {"viewBox", "xmlns"} <= set(root)
        identities = {item.get("id") for _, item in chart.elements}
        assert set(root["aria-labelledby"].split()) <= identities
        assert all(chart.said(name)[0] for name in ("title", "desc"))


def test_ids_are_unique() -> None:
    identities = [item["id"] for _, item in read(make_report()).elements if "id" in item]
    assert len(identities) == len(set(identities))


def test_nothing_is_fetched_and_only_the_pages_own_script_may_run() -> None:
    page = read(make_report())
    assert not page.named("img")
    assert [link["href"] for link in page.named("link")] == ["data:,"]
    assert all("src" not in script for script in page.named("script"))
    body = re.sub(
        r'xmlns="http://www.w3.org/2000/svg"|"http://www.w3.org/2000/svg";', "", page.text
    )
    assert "http://" not in body
    assert "https://" not in body
    assert "url(" not in re.sub(r"url\(#gap-\w+-clip\)", "", body)
    (policy,) = [
        item["content"] or ""
        for item in page.named("meta")
        if item.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'")
    script = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_hostile_names_are_shown_and_never_run() -> None:
    base = make_report(40, bot=HOSTILE, label=HOSTILE + "{}")
    hostile = replace(
        base,
        title=HOSTILE,
        subtitle=HOSTILE,
        generated_at=HOSTILE,
        tick_name=HOSTILE,
        loss_name=HOSTILE,
        decisions=[
            DecisionPoint(
                item.tick, item.run, HOSTILE, {HOSTILE: HOSTILE, "n": {HOSTILE: [HOSTILE]}}
            )
            for item in base.decisions
        ],
        ticks=[
            replace(tick, cumulated_usd={f"{HOSTILE}{name}": 1.0 for name in NAMES})
            for tick in base.ticks
        ],
        strategies=[
            replace(row, name=f"{HOSTILE}{row.name}", note=HOSTILE) for row in base.strategies
        ],
        economics=[Fact(HOSTILE, HOSTILE)],
        environment=[Fact(HOSTILE, HOSTILE)],
    )
    page = read(hostile)
    page.text.encode("utf-8")
    assert len(page.named("script")) == len(read(base).named("script")) == 2
    assert page.text.count("</script>") == 2
    assert "<script>alert" not in page.text
    assert "</script><script>alert(" in page.said
    assert len(charts(page)) == 10
    assert page.data["names"][0].startswith("</script>")


def test_each_cycle_is_marked_with_its_outcome_and_why_it_was_run() -> None:
    report = make_report()
    loss = charts(read(report))["loss-wide"]
    for outcome in ("promoted", "rejected", "rolled_back"):
        expected = sum(cycle.outcome == outcome for cycle in report.cycles)
        marks = [item for item in loss.classed(outcome) if "mark" in item["class"]]
        # One more stands beside the lane's label.
        assert len(marks) == expected + 1
        assert f"{expected} {outcome.replace('_', ' ')}" in loss.said("text")
    told = " ".join(loss.said("title"))
    assert "week 9: promoted v2" in told
    assert "Why: run: policy: the debt outweighs a cycle (debt $9.50; a cycle costs $0.25" in told


def test_failed_cycles_get_a_lane_only_where_there_are_some() -> None:
    report = make_report(30)
    assert not charts(read(report))["loss-wide"].classed("failed")
    failed = replace(report, cycles=[CyclePoint(5, "failed", cost_usd=0.1)])
    assert len(charts(read(failed))["loss-wide"].classed("failed")) == 2


def test_every_strategy_is_named_at_the_end_of_its_line_and_menace_stands_out() -> None:
    report = make_report()
    usd = charts(read(report))["usd-wide"]
    labels = [text for text in usd.said("text") if "$" in text]
    for row in report.strategies:
        assert any(text.startswith(f"{row.name} $") for text in labels)
    (own,) = [item for item in usd.classed("s-menace") if "label" in item["class"]]
    assert "strong" in own["class"].split()


def test_labels_at_the_line_ends_do_not_overlap() -> None:
    report = make_report(10)
    same = dict.fromkeys(NAMES, 1.0)
    crowded = replace(report, ticks=[replace(tick, cumulated_usd=same) for tick in report.ticks])
    labels = charts(read(crowded))["usd-wide"].classed("label")
    places = sorted(float(item["y"]) for item in labels)
    assert len(places) == len(NAMES)
    assert min(after - before for before, after in pairwise(places)) >= 16


def test_settled_cycles_are_bars_on_their_side_of_zero_and_open_ones_are_rings() -> None:
    cycles = [
        CyclePoint(1, "promoted", 2.0, 2, 0.1, 0.5),
        CyclePoint(3, "rejected", -1.0, None, 0.1, 0.0),
        CyclePoint(5, "promoted", None, 3, 0.1),
        CyclePoint(7, "failed", None, None, 0.1),
    ]
    roi = charts(read(replace(make_report(10), cycles=cycles)))["roi-wide"]
    assert len(roi.classed("paid")) - 1 == len(roi.classed("lost")) - 1 == 1
    assert len(roi.classed("ring")) == 1
    (up, down) = [item for name, item in roi.elements if name == "rect"]
    assert float(up["y"]) + float(up["height"]) == pytest.approx(float(down["y"]), abs=0.11)
    assert roi.said("text").count("1 paid") == 1


def test_a_version_that_comes_back_is_set_apart() -> None:
    spans = [VersionSpan(1, 0, 3), VersionSpan(2, 4, 6), VersionSpan(1, 7, 9)]
    chart = charts(read(replace(make_report(10), versions=spans)))["versions-wide"]
    assert len(chart.classed("span")) == 3
    assert len(chart.classed("back")) == 2
    assert "rolled back to v1: week 7 to week 9, 3 weeks" in chart.said("title")
    assert {"v1 serves", "2 versions", "1 rollback"} <= set(chart.said("text"))


def test_the_head_compares_with_the_strategies_that_are_drawn_and_the_table_with_all() -> None:
    report = make_report()
    more = StrategyRow("every full moon", 900.0, 80.0, 980.0, 8)
    page = Page(render_report(replace(report, strategies=[*report.strategies, more])))
    assert page.said.count("every full moon") == 1
    assert "against never" in page.said


def test_the_verdict_says_so_where_menace_did_worse() -> None:
    rows = [
        StrategyRow("never", 8.0, 0.0, 8.0, 0),
        StrategyRow("menace", 9.0, 1.0, 10.0, 4, is_menace=True),
        StrategyRow("always", 10.0, 5.0, 15.0, 9),
    ]
    said = read(replace(make_report(10), strategies=rows)).said
    assert "menace cost $10.00 : $2.00 more than never, and $5.00 less than always." in said
    assert "+25.0 % above $8.00" in said
    assert "−33.3 % below $15.00" in said


def test_the_last_decisions_are_listed_newest_first_with_their_inputs_and_results() -> None:
    said = read(make_report()).said
    table = said[said.index("The last decisions") :]
    assert table.index("week 99") < table.index("week 98") < table.index("week 89")
    assert "debt $89.50; a cycle costs $0.25; age 9 ticks" in table
    assert "week 50" not in table


def test_decisions_with_many_inputs_fold_the_rest_away() -> None:
    inputs = {f"input_{index}": index for index in range(1, 21)}
    report = replace(make_report(3), decisions=[DecisionPoint(2, False, "policy", inputs)])
    page = read(report)
    assert len(page.named("details")) == 1
    assert "14 more" in page.said
    assert "input 20 20" in page.said


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_few_ticks_draw_as_well_as_many(count: int) -> None:
    page = read(make_report(count))
    assert len(charts(page)) >= 8
    assert len(page.data["ticks"]) == count


def test_a_bot_without_anything_says_so() -> None:
    page = read(Report("Nothing", "yet", "2025-01-01", "alpha"))
    assert charts(page) == {}
    assert "Nothing to show yet." in page.said
    assert page.data["ticks"] == []


def test_a_run_without_cycles_shows_its_losses() -> None:
    found = charts(read(replace(make_report(20), cycles=[], decisions=[])))
    assert "loss-wide" in found
    assert "roi-wide" not in found


def test_unknown_numbers_become_gaps_and_dashes_never_nan() -> None:
    report = make_report(40)
    holes = [math.nan, math.inf, -math.inf, None]
    ticks = [
        replace(
            tick,
            loss=holes[index % 4] if index % 3 == 0 else tick.loss,
            cumulated_usd={**tick.cumulated_usd, "always": holes[index % 4]},
        )
        for index, tick in enumerate(report.ticks)
    ]
    rows = [replace(row, loss_usd=math.nan, total_usd=math.inf) for row in report.strategies]
    cycles = [replace(cycle, roi_delta=math.nan) for cycle in report.cycles]
    page = read(replace(report, ticks=ticks, strategies=rows, cycles=cycles))
    drawn = re.sub(r"<(script|style).*?</\1>", "", page.text, flags=re.DOTALL)
    assert not re.search(r"\b(nan|inf|None|Infinity)\b", drawn)
    assert len(charts(page)) == 10
    assert "–" in page.said


def test_a_hundred_ticks_stay_below_400_kb_and_five_thousand_below_a_megabyte() -> None:
    assert len(render_report(make_report(100)).encode()) < 400_000
    long = read(make_report(5000))
    assert len(long.text.encode()) < 1_000_000
    assert len(long.data["ticks"]) <= 700
    for chart in charts(long).values():
        assert all(len(item.get("d", "")) < 20_000 for _, item in chart.elements)


def test_ticks_with_a_cycle_stay_within_reach_of_the_pointer_on_a_long_stream() -> None:
    report = make_report(2000)
    reachable = {tick["i"] for tick in read(report).data["ticks"]}
    assert {cycle.tick for cycle in report.cycles} <= reachable


def test_the_same_report_gives_the_same_page() -> None:
    assert render_report(make_report()) == render_report(make_report())


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, WCAG 2."""

    def luminance(colour: str) -> float:
        shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [
            share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
            for share in shares
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_and_lines_have_enough_contrast_in_light_and_in_dark(scheme: int) -> None:
    style = files("menace.report").joinpath("report.css").read_text(encoding="utf-8")
    colours = dict(
        re.findall(r"--(\w+): (#\w{6})", re.findall(r":root \{(.*?)\}", style, re.S)[scheme])
    )
    written = ["ink", "muted", "menace", "hindsight", "s0", "s1", "s2", "s3", "s4"]
    for name in [*written, "promoted", "rejected", "back", "failed"]:
        for ground in ("page", "card"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def test_a_report_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "made" / "report.html"
    report = make_report(10)
    write_report(path, report)
    write_report(path, report)
    assert path.read_text(encoding="utf-8") == render_report(report)
    assert list(path.parent.iterdir()) == [path]


def test_a_report_that_cannot_be_written_names_the_file_and_leaves_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(ReportError, match=r"report\.html cannot be written") as caught:
        write_report(target, make_report(3))
    assert caught.value.bot == "bikes"
    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(ReportError, match="taken"):
        write_report(tmp_path / "taken" / "report.html", make_report(3))


def test_a_report_that_contradicts_itself_is_refused() -> None:
    report = make_report(10)
    with pytest.raises(ReportError, match="a decision names tick 10, but there are 10 ticks"):
        replace(report, decisions=[DecisionPoint(10, True, "policy")])
    with pytest.raises(ReportError, match="a cycle names tick -1"):
        replace(report, cycles=[CyclePoint(-1, "promoted")])
    with pytest.raises(ReportError, match="the outcome 'lost'"):
        replace(report, cycles=[CyclePoint(1, "lost")])
    with pytest.raises(ReportError, match="version 3 serves from tick 5 to tick 4"):
        replace(report, versions=[VersionSpan(3, 5, 4)])
    twice = [replace(row, is_menace=True) for row in report.strategies[:2]]
    with pytest.raises(ReportError, match="'never' and 'always' are both marked is_menace"):
        replace(report, strategies=twice)
