"""A table that never changes: one with an entry more costs what the entry costs, not what the table does (D-19).

A market keeps every fill that it ever saw. Were each new one put into a copy of them all, a book of a million fills
would be copied a million times.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import TypeVar, overload

Value = TypeVar("Value")
Default = TypeVar("Default")

LAYER_MAX = 32
"""Entries of the newest layer, the only one that is copied to put an entry."""

GROWTH = 32
"""A layer this many times as large as what is laid upon it is left alone; a smaller one is copied into one with it."""


class Table(Mapping[str, Value]):
    """A mapping by text, in the order in which its keys were first put, as a dict has it. No value is None.

    It lies in dicts that nobody changes, the newest first: a key that stands in several has the value of the newest.
    """

    __slots__ = ("newest", "older")

    def __init__(self, newest: dict[str, Value] | None = None, older: tuple[dict[str, Value], ...] = ()) -> None:
        self.newest: dict[str, Value] = {} if newest is None else newest
        self.older = older

    @overload
    def get(self, key: str, /) -> Value | None: ...

    @overload
    def get(self, key: str, /, default: Value | Default) -> Value | Default: ...

    def get(self, key: str, default: Default | None = None) -> Value | Default | None:
        """The value at ``key``, else ``default``."""
        found = self.newest.get(key)
        if found is not None:
            return found
        for layer in self.older:
            found = layer.get(key)
            if found is not None:
                return found
        return default

    def __getitem__(self, key: str) -> Value:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return key in self.newest or any(key in layer for layer in self.older)

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_dict())

    def __len__(self) -> int:
        return len(self.as_dict())

    def keys(self) -> KeysView[str]:
        """As a dict's, of the table as it is."""
        return self.as_dict().keys()

    def values(self) -> ValuesView[Value]:
        """As a dict's, of the table as it is."""
        return self.as_dict().values()

    def items(self) -> ItemsView[str, Value]:
        """As a dict's, of the table as it is."""
        return self.as_dict().items()

    def as_dict(self) -> dict[str, Value]:
        """All of it in one dict, which nobody may change."""
        whole: dict[str, Value] = {}
        for layer in (*reversed(self.older), self.newest):
            whole.update(layer)
        return whole


def with_entry(table: Mapping[str, Value], key: str, value: Value) -> Table[Value]:
    """``table`` with ``value`` at ``key``."""
    if not isinstance(table, Table):
        return Table({key: value}, (dict(table),))
    newest, older = table.newest, table.older
    if len(newest) >= LAYER_MAX:
        return Table({key: value}, _compacted(newest, older))
    newest = newest.copy()
    newest[key] = value
    return Table(newest, older)


def _compacted(layer: dict[str, Value], older: Iterable[dict[str, Value]]) -> tuple[dict[str, Value], ...]:
    """``layer`` upon ``older`` ones, in one with each that is not much larger: then there are never many."""
    rest = iter(older)
    for below in rest:
        if len(below) >= GROWTH * len(layer):
            return (layer, below, *rest)
        layer = {**below, **layer}
    return (layer,)
