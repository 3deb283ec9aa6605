"""Topics and words of a log: hexadecimal text cut by its places, each piece checked (X-01, R-16).

No generic ABI codec: every event here has a fixed head, and a catch-up reads tens of thousands of logs.
"""

from __future__ import annotations

import functools
import re

import msgspec

from polymarket.payloads.fields import FieldError
from polymarket.payloads.money import MAX_MICRO

_HEX = re.compile(r"0x[0-9a-fA-F]*")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS_TOPIC = re.compile(r"0x0{24}([0-9a-fA-F]{40})")
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,15}")
_WORD = 64
_WORD_BYTES = 32
_REMEMBERED = 10_000
"""Addresses, tokens and places come again and again, and take long to check and to turn into decimal text."""


class LogWire(msgspec.Struct, rename="camel", gc=False):
    """A log as JSON-RPC writes it; a log of no block has nulls, and is refused for them."""

    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    log_index: str
    block_timestamp: str | None = None
    removed: bool = False


def topics(wire: LogWire, count: int) -> list[str]:
    """All topics, if they are so many."""
    if len(wire.topics) != count:
        raise FieldError(f"topics were {len(wire.topics)}, expected {count}")
    return wire.topics


def words(wire: LogWire, count: int | None = None) -> list[str]:
    """The data in words of 32 bytes, as hexadecimal text; so many, where that is fixed."""
    data = wire.data
    if _HEX.fullmatch(data) is None or (len(data) - 2) % _WORD:
        raise FieldError("data was not whole words in hexadecimal")
    if count is not None and len(data) != 2 + count * _WORD:
        raise FieldError(f"data was {len(data) // _WORD} words long, expected {count}")
    return [data[start : start + _WORD] for start in range(2, len(data), _WORD)]


def array(name: str, data: list[str], head: int, place: int) -> list[str]:
    """The elements of an array whose offset stands at ``head`` and which begins at ``place``, as Solidity lays it."""
    if len(data) <= place or int(data[head], 16) != place * _WORD_BYTES:
        raise FieldError(f"{name} was not where its event has it")
    length = int(data[place], 16)
    if length > len(data) - place - 1:
        raise FieldError(f"{name} was longer than the data")
    return data[place + 1 : place + 1 + length]


def check_whole(name: str, data: list[str], elements: list[str], place: int) -> None:
    """Nothing may follow the array, which is the last."""
    if len(data) != place + 1 + len(elements):
        raise FieldError(f"{name} was shorter than the data")


@functools.lru_cache(maxsize=_REMEMBERED)
def token_id(word: str) -> str:
    """A word as the decimal text that names a token."""
    return str(int(word, 16))


def micro(name: str, word: str) -> int:
    """A word as an amount in 1e-6; one that no wallet can hold is none."""
    value = int(word, 16)
    if value > MAX_MICRO:
        raise FieldError(f"{name} was larger than any amount there can be")
    return value


def is_foreign(word: str) -> bool:
    """Whether an amount of tokens is larger than any that collateral of ours can stand behind.

    The outcome contract is open to all: anyone may make tokens of a collateral of their own in any amount, move them to
    a wallet of ours, and resolve conditions of their own. Such a log is well-formed and none of our business; refusing
    it would let a stranger stop the reader.
    """
    return int(word, 16) > MAX_MICRO


@functools.lru_cache(maxsize=_REMEMBERED)
def address(name: str, topic: str) -> str:
    """An address out of its topic, lower-case."""
    found = _ADDRESS_TOPIC.fullmatch(topic)
    if found is None:
        raise FieldError(f"{name} was not an address")
    return "0x" + found[1].lower()


@functools.lru_cache(maxsize=_REMEMBERED)
def hash32(name: str, text: str) -> str:
    """32 bytes, lower-case."""
    if _HASH.fullmatch(text) is None:
        raise FieldError(f"{name} was not 32 bytes")
    return text.lower()


@functools.lru_cache(maxsize=_REMEMBERED)
def quantity(name: str, text: str) -> int:
    """A number as JSON-RPC writes it; none that is meant here has more than 60 bits."""
    if _QUANTITY.fullmatch(text) is None:
        raise FieldError(f"{name} was not a quantity")
    return int(text, 16)
