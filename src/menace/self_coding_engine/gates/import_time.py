"""What a text does while it is imported, beyond naming functions, classes and constants."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeGuard

from menace.self_coding_engine.gates.names import Use, dotted
from menace.self_coding_engine.gates.vocabulary import HARMLESS_CALLS, HARMLESS_DECORATORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PLAIN = (
    ast.Constant,
    ast.Name,
    ast.Attribute,
    ast.Tuple,
    ast.List,
    ast.Set,
    ast.Dict,
    ast.UnaryOp,
    ast.BinOp,
    ast.Compare,
    ast.BoolOp,
    ast.IfExp,
    ast.Subscript,
    ast.Slice,
    ast.Starred,
    ast.Lambda,
    ast.JoinedStr,
    ast.FormattedValue,
)
"""Expressions that run no code of others; a comprehension runs what it iterates."""


def uses_at_import(tree: ast.Module, names: Mapping[str, str]) -> Iterator[Use]:
    r"""List statements, decorators and default values that do something at import.

    Parameters
    ----------
    names
        Name in the text → dotted name of what an import has bound to it.

    Examples
    --------
    >>> tree = ast.parse("LIMIT = 3\nprint(LIMIT)")
    >>> [use.line for use in uses_at_import(tree, {})]
    [2]
    """
    yield from _body(tree.body, names)
    wrappers = {statement.name for statement in tree.body if _only_wraps(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if not (isinstance(decorator, ast.Name) and decorator.id in wrappers):
                    yield from _decorator(decorator, names)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            defaults = [*node.args.defaults, *node.args.kw_defaults]
            for default in (default for default in defaults if default is not None):
                yield from _value(default, names, "a default value")
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield from _value(node.annotation, names, "an annotation")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield from _value(node.returns, names, "an annotation")


def _body(body: Sequence[ast.stmt], names: Mapping[str, str]) -> Iterator[Use]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _class(statement, names)
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            yield from _assignment(statement, names)
        elif isinstance(statement, ast.If) and _only_for_checkers(statement):
            continue
        elif not _only_names(statement):
            text = ast.unparse(statement).partition("\n")[0][:80]
            yield Use(f"at import: {ast.dump(statement)}", statement.lineno, f"{text!r} {_WHEN}")


_WHEN = "runs when the file is imported"


def _only_names(statement: ast.stmt) -> bool:
    names = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.Pass
    if isinstance(statement, names):
        return True
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _only_for_checkers(statement: ast.If) -> bool:
    checked = ast.unparse(statement.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
    return checked and not statement.orelse and all(map(_only_names, statement.body))


def _class(node: ast.ClassDef, names: Mapping[str, str]) -> Iterator[Use]:
    for keyword in node.keywords:
        text = f"{keyword.arg}={ast.unparse(keyword.value)}"
        yield Use(f"class ({text})", node.lineno, f"class {node.name} is made by {text}")
    for base in node.bases:
        yield from _value(base, names, "a base class")
    yield from _body(node.body, names)


def _assignment(
    statement: ast.Assign | ast.AnnAssign | ast.AugAssign, names: Mapping[str, str]
) -> Iterator[Use]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Attribute | ast.Subscript):
                text = ast.unparse(node)
                yield Use(f"at import: {text} =", node.lineno, f"a change of {text} {_WHEN}")
    if statement.value is not None:
        yield from _value(statement.value, names, "a constant")


def _value(value: ast.expr, names: Mapping[str, str], what: str) -> Iterator[Use]:
    """Look for calls, and whatever else runs, in an expression."""
    waiting: list[ast.AST] = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Lambda):
            continue  # it runs later, and is read like any function
        if isinstance(node, ast.Call) and _is_harmless_call(node, names):
            waiting += [*node.args, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.expr) and not isinstance(node, _PLAIN):
            text = ast.unparse(node)[:80]
            key = f"at import: {what}: {ast.dump(node)}"
            yield Use(key, node.lineno, f"{text!r}, in {what}, {_WHEN}")
        else:
            waiting += ast.iter_child_nodes(node)


def _is_harmless_call(node: ast.Call, names: Mapping[str, str]) -> bool:
    """Whether a call only makes a value; ``lru_cache(maxsize=9)(parse)`` does, too."""
    called: ast.expr = node.func
    if isinstance(called, ast.Call) and _name_of(called.func, names) == "functools.lru_cache":
        arguments = [*called.args, *(keyword.value for keyword in called.keywords)]
        return all(isinstance(argument, ast.Constant) for argument in arguments)
    return _name_of(called, names) in HARMLESS_CALLS


def _decorator(decorator: ast.expr, names: Mapping[str, str]) -> Iterator[Use]:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    text = ast.unparse(decorator)
    accessor = isinstance(called, ast.Attribute) and called.attr in {"setter", "getter", "deleter"}
    if _name_of(called, names) not in HARMLESS_DECORATORS and not accessor:
        yield Use(f"@{text}", decorator.lineno, f"the decorator {text} {_WHEN}")
    elif isinstance(decorator, ast.Call):
        for argument in (*decorator.args, *(keyword.value for keyword in decorator.keywords)):
            yield from _value(argument, names, "a decorator")


def _only_wraps(statement: ast.stmt) -> TypeGuard[ast.FunctionDef]:
    """Whether a function, as a decorator, does no more than to define another and return it."""
    if not isinstance(statement, ast.FunctionDef):
        return False
    inner = statement.body[1:] if ast.get_docstring(statement) is not None else statement.body
    return (
        len(inner) == 2
        and isinstance(inner[0], ast.FunctionDef)
        and isinstance(inner[1], ast.Return)
        and isinstance(inner[1].value, ast.Name)
        and inner[1].value.id == inner[0].name
    )


def _name_of(node: ast.expr, names: Mapping[str, str]) -> str:
    return dotted(node, names) or ast.unparse(node)
