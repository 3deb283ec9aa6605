"""The chain of ``chain-catch-up``: raw logs of one wallet over many blocks, made beforehand.

Nine of ten of its logs belong to fills (three each: what was paid, what was got, ``OrderFilled``); the rest to splits
and merges through an adapter (two each, and the whole receipt beside) and to tokens that a stranger sent (one each). A
node gives a log's block time with it, as Polygon's do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from polymarket.payloads.log_events import (
    CTF_POSITION_SPLIT,
    CTF_POSITIONS_MERGE,
    ORDER_FILLED,
    TRANSFER,
    TRANSFER_BATCH,
    TRANSFER_SINGLE,
    UNWRAPPED,
    WRAPPED,
)
from polymarket.settings import PolymarketSettings

FIRST = 80_000_001
BLOCKS = 100_000
HEAD = FIRST + BLOCKS - 1
MARKETS = 200
FILLS, SPLITS, MERGES, TRANSFERS = 6_000, 450, 450, 200
WHOLE = SPLITS + MERGES + TRANSFERS
"""Transactions of which the whole receipt is read: fills do not explain them."""

LOGS = 3 * FILLS + 2 * SPLITS + 2 * MERGES + TRANSFERS
WALLET = "0x" + "a1" * 20
NOBODY = "0x" + "00" * 20
STRANGER = "0x" + "b2" * 20
ADAPTER = "0xada100874d00e3331d00f2007a9c336a65009718"
VAULT = "0x" + "c4" * 20
GENESIS_S = 1_670_000_000
"""Block numbers times 1.5 s after it is a time of this year."""

_SETTINGS = PolymarketSettings()
PUSD, USDC_E = _SETTINGS.collateral.lower(), _SETTINGS.usdc_e.lower()
CTF, EXCHANGE = _SETTINGS.conditional_tokens.lower(), _SETTINGS.exchanges[0].lower()
_APPROVED = "0x" + "8c" * 32


class Event(NamedTuple):
    """A log without its place."""

    address: str
    topics: list[str]
    data: str


class Filled(NamedTuple):
    """The terms of a fill, a maker's."""

    market: int
    outcome: int
    buys: bool
    shares: int
    price: int
    """In hundredths."""

    @property
    def paid(self) -> int:
        """Collateral, as computed from the price."""
        return self.shares * self.price // 100


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


def order(number: int) -> int:
    """The id of the order that a fill is of."""
    return number + 1


