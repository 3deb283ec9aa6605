"""Nothing half done and nothing hidden: no marks of unfinished work, no error that vanishes."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import EVERYTHING, Module, module, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

# Spelled with brackets, or this file would find itself.
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|NotImplemented[E]rror)\b")
BROAD = {"BaseException", "Exception"}


def hidden_errors(source: Module) -> Iterator[str]:
    """Every place that catches everything and then does nothing with it."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type) and hides(node):
            yield f"{source.path}:{node.lineno} catches everything and hides it"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress") and any(map(is_broad, node.args)):
            yield f"{source.path}:{node.lineno} suppresses everything"


def is_broad(caught: ast.expr | None) -> bool:
    """Whether the handler takes every error."""
    if isinstance(caught, ast.Tuple):
        return any(map(is_broad, caught.elts))
    return caught is None or (isinstance(caught, ast.Name) and caught.id in BROAD)


def hides(handler: ast.ExceptHandler) -> bool:
    """Whether the body only goes on: it neither raises, nor calls anything, nor passes the error on."""
    for node in (inner for statement in handler.body for inner in ast.walk(statement)):
        if isinstance(node, ast.Raise | ast.Call):
            return False
        if isinstance(node, ast.Name) and node.id == handler.name:
            return False
    return True


@pytest.mark.parametrize("folder", EVERYTHING)
def test_nothing_is_marked_as_unfinished(folder: str) -> None:
    assert [
        f"{source.path}:{number} {line.strip()}"
        for source in modules(folder)
        for number, line in enumerate(source.text.splitlines(), start=1)
        if UNFINISHED.search(line)
    ] == []


@pytest.mark.parametrize("folder", EVERYTHING)
def test_no_error_vanishes(folder: str) -> None:
    assert [what for source in modules(folder) for what in hidden_errors(source)] == []


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept:\n    x = None",
        "for a in b:\n    try:\n        f()\n    except (ValueError, Exception):\n        continue",
        "def g():\n    try:\n        f()\n    except BaseException:\n        return []",
        "with contextlib.suppress(Exception):\n    f()",
    ],
)
def test_a_hidden_error_is_found(text: str) -> None:
    assert list(hidden_errors(module(text)))


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    f()\nexcept Exception:\n    log.exception('f')",
        "try:\n    f()\nexcept BaseException:\n    undo()\n    raise",
        "def g():\n    try:\n        f()\n    except Exception as error:\n        return error",
        "try:\n    f()\nexcept KeyError:\n    pass",
    ],
)
def test_an_error_that_is_raised_logged_or_returned_passes(text: str) -> None:
    assert list(hidden_errors(module(text))) == []
