"""The gates that a proposed text has to pass, in order, the cheap ones first."""

from menace.self_coding_engine.gates.allowed_files import AllowedFilesGate
from menace.self_coding_engine.gates.candidate import Candidate, Gate, run_gates
from menace.self_coding_engine.gates.constructs import ConstructGate
from menace.self_coding_engine.gates.differential import DifferentialGate
from menace.self_coding_engine.gates.figures import QualityComparison, QualityGate, SpeedGate
from menace.self_coding_engine.gates.imports import ImportGate
from menace.self_coding_engine.gates.mutation_score import MutationScoreGate, mutation_score
from menace.self_coding_engine.gates.parsing import ParseGate
from menace.self_coding_engine.gates.testing import HiddenTestGate, TestGate

__all__ = [
    "AllowedFilesGate",
    "Candidate",
    "ConstructGate",
    "DifferentialGate",
    "Gate",
    "HiddenTestGate",
    "ImportGate",
    "MutationScoreGate",
    "ParseGate",
    "QualityComparison",
    "QualityGate",
    "SpeedGate",
    "TestGate",
    "mutation_score",
    "run_gates",
]
