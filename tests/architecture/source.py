"""The repository's Python files, read and parsed once. What is expected of them stands in the tests here."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PRODUCT = ("actors", "messages", "polymarket", "portfolio", "service", "storage")
PURE = ("messages", "portfolio")
EVERYTHING = (*PRODUCT, "benchmarks", "tests")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Module:
    """One file: its path from the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The top-level package, or folder, the file is in."""
        return self.path.partition("/")[0]


def module(text: str, path: str = "portfolio/example.py") -> Module:
    """A file that exists only in a test."""
    return Module(path=path, text=text, tree=ast.parse(text))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python file under the folders, sorted by path."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    return tuple(module(text, path) for path, text in sorted(texts.items()))


def imported(tree: ast.AST) -> list[tuple[int, str]]:
    """Line and dotted name of every import, also of those inside functions; relative ones keep their dots."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            found += [(node.lineno, f"{origin}.{alias.name}") for alias in node.names]
    return found


def imports_package(tree: ast.AST, package: str) -> bool:
    """Whether the tree imports the package or anything below it."""
    return any(f"{name}.".startswith(f"{package}.") for _, name in imported(tree))
