"""A table that grows by an entry at the price of the entry, and that stays what it was."""

from __future__ import annotations

import pytest

from portfolio.state import digest, encoded
from portfolio.table import GROWTH, LAYER_MAX, Table, with_entry

MANY = 3 * LAYER_MAX * GROWTH


def filled(count: int) -> Table[int]:
    table: Table[int] = Table()
    for number in range(count):
        table = with_entry(table, str(number), number)
    return table


@pytest.mark.req("L-19")
def test_it_is_read_as_a_dict_is() -> None:
    table = filled(MANY)
    plain = {str(number): number for number in range(MANY)}
    assert table == plain
    assert list(table) == list(plain)
    assert list(table.keys()) == list(plain.keys())
    assert list(table.values()) == list(plain.values())
    assert list(table.items()) == list(plain.items())
    assert len(table) == len(plain)
    assert {**table} == plain
    assert ("0" in table, str(MANY - 1) in table, str(MANY) in table) == (True, True, False)
    assert (table["0"], table.get("7"), table.get("no"), table.get("no", 5)) == (0, 7, None, 5)
    with pytest.raises(KeyError, match="no"):
        _ = table["no"]


@pytest.mark.req("L-19")
def test_an_entry_that_is_replaced_keeps_its_place() -> None:
    table = with_entry(filled(MANY), "3", -3)
    assert list(table) == [str(number) for number in range(MANY)]
    assert (table["3"], len(table)) == (-3, MANY)


@pytest.mark.req("L-19")
def test_a_table_stays_what_it_was_when_others_are_made_of_it() -> None:
    table = filled(LAYER_MAX - 1)
    left, right = with_entry(table, "x", 1), with_entry(with_entry(table, "x", 2), "0", 9)
    assert table == {str(number): number for number in range(LAYER_MAX - 1)}
    assert (left["x"], right["x"], left["0"], right["0"]) == (1, 2, 0, 9)


@pytest.mark.req("L-20")
def test_its_encoding_is_that_of_a_dict() -> None:
    table = with_entry(filled(MANY), "3", -3)
    assert encoded({"entries": table}) == encoded({"entries": dict(table)})
    assert digest({"entries": table}) == digest({"entries": dict(table)})


@pytest.mark.req("L-19")
def test_a_dict_becomes_a_table_with_its_first_new_entry() -> None:
    plain = {"a": 1}
    table = with_entry(plain, "b", 2)
    assert (dict(table), plain) == ({"a": 1, "b": 2}, {"a": 1})
    assert with_entry(table, "c", 3) == {"a": 1, "b": 2, "c": 3}


@pytest.mark.req("L-20")
def test_it_never_lies_in_many_parts_and_copies_little() -> None:
    table, copied = filled(1), 0
    for number in range(1, MANY):
        parts = (table.newest, *table.older)
        table = with_entry(table, str(number), number)
        made = [part for part in (table.newest, *table.older) if all(part is not known for known in parts)]
        copied += sum(map(len, made))
        assert len(table.older) <= 3
    assert copied < MANY * 50
