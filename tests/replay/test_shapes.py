"""No event may change its shape unnoticed: what is written of each format version guards its journals (D-17, L-20)."""

from __future__ import annotations

import enum
from pathlib import Path
from types import GenericAlias
from typing import Any, get_args

import msgspec
import pytest

from messages.codec import SCHEMA, UPCASTS
from portfolio.events import CursorAdvanced, Event
from tests.replay.golden_story import GOLDEN, keep_shapes
from tests.replay.shapes import broken, missing_upcasts, read, shapes_of, written

pytestmark = pytest.mark.req("D-17", "L-20")


class Colour(enum.StrEnum):
    RED = "red"


class MoreColours(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class OtherColours(enum.StrEnum):
    BLUE = "blue"


class Leg(msgspec.Struct, kw_only=True):
    size: int


class Seen(msgspec.Struct, kw_only=True, tag="seen"):
    name: str
    colour: Colour
    legs: tuple[Leg, ...]
    pair: tuple[str, int] | None = None
    at_ms: int = 0


FIELDS: dict[str, tuple[Any, ...]] = {
    "name": (str,),
    "colour": (Colour,),
    "legs": (tuple[Leg, ...],),
    "pair": (tuple[str, int] | None, None),
    "at_ms": (int, 0),
}


def now(leg: dict[str, tuple[Any, ...]] | None = None, **changed: tuple[Any, ...] | None) -> dict[str, str]:
    """The shapes of a later ``Seen``: fields as given, None for one that went; ``leg`` are the fields of its legs."""
    later = msgspec.defstruct(
        "Leg", [(name, *given) for name, given in (leg or {"size": (int,)}).items()], kw_only=True
    )
    fields = {**FIELDS, "legs": (GenericAlias(tuple, (later, ...)),), **changed}
    named = [(name, *given) for name, given in fields.items() if given is not None]
    return shapes_of(msgspec.defstruct("Seen", named, tag="seen", kw_only=True))


BEFORE = shapes_of(Seen)


def test_the_same_fields_have_the_same_shapes_and_come_back_from_their_file() -> None:
    assert now() == BEFORE
    assert read(written(BEFORE)) == BEFORE
    assert read(written(shapes_of())) == shapes_of()


@pytest.mark.parametrize(
    "after",
    [
        now(new=(int, 5)),
        now(leg={"size": (int,), "price": (int, 0)}),
        now(colour=(MoreColours,)),
        now(name=(str | None,)),
        now(name=(str, "")),
        now(inner=(Leg | None, None)),
        {**BEFORE, **shapes_of(CursorAdvanced)},
    ],
    ids=[
        "new with a default",
        "the same deeper",
        "a new value",
        "may be null",
        "a default",
        "a new struct",
        "a new kind",
    ],
)
def test_what_old_bytes_survive_needs_no_upcast(after: dict[str, str]) -> None:
    assert broken(BEFORE, after) == []


@pytest.mark.parametrize(
    ("after", "line"),
    [
        (now(name=None), "seen.name: needed, is gone"),
        (now(name=None, title=(str, "")), "seen.name: needed, is gone"),
        (now(new=(int,)), "seen.new: is new and has no default"),
        (now(leg={"size": (int,), "price": (int,)}), "seen.legs[].price: is new and has no default"),
        (now(leg={"size": (str,)}), "seen.legs[].size{int}: may be, is gone"),
        (now(name=(int,)), "seen.name{str}: may be, is gone"),
        (now(pair=(tuple[str, int],)), "seen.pair: default null, became needed"),
        (now(pair=(tuple[str, int, int] | None, None)), "seen.pair{list of 2}: may be, is gone"),
        (now(at_ms=(int, 1)), "seen.at_ms: default 0, became default 1"),
        (now(colour=(OtherColours,)), "seen.colour{red}: may be, is gone"),
        (shapes_of(CursorAdvanced), "seen: may be, is gone"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_old_bytes_do_not_survive_is_named_with_its_field(after: dict[str, str], line: str) -> None:
    assert line in broken(BEFORE, after)
    assert line in missing_upcasts({1: BEFORE, 2: after}, {})["seen", 1]
    assert missing_upcasts({1: BEFORE, 2: after}, {("seen", 1): dict}) == {}


def test_a_field_that_nobody_thought_of_is_refused_and_not_passed_over() -> None:
    with pytest.raises(TypeError, match=r"seen\.share is a FloatType"):
        now(share=(float,))


# -- the events of this version -----------------------------------------------------------------------------------


def file_of(version: int) -> Path:
    return GOLDEN / f"schema-{version}.fields"


def kept() -> dict[int, dict[str, str]]:
    return {version: read(file_of(version).read_text(encoding="utf-8")) for version in range(1, SCHEMA + 1)}


def test_nothing_that_was_written_under_this_schema_is_lost() -> None:
    """Where this fails, raise SCHEMA and add an upcast (messages/codec.py)."""
    assert broken(kept()[SCHEMA], shapes_of()) == []


def test_the_fields_of_this_version_are_written_down() -> None:
    """Where only this fails, the change is harmless: `python -m tests.replay.golden_story fields` writes it down."""
    assert file_of(SCHEMA).read_text(encoding="utf-8") == written(shapes_of())
    assert {path for path in kept()[SCHEMA] if path.isidentifier()} == {
        str(kind.__struct_config__.tag) for kind in get_args(Event)
    }


def test_every_change_between_versions_has_its_upcast() -> None:
    assert missing_upcasts(kept(), UPCASTS) == {}


def test_a_change_that_loses_journals_is_not_written_down(tmp_path: Path) -> None:
    file = tmp_path / f"schema-{SCHEMA}.fields"
    keep_shapes(tmp_path, BEFORE)
    keep_shapes(tmp_path, now(new=(int, 5)))
    as_it_was = file.read_bytes()
    assert b"seen.new\tdefault 5\tint\n" in as_it_was
    with pytest.raises(SystemExit, match=r"raise SCHEMA.*\n  seen\.new: default 5, is gone"):
        keep_shapes(tmp_path, BEFORE)
    assert file.read_bytes() == as_it_was
