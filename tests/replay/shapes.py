"""What events hold, as one line for each field: what a format version promises, and which changes break it (D-17).

A path names a field down to the last nested one: ``external_view.chain.block_number``; ``[]`` stands for the items of
a list. Its value is what a reader of old bytes has where they lack the field: a default, or nothing. What a field may
hold stands behind it in braces, a line for each: ``external_view.chain{null}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

from messages.codec import Upcast
from portfolio.events import Event

Shapes: TypeAlias = Mapping[str, str]
NEEDED = "needed"
MAY = "may be"


def shapes_of(events: Any = Event) -> dict[str, str]:
    """The lines of all events."""
    kinds = inspect.type_info(events)
    members = kinds.types if isinstance(kinds, inspect.UnionType) else (kinds,)
    return dict(line for member in members for line in _event(member))


def _event(event: inspect.Type) -> Iterator[tuple[str, str]]:
    assert isinstance(event, inspect.StructType)
    yield f"{event.tag}", MAY
    yield from _fields(str(event.tag), event)


def _fields(path: str, struct: inspect.StructType) -> Iterator[tuple[str, str]]:
    for field in struct.fields:
        name = f"{path}.{field.encode_name}"
        yield name, NEEDED if field.required else f"default {_default(field)}"
        yield from _held(name, field.type)


def _default(field: inspect.Field) -> str:
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return json.dumps(msgspec.to_builtins(made), sort_keys=True)


def _held(path: str, held: inspect.Type) -> Iterator[tuple[str, str]]:
    """What may stand in a field."""
    match held:
        case inspect.UnionType():
            for one in held.types:
                yield from _held(path, one)
        case inspect.StructType():
            yield f"{path}{{object}}", MAY
            yield from _fields(path, held)
        case inspect.VarTupleType() | inspect.ListType():
            yield f"{path}{{list}}", MAY
            yield from _held(f"{path}[]", held.item_type)
        case inspect.TupleType():
            yield f"{path}{{list of {len(held.item_types)}}}", MAY
            for number, item in enumerate(held.item_types):
                yield from _held(f"{path}[{number}]", item)
        case inspect.EnumType():
            yield from ((f"{path}{{{member.value}}}", MAY) for member in held.cls)
        case inspect.IntType() | inspect.StrType() | inspect.BoolType() | inspect.NoneType():
            yield f"{path}{{{type(held).__name__.removesuffix('Type').lower()}}}", MAY
        case _:
            raise TypeError(f"{path} is a {type(held).__name__}: say in shapes.py what of it old bytes depend on")


def written(shapes: Shapes) -> str:
    """As it is kept in a file, a line for each field: a change of one is a change of one line."""
    holds: dict[str, list[str]] = {}
    for path in shapes:
        field, _, held = path.partition("{")
        holds.setdefault(field, []).extend([held.removesuffix("}")] if held else [])
    lines = (
        "\t".join((field, shapes.get(field, MAY), "|".join(sorted(held)))) for field, held in sorted(holds.items())
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def read(text: str) -> dict[str, str]:
    """Back from a file."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        field, value, *held = line.split("\t")
        if not field.endswith("]"):
            found[field] = value
        found.update({f"{field}{{{one}}}": MAY for one in (held[0].split("|") if held else [])})
    return found


def broken(old: Shapes, new: Shapes) -> list[str]:
    """What makes bytes of the old shapes unreadable, or another thing, for a reader of the new ones."""
    gone = [f"{path}: {value}, is gone" for path, value in old.items() if path not in new]
    changed = [
        f"{path}: {value}, became {new[path]}"
        for path, value in old.items()
        if path in new and new[path] != value and value != NEEDED
    ]
    return sorted([*gone, *changed, *_asked(old, new)])


def _asked(old: Shapes, new: Shapes) -> Iterator[str]:
    """New fields without a default, in what old bytes may hold."""
    for path, value in new.items():
        inside = path.rpartition(".")[0]
        if value == NEEDED and path not in old and (inside in old or f"{inside}{{object}}" in old):
            yield f"{path}: is new and has no default"


def missing_upcasts(
    versions: Mapping[int, Shapes], upcasts: Mapping[tuple[str, int], Upcast]
) -> dict[tuple[str, int], list[str]]:
    """(kind, version) of every change between two versions that needs an upcast and has none, with what it breaks."""
    found: dict[tuple[str, int], list[str]] = {}
    for version, new in versions.items():
        for line in broken(versions.get(version - 1, {}), new):
            place = (line.split(":")[0].split(".")[0].split("{")[0], version - 1)
            if place not in upcasts:
                found.setdefault(place, []).append(line)
    return found
