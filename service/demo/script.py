"""What the sandbox does while the demo runs: things that happen to a wallet behind a service's back.

An external trade, a trade that fails, a merge, a split whose block the chain drops, a redemption, and shares worth more
than 500 pUSD that move without a trade. Each is announced, and later told apart in the stored reports by its market
and time, a trade by its id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from polymarket.sandbox.actions import (
    AnyAction,
    ExternalTrade,
    FillOrder,
    Merge,
    Redeem,
    Reorganise,
    Resolve,
    Split,
    TransferIn,
    TransferOut,
)
from polymarket.sandbox.control import SandboxControl
from portfolio.units import format_micro
from service.live import short

MICRO = 1_000_000
TRADE_SHARES = 25
FAILING_SHARES = 40
FAILS_AFTER_BLOCKS = 2
"""So that the trade is seen to count before it fails."""

MERGE_SHARES = 120
SPLIT_SHARES = 60
TRANSFER_PUSD = 650
_CENTS = 100


class NothingToDo(Exception):
    """The sandbox's wallet holds nothing that a deed could be done with."""


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the sandbox did: what, said how, in which market, and when (ms UTC).

    ``trade_id`` where it was a trade of the wallet's own order.
    """

    name: str
    text: str
    condition_id: str
    at_ms: int
    trade_id: str = ""


def external_trade(sandbox: SandboxControl, now_ms: int) -> Deed:
    """Another client of the same wallet sells some shares."""
    row = _largest(_single_sided(sandbox.books()), TRADE_SHARES * MICRO)
    price = decimal(row["price_micro"])
    sandbox.act(ExternalTrade(token_id=row["token_id"], side="SELL", size=str(TRADE_SHARES), price=price, listed=False))
    text = f"sells {TRADE_SHARES} {row['outcome']} at {price} by another client of the wallet, in no trade list"
    return Deed(name="external trade", text=text, condition_id=row["condition_id"], at_ms=now_ms)


def merge(sandbox: SandboxControl, now_ms: int) -> Deed:
    """The wallet's owner merges both outcomes into pUSD by hand."""
    pairs = _both_sided(sandbox.books())
    if not pairs:
        raise NothingToDo("The sandbox's wallet holds no market with both outcomes to merge.")
    sandbox.act(Merge(condition_id=pairs[0], amount=str(MERGE_SHARES)))
    text = f"merges {MERGE_SHARES} of both outcomes into {MERGE_SHARES} pUSD"
    return Deed(name="merge", text=text, condition_id=pairs[0], at_ms=now_ms)


def failed_trade(sandbox: SandboxControl, now_ms: int) -> Deed:
    """A stranger takes of an order of the wallet, which counts from then on; on the chain the trade fails."""
    order = _failing_order(sandbox.books())
    action = FillOrder(order_id=order["id"], size=str(FAILING_SHARES), fail=True, delay_blocks=FAILS_AFTER_BLOCKS)
    trade_id = sandbox.act(action)["trade_id"]
    word = "sells" if order["side"] == "SELL" else "buys"
    terms = f"{FAILING_SHARES} {order['outcome']} at {order['price']}"
    text = f"lets a trade fail: an order {word} {terms}, and its transaction will revert"
    return Deed(name="failed trade", text=text, condition_id=order["market"], at_ms=now_ms, trade_id=trade_id)


def split(sandbox: SandboxControl, now_ms: int) -> Deed:
    """The wallet's owner splits pUSD into both outcomes; from then on the chain stands still, for what comes next."""
    pairs = _both_sided(sandbox.books())
    if not pairs:
        raise NothingToDo("The sandbox's wallet holds no market with both outcomes to split pUSD into.")
    sandbox.pause()
    sandbox.act(Split(condition_id=pairs[0], amount=str(SPLIT_SHARES)))
    sandbox.mine()
    text = f"splits {SPLIT_SHARES} pUSD into both outcomes"
    return Deed(name="split", text=text, condition_id=pairs[0], at_ms=now_ms)


def reorganisation(sandbox: SandboxControl, now_ms: int) -> Deed:
    """The chain drops the block of the split; in the one that takes its place it is again."""
    pairs = _both_sided(sandbox.books())
    if not pairs:
        raise NothingToDo("The sandbox's wallet holds no market with both outcomes that a block could be dropped of.")
    sandbox.act(Reorganise(depth=1))
    sandbox.resume()
    text = "drops its last block, with the split in it, and has it again one block later"
    return Deed(name="reorganisation", text=text, condition_id=pairs[0], at_ms=now_ms)


