"""Texts compared by a figure that somebody else gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from menace.self_coding_engine.measuring import PairedSettings, compare_figures


class Figures:
    """Gives the figure of a text with noise around it, from a seeded generator."""

    def __init__(self, means: dict[str, float], spread: float, seed: int = 0) -> None:
        self.means, self.spread = means, spread
        self.rng = np.random.default_rng(seed)
        self.asked: list[str] = []

    def __call__(self, text: str) -> float:
        """Measure a text."""
        self.asked.append(text)
        return self.means[text] + self.spread * float(self.rng.normal())


def test_a_figure_without_noise_is_decided_after_two_blocks() -> None:
    figures = Figures({"old": 10.0, "new": 8.0}, spread=0.0)
    found = compare_figures(figures, "old", "new")
    assert found.faster
    assert found.ratio == pytest.approx(0.8)
    assert figures.asked.count("new") == 2
    assert figures.asked.count("old") == 4


def test_a_figure_without_noise_that_hardly_moves_is_no_gain() -> None:
    assert not compare_figures(Figures({"old": 10.0, "new": 9.95}, 0.0), "old", "new").faster


def test_a_gain_beyond_the_noise_is_seen() -> None:
    found = compare_figures(Figures({"old": 10.0, "new": 9.0}, 0.1), "old", "new")
    assert found.faster
    assert found.low < 0.9 < found.high
    assert found.high < 1 / found.noise_floor


def test_a_gain_within_the_noise_is_not() -> None:
    found = compare_figures(Figures({"old": 10.0, "new": 9.9}, 1.0), "old", "new")
    assert not found.faster


def test_figures_below_zero_are_compared_by_their_differences() -> None:
    better = compare_figures(Figures({"old": -1.0, "new": -2.0}, 0.05), "old", "new")
    worse = compare_figures(Figures({"old": -2.0, "new": -1.0}, 0.05), "old", "new")
    assert better.faster
    assert not worse.faster


def test_a_measure_that_runs_out_leaves_it_undecided() -> None:
    left = iter([1.0, 1.1, 1.2])
    found = compare_figures(lambda _text: next(left, None), "old", "new")
    assert not found.faster
    assert found.high == math.inf
    assert found.to_json()["high"] is None


def test_the_texts_alternate_and_the_present_one_comes_twice_per_block() -> None:
    figures = Figures({"old": 5.0, "new": 5.0}, 0.1)
    compare_figures(figures, "old", "new", settings=PairedSettings(looks=(6,)))
    blocks = [figures.asked[start : start + 3] for start in range(0, len(figures.asked), 3)]
    assert all(sorted(block) == ["new", "old", "old"] for block in blocks)
    assert len({tuple(block) for block in blocks}) > 1


def test_the_same_seed_measures_in_the_same_order() -> None:
    runs = [Figures({"old": 5.0, "new": 4.0}, 0.1) for _ in range(2)]
    found = [compare_figures(run, "old", "new", seed=3) for run in runs]
    assert found[0] == found[1]
    assert runs[0].asked == runs[1].asked
