"""Code for one row as code for whole columns: ``if`` and ``return`` become ``where``.

The row's code is run symbolically: every assignment becomes a column under a new name, an ``if``
becomes a mask, and what its branches bind or return is chosen by ``np.where``. Branches are so
evaluated for all rows; where a branch cannot stand that (a division by zero, say), the tests and
the differential gate see it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MOST_LINES = 60

_BINARY = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_COMPARED = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_FOLDED = {"max": "np.maximum", "min": "np.minimum"}
_MAPPED = {
    "abs": "np.abs",
    "math.sqrt": "np.sqrt",
    "math.exp": "np.exp",
    "math.log": "np.log",
    "math.log10": "np.log10",
    "math.log1p": "np.log1p",
    "math.sin": "np.sin",
    "math.cos": "np.cos",
    "math.radians": "np.radians",
    "math.isnan": "pd.isna",
    "np.isnan": "pd.isna",
    "pd.isna": "pd.isna",
    "pd.isnull": "pd.isna",
    "pd.notna": "pd.notna",
    "np.sqrt": "np.sqrt",
    "np.log": "np.log",
    "np.exp": "np.exp",
    "np.log1p": "np.log1p",
    "np.abs": "np.abs",
}
_TEXT = {"lower", "upper", "strip", "lstrip", "rstrip", "title", "startswith", "endswith"}


class NotVectorisableError(Exception):
    """The row's code does something that has no counterpart over columns here."""


