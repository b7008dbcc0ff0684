"""Several models served as one: features and weights that follow the labels, small refits."""

from menace.blending.fixed_share import FixedShare
from menace.blending.lag_features import LagFeatures, dominant_period
from menace.blending.online_stack import OnlineStack
from menace.blending.recent_rates import RecentRates
from menace.blending.recipe import FOUNDATION, REFRESHED, Recipe, Scorer, Trainer, View
from menace.blending.refit_rhythm import RefitRhythm
from menace.blending.stream_blend import StreamBlend

__all__ = [
    "FOUNDATION",
    "REFRESHED",
    "FixedShare",
    "LagFeatures",
    "OnlineStack",
    "RecentRates",
    "Recipe",
    "RefitRhythm",
    "Scorer",
    "StreamBlend",
    "Trainer",
    "View",
    "dominant_period",
]
