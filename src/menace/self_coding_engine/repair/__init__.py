"""Repairs functions whose tests fail, by small edits, without a language model."""

from __future__ import annotations

from menace.self_coding_engine.repair.mutants import Mutant, mutants
from menace.self_coding_engine.repair.operators import OPERATORS, Operator

__all__ = ["OPERATORS", "Mutant", "Operator", "mutants"]
