"""The package's own source, parsed once: what each module imports, calls and says."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.folders import ROOT

PACKAGE = ROOT / "connector"


@cache
def modules() -> dict[str, ast.Module]:
    """Each module's syntax tree, by its name below the package: ``mrr.derive``.

    A folder's ``__init__`` goes by the folder's name, the package's own by ``""``.
    """
    return {
        _name(path): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def packages() -> frozenset[str]:
    """Those that are folders."""
    return frozenset(_name(path) for path in PACKAGE.rglob("__init__.py"))


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def imports(module: str) -> frozenset[str]:
    """The full name of all that it imports, also inside functions and for types only."""
    found: set[str] = set()
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{module}: modules are named in full"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def ours(module: str) -> set[str]:
    """The modules of this package that it imports, by their names below the package."""
    named = (name.partition(".") for name in imports(module))
    below = {rest for top, _, rest in named if top == "connector"}
    return {_module_of(name) for name in below}


def _module_of(name: str) -> str:
    while name not in modules():
        name = name.rpartition(".")[0]
    return name


def libraries(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(module)} - {"connector"}


def texts(module: str) -> Iterator[str]:
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def calls(module: str) -> frozenset[str]:
    """The names of the functions and methods that it calls."""
    functions = (n.func for n in ast.walk(modules()[module]) if isinstance(n, ast.Call))
    return frozenset(
        each.id if isinstance(each, ast.Name) else each.attr
        for each in functions
        if isinstance(each, ast.Name | ast.Attribute)
    )


def keys(module: str) -> Iterator[str]:
    """The texts that it looks up in a mapping: ``told["id"]``, ``told.get("id")``."""
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Subscript):
            asked = [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asked = node.args[:1] if node.func.attr in ("get", "pop") else []
        else:
            continue
        for key in asked:
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value


def inherits(module: str, base: str) -> bool:
    """Whether a class of it is made of the one of that name."""
    classes = (n for n in ast.walk(modules()[module]) if isinstance(n, ast.ClassDef))
    return any(ast.unparse(each) == base for its in classes for each in its.bases)
