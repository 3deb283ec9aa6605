"""Size limits: what does not fit in the head in one piece is split. Exceptions stand in `ratchet.py`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.architecture.ratchet import EXCUSES
from tests.architecture.source import EVERYTHING, Function, Module, module, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = {"lines of file": 400, "lines of class": 200, "lines of function": 40, "arguments of function": 5}


def lines(node: ast.AST) -> int:
    """Lines of a class or function from its keyword to its end, without its own docstring."""
    assert isinstance(node, Function | ast.ClassDef)
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if is_docstring and ast.get_docstring(node) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def arguments(node: Function) -> int:
    """Arguments that a caller passes. A command's are its options, a test's its fixtures: nobody calls those."""
    if node.name.startswith("test_") or any(is_called_by_framework(decorator) for decorator in node.decorator_list):
        return 0
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    return len(names) + len(node.args.kwonlyargs) + sum(1 for extra in (node.args.vararg, node.args.kwarg) if extra)


def is_called_by_framework(decorator: ast.expr) -> bool:
    """Whether a decorator hands the function to typer, pytest or hypothesis."""
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
    return name in {"callback", "command", "composite", "fixture", "given", "rule"}


def sizes(source: Module) -> Iterator[tuple[str, str, int]]:
    """Kind, subject and size of the file and of everything in it."""
    yield "lines of file", f"lines of file {source.path}", len(source.text.splitlines())
    for node, name in named(source.tree, ""):
        if isinstance(node, ast.ClassDef):
            yield "lines of class", f"lines of class {source.path}:{name}", lines(node)
        else:
            yield "lines of function", f"lines of function {source.path}:{name}", lines(node)
            yield "arguments of function", f"arguments of function {source.path}:{name}", arguments(node)


def named(parent: ast.AST, prefix: str) -> Iterator[tuple[Function | ast.ClassDef, str]]:
    """Every class and function below, with its qualified name."""
    for child in ast.iter_child_nodes(parent):
        if isinstance(child, Function | ast.ClassDef):
            yield child, prefix + child.name
            yield from named(child, f"{prefix}{child.name}.")
        else:
            yield from named(child, prefix)


def too_large(sources: tuple[Module, ...]) -> dict[str, int]:
    """Every subject above its limit, with its size."""
    return {subject: size for source in sources for kind, subject, size in sizes(source) if size > LIMITS[kind]}


def test_nothing_is_larger_than_its_limit_or_its_excuse() -> None:
    allowed = {excuse.subject: excuse.size for excuse in EXCUSES}
    over = {
        subject: size for subject, size in too_large(modules(*EVERYTHING)).items() if size > allowed.get(subject, 0)
    }
    assert over == {}, f"split these, or excuse them in tests/architecture/ratchet.py: {over}"


def test_no_excuse_is_stale_or_wider_than_needed() -> None:
    found = too_large(modules(*EVERYTHING))
    wide = {excuse.subject: found.get(excuse.subject) for excuse in EXCUSES if found.get(excuse.subject) != excuse.size}
    assert wide == {}, f"lower or remove these in tests/architecture/ratchet.py, now: {wide}"


def test_every_excuse_has_a_reason_and_stands_once() -> None:
    assert all(len(excuse.reason.split()) >= 4 for excuse in EXCUSES)
    assert len({excuse.subject for excuse in EXCUSES}) == len(EXCUSES)


def test_a_long_function_is_found_by_its_qualified_name_and_its_docstring_is_free() -> None:
    body = "\n".join(f"        x{n} = {n}" for n in range(40))
    source = module(f'class A:\n    def f(self):\n        """One.\n\n        Two.\n        """\n{body}\n')
    assert too_large((source,)) == {"lines of function portfolio/example.py:A.f": 41}


def test_arguments_count_keywords_but_not_self_and_not_options_of_a_command() -> None:
    source = module(
        "class A:\n    def f(self, a, b, c, d, e, *, g): ...\n\n@app.command()\ndef run(a, b, c, d, e, f): ...\n"
    )
    assert too_large((source,)) == {"arguments of function portfolio/example.py:A.f": 6}


def test_a_long_file_and_a_long_class_are_found() -> None:
    members = "\n".join(f"    x{n} = {n}" for n in range(401))
    found = too_large((module(f"class A:\n{members}\n"),))
    assert found == {"lines of file portfolio/example.py": 402, "lines of class portfolio/example.py:A": 402}
