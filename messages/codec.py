"""How an event becomes journal bytes and comes back, with its schema version from the first day (D-17).

Encoding is canonical: equal events give equal bytes. A later change of an event's shape raises its version and adds an
upcast here, from the old decoded JSON to the new; stored bytes are never rewritten.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from portfolio.events import Event

SCHEMA = 1
"""Version written with every event."""

UPCASTS: Mapping[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""(kind, version) → function to the next version's JSON. Empty: every event is still in its first version."""

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


def decode(payload: bytes, kind: str, schema: int) -> Event:
    """The event that ``payload`` holds.

    Raises:
        CodecError: unknown kind, newer schema, or bytes of another shape.
    """
    if schema > SCHEMA:
        message = (
            f"journal entry of kind {kind!r} has schema {schema}, this version reads up to {SCHEMA}: upgrade first"
        )
        raise CodecError(message)
    try:
        if schema == SCHEMA:
            return _decoder.decode(payload)
        event: Event = msgspec.convert(_upcast(msgspec.json.decode(payload), kind, schema), type=Event)
    except msgspec.DecodeError as error:
        message = f"journal entry of kind {kind!r}, schema {schema}, cannot be read: {error}"
        raise CodecError(message) from error
    return event


def _upcast(raw: dict[str, Any], kind: str, schema: int) -> dict[str, Any]:
    for version in range(schema, SCHEMA):
        upcast = UPCASTS.get((kind, version))
        if upcast is not None:
            raw = upcast(raw)
    return raw
