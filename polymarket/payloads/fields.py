"""Fields other than money: text, ids, times, enums; and the two ways in which a payload is refused."""

from __future__ import annotations

import datetime as dt
import enum
import functools
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from portfolio.facts import Side

NULL: Final = msgspec.Raw(b"null")
"""Default of a wire field that may be missing."""

_NS_PER_S = 1_000_000_000
_MS_PER_S = 1000
_SECONDS_BELOW = 10**11
_MS_BELOW = 10**14
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNSIGNED = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
_WHOLE = re.compile(rb'(")?([0-9]{1,20})(?(1)")')
_TOKEN_ID = re.compile(r"0|[1-9][0-9]{0,77}")
_TOKENS_REMEMBERED = 10_000
"""A wallet's tokens come again with every order and trade, and 78 digits take long to check."""

_TIMES_REMEMBERED = 1_000
"""A trade's last update is mostly its match, and matches of one second come one after the other."""

_ID_SHOWN = 20

E = TypeVar("E", bound=enum.StrEnum)
W = TypeVar("W")
F = TypeVar("F")


class FieldError(ValueError):
    """A field that cannot be believed. It rejects its row and goes no further (R-16)."""


class MalformedPayload(ValueError):
    """A body that is not JSON of the expected shape. It fails the read."""


class RejectedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was refused: a short id, and which field was wrong in which way (never its whole content)."""

    row_id: str
    reason: str


class _Named(msgspec.Struct):
    id: str = ""
    token_id: str = ""
    conditionId: str = ""  # noqa: N815 - the wire's spelling
    condition_id: str = ""


def parse_row(raw: msgspec.Raw, wire: type[W], build: Callable[[W], F]) -> F | RejectedRow:
    """Decode one row as ``wire`` and build its fact, or say why not."""
    try:
        return build(msgspec.json.decode(raw, type=wire))
    except (msgspec.MsgspecError, FieldError) as error:
        return RejectedRow(row_id=_id_of(raw), reason=str(error)[:200])
    except (UnicodeDecodeError, RecursionError):
        return RejectedRow(row_id=_id_of(raw), reason="was not readable as JSON text")


def _id_of(raw: msgspec.Raw) -> str:
    try:
        named = msgspec.json.decode(raw, type=_Named, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "?"
    return (named.id or named.token_id or named.conditionId or named.condition_id or "?")[:_ID_SHOWN]


def of_field(name: str, parse: Callable[[bytes], F], raw: msgspec.Raw) -> F:
    """Parse one field; its name goes into the error."""
    try:
        return parse(bytes(raw))
    except FieldError as error:
        raise FieldError(f"{name} {error}") from None


def required(name: str, value: F | None) -> F:
    """The value, unless it is unknown."""
    if value is None:
        raise FieldError(f"{name} was empty, expected a value")
    return value


def number_text(token: bytes) -> str | None:
    """Characters of a number, written as a JSON number or as a string; None for null and the empty string."""
    if token == b"null":
        return None
    if token[:1] == b'"':
        return msgspec.json.decode(token, type=str) or None
    if token[:1] in b"-0123456789" and token:
        return token.decode("ascii")
    raise FieldError("was neither a number nor a string of one")


@functools.lru_cache(maxsize=_TIMES_REMEMBERED)
def parse_time_ns(token: bytes) -> int | None:
    """Instant in ns since 1970 of Unix seconds, ms or ns (told by magnitude) or ISO 8601; None where empty or null.

    Magnitude decides without doubt: 1e11 s is the year 5138, 1e11 ms is 1973, long before there was anything to trade.
    """
    if token == b"null":
        return None
    whole = _WHOLE.fullmatch(token)
    if whole is not None:
        return _instant_ns(int(whole[2]))
    text = number_text(token)
    if text is None:
        return None
    return _iso_ns(text) if _UNSIGNED.fullmatch(text) is None else _instant_ns(Decimal(text))


def _instant_ns(value: int | Decimal) -> int:
    if value < _SECONDS_BELOW:
        return int(value * _NS_PER_S)
    return int(value * 1_000_000) if value < _MS_BELOW else int(value)


def parse_time_ms(token: bytes) -> int | None:
    """As :func:`parse_time_ns`, in ms."""
    at_ns = parse_time_ns(token)
    return None if at_ns is None else at_ns // 1_000_000


def parse_duration_ms(token: bytes) -> int:
    """Seconds, whole or not, as ms."""
    text = number_text(token)
    if text is None or _UNSIGNED.fullmatch(text) is None:
        raise FieldError("was not a number of seconds")
    return int(Decimal(text) * _MS_PER_S)


def _iso_ns(text: str) -> int:
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        raise FieldError("was not a time (Unix seconds, ms or ISO 8601)") from None
    if instant.tzinfo is None:
        raise FieldError("was a time without its zone")
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * _NS_PER_S + since.microseconds * _MS_PER_S


def hex_id(name: str, text: str) -> str:
    """An id or address in lower case, so that equal ones compare equal; never empty."""
    if not text:
        raise FieldError(f"{name} was empty, expected an id")
    return text.lower()


def token_id(name: str, text: str) -> str:
    """An ERC-1155 id: a decimal integer of at most 256 bits, as text."""
    if not _is_token_id(text):
        raise FieldError(f"{name} was not a decimal integer of at most 256 bits")
    return text


@functools.lru_cache(maxsize=_TOKENS_REMEMBERED)
def _is_token_id(text: str) -> bool:
    return _TOKEN_ID.fullmatch(text) is not None and int(text) < 1 << 256


def side(text: str) -> Side:
    """BUY or SELL."""
    return enum_member("side", Side, text)


def enum_member(name: str, members: type[E], text: str) -> E:
    """The member of that value; an unknown one rejects the row (R-16)."""
    member: E | None = _by_value(members).get(text)
    if member is None:
        raise FieldError(f"{name} was {text[:40]!r}, expected one of {', '.join(members)}")
    return member


@functools.cache
def _by_value(members: type[E]) -> dict[str, E]:
    return {member.value: member for member in members}
