"""What ``[coding.BOT]`` takes, and how it says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from menace.errors import ConfigError
from menace.self_coding_engine import CodingSettings, SelfCodingEngine, coding_settings


def test_lists_of_a_file_become_settings() -> None:
    settings = coding_settings(
        {"repository": "bots/alpha", "targets": ["helpers/*.py"], "features": "helpers/a.py:make"},
        where="[coding.alpha]",
    )
    assert settings.targets == ("helpers/*.py",)
    assert settings.feature_file == "helpers/a.py"
    assert CodingSettings().feature_file is None


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"target": ["a.py"]}, "unknown setting 'target'"),
        ({"targets": []}, "targets is empty"),
        ({"targets": ["../elsewhere/*.py"]}, "not a Python file below"),
        ({"targets": ["/etc/*.py"]}, "not a Python file below"),
        ({"targets": ["helpers/*.txt"]}, "not a Python file below"),
        ({"tests": "make test"}, "tests is 'make test'"),
        ({"tests": "pytest 'unclosed"}, "No closing quotation"),
        ({"hidden_tests": "python secret.py"}, "hidden_tests is"),
        ({"measure": " "}, "measure is empty"),
        ({"measure": "python 'x"}, "No closing quotation"),
        ({"energy": 101}, "energy is 101"),
        ({"approval": "maybe"}, "approval is 'maybe'"),
        ({"energy_share": 1.5}, "energy_share is 1.5"),
        ({"least_mutation_score": float("nan")}, "least_mutation_score is nan"),
        ({"least_seconds": -1.0}, "least_seconds is -1.0"),
        ({"features": "helpers/features.py"}, "features is"),
        ({"features": "helpers.features:make"}, "features is"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        coding_settings(values, where="[coding.alpha]")
    assert named in caught.value.message
    assert "[coding.alpha]" in caught.value.message
    assert caught.value.remedy


def test_arguments_of_an_engine_stand_above_its_settings() -> None:
    engine = SelfCodingEngine(
        "bots/alpha", ["steps/*.py"], settings=CodingSettings(tests="pytest checks", measure="m")
    )
    assert engine.settings.repository == "bots/alpha"
    assert engine.settings.targets == ("steps/*.py",)
    assert engine.settings.tests == "pytest checks"
    assert engine.settings.measure == "m"
    with pytest.raises(ConfigError, match="tests is"):
        SelfCodingEngine("bots/alpha", tests="rm -r")