@dataclass(slots=True)
class RowCode:
    """Translates a row's code.

    Parameters
    ----------
    frame
        Expression of the frame, or of the one column.
    row
        Name of the row, or of the one value.
    whole
        Whether ``row`` is a value of one column instead of a row.
    fresh
        Gives a name that is not in use.
    exact_round
        Round each value as Python does, and not as NumPy does.

    Attributes
    ----------
    lines
        Assignments made so far, as text.
    """

    frame: str
    row: str
    fresh: Callable[[str], str]
    whole: bool = False
    exact_round: bool = True
    lines: list[str] = field(default_factory=list)
    rounds: bool = False

    def run(self, body: Sequence[ast.stmt], names: dict[str, str]) -> str | None:
        """Run statements; give what they return, if they do.

        Parameters
        ----------
        names
            Name of the row's code → name of its column; changed on the way.
        """
        for place, node in enumerate(body):
            if isinstance(node, ast.Return) and node.value is not None:
                return self.value(node.value, names)
            if isinstance(node, ast.If):
                found = self._choose(node, body[place + 1 :], names)
                if found is not None:
                    return found
            elif not isinstance(node, ast.Pass) and not _is_text(node):
                self._assign(node, names)
        return None

    def _assign(self, node: ast.stmt, names: dict[str, str]) -> None:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            target = node.target
            value = ast.BinOp(ast.Name(node.target.id), node.op, node.value)
        else:
            raise NotVectorisableError
        if not isinstance(target, ast.Name):
            raise NotVectorisableError
        names[target.id] = self.keep(self.value(value, names), target.id)

    def keep(self, text: str, wanted: str) -> str:
        """Give a column a name; a name or constant stays what it is."""
        if text.isidentifier() or text.replace(".", "").isalnum():
            return text
        if len(self.lines) >= MOST_LINES:
            raise NotVectorisableError
        name = self.fresh(wanted)
        self.lines.append(f"{name} = {tidy(text)}")
        return name

    def _choose(self, node: ast.If, rest: Sequence[ast.stmt], names: dict[str, str]) -> str | None:
        test = self.keep(self.value(node.test, names), "mask")
        if _returns([*node.body, *node.orelse]):
            yes = self.run([*node.body, *rest], dict(names))
            no = self.run([*node.orelse, *rest], dict(names))
            if yes is None or no is None:
                raise NotVectorisableError
            return f"np.where({test}, {yes}, {no})"
        yes_names, no_names = dict(names), dict(names)
        self.run(node.body, yes_names)
        self.run(node.orelse, no_names)
        for name in [*yes_names, *(name for name in no_names if name not in yes_names)]:
            yes, no = yes_names.get(name), no_names.get(name)
            if yes == no:
                continue
            if yes is None or no is None:
                raise NotVectorisableError
            names[name] = self.keep(f"np.where({test}, {yes}, {no})", name)
        return None

    def depends(self, node: ast.AST, names: Mapping[str, str]) -> bool:
        """Whether an expression may differ from row to row."""
        return any(
            isinstance(part, ast.Name) and (part.id == self.row or part.id in names)
            for part in ast.walk(node)
        )

    def value(self, node: ast.expr, names: Mapping[str, str]) -> str:
        """Translate an expression.

        Raises
        ------
        NotVectorisableError
            Where it has no counterpart.
        """
        if not self.depends(node, names):
            if any(isinstance(part, ast.Call | ast.Lambda) for part in ast.walk(node)):
                raise NotVectorisableError
            return ast.unparse(node)
        column = self.column(node)
        if column is not None:
            return column
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp | ast.UnaryOp | ast.BoolOp | ast.IfExp):
            return self._operated(node, names)
        if isinstance(node, ast.Compare):
            return self._compared(node, names)
        if isinstance(node, ast.Subscript) and not self.depends(node.value, names):
            table, key = ast.unparse(node.value), self.series(self.value(node.slice, names))
            return f"{key}.map(lambda value: {table}[value])"
        if isinstance(node, ast.Call):
            return self._called(node, names)
        raise NotVectorisableError

    def _operated(
        self, node: ast.BinOp | ast.UnaryOp | ast.BoolOp | ast.IfExp, names: Mapping[str, str]
    ) -> str:
        if isinstance(node, ast.BinOp):
            if type(node.op) not in _BINARY:
                raise NotVectorisableError
            left, right = self.value(node.left, names), self.value(node.right, names)
            return f"({left} {_BINARY[type(node.op)]} {right})"
        if isinstance(node, ast.UnaryOp):
            inner = self.value(node.operand, names)
            return f"np.logical_not({inner})" if isinstance(node.op, ast.Not) else f"(-{inner})"
        if isinstance(node, ast.BoolOp):
            together = "np.logical_and" if isinstance(node.op, ast.And) else "np.logical_or"
            return self._folded(together, node.values, names)
        test, yes, no = (self.value(n, names) for n in (node.test, node.body, node.orelse))
        return f"np.where({test}, {yes}, {no})"

    def column(self, node: ast.expr) -> str | None:
        """Find the column of ``row["c"]`` or ``row.c``, or the one there is."""
        if self.whole:
            return self.frame if isinstance(node, ast.Name) and node.id == self.row else None
        if isinstance(node, ast.Subscript) and _is_name(node.value, self.row):
            if self.depends(node.slice, {}):
                raise NotVectorisableError
            return f"{self.frame}[{ast.unparse(node.slice)}]"
        if isinstance(node, ast.Attribute) and _is_name(node.value, self.row):
            return f'{self.frame}["{node.attr}"]'
        return None

    def series(self, text: str) -> str:
        """Make a Series of a column; one taken from the frame is one."""
        if text == self.frame or (text.startswith(f"{self.frame}[") and text.count("[") == 1):
            return text
        name = f", name={self.frame}.name" if self.whole else ""
        return f"pd.Series({text}, index={self.frame}.index{name})"

    def _folded(self, function: str, values: Iterable[ast.expr], names: Mapping[str, str]) -> str:
        texts = [self.value(value, names) for value in values]
        folded = texts[0]
        for text in texts[1:]:
            folded = f"{function}({folded}, {text})"
        return folded

    def _compared(self, node: ast.Compare, names: Mapping[str, str]) -> str:
        sides = [node.left, *node.comparators]
        tests = []
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            if isinstance(operator, ast.In | ast.NotIn):
                tests.append(self._in(left, right, names, isinstance(operator, ast.NotIn)))
            elif isinstance(operator, ast.Is | ast.IsNot) and ast.unparse(right) == "None":
                asked = "pd.isna" if isinstance(operator, ast.Is) else "pd.notna"
                tests.append(f"{asked}({self.value(left, names)})")
            elif type(operator) in _COMPARED:
                texts = self.value(left, names), self.value(right, names)
                tests.append(f"({texts[0]} {_COMPARED[type(operator)]} {texts[1]})")
            else:
                raise NotVectorisableError
        folded = tests[0]
        for test in tests[1:]:
            folded = f"np.logical_and({folded}, {test})"
        return folded

    def _in(self, item: ast.expr, items: ast.expr, names: Mapping[str, str], negated: bool) -> str:
        if self.depends(items, names) or not isinstance(
            items, ast.List | ast.Tuple | ast.Set | ast.Name
        ):
            raise NotVectorisableError
        test = f"{self.series(self.value(item, names))}.isin(list({ast.unparse(items)}))"
        return f"np.logical_not({test})" if negated else test

    def _called(self, node: ast.Call, names: Mapping[str, str]) -> str:
        function, args = ast.unparse(node.func), node.args
        if node.keywords:
            raise NotVectorisableError
        if function in _FOLDED and len(args) > 1:
            return self._folded(_FOLDED[function], args, names)
        if function in _MAPPED and len(args) == 1:
            return f"{_MAPPED[function]}({self.value(args[0], names)})"
        if function == "round" and args:
            return self._rounded(args, names)
        if function in {"int", "float", "bool", "str"} and len(args) == 1:
            return f"{self.series(self.value(args[0], names))}.map({function})"
        if isinstance(node.func, ast.Attribute) and node.func.attr in _TEXT:
            texts = ", ".join(self._constant(arg, names) for arg in args)
            subject = self.series(self.value(node.func.value, names))
            return f"{subject}.str.{node.func.attr}({texts})"
        if isinstance(node.func, ast.Attribute) and node.func.attr == "get" and args:
            table = self._constant(node.func.value, names)
            default = f", {self._constant(args[1], names)}" if len(args) > 1 else ""
            key = self.series(self.value(args[0], names))
            return f"{key}.map(lambda value: {table}.get(value{default}))"
        if function == "len" and len(args) == 1:
            return f"{self.series(self.value(args[0], names))}.map(len)"
        raise NotVectorisableError

    def _rounded(self, args: Sequence[ast.expr], names: Mapping[str, str]) -> str:
        self.rounds = True
        digits = "".join(f", {self._constant(arg, names)}" for arg in args[1:])
        text = self.value(args[0], names)
        if self.exact_round:
            return f"{self.series(text)}.map(lambda value: round(value{digits}))"
        return f"np.round({text}{digits})"

    def _constant(self, node: ast.expr, names: Mapping[str, str]) -> str:
        if self.depends(node, names):
            raise NotVectorisableError
        return ast.unparse(node)


def tidy(text: str) -> str:
    """Write an expression without needless brackets, its texts in double quotes."""
    return re.sub(r"'([^'\"\\\\]*)'", r'"\1"', ast.unparse(ast.parse(text, mode="eval")))


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _returns(body: Iterable[ast.stmt]) -> bool:
    return any(isinstance(part, ast.Return) for node in body for part in ast.walk(node))
