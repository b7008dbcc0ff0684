"""Edits of one expression, by what kind of node it is."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.argument_edits import Change, more_arguments
from menace.self_coding_engine.repair.code_map import IN_OPERATIONS, is_enclosed
from menace.self_coding_engine.repair.families import (
    ARITHMETIC,
    COMPARISONS,
    FUNCTIONS,
    METHODS,
    related,
)
from menace.self_coding_engine.repair.kinds import UNKNOWN, alike
from menace.self_coding_engine.repair.literal_edits import (
    LONGEST_STRING,
    floats,
    integers,
    strings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from menace.self_coding_engine.repair.code_map import CodeMap, Site
    from menace.self_coding_engine.repair.kinds import Kinds
    from menace.self_coding_engine.repair.vocabulary import Vocabulary


CONSTANTS = {
    "True": (("False", 0.0), ("None", 2.0)),
    "False": (("True", 0.0), ("None", 2.0)),
    "None": tuple((text, 1.5) for text in ("0", "1", "[]", "''", "False", "True")),
}


SHOWN_COST = 1.6
"""Of a number that tests name in the place of one of the code: a bound that they try on both sides
is likely among them."""


class ExpressionEdits:
    """Ways to write one expression differently.

    Parameters
    ----------
    code, kinds, vocabulary
        The text, the types in it, and what may be written into it.
    """

    def __init__(self, code: CodeMap, kinds: Kinds, vocabulary: Vocabulary) -> None:
        self._code = code
        self._kinds = kinds
        self._words = vocabulary
        self._rules: dict[type[cst.CSTNode], Callable[[Site], Iterator[Change]]] = {
            cst.Comparison: self._comparison,
            cst.BinaryOperation: self._binary,
            cst.BooleanOperation: self._boolean,
            cst.UnaryOperation: self._unary,
            cst.Integer: self._integer,
            cst.Float: self._float,
            cst.SimpleString: self._string,
            cst.Name: self._name,
            cst.Attribute: self._attribute,
            cst.Call: self._call,
            cst.Subscript: self._subscript,
            cst.IfExp: self._conditional,
            cst.ListComp: self._comprehension,
            cst.SetComp: self._comprehension,
            cst.GeneratorExp: self._comprehension,
            cst.Tuple: self._elements,
            cst.List: self._elements,
        }

    def changes(self, site: Site) -> Iterator[Change]:
        """Yield what the node could be instead."""
        rule = self._rules.get(type(site.node))
        if rule is not None:
            yield from rule(site)

    def _text(self, site: Site, node: cst.CSTNode) -> str:
        """Text of a child, in parentheses if it had some."""
        child = self._code.of(node)
        text = self._code.source(child)
        return f"({text})" if is_enclosed(node) else text

    def _comparison(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, cst.Comparison):
            return
        parts = [self._text(site, node.left)]
        operators = []
        for target in node.comparisons:
            operators.append(self._code.source(self._code.of(target.operator)))
            parts.append(self._text(site, target.comparator))
        for index, operator in enumerate(operators):
            for other, cost in COMPARISONS.get(" ".join(operator.split()), ()):
                changed = [*operators[:index], other, *operators[index + 1 :]]
                yield "comparison", _interleave(parts, changed), cost
        if len(operators) > 1:
            for index in range(len(parts)):
                if 0 < index < len(parts) - 1:
                    continue
                left = parts[1:] if index == 0 else parts[:-1]
                kept = operators[1:] if index == 0 else operators[:-1]
                yield "clause_drop", _interleave(left, kept), 0.0
        elif operators[0] in {"in", "not in", "-"}:
            yield "operand_swap", f"{parts[1]} {operators[0]} {parts[0]}", 0.0

    def _binary(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, cst.BinaryOperation):
            return
        left, right = self._text(site, node.left), self._text(site, node.right)
        operator = self._code.source(self._code.of(node.operator))
        kind = self._kinds.of(site)
        for other, cost in ARITHMETIC.get(operator, ()):
            if kind in {"str", "list"} and other not in {"+", "*"}:
                continue
            yield "arithmetic", f"{left} {other} {right}", cost
        if operator not in {"*"} and not (operator == "+" and kind in {"int", "float"}):
            yield "operand_swap", f"{right} {operator} {left}", 0.0
        yield "operand_drop", left, 0.0
        yield "operand_drop", right, 0.3
        yield from self._regrouped(site, node, operator)

    def _regrouped(self, site: Site, node: cst.BinaryOperation, operator: str) -> Iterator[Change]:
        for inner, on_left in ((node.left, True), (node.right, False)):
            if not isinstance(inner, cst.BinaryOperation):
                continue
            first, second = self._text(site, inner.left), self._text(site, inner.right)
            middle = self._code.source(self._code.of(inner.operator))
            if on_left:
                right = self._text(site, node.right)
                yield "grouping", f"{first} {middle} ({second} {operator} {right})", 0.0
            else:
                left = self._text(site, node.left)
                yield "grouping", f"({left} {operator} {first}) {middle} {second}", 0.0

    def _boolean(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, cst.BooleanOperation):
            return
        left, right = self._text(site, node.left), self._text(site, node.right)
        operator = self._code.source(self._code.of(node.operator))
        yield "boolean", f"{left} {'or' if operator == 'and' else 'and'} {right}", 0.0
        yield "clause_drop", left, 0.0
        yield "clause_drop", right, 0.0
        yield "negation", f"{left} {operator} not ({right})", 0.8
        yield "negation", f"not ({left}) {operator} {right}", 0.8
        yield "operand_swap", f"{right} {operator} {left}", 0.6

    def _unary(self, site: Site) -> Iterator[Change]:
        node = site.node
        if isinstance(node, cst.UnaryOperation):
            yield "negation", self._text(site, node.expression), 0.0
            if isinstance(node.operator, cst.Minus) and isinstance(node.expression, cst.Integer):
                for value in sorted({"0", "1", f"-{int(node.expression.value, 0) + 1}"}):
                    yield "constant", value, 0.4

    def _integer(self, site: Site) -> Iterator[Change]:
        if isinstance(site.node, cst.Integer):
            for text, cost in integers(int(site.node.value, 0), self._words):
                yield "constant", text, cost
            for text in self._words.shown_numbers():
                yield "constant", text, SHOWN_COST
            for name in self.names(site):
                if self._kinds.of_name(site.function, name) in {"int", "float", UNKNOWN}:
                    yield "constant", name, 1.6

    def _float(self, site: Site) -> Iterator[Change]:
        if isinstance(site.node, cst.Float):
            for text, cost in floats(float(site.node.value), self._words):
                yield "constant", text, cost
            for text in self._words.shown_numbers():
                yield "constant", text, SHOWN_COST

    def _string(self, site: Site) -> Iterator[Change]:
        node = site.node
        if isinstance(node, cst.SimpleString) and len(node.value) <= LONGEST_STRING:
            value = node.evaluated_value
            if isinstance(value, str) and '"""' not in node.value:
                for text, cost in strings(value, self._words):
                    yield "constant", text, cost

    def names(self, site: Site) -> list[str]:
        """Names that can be read where the site stands, without the one that stands there."""
        scope = self._code.scopes.get(site.function)
        names = [] if scope is None else list(scope.names)
        for above in site.above():
            node = above.node
            if isinstance(node, (cst.ListComp, cst.SetComp, cst.GeneratorExp, cst.DictComp)):
                names += [n for n in _comprehension_names(node) if n not in names]
            elif isinstance(node, cst.Lambda):
                names += [param.name.value for param in node.params.params]
        here = self._code.source(site)
        return [name for name in names if name != here]

    def _name(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, cst.Name):
            return
        parent = site.parent.node if site.parent is not None else None
        if node.value in CONSTANTS:
            for text, cost in CONSTANTS[node.value]:
                yield "constant", text, cost
        elif isinstance(parent, cst.Call) and parent.func is node:
            yield from self._function(node.value, site.function)
        else:
            yield from self._variable(site, node.value)

    def _function(self, name: str, around: str) -> Iterator[Change]:
        for other, cost in related(FUNCTIONS, name):
            yield "function", other, cost
        for other in self._words.functions:
            if other not in {name, around}:
                yield "function", other, 0.6

    def _variable(self, site: Site, name: str) -> Iterator[Change]:
        kind = self._kinds.of_name(site.function, name)
        operator = "target" if site.stored else "variable"
        for other in self.names(site):
            yield operator, other, alike(kind, self._kinds.of_name(site.function, other))
        if not site.stored:
            for attribute in self._words.attributes[:6]:
                yield "attribute", f"{name}.{attribute}", 1.0

    def _attribute(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, cst.Attribute):
            return
        base = self._text(site, node.value)
        parent = site.parent.node if site.parent is not None else None
        if isinstance(parent, cst.Call) and parent.func is node:
            for other, cost in related(METHODS, node.attr.value):
                yield "method", f"{base}.{other}", cost
            return
        for other in self._words.attributes:
            if other != node.attr.value:
                yield "attribute", f"{base}.{other}", 0.0
        yield "attribute", base, 0.3
        for other in self._words.attributes[:6]:
            yield "attribute", f"{base}.{node.attr.value}.{other}", 1.0

    def _call(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, cst.Call):
            return
        function = self._code.source(self._code.of(node.func))
        texts = [self._code.source(self._code.of(argument)) for argument in node.args]
        for swapped in _swaps(texts):
            yield "argument_swap", f"{function}({', '.join(swapped)})", 0.0
        for index in range(len(texts)):
            kept = texts[:index] + texts[index + 1 :]
            yield "argument_drop", f"{function}({', '.join(kept)})", 0.0
        if texts:
            yield "unwrap", self._text(site, node.args[0].value), 0.0
        if isinstance(node.func, cst.Attribute):
            yield "unwrap", self._text(site, node.func.value), 0.0
        yield from more_arguments(function, texts)
        if function in self._words.functions or len(texts) <= 1:
            for name in self.names(site):
                yield "argument_add", f"{function}({', '.join([*texts, name])})", 1.0

    def _subscript(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, cst.Subscript) or len(node.slice) != 1:
            return
        base = self._text(site, node.value)
        if isinstance(node.value, cst.Subscript) and len(node.value.slice) == 1:
            inner = self._text(site, node.value.value)
            first = self._code.source(self._code.of(node.value.slice[0]))
            second = self._code.source(self._code.of(node.slice[0]))
            yield "argument_swap", f"{inner}[{second}][{first}]", 0.0
        part = node.slice[0].slice
        if isinstance(part, cst.Index):
            index = self._text(site, part.value)
            options = [("0", 0.4), ("-1", 0.2), ("1", 0.8), (f"-{_tight(part.value, index)}", 1.0)]
            options += [(f":{index}", 0.8), (f"{index}:", 0.8), (f"{index} - 1", 0.2)]
            options += [(f"{index} + 1", 0.2), (f"-{_tight(part.value, index)} - 1", 1.0)]
            for text, cost in options:
                if text != index:
                    yield "slice", f"{base}[{text}]", cost
            yield "unwrap", base, 0.6
        elif isinstance(part, cst.Slice):
            yield from self._slice(site, base, part)

    def _slice(self, site: Site, base: str, part: cst.Slice) -> Iterator[Change]:
        lower, upper, step = (
            "" if bound is None else self._text(site, bound)
            for bound in (part.lower, part.upper, part.step)
        )
        yield "unwrap", base, 0.2
        seen = {(lower, upper, step)}

        def shifted(bound: str, by: str) -> str:
            return f"{bound} {by}" if bound else ""

        options = [
            (shifted(lower, "+ 1"), upper, step, 0.0),
            (shifted(lower, "- 1"), upper, step, 0.0),
            (lower, shifted(upper, "+ 1"), step, 0.0),
            (lower, shifted(upper, "- 1"), step, 0.0),
            ("", upper, step, 0.2),
            (lower, "", step, 0.2),
            (lower, upper, "", 0.2),
            (lower or "1", upper, step, 0.4),
            (lower, upper or "-1", step, 0.4),
            (upper, lower, step, 0.5),
            (lower, upper, "-1", 0.6),
            (lower, upper, "2", 0.8),
            ("", "", "-1", 0.8),
            ("1", upper, step, 0.6),
            (lower, "-1", step, 0.6),
            (lower, upper, f"-{step}" if step else "", 0.6),
        ]
        options += [(name, upper, step, 1.2) for name in self.names(site) if not lower]
        options += [(lower, name, step, 1.2) for name in self.names(site) if not upper]
        options += [(lower, upper, name, 1.4) for name in self.names(site) if not step]
        for first, last, by, cost in options:
            if (first, last, by) not in seen:
                seen.add((first, last, by))
                text = f"{first}:{last}:{by}" if by else f"{first}:{last}"
                yield "slice", f"{base}[{text}]", cost

    def _conditional(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, cst.IfExp):
            return
        test = self._text(site, node.test)
        body, other = self._text(site, node.body), self._text(site, node.orelse)
        yield "choice", f"{other} if {test} else {body}", 0.0
        yield "choice", body, 0.2
        yield "choice", other, 0.2
        yield "negation", f"{body} if not ({test}) else {other}", 0.4

    def _comprehension(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, (cst.ListComp, cst.SetComp, cst.GeneratorExp)):
            return
        text = self._code.source(site)
        for condition in node.for_in.ifs:
            part = self._code.of(condition)
            begin, end = part.start - site.start, part.end - site.start
            yield "comprehension", f"{text[:begin].rstrip()}{text[end:]}", 0.0
        if isinstance(node, cst.ListComp):
            yield "comprehension", f"{{{text[1:-1]}}}", 0.6
            yield "comprehension", f"({text[1:-1]})", 1.2
        if isinstance(node, cst.SetComp):
            yield "comprehension", f"[{text[1:-1]}]", 0.6

    def _elements(self, site: Site) -> Iterator[Change]:
        node = site.node
        if not isinstance(node, (cst.Tuple, cst.List)):
            return
        texts = [self._code.source(self._code.of(element)) for element in node.elements]
        is_tuple = isinstance(node, cst.Tuple)
        if len(texts) <= 6:
            for swapped in _swaps(texts):
                yield "argument_swap", _display(node, swapped), 0.0
        if site.stored:
            return
        if len(texts) <= 12 and (not is_tuple or len(texts) > 2):
            for index in range(len(texts)):
                yield "argument_drop", _display(node, texts[:index] + texts[index + 1 :]), 0.2
        if isinstance(node, cst.List):
            yield from self._more_elements(site, node, texts)

    def _more_elements(self, site: Site, node: cst.List, texts: list[str]) -> Iterator[Change]:
        for name in self.names(site):
            yield "argument_add", _display(node, [*texts, name]), 0.8
            yield "argument_add", _display(node, [name, *texts]), 1.0
        if not texts:
            for value in ("0", "1", "[]", "''"):
                yield "argument_add", _display(node, [value]), 0.8