def redemption(sandbox: SandboxControl, now_ms: int) -> Deed:
    """A market resolves in favour of what the wallet holds, and its owner redeems that."""
    books = sandbox.books()
    row = _redeemed(_single_sided(books))
    market = next(each for each in books["markets"] if each["condition_id"] == row["condition_id"])
    sandbox.act(
        Resolve(condition_id=row["condition_id"], payouts=[int(t == row["token_id"]) for t in market["tokens"]])
    )
    sandbox.act(Redeem(condition_id=row["condition_id"]))
    text = f"resolves a market to {row['outcome']}, and the wallet redeems {format_micro(row['settled_micro'])} of it"
    return Deed(name="redemption", text=text, condition_id=row["condition_id"], at_ms=now_ms)


def transfer(sandbox: SandboxControl, now_ms: int) -> Deed:
    """Shares worth more than 500 pUSD move without any trade; in, where the wallet has not enough of one to send."""
    rows = _single_sided(sandbox.books())
    row = max(rows, key=_value)
    shares = -(-TRANSFER_PUSD * MICRO // row["price_micro"])
    leaves = shares * MICRO <= row["settled_micro"]
    word = "sends away" if leaves else "receives"
    action: AnyAction = (TransferOut if leaves else TransferIn)(token_id=row["token_id"], amount=str(shares))
    sandbox.act(action)
    text = f"{word} {shares} {row['outcome']} worth {TRANSFER_PUSD} pUSD, without a trade"
    return Deed(name="transfer above 500 pUSD", text=text, condition_id=row["condition_id"], at_ms=now_ms)


DEEDS = (external_trade, merge, transfer, failed_trade, redemption, split, reorganisation)
"""In the order in which the demo does them."""


def announce(deed: Deed) -> str:
    """How a deed is said."""
    return f"the sandbox now {deed.text}  (market {short(deed.condition_id)})"


def decimal(micro: int) -> str:
    """A price as the exchange writes it."""
    return f"0.{micro // (MICRO // _CENTS):02d}"


def _standard(books: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settled positions of ordinary markets with nothing in flight: what happens to them is easy to follow."""
    plain = _plain(books)
    return [row for row in books["positions"] if row["condition_id"] in plain and not row["in_flight_micro"]]


def _plain(books: Mapping[str, Any]) -> set[str]:
    return {row["condition_id"] for row in books["markets"] if not row["neg_risk"] and not row["payouts"]}


def _both_sided(books: Mapping[str, Any]) -> list[str]:
    held: dict[str, list[int]] = {}
    for row in _standard(books):
        held.setdefault(row["condition_id"], []).append(row["settled_micro"])
    return [name for name, sizes in held.items() if len(sizes) > 1 and min(sizes) >= MERGE_SHARES * MICRO]


def _single_sided(books: Mapping[str, Any]) -> list[dict[str, Any]]:
    both = set(_both_sided(books))
    rows = [row for row in _standard(books) if row["condition_id"] not in both]
    if not rows:
        raise NothingToDo("The sandbox's wallet holds no settled position in an ordinary market.")
    return rows


def _largest(rows: Sequence[dict[str, Any]], needed_micro: int) -> dict[str, Any]:
    """The second-largest position by value where there is one: the largest is for the transfer."""
    enough = sorted((row for row in rows if row["settled_micro"] >= needed_micro), key=_value, reverse=True)
    if not enough:
        raise NothingToDo("The sandbox's wallet holds no position large enough to sell some of it.")
    return enough[min(1, len(enough) - 1)]


def _redeemed(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The third-largest position: not those of the transfer and of the external trade."""
    others = sorted(rows, key=_value, reverse=True)[2:]
    if not others:
        raise NothingToDo("The sandbox's wallet holds no third position to redeem.")
    return others[0]


def _failing_order(books: Mapping[str, Any]) -> dict[str, Any]:
    """An open order in an ordinary market with enough left of it.

    A sale where there is one, for its P&L shows, and of what was sold by the other client, for one story tells of both.
    """
    plain = _plain(books)
    live = (row for row in books["orders"] if row["status"] == "LIVE" and row["market"] in plain)
    needed = Decimal(FAILING_SHARES)
    enough = [row for row in live if Decimal(row["original_size"]) - Decimal(row["size_matched"]) >= needed]
    if not enough:
        raise NothingToDo("The sandbox's wallet has no open order large enough for a trade that fails.")
    sold = _largest(_single_sided(books), 0)["condition_id"]
    return max(enough, key=lambda row: (row["side"] == "SELL", row["market"] == sold))


def _value(row: Mapping[str, Any]) -> int:
    return int(row["settled_micro"]) * int(row["price_micro"])
