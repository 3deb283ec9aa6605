"""Reorganisations: the chain drops its latest blocks and goes another way (R-31, X-07).

What stood in the dropped blocks comes back in its old order, later or at once, or is gone for good. The wallet's books,
what is published of it, resolutions and matches go back to the block of the fork with the chain; what the exchange has
told does not.
"""

from __future__ import annotations

from typing import Any

from polymarket.sandbox.actions import Reorganise
from polymarket.sandbox.chain import Block, Transaction
from polymarket.sandbox.trading import FAILED, MATCHED, RETRYING, OrderRefusedError, Settlement, Trade
from polymarket.sandbox.world import Inclusion, World

_MS_PER_S = 1000
_STATUSES = frozenset({"", MATCHED, RETRYING})


def reorganise(world: World, action: Reorganise) -> dict[str, Any]:
    """Carry it out; returns the fork, the dropped blocks (oldest first), and which transactions come back or do not.

    Raises ``OrderRefusedError`` where it would reach a finalized block or names what is not in the dropped ones.
    """
    fork = world.chain.head.number - action.depth
    _check(world, action, fork)
    rows = [(block, what) for block, what in world.included if block > fork]
    gone = {tx_hash.lower() for tx_hash in action.drop}
    unknown = gone - {_hash_of(what) for _, what in rows}
    if unknown:
        raise OrderRefusedError(f"{min(unknown)[:70]} is no transaction of the last {action.depth} blocks")
    dropped = _go_back(world, fork)
    _bring_back(world, action, rows, gone)
    new = len(dropped) + 1 if action.blocks is None else action.blocks
    times = [block.timestamp_s * _MS_PER_S for block in dropped] + [world.now_ms] * new
    for at_ms in times[:new]:
        world.build(at_ms)
    return {
        "fork": fork,
        "head": world.chain.head.number,
        "dropped": [{"number": block.number, "hash": block.hash} for block in dropped],
        "returning": [_hash_of(what) for _, what in rows if _hash_of(what) not in gone],
        "gone": sorted(gone),
    }


def _check(world: World, action: Reorganise, fork: int) -> None:
    if action.depth < 1 or action.delay < 0 or (action.blocks or 0) < 0:
        raise OrderRefusedError(
            f"depth was {action.depth}, delay {action.delay}, blocks {action.blocks}; "
            "expected a depth of at least 1 and nothing below 0"
        )
    if action.trade_status not in _STATUSES:
        raise OrderRefusedError(f"trade_status was {action.trade_status[:20]!r}, expected RETRYING, MATCHED or nothing")
    if fork < world.finalized():
        finalized = world.finalized()
        most = world.chain.head.number - finalized
        raise OrderRefusedError(
            f"depth was {action.depth}, but block {finalized} is finalized; at most {most} blocks can be dropped"
        )


def _go_back(world: World, fork: int) -> tuple[Block, ...]:
    """Chain, books, published positions, refusals and resolutions as they were after the block of the fork."""
    dropped = world.chain.rollback(fork)
    world.books.undo(fork)
    world.published.undo(fork)
    world.included = [row for row in world.included if row[0] <= fork]
    for block in dropped:
        for tx_hash in block.transactions:
            world.refused.pop(tx_hash, None)
    for market in world.directory.markets:
        if market.resolved_block is not None and market.resolved_block > fork:
            market.payouts, market.resolved_block, market.resolved_ms = None, None, 0
    return dropped


def _bring_back(world: World, action: Reorganise, rows: list[tuple[int, Inclusion]], gone: set[str]) -> None:
    """Give each transaction its later block. Matches go the way of all matches, before those that are newer."""
    again: dict[str, Trade] = {}
    for block, what in rows:
        due, lost = block + action.delay, _hash_of(what) in gone
        if isinstance(what, Trade):
            world.settlements.unsettle(what, action.trade_status)
            what.settlement = Settlement(stuck=lost, again=not lost, not_before=due)
            again[what.trade_id] = what
        elif not lost:
            world.returning.setdefault(due, []).append(what)
        if not lost:
            world.returns_until = max(world.returns_until, due)
    world.exchange.unsettled = {**again, **world.exchange.unsettled}
    for trade in again.values():
        if trade.settlement.stuck:
            _lose(world, trade)


def _lose(world: World, trade: Trade) -> None:
    """A match's transaction is gone: the exchange can send another one, of a match that it lists."""
    if not trade.listed:
        del world.exchange.unsettled[trade.trade_id]
        trade.error = "the transaction was dropped in a reorganisation"
        world.settlements.become(trade, FAILED)
    elif trade.status == MATCHED:
        trade.transaction_hash = ""


def _hash_of(what: Inclusion) -> str:
    match what:
        case Trade():
            return what.transaction_hash
        case Transaction():
            return what.hash
        case _:
            return what.transaction.hash
