"""Finds the modules of gg that the worker's function needs, in their text: its handler and all modules imported from there."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator

import gg
from gg.errors import StoreError


def modules(entry: str) -> dict[str, str]:
    """Path below the zip's root -> file, for `entry`, all modules of gg that it imports, and their packages. StoreError."""
    found: dict[str, str] = {}
    pending = [entry]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _file(name)
        if path is None:
            if name == entry:
                raise StoreError(f"this installation of gg has no {entry}", hint="install gg again")
            continue
        package = path.endswith("__init__.py")
        found[name.replace(".", "/") + ("/__init__.py" if package else ".py")] = path
        pending += _parents(name)
        if name != "gg":  # its own imports are those of the interface for programs, made when something of it is used
            pending += _imported(path)
    return dict(sorted(found.items()))


def _file(module: str) -> str | None:
    """The source of a module of gg; None if the name is an attribute of one, or is not there."""
    inside = module.split(".")[1:]
    for directory in gg.__path__:
        base = os.path.join(directory, *inside)
        for path in (os.path.join(base, "__init__.py"), f"{base}.py" if inside else ""):
            if path and os.path.isfile(path):
                return path
    return None


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _imported(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8") as file:
        yield from _names(ast.parse(file.read()))


def _names(tree: ast.AST) -> Iterator[str]:
    """The names that a module imports from gg anywhere, without those that only annotations need."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and _ours(node.module):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _names(node)


def _ours(module: str) -> bool:
    return module == "gg" or module.startswith("gg.")