def filled(number: int) -> Filled:
    """Sizes and prices vary; every third fill of a market sells half of what was bought before."""
    market, turn = number % MARKETS, number // MARKETS
    buys = turn % 3 != 2
    shares = (1_000_000 if buys else 500_000) + 100 * number
    return Filled(market, turn // 3 % 2, buys, shares, 10 + number * 7 % 80)


def fill(number: int) -> list[Event]:
    """One of ten is paid a unit more than its price says: the log wins (R-20)."""
    terms = filled(number)
    bought, paid = token(terms.market, terms.outcome), terms.paid + (number % 10 == 0)
    money, goods = (WALLET, EXCHANGE), (EXCHANGE, WALLET)
    given = [0, bought, paid, terms.shares]
    if not terms.buys:
        money, goods, given = goods, money, [1, bought, terms.shares, paid]
    return [
        event(PUSD, [TRANSFER, *money], [paid]),
        event(CTF, [TRANSFER_SINGLE, EXCHANGE, *goods], [bought, terms.shares]),
        event(EXCHANGE, [ORDER_FILLED, order(number), WALLET, STRANGER], [*given, 0, 0, 0]),
    ]


def _batch(market: int, micro: int) -> list[int | str]:
    return [64, 160, 2, token(market, 0), token(market, 1), 2, micro, micro]


def split(number: int) -> list[Event]:
    """A split through the adapter; the wallet's own logs are the first and the last."""
    micro, market = 5_000_000 + number, number % MARKETS
    ids = _batch(market, micro)
    condition: list[int | str] = [CTF_POSITION_SPLIT, ADAPTER, 0, market + 1]
    return [
        event(PUSD, [TRANSFER, WALLET, ADAPTER], [micro]),
        event(PUSD, [TRANSFER, ADAPTER, PUSD], [micro]),
        event(USDC_E, [TRANSFER, VAULT, ADAPTER], [micro]),
        event(USDC_E, [_APPROVED, VAULT, PUSD], [micro]),
        event(PUSD, [TRANSFER, PUSD, NOBODY], [micro]),
        event(PUSD, [UNWRAPPED, ADAPTER, USDC_E, ADAPTER], [micro]),
        event(USDC_E, [TRANSFER, ADAPTER, CTF], [micro]),
        event(USDC_E, [_APPROVED, ADAPTER, CTF], [micro]),
        event(CTF, [TRANSFER_BATCH, ADAPTER, NOBODY, ADAPTER], ids),
        event(CTF, condition, [USDC_E, 96, micro, 2, 1, 2]),
        event(CTF, [TRANSFER_BATCH, ADAPTER, ADAPTER, WALLET], ids),
    ]


def merge(number: int) -> list[Event]:
    """A merge through the adapter of less than the split before it brought."""
    micro, market = 2_000_000 + number, number % MARKETS
    ids = _batch(market, micro)
    condition: list[int | str] = [CTF_POSITIONS_MERGE, ADAPTER, 0, market + 1]
    return [
        event(CTF, [TRANSFER_BATCH, ADAPTER, WALLET, ADAPTER], ids),
        event(CTF, [TRANSFER_BATCH, ADAPTER, ADAPTER, NOBODY], ids),
        event(USDC_E, [TRANSFER, CTF, ADAPTER], [micro]),
        event(CTF, condition, [USDC_E, 96, micro, 2, 1, 2]),
        event(USDC_E, [TRANSFER, ADAPTER, VAULT], [micro]),
        event(PUSD, [TRANSFER, NOBODY, WALLET], [micro]),
        event(PUSD, [WRAPPED, ADAPTER, USDC_E, WALLET], [micro]),
    ]


def transfer(number: int) -> list[Event]:
    """Tokens from a stranger."""
    sent: list[int | str] = [token(number % MARKETS, number % 2), 3_000_000 + number]
    return [event(CTF, [TRANSFER_SINGLE, STRANGER, STRANGER, WALLET], sent)]


_KINDS: tuple[tuple[Callable[[int], list[Event]], int], ...] = (
    (split, SPLITS),
    (merge, MERGES),
    (fill, FILLS),
    (transfer, TRANSFERS),
)


def block_hash(number: int) -> str:
    """The hash of a block."""
    return f"0xb10c{number:060x}"


def block_time_s(number: int) -> int:
    """The time of a block, in Unix seconds."""
    return GENESIS_S + number * 3 // 2


def placed() -> list[tuple[Callable[[int], list[Event]], int]]:
    """What each transaction is, in their order: each kind spread evenly, a split before the merge of its place."""
    spread = [
        ((number + 0.5) / count, rank, number) for rank, (_, count) in enumerate(_KINDS) for number in range(count)
    ]
    return [(_KINDS[rank][0], number) for _, rank, number in sorted(spread)]


def place(position: int) -> tuple[str, int]:
    """Name and block of the transaction at a position, spread evenly over all blocks."""
    return f"0x7a{position:062x}", FIRST + position * BLOCKS // (FILLS + WHOLE)


def transactions() -> list[Transaction]:
    """All of them by block."""
    found = []
    for position, (make, number) in enumerate(placed()):
        name, block = place(position)
        logs = [_placed(each, block, name, index) for index, each in enumerate(make(number))]
        found.append(Transaction(name, block, [log for log in logs if _movement(log) or make is fill], logs))
    return found


def _movement(log: Mapping[str, Any]) -> bool:
    """Whether the log moves something of the wallet's."""
    kind, *topics = log["topics"]
    return kind in {TRANSFER, TRANSFER_SINGLE, TRANSFER_BATCH} and "0x" + word(WALLET) in topics


def moved(made: Iterable[Transaction]) -> Counter[int | str]:
    """What the wallet got (negative: gave) by token id, and of collateral by its address."""
    total: Counter[int | str] = Counter()
    for log in (log for each in made for log in each.mine if _movement(log)):
        kind, data = log["topics"][0], log["data"][2:]
        values = [int(data[at : at + 64], 16) for at in range(0, len(data), 64)]
        sign = 1 if log["topics"][-1] == "0x" + word(WALLET) else -1
        if kind == TRANSFER:
            total[log["address"]] += sign * values[0]
        elif kind == TRANSFER_SINGLE:
            total[values[0]] += sign * values[1]
        else:
            total.update({values[3]: sign * values[6], values[4]: sign * values[7]})
    return total


def _placed(log: Event, block: int, name: str, index: int) -> dict[str, Any]:
    return {
        "address": log.address,
        "topics": log.topics,
        "data": log.data,
        "blockNumber": hex(block),
        "transactionHash": name,
        "transactionIndex": "0x1",
        "blockHash": block_hash(block),
        "blockTimestamp": hex(block_time_s(block)),
        "logIndex": hex(index),
        "removed": False,
    }


def encoded(value: object) -> bytes:
    """JSON bytes."""
    return msgspec.json.encode(value)
