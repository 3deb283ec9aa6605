"""What the chain's logs show, as a market is told it: builders, and a book that hears of blocks and of their end."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from portfolio.entries import Cause, FillState
from portfolio.events import ChainDropped, ChainSeen
from portfolio.facts import MarketMeta, TradeStatus
from portfolio.market import Step
from portfolio.outcomes import Outcome
from portfolio.tail import ChainFact, DroppedBlock
from portfolio.views import CauseHint, TokenPrice
from tests.unit.portfolio.markets import (
    CONDITION,
    EVENT,
    MINUTE,
    NO,
    SECOND,
    SHARE,
    T0,
    Book,
    balances_at,
    chain,
    leg,
    question,
)

AT_MS = T0 + 90 * SECOND
"""Five seconds before block 50's time comes."""

BASE = 40
"""The block up to which the books were compared before a test begins."""


def fact(cause: Cause, cash: int, legs: dict[str, int], **given: Any) -> ChainFact:
    """A change in block 50, log 3 of transaction ``0xa``, unless ``given`` says otherwise."""
    values: dict[str, Any] = {"block": 50, "tx": "0xa", "log": 3, "order_id": "", "fee": 0, "fork": "", **given}
    block, tx, log = values["block"], values["tx"], values["log"]
    token = f":{next(iter(legs))}" if len(legs) == 1 else ""
    hint = CauseHint(
        cause=cause,
        condition_id=values.get("condition_id", CONDITION),
        legs=tuple(legs.items()),
        cash_micro=cash,
        evidence=f"transaction {tx}, log {log}, block {block}",
        logged_as=f"chain:{tx}:{log}{token}",
        at_ms=T0 + 2 * SECOND * block,
        fee_micro=values["fee"],
        order_id=values["order_id"],
    )
    return ChainFact(
        hint=hint,
        order_id=values["order_id"],
        transaction_hash=tx,
        block_number=block,
        block_hash=f"0xb{block}{values['fork']}",
    )


def merged(shares: int = 4 * SHARE, **given: Any) -> ChainFact:
    return fact(Cause.POSITION_MERGED, shares, {"yes": -shares, "no": -shares}, **given)


def filled(shares: int = 3 * SHARE, paid: int = 1_200_000, token: str = "yes", **given: Any) -> ChainFact:
    """A purchase by order ``o1`` (a sale where shares are negative) at 0.40, with ``fee`` beside it."""
    fee = given.get("fee", 0)
    cause = Cause.EXTERNAL_BUY if shares > 0 else Cause.EXTERNAL_SALE
    cash = (-paid if shares > 0 else paid) - fee
    return fact(cause, cash, {token: shares}, **{"order_id": "o1", **given})


class ChainBook(Book):
    """A market that hears of the chain."""

    def chain(self, *facts: ChainFact, final: int = BASE, prices: dict[str, int] | None = None) -> Step:
        marks = tuple(TokenPrice(token_id=token, price_micro=price) for token, price in (prices or {}).items())
        return self.tell(ChainSeen(facts=facts, final_block=final, prices=marks))

    def drop(self, *facts: ChainFact) -> Step:
        """The blocks of these facts are dropped."""
        places = sorted({(one.block_number, one.block_hash) for one in facts})
        return self.tell(ChainDropped(blocks=tuple(DroppedBlock(block_number=n, block_hash=h) for n, h in places)))

    def figures(self) -> dict[str, object]:
        """All that must be as it was, to the base unit, when a block is undone."""
        return dict(self.state.positions)

    def said(self, kind: type[Any], **fields: object) -> tuple[Any, ...]:
        """Rows of the last step of one kind whose fields are these."""
        rows: tuple[Outcome, ...] = self.last(kind)
        return tuple(row for row in rows if all(getattr(row, name) == value for name, value in fields.items()))


def holding(*metas: MarketMeta) -> ChainBook:
    """Ten shares of each, proven at block 40, at 0.40."""
    book = ChainBook(*metas)
    book.see(leg("y", status=TradeStatus.CONFIRMED), leg("n", token_id=NO, status=TradeStatus.CONFIRMED))
    book.look(chain(BASE, yes=10 * SHARE, no=10 * SHARE))
    return book


def balances(block: int, yes: int = 10, no: int = 10) -> Any:
    """Balances at a block, in whole shares."""
    return balances_at(block, {"yes": yes * SHARE, "no": no * SHARE})


def flying(book: ChainBook, trade: str = "t", size: int = 3 * SHARE, **given: Any) -> None:
    """A trade of ``o1`` was seen."""
    book.see(leg(trade, size, at_ms=AT_MS, **given))


def state_of(book: ChainBook, trade: str = "t") -> tuple[FillState, bool]:
    booked = book.fill(trade)
    return booked.fill.state, booked.proven


def expired() -> ChainBook:
    book = holding()
    flying(book)
    book.now_ms = AT_MS + 16 * MINUTE
    book.check("t")
    assert state_of(book) == (FillState.EXPIRED, False)
    return book


def moved(cause: Cause, cash: int, **legs: int) -> ChainFact:
    return fact(cause, cash, legs)


def replace_log(one: ChainFact, log: int, **given: Any) -> ChainFact:
    """The same in another log."""
    name = one.hint.logged_as.replace(":3", f":{log}")
    return replace(one, hint=replace(one.hint, logged_as=name), **given)


def event() -> ChainBook:
    """Three questions; ten NO of the first two, at 0.40."""
    book = ChainBook(*(question(index) for index in range(3)), market_id=EVENT)
    for index in (0, 1):
        bought = leg(f"t{index}", token_id=f"n{index}", condition_id=f"0xc{index}", status=TradeStatus.CONFIRMED)
        book.see(bought)
    book.look(balances_at(BASE, {"n0": 10 * SHARE, "n1": 10 * SHARE}), prices=())
    return book


CONVERSION = fact(
    Cause.CONVERTED,
    4 * SHARE,
    {"n0": -4 * SHARE, "n1": -4 * SHARE, "y2": 4 * SHARE},
    condition_id="",
)
