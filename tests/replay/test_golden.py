"""Journals of every format version, written once: each gives what it gave then, to the base unit (L-20, D-17, D-20)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from messages.codec import SCHEMA, Format, decode
from portfolio.entries import Cause, FillState
from portfolio.events import Event
from storage.journal import import_lines
from tests.replay.golden_story import GOLDEN, Expected, gives, journal

pytestmark = pytest.mark.req("L-20", "D-17", "D-20", "L-19")

JOURNALS = sorted(GOLDEN.glob("schema-*.jsonl"))
KB_MAX = 300


def version_of(file: Path) -> int:
    found = re.fullmatch(r"schema-(\d+)", file.stem)
    assert found is not None
    return int(found[1])


def current() -> Path:
    return GOLDEN / f"schema-{SCHEMA}.jsonl"


def test_every_format_version_has_its_journal() -> None:
    assert [version_of(file) for file in JOURNALS] == list(range(1, SCHEMA + 1))
    assert all(file.stat().st_size < KB_MAX * 1000 for file in JOURNALS)


@pytest.mark.parametrize("file", JOURNALS, ids=lambda file: file.stem)
def test_a_golden_journal_gives_what_it_gave_when_it_was_written(file: Path) -> None:
    expected = msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=Expected)
    columns = {name: table.columns for name, table in expected.tables.items()}
    made = gives(file.read_bytes(), columns)
    for name, table in expected.tables.items():
        assert made.tables[name].rows == msgspec.to_builtins(table.rows), name
    assert (made.entries, made.head_hash, made.digest) == (expected.entries, expected.head_hash, expected.digest)


@pytest.mark.parametrize("file", JOURNALS, ids=lambda file: file.stem)
def test_all_entries_of_a_golden_journal_are_of_its_version(file: Path) -> None:
    entries = list(import_lines(file.read_bytes().splitlines(keepends=True)))
    assert {entry.schema for entry in entries} == {version_of(file)}


def test_every_entry_is_lifted_from_an_older_version_to_what_it_is() -> None:
    """By the way of a later version's upcasts, of which this journal needs none, nothing of any entry is lost."""
    later = Format(schema=SCHEMA + 1, upcasts={})
    for entry in import_lines(current().read_bytes().splitlines(keepends=True)):
        read = decode(entry.payload, entry.kind, entry.schema)
        assert decode(entry.payload, entry.kind, entry.schema, later) == read


def test_the_golden_journal_of_this_version_has_every_kind_of_event_and_most_causes() -> None:
    """Else a change that breaks old journals could pass unseen."""
    entries = list(import_lines(current().read_bytes().splitlines(keepends=True)))
    assert {entry.kind for entry in entries} == {kind.__struct_config__.tag for kind in get_args(Event)}
    tables = gives(current().read_bytes()).tables
    causes = {row[tables["adjustments"].columns.index("cause")] for row in tables["adjustments"].rows}
    assert causes >= {
        Cause.OPENING.value,
        Cause.POSITION_MERGED.value,
        Cause.POSITION_SPLIT.value,
        Cause.REDEEMED.value,
        Cause.CONVERTED.value,
        Cause.TRANSFER_IN.value,
        Cause.EXTERNAL_BUY.value,
        Cause.EXTERNAL_SALE.value,
        Cause.RESTATED.value,
        Cause.REORGANISED.value,
    }
    states = {row[tables["fills"].columns.index("state")] for row in tables["fills"].rows}
    assert states >= {FillState.SETTLED.value, FillState.FAILED.value, FillState.EXPIRED.value}


def test_the_story_is_one_run_to_the_byte(tmp_path: Path) -> None:
    """Written again, it is the same: nothing of it depends on the machine, the hour or the order of a set."""
    runs = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        runs.append(journal(folder))
    assert runs[0] == runs[1]
