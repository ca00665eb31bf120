"""The messages of the package, as the templates by which they are taken apart again.

``connector.core.messages`` says what for. A message is a text or an f-string that is given
to an error, a verdict or a finding, by itself, or by a name that its function or its module
gives it; what else is one is marked.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pkgutil import walk_packages

import connector
from connector.core.errors import ConnectorError

# What is said by whoever calls these is a message, besides the errors of the package.
SAYING = frozenset(
    {
        *("ok", "hint", "fault", "Verdict", "NotChecked", "Finding", "Lack"),
        *("warn", "fail", "say", "message", "BadParameter", "TryAgain", "Unreadable"),
        *("Key", "ReadParam", "NumberParam"),
    }
)
IS_TEXT = re.compile(r"[a-z]{2}.* |^\W*[A-Za-z]+ ", re.DOTALL)
IS_WORD = re.compile(r"[A-Za-z]{2}")
ALONE = ("message", "Finding")  # also one word
FIELD = re.compile(r"\{\w+(![rsa])?\}")
NOT_TOLD = ("source", "param_hint", "what")


@cache
def _errors() -> frozenset[str]:
    """The names of all errors; whoever asks has imported what defines them."""
    for found in walk_packages(connector.__path__, "connector."):
        with suppress(ImportError):  # of a library that is not here
            import_module(found.name)
    return frozenset(_kinds(ConnectorError))


def _kinds(of: type[ConnectorError]) -> Iterator[str]:
    yield of.__name__
    for kind in of.__subclasses__():
        yield from _kinds(kind)


def constants(tree: ast.Module) -> dict[str, ast.expr]:
    """What the module gives a name to."""
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def templates(tree: ast.Module, named: Mapping[str, ast.expr]) -> Iterator[str]:
    """Those of a module; ``named`` are all constants of the package."""
    saying = SAYING | _errors()
    named = {**named, **constants(tree)}
    for scope in _scopes(tree):
        local = _assigned(scope)
        for call in _own(scope, ast.Call):
            if _called(call) in saying:
                given = [
                    each.value for each in call.keywords if each.arg not in NOT_TOLD
                ]
                for argument in (*call.args, *given):
                    yield from _texts(argument, local, named, _called(call))


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node


def _own(scope: ast.AST, kind: type[ast.Call]) -> Iterator[ast.Call]:
    """In the scope itself, and in no function of it."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, kind):
            yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _own(child, kind)


def _assigned(scope: ast.AST) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    if isinstance(scope, ast.Module):
        return found
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                _note(target, node.value, found)
    return found


def _note(target: ast.expr, value: ast.expr, found: dict[str, list[ast.expr]]) -> None:
    if isinstance(target, ast.Name):
        found.setdefault(target.id, []).append(value)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, other in zip(target.elts, value.elts, strict=True):
            _note(one, other, found)


def _called(call: ast.Call) -> str:
    named = call.func
    if isinstance(named, ast.Attribute):
        return named.attr
    return named.id if isinstance(named, ast.Name) else ""


def _texts(
    node: ast.expr,
    local: Mapping[str, list[ast.expr]],
    named: Mapping[str, ast.expr],
    by: str,
) -> Iterator[str]:
    """What may be said of this, each as a template."""
    below: Iterable[ast.expr] = ()
    match node:
        case ast.Constant(value=str(text)):
            if is_message(text, by):
                yield escaped(text)
        case ast.JoinedStr():
            text = template(node)
            if is_message(FIELD.sub("", text), by):
                yield text
            below = [v.value for v in node.values if isinstance(v, ast.FormattedValue)]
        case ast.IfExp():
            below = (node.body, node.orelse)
        case ast.BoolOp():
            below = node.values
        case ast.BinOp():
            below = (node.left, node.right)
        case ast.List() | ast.Tuple():
            below = node.elts
        case ast.Starred():
            below = (node.value,)
        case ast.Name(id=name) if name in local:
            below = local[name]
            local = {**local, name: []}
        case ast.Name(id=name) if name.isupper() and name in named:
            below = (named[name],)
        case _:
            pass
    for each in below:
        yield from _texts(each, local, named, by)


def is_message(literal: str, by: str) -> bool:
    return bool((IS_WORD if by in ALONE else IS_TEXT).search(literal))


def escaped(text: str) -> str:
    """As a template; what reads as a field of it is one."""
    plain = text.replace("{", "{{").replace("}", "}}")
    return re.sub(r"\{(\{\w+(![rsa])?\})\}", r"\1", plain)


def template(node: ast.JoinedStr) -> str:
    """An f-string with the names that its code gives to what stands in it."""
    told: dict[str, str] = {}
    parts: list[str] = []
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value).replace("{", "{{").replace("}", "}}"))
        elif isinstance(value, ast.FormattedValue):
            how = "!r" if value.conversion == ord("r") else ""
            parts.append(f"{{{_field(value, told)}{how}}}")
    return "".join(parts)


def _field(value: ast.FormattedValue, told: dict[str, str]) -> str:
    """A name for it, the same for the same."""
    made = f"{ast.unparse(value.value)} {value.conversion} {ast.dump(value)}"
    first = _name(value.value).strip("_") or "value"
    names = (first, *(f"{first}{number}" for number in range(2, 20)))
    for name in names:
        if told.setdefault(name, made) == made:
            return name
    raise AssertionError(made)


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower()
        case ast.Call(func=ast.Name(id="len")):
            return "count"
        case ast.Call(args=[first, *_]):
            return _name(first)
        case ast.Call(func=ast.Attribute(value=value)):
            return _name(value)
        case ast.Subscript(value=value) | ast.BinOp(left=value):
            return _name(value)
        case ast.BoolOp(values=[value, *_]) | ast.IfExp(body=value):
            return _name(value)
        case _:
            return "value"
