"""How an event becomes journal bytes and comes back, with its schema version from the first day (D-17).

Encoding is canonical: equal events give equal bytes. Stored bytes are never rewritten; they stay readable so:

- A new field, a new value of an enumeration and a new kind of event need nothing, if the field has a default that says
  what was true before there was one: old bytes lack it and get the default.
- Any other change of what an event holds (a field that goes, is renamed, gets another type, unit or default) raises
  ``SCHEMA`` by one and adds to ``UPCASTS`` a function for each kind that changed, under (kind, the version before),
  from the decoded JSON of that version to that of the next. It sees nothing but this one entry. Entries are lifted a
  version at a time, so it is written once and never again.

``tests/replay/golden`` has the fields and a journal of each version, and refuses the second kind of change without its
upcast.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from portfolio.events import Event

SCHEMA = 1
"""Version written with every event."""

Upcast: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""From the decoded JSON of one version to that of the next."""

UPCASTS: Mapping[tuple[str, int], Upcast] = {}
"""(kind, version) → function to the next version's JSON. Empty: every event is still in its first version."""


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the journal's entries, and how older ones become it."""

    schema: int
    upcasts: Mapping[tuple[str, int], Upcast]


FORMAT = Format(schema=SCHEMA, upcasts=UPCASTS)
"""What this version reads."""

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


class CodecError(ValueError):
    """Journal bytes that this version cannot read; the message says which kind and what to do."""


def kind_of_event(event: Event) -> str:
    """The event's tag, e.g. ``fill_seen``."""
    return _kind(type(event))


@functools.cache
def _kind(event: type[Event]) -> str:
    return str(event.__struct_config__.tag)


def encode(event: Event) -> bytes:
    """Canonical bytes of an event."""
    return _encoder.encode(event)


def decode(payload: bytes, kind: str, schema: int, form: Format = FORMAT) -> Event:
    """The event that ``payload`` holds.

    Raises:
        CodecError: unknown kind, newer schema, or bytes of another shape.
    """
    if schema > form.schema:
        message = (
            f"journal entry of kind {kind!r} has schema {schema}, this version reads up to {form.schema}: upgrade first"
        )
        raise CodecError(message)
    try:
        if schema == form.schema:
            return _decoder.decode(payload)
        return _lifted(msgspec.json.decode(payload, type=dict[str, Any]), (kind, schema), form)
    except msgspec.DecodeError as error:
        message = f"journal entry of kind {kind!r}, schema {schema}, cannot be read: {error}"
        raise CodecError(message) from error


def _lifted(raw: dict[str, Any], written: tuple[str, int], form: Format) -> Event:
    kind, schema = written
    for version in range(schema, form.schema):
        upcast = form.upcasts.get((kind, version))
        if upcast is not None:
            raw = _upcast(upcast, raw, (kind, version))
    event: Event = msgspec.convert(raw, type=Event)
    return event


def _upcast(upcast: Upcast, raw: dict[str, Any], written: tuple[str, int]) -> dict[str, Any]:
    try:
        return upcast(raw)
    except (LookupError, TypeError, ValueError) as error:
        message = f"journal entry of kind {written[0]!r} has not the shape of schema {written[1]}: {error!r}"
        raise CodecError(message) from error
