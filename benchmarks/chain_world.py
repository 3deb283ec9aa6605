"""The chain of ``chain-catch-up``: raw logs of one wallet over many blocks, made beforehand.

Nine of ten of its logs belong to fills (three each: what it paid, what it got, ``OrderFilled``), one of ten to splits
through an adapter (two each, and eleven in the receipt). A node gives a log's block time with it, as Polygon's do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from polymarket.payloads.log_events import (
    CTF_POSITION_SPLIT,
    ORDER_FILLED,
    TRANSFER,
    TRANSFER_BATCH,
    TRANSFER_SINGLE,
    UNWRAPPED,
)
from polymarket.settings import PolymarketSettings

BLOCKS = 100_000
LOGS = 20_000
FILL_LOGS, SPLIT_LOGS, RECEIPT_LOGS = 3, 2, 11
SPLITS = LOGS // 10 // SPLIT_LOGS
FILLS = LOGS * 9 // 10 // FILL_LOGS
WALLET = "0x" + "a1" * 20
NOBODY = "0x" + "00" * 20
STRANGER = "0x" + "b2" * 20
ADAPTER = "0xada100874d00e3331d00f2007a9c336a65009718"
VAULT = "0x" + "c4" * 20
GENESIS_S = 1_790_000_000

_SETTINGS = PolymarketSettings()
PUSD, USDC_E = _SETTINGS.collateral.lower(), _SETTINGS.usdc_e.lower()
CTF, EXCHANGE = _SETTINGS.conditional_tokens.lower(), _SETTINGS.exchanges[0].lower()


class Event(NamedTuple):
    """A log without its place."""

    address: str
    topics: list[str]
    data: str


class Transaction(NamedTuple):
    """A transaction: its name, its block, the logs that name the wallet by index, and all of them."""

    name: str
    block: int
    mine: list[dict[str, Any]]
    logs: list[dict[str, Any]]


def word(value: int | str) -> str:
    """32 bytes of an integer or an address, without ``0x``."""
    return f"{value:064x}" if isinstance(value, int) else value.removeprefix("0x").rjust(64, "0")


def event(address: str, topics: list[int | str], data: list[int | str]) -> Event:
    """A log of a contract; the first topic is whole."""
    return Event(
        address, [str(topics[0]), *("0x" + word(topic) for topic in topics[1:])], "0x" + "".join(map(word, data))
    )


def token(market: int, outcome: int) -> int:
    """An id as long as real ones."""
    return (0x5EED << 240) + market * 2 + outcome


def fill(number: int) -> list[Event]:
    """A maker's BUY, whole."""
    shares, paid, bought = 1_000_000 + number, 400_000 + number, token(number % 200, number % 2)
    order: list[int | str] = [ORDER_FILLED, number + 1, WALLET, STRANGER]
    return [
        event(PUSD, [TRANSFER, WALLET, EXCHANGE], [paid]),
        event(CTF, [TRANSFER_SINGLE, EXCHANGE, EXCHANGE, WALLET], [bought, shares]),
        event(EXCHANGE, order, [0, bought, paid, shares, 0, 0, 0]),
    ]


def split(number: int) -> list[Event]:
    """A split through the adapter; the wallet's own logs are the first and the last."""
    micro, market = 5_000_000 + number, number % 200
    ids: list[int | str] = [64, 160, 2, token(market, 0), token(market, 1), 2, micro, micro]
    condition: list[int | str] = [CTF_POSITION_SPLIT, ADAPTER, 0, market + 1]
    return [
        event(PUSD, [TRANSFER, WALLET, ADAPTER], [micro]),
        event(PUSD, [TRANSFER, ADAPTER, PUSD], [micro]),
        event(USDC_E, [TRANSFER, VAULT, ADAPTER], [micro]),
        event(USDC_E, ["0x" + "8c" * 32, VAULT, PUSD], [micro]),
        event(PUSD, [TRANSFER, PUSD, NOBODY], [micro]),
        event(PUSD, [UNWRAPPED, ADAPTER, USDC_E, ADAPTER], [micro]),
        event(USDC_E, [TRANSFER, ADAPTER, CTF], [micro]),
        event(USDC_E, ["0x" + "8c" * 32, ADAPTER, CTF], [micro]),
        event(CTF, [TRANSFER_BATCH, ADAPTER, NOBODY, ADAPTER], ids),
        event(CTF, condition, [USDC_E, 96, micro, 2, 1, 2]),
        event(CTF, [TRANSFER_BATCH, ADAPTER, ADAPTER, WALLET], ids),
    ]


def block_hash(number: int) -> str:
    """The hash of a block."""
    return f"0xb10c{number:060x}"


def transactions() -> list[Transaction]:
    """All of them by block, spread evenly; splits stand between fills."""
    count = FILLS + SPLITS
    every = count // SPLITS
    found = []
    for number in range(count):
        is_split = number % every == every - 1
        events = split(number) if is_split else fill(number)
        block, name = 1 + number * BLOCKS // count, f"0x7a{number:062x}"
        logs = [_placed(each, block, name, index) for index, each in enumerate(events)]
        found.append(Transaction(name, block, [logs[0], logs[-1]] if is_split else logs, logs))
    return found


def _placed(log: Event, block: int, name: str, index: int) -> dict[str, Any]:
    return {
        "address": log.address,
        "topics": log.topics,
        "data": log.data,
        "blockNumber": hex(block),
        "transactionHash": name,
        "transactionIndex": "0x1",
        "blockHash": block_hash(block),
        "blockTimestamp": hex(GENESIS_S + block * 3 // 2),
        "logIndex": hex(index),
        "removed": False,
    }


def encoded(value: object) -> bytes:
    """JSON bytes."""
    return msgspec.json.encode(value)
