"""Which modules of a bot a challenger changes, and what it would be without one of the changes.

================================  =============================================================
module                            changed where
================================  =============================================================
``window``                        the rows that the model was fitted on are others
``features:number`` and the like  a column of that kind was added, dropped or is encoded otherwise
``family:lightgbm`` and the like  the model is of that family and the champion of another, or it
                                  is put together from other members
``params:learning``               learning rate or rounds differ
``params:trees``                  the shape of the trees differs: leaves, their least size, how
                                  they are split
``params:recency``                how much newer rows weigh differs
``params:regularisation``         any other parameter differs
``helper:helpers/features.py``    the text of the feature helper differs
``search``                        a search was paid for that changed no family and no parameter
``model``                         there was no champion to compare with
================================  =============================================================

Codes of categories that come and go with the window belong to ``window``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from menace.model_automation_pipeline.families import Candidate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from menace.records import Json

WHOLE = "model"
WINDOW = "window"
SEARCH = "search"
GROUPS = {
    "learning_rate": "params:learning",
    "rounds": "params:learning",
    "num_leaves": "params:trees",
    "min_data_in_leaf": "params:trees",
    "max_depth": "params:trees",
    "extra_trees": "params:trees",
    "categories": "params:trees",
    "half_life": "params:recency",
}
OTHER_PARAMS = "params:regularisation"
_LEARNED = ("categories",)


def changed_modules(champion: Mapping[str, Any] | None, challenger: Mapping[str, Any]) -> list[str]:
    """Compare two manifests.

    Parameters
    ----------
    champion
        The champion's manifest; ``None`` where there is none that could be compared.
    challenger
        The challenger's.

    Returns
    -------
    list of str
        Names, sorted; empty where nothing differs.

    Examples
    --------
    >>> champion = {"family": "linear", "params": {"strength": 1.0}, "training": {"last_row": 500}}
    >>> changed_modules(champion, {**champion, "training": {"last_row": 600}})
    ['window']
    >>> changed_modules(champion, {**champion, "params": {"strength": 9.0}, "search": {}})
    ['params:regularisation']
    """
    if champion is None or champion.get("target") != challenger.get("target"):
        return [WHOLE]
    changed = configuration_changes(_configuration(champion), _configuration(challenger))
    if champion.get("members") != challenger.get("members"):
        changed = {f"family:{challenger.get('family')}"}
    if challenger.get("search") is not None and not changed:
        changed.add(SEARCH)
    if _rows(champion) != _rows(challenger):
        changed.add(WINDOW)
    changed |= _feature_changes(champion.get("features"), challenger.get("features"))
    changed |= _code_changes(champion.get("code") or {}, challenger.get("code") or {})
    return sorted(changed)


def configuration_changes(champion: Candidate, challenger: Candidate) -> set[str]:
    """Name the family or the groups of parameters in which two configurations differ."""
    if not _same_kind(champion, challenger):
        return {f"family:{challenger.family}"}
    return {
        GROUPS.get(name, OTHER_PARAMS)
        for name in champion.params.keys() | challenger.params.keys()
        if champion.params.get(name) != challenger.params.get(name)
    }


def reverted(champion: Candidate, challenger: Candidate) -> dict[str, Candidate]:
    """Give, for each changed part of a configuration, the challenger without that change.

    A change of family takes all parameters with it, so that without it the champion is left.

    Examples
    --------
    >>> old = Candidate("lightgbm", {"learning_rate": 0.1, "num_leaves": 31})
    >>> new = Candidate("lightgbm", {"learning_rate": 0.2, "num_leaves": 8})
    >>> dict(reverted(old, new)["params:trees"].params)
    {'learning_rate': 0.2, 'num_leaves': 31}
    """
    return {
        module: champion
        if not _same_kind(champion, challenger)
        else replace(challenger, params=_without(module, champion.params, challenger.params))
        for module in sorted(configuration_changes(champion, challenger))
    }


def promise(champion: Candidate, candidate: Candidate, trends: Mapping[str, float]) -> float:
    """Say how much there is to be hoped for from what a configuration changes, −1..1.

    The mean of the modules' ROI trends, each held within ±1; 0 for a module without a trend, and
    where nothing changes. A search tries configurations of greater promise first.

    Examples
    --------
    >>> old = Candidate("lightgbm", {"learning_rate": 0.1, "num_leaves": 31})
    >>> new = Candidate("lightgbm", {"learning_rate": 0.1, "num_leaves": 8})
    >>> promise(old, new, {"params:trees": 0.5}), promise(old, new, {"params:trees": -9.0})
    (0.5, -1.0)
    """
    changes = configuration_changes(champion, candidate)
    hopes = [max(-1.0, min(1.0, trends.get(module, 0.0))) for module in changes]
    return sum(hopes) / len(hopes) if hopes else 0.0


def _same_kind(champion: Candidate, challenger: Candidate) -> bool:
    """Whether two configurations differ in nothing but their parameters."""
    return replace(champion, params={}) == replace(challenger, params={})


def _without(module: str, old: Mapping[str, float], new: Mapping[str, float]) -> dict[str, float]:
    kept = {name: value for name, value in new.items() if GROUPS.get(name, OTHER_PARAMS) != module}
    back = {name: value for name, value in old.items() if GROUPS.get(name, OTHER_PARAMS) == module}
    return {**kept, **back}


def _configuration(manifest: Mapping[str, Any]) -> Candidate:
    params = manifest.get("params")
    return Candidate(str(manifest.get("family")), params if isinstance(params, dict) else {})


def _rows(manifest: Mapping[str, Any]) -> Any:
    training = manifest.get("training")
    return (
        {} if training is None else {name: training.get(name) for name in ("first_row", "last_row")}
    )


def _feature_changes(old: Any, new: Any) -> set[str]:
    before, after = _columns(old), _columns(new)
    differing = {
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    }
    return {
        f"features:{columns[name].get('kind', 'other')}"
        for name in differing
        for columns in (before, after)
        if name in columns
    }


def _code_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    if old.get("sha256") == new.get("sha256"):
        return set()
    return {f"helper:{new.get('path', old.get('path'))}"}


def _columns(features: Any) -> dict[str, Json]:
    """Columns by name, without what is learned anew from each window."""
    if not isinstance(features, list):
        return {}
    return {
        str(column.get("name")): {k: v for k, v in column.items() if k not in _LEARNED}
        for column in features
        if isinstance(column, dict)
    }
