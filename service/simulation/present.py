"""What the service believes in the midst of a run, against what the world is and was: after each cycle.

At a cycle's block every balance is known to the world, so nothing has to wait for quiet: what the books hold of a token
by then is that balance, or the difference is said to wait for a second look (R-05).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from polymarket.sandbox.world import World
from portfolio.entries import LOGGED, FillState
from portfolio.facts import OrderStatus
from portfolio.outcomes import OperationsReport
from portfolio.provisional import PROVISIONAL
from portfolio.state import BookedAdjustment, BookedFill, MarketState
from portfolio.views import OrderState
from service.replay import Books
from service.simulation.findings import Finding

_BUY = "BUY"


def balances(books: Books, world: World, report: OperationsReport) -> Iterator[Finding]:
    """What the books have at the block of a cycle that compared with the chain is what the chain has (X-02, L-13)."""
    block = report.block_number
    if not report.onchain_reconciled or block is None:
        return
    logged = {operation.transaction_hash: operation.block for operation in world.books.operations}
    for state in books.markets.values():
        held = _held_at(state, world, logged, block)
        for meta in state.metas:
            for token in meta.tokens:
                expected = world.balance(world.directory.by_token[token.token_id], token.token_id, at=block)
                found = held.get(token.token_id, 0)
                if found != expected and token.token_id not in state.pending:
                    yield Finding(
                        rule="the books at a cycle's block are the chain's",
                        subject=token.token_id,
                        expected=str(expected),
                        found=str(found),
                        detail=f"block {block}, cycle {report.cycle_id}",
                    )


def _held_at(state: MarketState, world: World, logged: Mapping[str, int], block: int) -> dict[str, int]:
    """Settled shares by token, of what was in a block by then; which block that was is the world's to say."""
    held: dict[str, int] = {}

    def add(token: str, shares: int) -> None:
        held[token] = held.get(token, 0) + shares

    for booked in state.fills.values():
        if _is_in(booked, world, block):
            add(booked.fill.token_id, _shares(booked.fill.side.value, booked.fill.size_micro))
    for adjustment in state.adjustments.values():
        if not adjustment.superseded and _is_logged_by(adjustment, logged, block):
            for effect in adjustment.effects:
                add(effect.token_id, effect.shares_micro)
    for order in state.orders.values():
        add(order.token_id, _proven(order))
    return held


def _is_in(booked: BookedFill, world: World, block: int) -> bool:
    if booked.fill.state is not FillState.SETTLED or booked.fill.trade_id == PROVISIONAL:
        return False
    trade = world.exchange.trades.get(booked.fill.trade_id)
    return trade is not None and trade.block is not None and trade.block <= block


def _is_logged_by(adjustment: BookedAdjustment, logged: Mapping[str, int], block: int) -> bool:
    """An entry without a transaction is a cycle's, and every cycle's block is behind."""
    _, marked, rest = adjustment.entry.entry_id.partition(LOGGED)
    return not marked or logged.get(rest.partition(":")[0], block + 1) <= block


def _proven(order: OrderState) -> int:
    return _shares(order.side.value, min(order.proven_micro, order.waiting_micro))


def _shares(side: str, size: int) -> int:
    return size if side == _BUY else -size


def orders(books: Books, world: World, *, believable: bool) -> Iterator[Finding]:
    """No order shows more than the exchange has matched, its trades are counted once, none is lost (L-05, L-06, D-03).

    ``believable``: the CLOB never showed the past, in which an order may be unknown that it knows.
    """
    for state in books.markets.values():
        booked: dict[str, int] = {}
        for one in state.fills.values():
            booked[one.fill.order_id] = booked.get(one.fill.order_id, 0) + one.fill.size_micro
        for order in state.orders.values():
            known = world.exchange.orders.get(order.order_id)
            if believable and known is not None and order.status is OrderStatus.GONE:
                yield _of_order("an order that the exchange knows is not given up", order, known.status, order.status)
            matched = known.matched if known is not None else 0
            if order.size_matched_micro > matched:
                yield _of_order("an order shows no more than was matched", order, matched, order.size_matched_micro)
            if order.booked_micro != booked.get(order.order_id, 0):
                yield _of_order(
                    "an order's booked size is its trades'", order, booked.get(order.order_id, 0), order.booked_micro
                )


def _of_order(rule: str, order: OrderState, expected: object, found: object) -> Finding:
    return Finding(rule=rule, subject=order.order_id, expected=str(expected), found=str(found))
