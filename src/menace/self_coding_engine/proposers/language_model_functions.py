"""Puts whole functions in the place of those of the same name, and leaves the rest as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.self_coding_engine.nesting import parsed
from menace.self_coding_engine.proposers.language_model_endpoint import Fault, LanguageModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import libcst as cst

    Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


def replace_functions(source: str, codes: Sequence[str]) -> str:
    r"""Replace functions by name, methods by class and name; add new functions and imports.

    A function brings its decorators. The comments and empty lines above the old one stay, and so
    does every other character of the file.

    Parameters
    ----------
    codes
        Texts with nothing but imports, functions, and classes with methods at their top level.

    Raises
    ------
    LanguageModelError
        ``MALFORMED``: something else at the top level, no valid Python, a name that the file has
        twice, or a class that it does not have.

    Examples
    --------
    >>> old = "LIMIT = 3\n\n# Doubles.\ndef twice(x):\n    return x + x + x\n"
    >>> print(replace_functions(old, ["def twice(x):\n    return 2 * x\n"]), end="")
    LIMIT = 3
    <BLANKLINE>
    # Doubles.
    def twice(x):
        return 2 * x
    """
    import libcst as cst

    try:
        for text in (source, *codes):
            parsed(text)
        module = cst.parse_module(source)
        parts = [cst.parse_module(code) for code in codes]
    except (SyntaxError, cst.ParserSyntaxError) as error:
        said = error.message if isinstance(error, cst.ParserSyntaxError) else str(error)
        raise _malformed(f"a fence holds no valid Python: {said}.") from None
    body = list(module.body)
    for statement in (statement for part in parts for statement in part.body):
        if isinstance(statement, cst.FunctionDef):
            body = _with_function(body, statement)
        elif isinstance(statement, cst.ClassDef):
            body = _with_methods(body, statement)
        elif _is_import(statement):
            body = _with_import(module, body, statement)
        elif not _is_docstring(statement):
            raise _malformed(
                "a fence holds more than functions and imports; use SEARCH/REPLACE blocks for"
                " other code."
            )
    return module.with_changes(body=body).code


def _with_function(body: list[Statement], new: cst.FunctionDef) -> list[Statement]:
    import libcst as cst

    at = _place(body, new.name.value)
    if at is None:
        lines = [cst.EmptyLine(indent=False), cst.EmptyLine(indent=False)]
        return [*body, new.with_changes(leading_lines=lines if body else [])]
    return [*body[:at], _dressed(new, body[at]), *body[at + 1 :]]


def _with_methods(body: list[Statement], new: cst.ClassDef) -> list[Statement]:
    import libcst as cst

    name = new.name.value
    places = [
        at
        for at, statement in enumerate(body)
        if isinstance(statement, cst.ClassDef) and statement.name.value == name
    ]
    if len(places) != 1:
        raise _malformed(f"the file has {len(places)} classes {name!r}: use SEARCH/REPLACE blocks.")
    old = body[places[0]]
    if not isinstance(old, cst.ClassDef):
        raise _malformed(f"{name!r} is no class.")
    members = list(old.body.body)
    for statement in new.body.body:
        if not isinstance(statement, cst.FunctionDef):
            if _is_docstring(statement) or _is_ellipsis(statement):
                continue
            raise _malformed(f"class {name!r} may only hold methods; use SEARCH/REPLACE blocks.")
        at = _place(members, statement.name.value)
        if at is None:
            members.append(statement.with_changes(leading_lines=[cst.EmptyLine(indent=False)]))
        else:
            members[at] = _dressed(statement, members[at])
    changed = old.with_changes(body=old.body.with_changes(body=members))
    return [*body[: places[0]], changed, *body[places[0] + 1 :]]


def _place(body: Sequence[cst.CSTNode], name: str) -> int | None:
    import libcst as cst

    places = [
        at
        for at, statement in enumerate(body)
        if isinstance(statement, cst.FunctionDef) and statement.name.value == name
    ]
    if len(places) > 1:
        raise _malformed(
            f"the file has {len(places)} functions {name!r}: use SEARCH/REPLACE blocks."
        )
    return places[0] if places else None


def _dressed(new: cst.FunctionDef, old: cst.CSTNode) -> cst.FunctionDef:
    import libcst as cst

    if not isinstance(old, cst.FunctionDef):
        raise _malformed(f"{new.name.value!r} is no function.")
    return new.with_changes(leading_lines=old.leading_lines)


def _with_import(
    module: cst.Module,
    body: list[Statement],
    new: Statement,
) -> list[Statement]:
    """Add an import that the file does not have, after its last one."""
    bare = new.with_changes(leading_lines=[])
    text = module.code_for_node(bare).strip()
    imports = [at for at, statement in enumerate(body) if _is_import(statement)]
    for at in imports:
        known = body[at].with_changes(leading_lines=[])
        if module.code_for_node(known).strip() == text:
            return body
    docstring = bool(body) and _is_docstring(body[0])
    at = imports[-1] + 1 if imports else int(docstring)
    return [*body[:at], bare, *body[at:]]


def _is_import(statement: cst.CSTNode) -> bool:
    import libcst as cst

    return isinstance(statement, cst.SimpleStatementLine) and all(
        isinstance(part, cst.Import | cst.ImportFrom) for part in statement.body
    )


def _is_docstring(statement: cst.CSTNode) -> bool:
    import libcst as cst

    return (
        isinstance(statement, cst.SimpleStatementLine)
        and len(statement.body) == 1
        and isinstance(statement.body[0], cst.Expr)
        and isinstance(statement.body[0].value, cst.SimpleString | cst.ConcatenatedString)
    )


def _is_ellipsis(statement: cst.CSTNode) -> bool:
    import libcst as cst

    return (
        isinstance(statement, cst.SimpleStatementLine)
        and len(statement.body) == 1
        and isinstance(statement.body[0], cst.Expr)
        and isinstance(statement.body[0].value, cst.Ellipsis)
    )


def _malformed(problem: str) -> LanguageModelError:
    return LanguageModelError(Fault.MALFORMED, problem)
