"""Fills the marked parts of docs/reference from the code: run ``make docs`` after changing what they show.

A part stands between ``<!-- generated NAME -->`` and ``<!-- end NAME -->``; the text around it is written by hand.
``pages`` computes every page and touches nothing; a test compares it with what is there. Words that the code does not
have stand in ``docs/reference/requirements.toml`` and ``meanings.toml``.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import peewee
import typer
from pydantic import BaseModel

from portfolio.entries import Cause
from portfolio.facts import FailureKind
from portfolio.invariants import CATALOGUE as INVARIANTS
from portfolio.outcomes import CycleStatus
from portfolio.reasons import ISSUES, REASONS, SITUATIONS, IssueType
from portfolio.units import format_micro
from portfolio.wallet import STATUS_CODES
from service import telemetry
from service.cli.application import build
from service.config import schema
from service.http.app import create_app
from storage import tables

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
PART = re.compile(r"(<!-- generated ([a-z-]+) -->\n).*?(<!-- end \2 -->\n)", re.DOTALL)

Rows = Iterable[Sequence[object]]


def pages() -> dict[Path, str]:
    """Every page with its parts as they should be, by its path."""
    found = {path: path.read_text(encoding="utf-8") for path in sorted(REFERENCE.glob("*.md"))}
    return {path: PART.sub(_part, text) for path, text in found.items()}


def _part(match: re.Match[str]) -> str:
    begin, name, end = match.groups()
    return begin + "\n" + "\n".join(PARTS[name]()) + "\n" + end


def table(headings: Sequence[str], rows: Rows) -> Iterator[str]:
    """A Markdown table and an empty line."""
    yield f"| {' | '.join(headings)} |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def code(text: object) -> str:
    """Text as code; nothing stays nothing."""
    return f"`{text}`" if str(text) else ""


def codes(items: Iterable[Any]) -> str:
    """Values of enumerations as code, in a row."""
    return ", ".join(code(each.value) for each in items)


def sentences(docstring: str | None) -> str:
    """A docstring as Markdown."""
    return " ".join((docstring or "").replace("``", "`").split())


def words(file: str) -> dict[str, dict[str, str]]:
    """Section → key → text of a toml file beside the pages."""
    found: dict[str, dict[str, str]] = tomllib.loads((REFERENCE / file).read_text(encoding="utf-8"))
    return found


# -- requirements -----------------------------------------------------------------------------------------------------

STATES = {"built": "built", "later": "later: absent", "part": "in part:"}


def requirements() -> Iterator[str]:
    """Every requirement with its state, and how many tests show it."""
    shown = tests_by_id()
    yield from table(
        ("id", "requirement", "state", "tests"),
        (
            (name, each["text"], f"{STATES[each['state']]} {each.get('missing', '')}".strip(), _link(name, shown))
            for name, each in words("requirements.toml").items()
        ),
    )


def tests() -> Iterator[str]:
    """The tests of every requirement, ruling and decision."""
    shown = tests_by_id()
    for name in sorted(shown, key=lambda name: ("SLXRD".index(name[0]), name)):
        yield from (f"### Tests of {name}", "")
        yield from (f"- `{path}`: {', '.join(map(code, names))}" for path, names in shown[name].items())
        yield ""


def _link(name: str, shown: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    count = sum(len(names) for names in shown.get(name, {}).values())
    return f"[{count}](#tests-of-{name.lower()})" if count else "none"


def tests_by_id() -> dict[str, dict[str, list[str]]]:
    """Id → file → names of the tests that carry it."""
    shown: dict[str, dict[str, list[str]]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if "node_modules" in path.parts:
            continue
        for identifier, name in marked(ast.parse(path.read_text(encoding="utf-8"))):
            names = shown.setdefault(identifier, {}).setdefault(str(path.relative_to(ROOT)), [])
            if name not in names:
                names.append(name)
    return shown


def marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(id, name) of every marked test; the marks of a module or a class count for each test in it."""
    whole = [name for node in tree.body if _name_of(node) == "pytestmark" for name in ids_in(node)]
    yield from _marked_in(tree.body, whole, "")


