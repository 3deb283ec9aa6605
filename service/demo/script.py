"""What the sandbox does while the demo runs: three things that happen to a wallet behind a service's back.

An external trade, a merge, and shares worth more than 500 pUSD that leave without a trade. Each is announced, and
later told apart in the stored reports by its market and time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from polymarket.sandbox.actions import AnyAction, ExternalTrade, Merge, TransferIn, TransferOut
from polymarket.sandbox.control import SandboxControl
from service.live import short

MICRO = 1_000_000
TRADE_SHARES = 25
MERGE_SHARES = 120
TRANSFER_PUSD = 650
_CENTS = 100


class NothingToDo(Exception):
    """The sandbox's wallet holds nothing that a deed could be done with."""


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the sandbox did: what, said how, in which market, and when (ms UTC)."""

    name: str
    text: str
    condition_id: str
    at_ms: int


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


DEEDS = (external_trade, merge, transfer)
"""In the order in which the demo does them."""


def announce(deed: Deed) -> str:
    """How a deed is said."""
    return f"the sandbox now {deed.text}  (market {short(deed.condition_id)})"


def decimal(micro: int) -> str:
    """A price as the exchange writes it."""
    return f"0.{micro // (MICRO // _CENTS):02d}"


def _standard(books: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settled positions of ordinary markets with nothing in flight: what happens to them is easy to follow."""
    plain = {market["condition_id"] for market in books["markets"] if not market["neg_risk"] and not market["payouts"]}
    return [row for row in books["positions"] if row["condition_id"] in plain and not row["in_flight_micro"]]


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


def _value(row: Mapping[str, Any]) -> int:
    return int(row["settled_micro"]) * int(row["price_micro"])
