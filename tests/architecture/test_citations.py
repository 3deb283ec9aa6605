"""Every requirement and ruling that the code names is one a reader of this repository can look up."""

from __future__ import annotations

import re

from tests.architecture.source import EVERYTHING, ROOT, modules

CITATION = re.compile(r"(?<![\w-])([SLXRD]-\d\d)(?![\w-])")
# An id is defined where it leads a line: a heading, a row of a table, a paragraph in bold.
DEFINITION = re.compile(r"^[\s#|*\-\[<(]*(?:<a id=\"[^\"]*\"></a>)?\s*([SLXRD]-\d\d)(?![\w-])", re.MULTILINE)


def defined() -> set[str]:
    """Ids that the requirements, the other reference pages and the decisions define."""
    pages = [*(ROOT / "docs/reference").rglob("*.md"), *(ROOT / "docs/decisions").rglob("*.md")]
    return {name for page in pages for name in DEFINITION.findall(page.read_text(encoding="utf-8"))}


def cited() -> dict[str, set[str]]:
    """Every id in the code and the tests, with the files that name it."""
    found: dict[str, set[str]] = {}
    for source in modules(*EVERYTHING):
        if not source.path.startswith("tests/architecture/"):
            for name in CITATION.findall(source.text):
                found.setdefault(name, set()).add(source.path)
    return found


def test_the_table_of_requirements_is_there() -> None:
    assert (ROOT / "docs/reference/requirements.md").is_file()


def test_every_cited_id_is_defined_in_the_documentation() -> None:
    known = defined()
    unknown = {name: min(paths) for name, paths in sorted(cited().items()) if name not in known}
    assert unknown == {}, "define these in docs/reference/requirements.md or docs/decisions/, or correct the citation"


def test_a_definition_leads_its_line_and_a_citation_may_stand_anywhere() -> None:
    text = "| S-01 | a cycle |\n**R-06 Aggregation.** as in S-04\n## D-02: order\nsee L-30 and UTF-16, X-1\n"
    assert DEFINITION.findall(text) == ["S-01", "R-06", "D-02"]
    assert CITATION.findall(text) == ["S-01", "R-06", "S-04", "D-02", "L-30"]
