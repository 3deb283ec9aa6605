"""Stored lives of markets: told to the market itself, and committed entry by entry as its actor does (D-16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from messages.addresses import market_address
from messages.codec import SCHEMA, encode, kind_of_event
from messages.ledger import Decision
from portfolio.entries import Cause
from portfolio.events import MarketEvent
from portfolio.facts import MarketMeta, Payout, TradeStatus
from portfolio.market import Step
from portfolio.views import CauseHint
from storage.database import open_database
from storage.lease import Leases
from storage.ledger import Ledger
from tests.integration.storage import samples
from tests.unit.portfolio.markets import CONDITION, EVENT, NO, SECOND, SHARE, T0, WALLET, Book, chain, leg, question

WON = (Payout(condition_id=CONDITION, numerators=(1, 0), denominator=1),)


class Kept(Book):
    """A market whose every change is a decision to be committed, as the market's actor makes them."""

    def __init__(self, *metas: MarketMeta, market_id: str = CONDITION) -> None:
        self.decisions: list[Decision] = []
        super().__init__(*metas, market_id=market_id)

    def tell(self, event: MarketEvent) -> Step:
        before = self.state
        step = super().tell(event)
        if step.state is not before:
            decision = Decision(
                stream=WALLET,
                address=market_address(WALLET, self.state.market_id),
                kind=kind_of_event(event),
                schema=SCHEMA,
                version=step.state.version,
                at_ms=self.now_ms,
                payload=encode(event),
                rows=step.rows,
            )
            self.decisions.append(decision)
        return step


def hint(cause: Cause, cash: int, log: int, **legs: int) -> CauseHint:
    transaction = f"0x{log:064x}"
    return CauseHint(
        cause=cause,
        condition_id=CONDITION,
        legs=tuple(legs.items()),
        cash_micro=cash,
        evidence=f"transaction {transaction}, log {log}, block 80000045",
        logged_as=f"chain:{transaction}:{log}",
        at_ms=T0 + 94 * SECOND,
    )


def a_life() -> Kept:
    """Bought; merged; a part sold elsewhere, by a log; a trade that failed; the rest of YES redeemed."""
    book = Kept()
    book.see(leg("y", status=TradeStatus.CONFIRMED, transaction_hash="0x" + "b1" * 32))
    book.see(leg("n", token_id=NO, order_id="o2", status=TradeStatus.CONFIRMED))
    book.look(chain(40, yes=10 * SHARE, no=10 * SHARE))
    merged = hint(Cause.POSITION_MERGED, 4 * SHARE, 3, yes=-4 * SHARE, no=-4 * SHARE)
    book.look(chain(50, yes=6 * SHARE, no=6 * SHARE), hints=(merged,))
    for block in (51, 52):
        sold = hint(Cause.EXTERNAL_SALE, 1_800_000, 5, yes=-3 * SHARE)
        book.look(chain(block, yes=3 * SHARE, no=6 * SHARE), hints=(sold,))
    book.see(leg("f", 2 * SHARE))
    book.wait(SECOND)
    book.see(leg("f", 2 * SHARE, status=TradeStatus.FAILED, transaction_hash="0x" + "f1" * 32))
    redeemed = hint(Cause.REDEEMED, 3 * SHARE, 7, yes=-3 * SHARE)
    book.look(chain(60, payouts=WON, yes=0, no=6 * SHARE), hints=(redeemed,))
    return book


def stored(folder: Path, book: Kept, *more: Any) -> str:
    """The URL of a database with that life, and ``more`` rows of other actors."""
    url = f"sqlite:///{folder}/books.db"
    database = open_database(url, owner="test", now_ms=T0)
    try:
        ledger = Ledger(database)
        ledger.hold(Leases(database).acquire(WALLET, "test", T0))
        ledger.commit([*book.decisions, samples.decision(samples.EVERY_KIND[0], *more)])
    finally:
        database.close()
    return url


def spoil(folder: Path, statement: str) -> None:
    """Change the stored state behind the ledger's back."""
    database = open_database(f"sqlite:///{folder}/books.db", owner="vandal", now_ms=T0)
    try:
        database.write(lambda transaction: transaction.execute(statement))
    finally:
        database.close()


def an_event() -> Kept:
    """Two questions of an event; in each a purchase, in the second a trade that failed."""
    first, second = question(0), question(1)
    book = Kept(first, second, market_id=EVENT)
    book.see(leg("a", condition_id=first.condition_id, token_id="y0"))
    book.see(leg("b", condition_id=second.condition_id, token_id="n1", order_id="o2"))
    book.check("b", order_id="o2")
    return book
