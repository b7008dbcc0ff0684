"""Writes generated features into a helper file, and finds them there again.

What is written by hand stays as it is, to the letter: generated functions, the tuple ``GENERATED``
that lists them and what they need are put before the function that they help, which gets one
decorator where somebody else has written it.
"""

from __future__ import annotations

import ast
import re
import textwrap
from typing import TYPE_CHECKING

from menace.errors import CodingError
from menace.self_coding_engine.proposers.feature_ideas import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.self_coding_engine.proposers.feature_ideas import Idea

LIST_NAME = "GENERATED"
CONTEXT_NAME = "CONTEXT_ROWS"
_DECORATOR = "_with_generated"
_LINE = 100
_DOCSTRING = '''"""Columns that the bot's model gets beside those of its source."""'''
_LIST_SAID = '"""Functions that were made from the data\'s schema; edit or remove them freely."""'
_CONTEXT_SAID = '"""Earlier rows that the generated columns look back on."""'

_READERS = {
    "_number": '''\
def _number(rows: pd.DataFrame, name: str) -> pd.Series:
    """Read a column as numbers: missing where there is none, or no such column."""
    if name not in rows.columns:
        return pd.Series(np.nan, index=rows.index)
    return pd.to_numeric(rows[name], errors="coerce")
''',
    "_text": '''\
def _text(rows: pd.DataFrame, name: str) -> pd.Series:
    """Read a column as text: empty where there is none, or no such column."""
    if name not in rows.columns:
        return pd.Series("", index=rows.index)
    return rows[name].astype("str").where(rows[name].notna(), "")
''',
    "_time": '''\
def _time(rows: pd.DataFrame, name: str) -> pd.Series:
    """Read a column as times: missing where there is none."""
    return pd.to_datetime(rows[name], errors="coerce")
''',
    "_given": '''\
def _given(rows: pd.DataFrame, name: str) -> pd.Series:
    """Say where a column has a value: 1, else 0."""
    if name not in rows.columns:
        return pd.Series(0.0, index=rows.index)
    return rows[name].notna().astype(float)
''',
}
_JOINER = f'''\
def {_DECORATOR}(by_hand):
    """Add the generated columns to those of a function written by hand."""

    @functools.wraps(by_hand)
    def joined(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([by_hand(rows), *(make(rows) for make in {LIST_NAME})], axis="columns")

    return joined
'''


def _joining(function: str) -> str:
    return f'''\
def {function}(rows: pd.DataFrame) -> pd.DataFrame:
    """Make the columns that the model gets beside those of the source."""
    return pd.concat([make(rows) for make in {LIST_NAME}], axis="columns")
'''


def _empty(function: str) -> str:
    return f'''\
def {function}(rows: pd.DataFrame) -> pd.DataFrame:
    """Make no columns: none has proved useful."""
    return pd.DataFrame(index=rows.index)
'''


def function_text(idea: Idea) -> str:
    """Write the function of an idea."""
    lines = [f"def {idea.name}(rows: pd.DataFrame) -> pd.DataFrame:"]
    sentence = textwrap.wrap(idea.sentence, _LINE - 10)
    if len(sentence) == 1:
        lines.append(f'    """{sentence[0]}"""')
    else:
        lines += [f'    """{sentence[0]}', *(f"    {part}" for part in sentence[1:]), '    """']
    items = [f"{literal(name)}: {expression}" for name, expression in idea.columns]
    lines += [f"    {statement}" for statement in idea.before]
    short = f"    return pd.DataFrame({{{', '.join(items)}}}, index=rows.index)"
    if len(short) <= _LINE:
        return "\n".join([*lines, short, ""])
    inner = f"        {{{', '.join(items)}}},"
    if len(inner) <= _LINE and len(items) == 1:
        body = [inner]
    else:
        body = ["        {", *(_item(item) for item in items), "        },"]
    lines += ["    return pd.DataFrame(", *body, "        index=rows.index,", "    )"]
    return "\n".join([*lines, ""])


