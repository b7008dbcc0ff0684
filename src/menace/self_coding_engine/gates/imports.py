"""The gate *imports*: nothing is imported anew but what is harmless, or what somebody allowed."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from menace.patches import GateReport
from menace.self_coding_engine.gates.vocabulary import (
    CLOSED_SUBMODULES,
    HARMLESS_MODULES,
    SENSITIVE_MODULES,
    TEST_MODULES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from menace.self_coding_engine.gates.candidate import Candidate

    Imported = tuple[str, str]


class ImportGate:
    """Refuses new imports outside of an allow-list.

    Allowed is what the file imports already, name by name; the harmless part of the standard
    library, NumPy and pandas; what the other targets import, unless it is sensitive; and what the
    user allows, with all that lies below it. Test frameworks are never allowed anew.

    Parameters
    ----------
    targets
        The user's patterns of targets, relative to the repository.
    allow
        Modules that the user allows.
    """

    name = "imports"

    def __init__(self, targets: Sequence[str] = (), *, allow: Sequence[str] = ()) -> None:
        self._targets, self._allow = tuple(targets), tuple(allow)

    def judge(self, candidate: Candidate) -> GateReport:
        """Compare the imports of both texts, wherever in them they stand."""
        had = set(_imports(ast.parse(candidate.before)))
        new = {
            imported: line
            for imported, line in _imports(ast.parse(candidate.after)).items()
            if imported not in had
        }
        others: set[str] | None = None
        for imported, line in sorted(new.items(), key=lambda item: item[1]):
            if others is None:
                others = _modules_of(self._others(candidate))
            trouble = self._trouble(imported, others)
            if trouble:
                return GateReport(
                    self.name, False, f"line {line}: {trouble}", {"imported": _shown(imported)}
                )
        names = sorted(map(_shown, new))
        reason = f"new and allowed: {', '.join(names)}" if names else "it imports nothing new"
        return GateReport(self.name, True, reason, {"imported": names})

    def _trouble(self, imported: Imported, others: set[str]) -> str | None:
        module, name = imported
        full, root = f"{module}.{name}" if name else module, module.partition(".")[0]
        if root in TEST_MODULES:
            return f"it imports {full}, which is for tests"
        if any(_below(full, allowed) for allowed in self._allow):
            return None
        if name == "*":
            return f"it imports everything of {module}"
        if module.startswith("."):
            return f"it imports {full} from its own package, which no other text did"
        parts = full.split(".")
        if any(_below(full, closed) for closed in CLOSED_SUBMODULES):
            return f"it imports {full}, which reaches files, or the interpreter"
        if any(part.lstrip("_") in SENSITIVE_MODULES for part in parts):
            return f"it imports {full}, which reaches beyond the file"
        if any(part.startswith("_") and part != "__future__" for part in parts):
            return f"it imports {full}, which is private to {root}"
        if any(_below(module, harmless) for harmless in HARMLESS_MODULES):
            return None
        if module in others:
            return None
        return f"it imports {full}, which is not allowed (allow_imports)"

    def _others(self, candidate: Candidate) -> Iterable[Path]:
        for pattern in self._targets:
            for path in sorted(candidate.root.glob(pattern)):
                if path != candidate.root / candidate.target and path.is_file():
                    yield path


def _modules_of(paths: Iterable[Path]) -> set[str]:
    modules: set[str] = set()
    for path in paths:
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError):
            continue  # it cannot be read, so it allows nothing
        modules |= {module for module, _ in _imports(tree) if not module.startswith(".")}
    return modules


def _imports(tree: ast.AST) -> dict[Imported, int]:
    """Map module and name to the line; a name is empty where the whole module is imported."""
    found: dict[Imported, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault((alias.name, ""), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                found.setdefault((module, alias.name), node.lineno)
    return found


def _below(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(f"{allowed}.")


def _shown(imported: Imported) -> str:
    module, name = imported
    return f"{module}.{name}" if name else module
