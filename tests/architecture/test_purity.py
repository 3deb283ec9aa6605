"""`portfolio/` and `messages/` compute and nothing else: no clock, no random, no I/O, no binary fractions (D-04)."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import PURE, Module, imported, module, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

# The standard library's parts that neither look outside nor remember anything.
PURE_LIBRARIES = {
    "__future__", "abc", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal", "difflib",
    "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "msgspec", "operator", "re", "string", "types",
    "typing", "unicodedata",
}  # fmt: skip
MAY_IMPORT = {"messages": PURE_LIBRARIES | {"messages", "portfolio"}, "portfolio": PURE_LIBRARIES | {"portfolio"}}

# Each looks outside, runs text as code, or differs from one process to the next.
IMPURE_NAMES = {"breakpoint", "eval", "exec", "float", "globals", "hash", "id", "input", "open", "print"}
CLOCKS = {"fromtimestamp", "now", "today", "utcnow"}


def impurities(source: Module) -> Iterator[str]:
    """Every impure import, name, clock or fraction, with its line."""
    for line, name in imported(source.tree):
        if not name.startswith(".") and name.partition(".")[0] not in MAY_IMPORT[source.package]:
            yield f"{source.path}:{line} imports {name}"
    for node in ast.walk(source.tree):
        what = impurity(node)
        if what:
            yield f"{source.path}:{getattr(node, 'lineno', 0)} {what}"


def impurity(node: ast.AST) -> str | None:
    """What is impure about one node, or None."""
    match node:
        case ast.Constant(value=float() | complex()):
            return "has a float literal"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "divides with /, which makes a float of integers; use //"
        case ast.Name(id=name, ctx=ast.Load()) if name in IMPURE_NAMES:
            return f"uses {name}"
        case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id="date" | "datetime"))) if name in CLOCKS:
            return f"reads a clock or the local time zone by {name}()"
        case ast.Call(func=ast.Attribute(attr=name, value=ast.Attribute(attr="date" | "datetime"))) if name in CLOCKS:
            return f"reads a clock or the local time zone by {name}()"
        case ast.Global() | ast.Nonlocal():
            return "assigns a variable outside the function"
        case _:
            return None


@pytest.mark.req("D-04")
@pytest.mark.parametrize("package", PURE)
def test_package_computes_and_nothing_else(package: str) -> None:
    assert [what for source in modules(package) for what in impurities(source)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from random import choice",
        "import os.path",
        "def f():\n    import socket",
        "import gevent",
        "from storage import tables",
        "x = 0.5",
        "x = float(y)",
        "def f(x: float): ...",
        "x = a / b",
        "x /= 2",
        "x = datetime.now(tz=UTC)",
        "x = datetime.datetime.utcnow()",
        "x = date.today()",
        "x = open('a')",
        "x = hash(y)",
        "def f():\n    global x",
    ],
)
def test_an_impure_line_is_found(text: str) -> None:
    assert list(impurities(module(text)))


@pytest.mark.parametrize(
    "text",
    ["import msgspec", "from portfolio.units import Micro", "x = 7 // 2", "from datetime import UTC", "x = event.now"],
)
def test_a_pure_line_passes(text: str) -> None:
    assert list(impurities(module(text))) == []