def _item(item: str) -> str:
    """Write an item of a dict on a line, or on several where it is long."""
    line = f"            {item},"
    if len(line) <= _LINE:
        return line
    name, expression = item.split(": ", 1)
    inner = f"{' ' * 16}{expression}"
    if len(inner) > _LINE:
        first, *others = re.split(r"(?<=\)) (?=[-+*/] )", expression, maxsplit=1)
        inner = "\n".join(f"{' ' * 16}{part}" for part in (first, *others))
    return f"            {name}: (\n{inner}\n            ),"


def generated_names(source: str) -> tuple[str, ...]:
    """Read which functions of a file were generated, in their order.

    Raises
    ------
    CodingError
        If the text is no Python.
    """
    return tuple(_Taken(source, "").functions)


def with_ideas(
    source: str, ideas: Sequence[Idea], *, function: str, drop: Sequence[str] = ()
) -> str:
    """Write ideas into a helper's text.

    Parameters
    ----------
    source
        The present text; may be empty.
    ideas
        To be added.
    function
        The function that the pipeline calls.
    drop
        Names of generated functions to be taken out.

    Returns
    -------
    str
        The new text. What somebody has edited since stays as it was edited.

    Raises
    ------
    CodingError
        If the present text is no Python.
    """
    taken = _Taken(source, function)
    texts = {name: text for name, text in taken.functions.items() if name not in drop}
    texts |= {idea.name: function_text(idea) for idea in ideas}
    context = max([taken.context_rows if texts else 0, *(idea.context_rows for idea in ideas)])
    rest = taken.rest if taken.rest.strip() else f"{_DOCSTRING}\n"
    if not texts and any(_name_of(one) == function for one in _parsed(rest).body):
        return rest
    return _inserted(rest, texts, context, function)


class _Taken:
    """A helper's text, taken apart: generated functions by name, and the rest."""

    def __init__(self, source: str, function: str) -> None:
        self._lines = source.splitlines(keepends=True)
        body = _parsed(source).body
        names = _listed(body)
        self.functions: dict[str, str] = {}
        self.context_rows = 0
        gone: list[tuple[int, int]] = []
        for place, statement in enumerate(body):
            first, last = _lines_of(statement)
            text = "".join(self._lines[first:last])
            name = _name_of(statement)
            if name in names:
                self.functions[name] = text
            elif name == function and text.strip() == _empty(function).strip():
                pass
            elif not names or not (
                name in {LIST_NAME, _DECORATOR}
                or (name in _READERS and text.strip() == _READERS[name].strip())
                or (name == function and text.strip() == _joining(function).strip())
                or (name == CONTEXT_NAME and self._is_own_context(body, place))
            ):
                continue
            if _is_text(body[place + 1 : place + 2]) and name in {LIST_NAME, CONTEXT_NAME}:
                last = _lines_of(body[place + 1])[1]
            if name == CONTEXT_NAME:
                self.context_rows = max(int(word) for word in _digits(text))
            gone.append((first, last))
        self.rest = self._without(gone)

    def _is_own_context(self, body: list[ast.stmt], place: int) -> bool:
        said = body[place + 1 : place + 2]
        return _is_text(said) and _CONTEXT_SAID.strip('"') == said[0].value.value  # type: ignore[attr-defined]

    def _without(self, gone: list[tuple[int, int]]) -> str:
        """Leave lines out, and the empty ones around them."""
        pieces, at = [], 0
        for first, last in [*gone, (len(self._lines), len(self._lines))]:
            kept = [line for line in self._lines[at:first] if line.strip() != f"@{_DECORATOR}"]
            pieces.append("".join(kept) if not gone else "".join(kept).strip("\n"))
            at = last
        return "".join(pieces) if not gone else _spaced([p for p in pieces if p.strip()])