def _marked_in(body: Iterable[ast.stmt], inherited: Sequence[str], prefix: str) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            own = [*inherited, *(name for each in node.decorator_list for name in ids_in(each))]
            yield from _marked_in(node.body, own, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            own = [name for each in node.decorator_list for name in ids_in(each)]
            yield from ((name, prefix + node.name) for name in dict.fromkeys((*inherited, *own)))
        elif _name_of(node) not in {"", "pytestmark"}:
            # a stateful test: TestName = pytest.mark.req("L-19")(Machine.TestCase)
            yield from ((name, prefix + _name_of(node)) for name in ids_in(node))


def _name_of(node: ast.stmt) -> str:
    """The name that an assignment gives; empty for other statements."""
    is_name = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    return ast.unparse(node.targets[0]) if is_name and isinstance(node, ast.Assign) else ""


def ids_in(node: ast.AST) -> Iterator[str]:
    """Ids within ``pytest.mark.req(…)`` anywhere in a node."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.req":
            yield from (str(each.value) for each in call.args if isinstance(each, ast.Constant))


# -- configuration ----------------------------------------------------------------------------------------------------

KINDS = {
    "Text": "text",
    "FilledText": "text, not empty",
    "Flag": "true or false",
    "Micro": "pUSD, up to six decimals",
    "Milliseconds": "seconds, up to three decimals",
    "PositiveMs": "seconds above 0, up to three decimals",
    "Address": "address",
    "OptionalAddress": "address or empty",
    "Name": "letters, digits, - and _",
    "HttpUrl": "http(s) URL",
    "OptionalUrl": "http(s) URL or empty",
    "WsUrl": "ws(s) URL",
    "Urls": "URL or list of URLs",
    "Bind": "HOST:PORT or empty",
    "FilePath | None": "path",
    "tuple[Address, ...]": "list of addresses",
    "tuple[ConditionId, ...]": "list of ids",
    "tuple[FilledText, ...]": "list of texts",
}
SECTIONS = {"wallets": "[[wallets]]", "strategies": "[strategies.ID]"}


def configuration() -> Iterator[str]:
    """Every key of the configuration file."""
    told = words("meanings.toml")["configuration"]
    for section, model in sections():
        yield from (f"## {SECTIONS.get(section, f'[{section}]')}", "")
        yield from table(
            ("key", "value", "default", "meaning"),
            (
                (code(key), kind_of(model.__annotations__[key]), _default_value(model, key), told[f"{section}.{key}"])
                for key in model.model_fields
            ),
        )


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Name and class of each section of the file."""
    for name, field in schema.RawConfig.model_fields.items():
        inner = [each for each in (field.annotation, *get_args(field.annotation)) if hasattr(each, "model_fields")]
        yield name, inner[0]


def kind_of(annotation: str) -> str:
    """The type of a key in words."""
    if annotation in KINDS:
        return KINDS[annotation]
    if choices := re.fullmatch(r"Literal\[(.+)\]", annotation):
        return " or ".join(code(choice.strip(" '\"")) for choice in choices[1].split(","))
    if bounds := re.match(r"Annotated\[Integer, between\((\d+), (.+?)\)\]", annotation):
        highest = "or more" if "*" in bounds[2] else f"to {bounds[2].replace('_', ',')}"
        return f"whole number, {bounds[1]} {highest}"
    raise ValueError(f"docs/generate.py has no words for the type {annotation}; add it to KINDS")


def _default_value(model: type[BaseModel], key: str) -> str:
    """The default of a key as it would be written."""
    value: Any = model.model_fields[key].default
    kind = model.__annotations__[key]
    if isinstance(value, tuple):
        return ", ".join(map(code, value))
    if isinstance(value, bool):
        return code(str(value).lower())
    if kind in {"Milliseconds", "PositiveMs"}:
        return code(value // 1000)
    return code(format_micro(value) if kind == "Micro" else "" if value is None else value)


# -- commands ---------------------------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Every command with its options."""
    for name, command in _commands_of(typer.main.get_command(build()), ""):
        shown = [each for each in command.params if not each.hidden and "--help" not in each.opts]
        yield from (f"## {name.strip()}", "", sentences(command.help), "")
        yield from (f"    {(command.epilog or '').removeprefix('Example: ')}", "")
        rows = ((_option(each), _default_option(each), each.help or "") for each in shown)
        yield from table(("argument or option", "default", "meaning"), rows)


def _commands_of(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
    elif not command.hidden:
        for each in sorted(command.commands):
            yield from _commands_of(command.commands[each], f"{name} {each}")


def _option(option: Any) -> str:
    choices = getattr(option.type_descriptor.annotation, "__members__", {}).values()
    value = option.metavar or "|".join(each.value for each in choices)
    return code(f"{', '.join(option.opts)} {value}".strip() if option.opts[0].startswith("-") else value)


def _default_option(option: Any) -> str:
    if option.required:
        return "needed"
    if isinstance(option.show_default, str):
        return option.show_default
    return code(getattr(option.default, "value", option.default))


# -- tables -----------------------------------------------------------------------------------------------------------

SQL_KINDS = {
    peewee.TextField: "text",
    peewee.BigIntegerField: "integer",
    peewee.BooleanField: "boolean",
    peewee.BlobField: "bytes",
}


def public_tables() -> Iterator[str]:
    """The tables that others may read."""
    told = words("meanings.toml")["columns"]
    for model in tables.PUBLIC:
        meta: Any = model._meta  # noqa: SLF001 - peewee's name for a model's description
        keys = set(meta.primary_key.field_names)
        yield from (f"## {meta.table_name}", "", sentences(model.__doc__), "")
        own = {name: told.get(f"{meta.table_name}.{name}") or told[name] for name in meta.fields}
        rows = ((code(name), _column(field, keys), own[name]) for name, field in meta.fields.items())
        yield from table(("column", "type", "meaning"), rows)


def _column(field: Any, keys: set[str]) -> str:
    return SQL_KINDS[type(field)] + (", key" if field.name in keys else "") + (", may be null" if field.null else "")


# -- metrics, codes, routes -------------------------------------------------------------------------------------------


def metrics() -> Iterator[str]:
    """The metrics of the catalogue."""
    yield from table(
        ("metric", "type", "unit", "label", "meaning"),
        ((code(each.name), each.type.value, each.unit, code(each.label), each.meaning) for each in telemetry.CATALOGUE),
    )


def labels() -> Iterator[str]:
    """The known values of the metrics' labels."""
    yield from table(
        ("label", "values"),
        (
            ("`status`", codes(CycleStatus)),
            ("`delta_type`", codes(telemetry.APPLIED)),
            ("`strategy_id`", "the configured strategies, and `default`"),
            ("`type`", ", ".join(code(each.value.lower()) for each in IssueType)),
        ),
    )


def reasons() -> Iterator[str]:
    """The reason codes."""
    yield from table(
        ("code", "severity", "route", "meaning", "what to do", "what users read"),
        (
            (code(name.value), each.severity.value, each.route.value, each.meaning, each.action, each.user_message)
            for name, each in REASONS.items()
        ),
    )


def statuses() -> Iterator[str]:
    """The code that each status of a cycle says."""
    yield from table(("status", "code"), ((code(name.value), code(each.value)) for name, each in STATUS_CODES.items()))


def issues() -> Iterator[str]:
    """The kinds of issues."""
    yield from table(
        ("type", "severity", "action", "what users read"),
        ((code(name.value), each.severity.value, each.action.value, each.sentence) for name, each in ISSUES.items()),
    )


def invariants() -> Iterator[str]:
    """The invariants."""
    yield from table(
        ("id", "definition", "critical", "from"),
        ((name.value, it.definition, "yes" if it.critical else "no", it.source) for name, it in INVARIANTS.items()),
    )


def situations() -> Iterator[str]:
    """What users are told after a cycle."""
    yield from table(("situation", "sentence"), ((code(name.value), text) for name, text in SITUATIONS.items()))


def http() -> Iterator[str]:
    """Every route of the read API."""
    told = words("meanings.toml")["http"]
    yield from table(("route", "meaning"), ((code(name), told[name]) for name in routes()))


def routes() -> list[str]:
    """``METHOD /path`` of every route, reading ones first."""
    api: Any = None  # the application asks nothing of its process before a request comes
    rules = create_app(api, token=None, trusted=True).url_map.iter_rules()
    found = [(method, rule.rule) for rule in rules for method in set(rule.methods or ()) - {"HEAD", "OPTIONS"}]
    return [f"{method} {path}" for method, path in sorted(found)]


PARTS: Mapping[str, Callable[[], Iterable[str]]] = {
    "requirements": requirements,
    "tests": tests,
    "configuration": configuration,
    "commands": commands,
    "tables": public_tables,
    "metrics": metrics,
    "labels": labels,
    "reasons": reasons,
    "statuses": statuses,
    "issues": issues,
    "invariants": invariants,
    "situations": situations,
    "causes": lambda: (f"{codes(Cause)}.", ""),
    "failures": lambda: (f"{codes(FailureKind)}.", ""),
    "http": http,
}
"""What fills each marked part."""


def main() -> int:
    """Write the pages that changed, and say which."""
    for path, text in pages().items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
