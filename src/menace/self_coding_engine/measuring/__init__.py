"""Times two texts of a file against each other, from outside the code that is timed."""

from menace.self_coding_engine.measuring.figures import compare_figures
from menace.self_coding_engine.measuring.paired import PairedSettings, SpeedComparison
from menace.self_coding_engine.measuring.speed import SpeedBench, compare_speed

__all__ = [
    "PairedSettings",
    "SpeedBench",
    "SpeedComparison",
    "compare_figures",
    "compare_speed",
]