def _inserted(rest: str, texts: dict[str, str], context: int, function: str) -> str:
    body = _parsed(rest).body
    lines = rest.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    by_hand = next((s for s in body if _name_of(s) == function), None)
    given = any(_name_of(statement) == CONTEXT_NAME for statement in body)
    block = _block(texts, context, None if by_hand is not None else function, given=given)
    place, decorator = len(lines), ""
    if by_hand is not None:
        place, decorator = _lines_of(by_hand)[0], f"@{_DECORATOR}\n"
        while place and lines[place - 1].startswith("#"):
            place -= 1
    known = {name for statement in body for name in _imported(statement)}
    wanted = (("functools", "functools"), ("np", "numpy"), ("pd", "pandas"))
    imports = [
        f"import {module}" if name == module else f"import {module} as {name}"
        for name, module in wanted
        if name not in known and f"{name}." in block
    ]
    preamble = [s for k, s in enumerate(body) if _imported(s) or (k == 0 and _is_text([s]))]
    head = min(place, max((_lines_of(statement)[1] for statement in preamble), default=0))
    top = "".join(lines[:head]).rstrip("\n")
    if imports:
        apart = "\n" if preamble and _imported(preamble[-1]) else "\n\n"
        top = (top + apart if top else "") + "\n".join(imports)
    before = "".join(lines[head:place]).strip("\n")
    after = "".join(lines[place:]).strip("\n")
    if by_hand is not None:
        own = _lines_of(by_hand)[0]
        after = "".join([*lines[place:own], decorator, *lines[own:]]).strip("\n")
    rest = _spaced([piece for piece in (before, block.strip("\n"), after) if piece.strip()])
    apart = "\n\n\n" if rest.startswith(("def ", "class ", "@", "#")) else "\n\n"
    whole = (top + apart if top else "") + rest
    _parsed(whole)
    return whole


def _block(texts: dict[str, str], context: int, joining: str | None, *, given: bool) -> str:
    """Write everything that is generated; ``joining`` is the function to be written as well."""
    if not texts and joining is not None:
        return _empty(joining)
    body = [text.strip("\n") for text in texts.values()]
    parts = []
    if context:
        value = f"max({CONTEXT_NAME}, {context})" if given else str(context)
        parts.append(f"{CONTEXT_NAME} = {value}\n{_CONTEXT_SAID}")
    called = "\n".join(body)
    parts += [
        text.strip("\n") for name, text in _READERS.items() if re.search(rf"\b{name}\(", called)
    ]
    names = list(texts)
    listed = f"{LIST_NAME} = ({', '.join(names)}{',' if len(names) == 1 else ''})"
    if len(listed) > _LINE:
        listed = f"{LIST_NAME} = (\n" + "".join(f"    {name},\n" for name in names) + ")"
    parts += [*body, f"{listed}\n{_LIST_SAID}"]
    parts.append((_JOINER if joining is None else _joining(joining)).strip("\n"))
    return _spaced(parts)


def _spaced(pieces: Sequence[str]) -> str:
    return "\n\n\n".join(pieces) + "\n" if pieces else ""


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise CodingError(
            f"the feature helper is no Python: {error}.", remedy="correct it by hand"
        ) from error


def _lines_of(statement: ast.stmt) -> tuple[int, int]:
    """First line of a statement with its decorators, from 0, and the line after its last."""
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return first - 1, statement.end_lineno or statement.lineno


def _name_of(statement: ast.stmt) -> str:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return statement.name
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""


def _listed(body: list[ast.stmt]) -> list[str]:
    for statement in body:
        if _name_of(statement) == LIST_NAME and isinstance(statement, ast.Assign):
            elements = getattr(statement.value, "elts", [])
            return [element.id for element in elements if isinstance(element, ast.Name)]
    return []


def _imported(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names]
    return []


def _is_text(statements: list[ast.stmt]) -> bool:
    return any(
        isinstance(one, ast.Expr)
        and isinstance(one.value, ast.Constant)
        and isinstance(one.value.value, str)
        for one in statements
    )


def _digits(text: str) -> list[str]:
    first = text.splitlines()[0]
    return "".join(c if c.isdigit() else " " for c in first).split() or ["0"]