def _swaps(texts: list[str]) -> Iterator[list[str]]:
    for one, other in combinations(range(len(texts)), 2):
        swapped = list(texts)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        yield swapped


def _display(node: cst.Tuple | cst.List, texts: list[str]) -> str:
    """Write elements as the node writes its own."""
    inside = ", ".join(texts)
    if isinstance(node, cst.List):
        return f"[{inside}]"
    return inside if node.lpar or len(texts) > 1 else f"({inside},)"


def _interleave(parts: list[str], operators: list[str]) -> str:
    text = parts[0]
    for operator, part in zip(operators, parts[1:], strict=True):
        text += f" {operator} {part}"
    return text


def _tight(node: cst.BaseExpression, text: str) -> str:
    """Put parentheses around an operation that is to become an operand."""
    return f"({text})" if isinstance(node, IN_OPERATIONS) and not node.lpar else text


def _comprehension_names(
    node: cst.ListComp | cst.SetComp | cst.GeneratorExp | cst.DictComp,
) -> Iterator[str]:
    loop: cst.CompFor | None = node.for_in
    while loop is not None:
        targets: list[cst.BaseExpression] = [loop.target]
        while targets:
            target = targets.pop()
            if isinstance(target, cst.Name):
                yield target.value
            elif isinstance(target, (cst.Tuple, cst.List)):
                targets.extend(element.value for element in target.elements)
        loop = loop.inner_for_in
