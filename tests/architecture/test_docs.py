"""The documentation is there, says what the code says, and leads nowhere that is not there."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from storage import tables
from tests.architecture.source import ROOT

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(
    r"(?:^ {4,}.*?|`)(?:/\S*/)?(?:portfolio-sync|polytraders gov portfolio) ([a-z][^`\n|]*)", re.MULTILINE
)
HIGHEST = {"S": 26, "L": 30, "X": 16}
DECIDED = {"R": 34, "D": 28}


@cache
def generator() -> Any:
    """docs/generate.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def pages() -> dict[Path, str]:
    """The reference as it should be."""
    found: dict[Path, str] = generator().pages()
    return found


@cache
def shown() -> dict[str, Any]:
    """Id → the tests that carry it."""
    found: dict[str, Any] = generator().tests_by_id()
    return found


def ids(highest: dict[str, int]) -> list[str]:
    return [f"{letter}-{number:02}" for letter, last in highest.items() for number in range(1, last + 1)]


def requirements() -> dict[str, dict[str, str]]:
    return tomllib.loads((REFERENCE / "requirements.toml").read_text(encoding="utf-8"))


def meanings() -> dict[str, dict[str, str]]:
    return tomllib.loads((REFERENCE / "meanings.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", sorted(REFERENCE.glob("*.md")), ids=lambda page: page.name)
def test_generated_parts_are_those_of_the_code(page: Path) -> None:
    assert pages()[page] == page.read_text(encoding="utf-8"), "run make docs"


def test_every_requirement_stands_in_the_table_once_and_in_order() -> None:
    rows = re.findall(r"^\| ([SLX]-\d\d) \|", (REFERENCE / "requirements.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == ids(HIGHEST)


@pytest.mark.parametrize("name", ids(HIGHEST))
def test_a_requirement_says_what_is_missing_of_it(name: str) -> None:
    it = requirements()[name]
    assert it["state"] in {"built", "part", "later"}
    assert bool(it.get("missing")) == (it["state"] == "part"), "only what is built in part says what is missing"


@pytest.mark.parametrize("name", [name for name, it in requirements().items() if it["state"] == "built"])
def test_what_is_built_is_shown(name: str) -> None:
    assert shown().get(name), f"mark a test with req({name!r}), or say in requirements.toml what is missing"


@pytest.mark.parametrize("name", ids(DECIDED))
def test_every_ruling_and_decision_is_recorded_once(name: str) -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted((DOCS / "decisions").glob("*.md"))}
    found = [path for path, text in texts.items() for _ in re.findall(rf"^\*\*{name} ", text, re.MULTILINE)]
    assert len(found) == 1


def test_nothing_is_explained_that_the_code_does_not_have() -> None:
    told = meanings()
    keys = {f"{name}.{key}" for name, section in generator().sections() for key in section.model_fields}
    columns = {name for table in tables.PUBLIC for name in table._meta.fields}
    columns |= {f"{table._meta.table_name}.{name}" for table in tables.PUBLIC for name in table._meta.fields}
    assert set(told["configuration"]) - keys == set()
    assert set(told["columns"]) - columns == set()
    assert set(told["http"]) - set(generator().routes()) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("https://", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_the_index_names_every_page() -> None:
    linked = {(DOCS / target).resolve() for target in LINK.findall((DOCS / "index.md").read_text(encoding="utf-8"))}
    there = set(DOCS.rglob("*.md")) - {DOCS / "index.md", DOCS / "decisions" / "0000-template.md"}
    assert there - linked == set()


def commands() -> dict[str, set[str]]:
    """Every command with its options, as the reference lists them."""
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    found = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        found[part.partition("\n")[0]] = set(re.findall(r"^\| `(--[a-z-]+)", part, re.MULTILINE)) | {"--help", "-h"}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_shown_exists(page: Path) -> None:
    known = commands()
    for line in COMMAND.findall(page.read_text(encoding="utf-8")):
        words = line.split()
        name = " ".join(words[:2]) if words[0] == "config" else words[0]
        if name in known:
            assert {word for word in words if word.startswith("--")} <= known[name], line
        else:
            assert words[0] in {"COMMAND", "config"}, f"{line!r} is no command"


def test_a_mark_of_a_class_a_module_or_a_state_machine_counts_for_its_tests() -> None:
    text = (
        "pytestmark = pytest.mark.req('S-01')\n"
        "@pytest.mark.req('L-01', 'R-02')\ndef test_a(): ...\n"
        "@pytest.mark.req('X-01')\nclass TestB:\n    def test_c(self): ...\n    def helper(self): ...\n"
        "TestMachine = pytest.mark.req('L-19')(Machine.TestCase)\n"
    )
    assert list(generator().marked(ast.parse(text))) == [
        ("S-01", "test_a"),
        ("L-01", "test_a"),
        ("R-02", "test_a"),
        ("S-01", "TestB.test_c"),
        ("X-01", "TestB.test_c"),
        ("L-19", "TestMachine"),
    ]
