"""The scripted world's chain: transactions with their logs, in blocks that others may replace (X-01, X-14).

What a transaction moves of the wallet follows from its logs; a reorganisation takes it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from portfolio.chain import (
    ChainLog,
    ChainTransaction,
    CollateralTransfer,
    OrderFilled,
    PayoutRedeemed,
    PositionsConverted,
    PositionsMerged,
    PositionSplit,
    TokenTransfer,
)
from portfolio.facts import Payout, Side, Trade
from portfolio.labelling_book import NOBODY, TokenBook
from portfolio.units import mul_price
from tests.support.mined import moved
from tests.support.venue import CONTRACT, FUNDER, Venue

ADAPTER, NEG_ADAPTER, PUSD, EXCHANGE, ALICE = "0xad", "0xae", "0xc0", "0xe1", "0xb1"
BOOK = TokenBook(protocol=frozenset({ADAPTER, NEG_ADAPTER, PUSD, CONTRACT}), exchanges=frozenset({EXCHANGE}))


def include(venue: Venue, name: str, logs: Sequence[ChainLog], number: int | None = None) -> ChainTransaction:
    """A transaction of that name in a new block, or in that one; what it moves of the wallet is moved."""
    number = venue.head + 1 if number is None else number
    venue.head_number = max(venue.head_number, number)
    included = ChainTransaction(
        transaction_hash=name,
        block_number=number,
        block_hash=venue.block_hash(number),
        block_time_ms=venue.clock.now_ms(),
        logs=tuple(logs),
        complete=True,
    )
    venue.transactions.append(included)
    _move(venue, included, 1)
    return included


def reorganise(venue: Venue, first: int, longer_by: int = 1) -> list[ChainTransaction]:
    """Other blocks take the place of those from ``first`` on; returns the transactions that were in them."""
    venue.dropped.update(venue.block_hash(number) for number in range(first, venue.head + 1))
    lost = [one for one in venue.transactions if one.block_number >= first]
    venue.transactions = [one for one in venue.transactions if one.block_number < first]
    for one in reversed(lost):
        _move(venue, one, -1)
    venue.forks.append(first)
    venue.head_number = venue.head + longer_by
    return lost


def again(venue: Venue, transaction: ChainTransaction, number: int | None = None) -> ChainTransaction:
    """A transaction that lost its block is in another one, at the same time: its logs are the same."""
    included = include(venue, transaction.transaction_hash, transaction.logs, number)
    venue.transactions[-1] = replace(included, block_time_ms=transaction.block_time_ms)
    return venue.transactions[-1]


def _move(venue: Venue, transaction: ChainTransaction, sign: int) -> None:
    tokens, cash = moved(transaction, FUNDER)
    for token_id, shares in tokens.items():
        venue.balances[token_id] = venue.balances.get(token_id, 0) + sign * shares
    venue.cash_micro += sign * cash


# -- what happens ------------------------------------------------------------------------------------------------------


def merged(venue: Venue, name: str, shares: int, condition_id: str = "0xa") -> ChainTransaction:
    """The wallet merges both outcomes, through an adapter."""
    event = PositionsMerged(
        log_index=11, contract=CONTRACT, stakeholder=ADAPTER, condition_id=condition_id, amount_micro=shares
    )
    tokens = _both(condition_id, shares, FUNDER, ADAPTER)
    return include(venue, name, (*tokens, event, paid(12, ADAPTER, FUNDER, shares)))


def split(venue: Venue, name: str, shares: int, condition_id: str = "0xa") -> ChainTransaction:
    """The wallet splits collateral, through an adapter."""
    event = PositionSplit(
        log_index=12, contract=CONTRACT, stakeholder=ADAPTER, condition_id=condition_id, amount_micro=shares
    )
    tokens = _both(condition_id, shares, ADAPTER, FUNDER)
    return include(venue, name, (paid(9, FUNDER, ADAPTER, shares), *tokens, event))


def redeemed(venue: Venue, name: str, token_id: str, shares: int) -> ChainTransaction:
    """The wallet is paid one for each share, for the condition was decided for that outcome."""
    condition_id, _, outcome = token_id.rpartition("-")
    numerators = (int(outcome == "yes"), int(outcome == "no"))
    venue.payouts[condition_id] = Payout(condition_id=condition_id, numerators=numerators, denominator=1)
    event = PayoutRedeemed(
        log_index=12, contract=CONTRACT, redeemer=FUNDER, condition_id=condition_id, payout_micro=shares
    )
    return include(
        venue, name, (_token(10, token_id, shares, FUNDER, NOBODY), paid(11, CONTRACT, FUNDER, shares), event)
    )


def converted(venue: Venue, name: str, neg_risk_id: str, shares: int) -> ChainTransaction:
    """NO of the first of two questions becomes YES of the second, through an adapter."""
    event = PositionsConverted(
        log_index=11,
        contract=NEG_ADAPTER,
        stakeholder=ADAPTER,
        neg_risk_market_id=neg_risk_id,
        index_set=1,
        amount_micro=shares,
    )
    given = _token(10, f"{neg_risk_id}-0-no", shares, FUNDER, ADAPTER)
    taken = _token(12, f"{neg_risk_id}-1-yes", shares, ADAPTER, FUNDER)
    return include(venue, name, (given, event, taken))


def transferred(venue: Venue, name: str, token_id: str, shares: int, number: int | None = None) -> ChainTransaction:
    """Shares come (positive) or go, from or to a stranger."""
    sender, receiver = (ALICE, FUNDER) if shares > 0 else (FUNDER, ALICE)
    return include(venue, name, [_token(10, token_id, abs(shares), sender, receiver)], number)


def deposited(venue: Venue, name: str, amount: int) -> ChainTransaction:
    """Collateral comes in."""
    return include(venue, name, [paid(4, NOBODY, FUNDER, amount)])


def filled(venue: Venue, made: Trade) -> ChainTransaction:
    """A trade settles in the transaction that the exchange names."""
    assert made.transaction_hash is not None
    return include(venue, made.transaction_hash, fill_logs(made))


def sold(venue: Venue, name: str, token_id: str, shares: int, price: int) -> ChainTransaction:
    """An order that is not ours sells shares of the wallet."""
    cash = mul_price(shares, price)
    return include(venue, name, _fill_logs(f"order-of-{name}", token_id, Side.SELL, (shares, cash)))


def fill_logs(made: Trade) -> tuple[ChainLog, ...]:
    """The logs of a trade of ours as taker, without fee."""
    amounts = (made.size_micro, mul_price(made.size_micro, made.price_micro))
    return _fill_logs(made.taker_order_id, made.token_id, made.side, amounts)


def _fill_logs(order_id: str, token_id: str, side: Side, amounts: tuple[int, int]) -> tuple[ChainLog, ...]:
    shares, cash = amounts
    giver, taker = (ALICE, FUNDER) if side is Side.BUY else (FUNDER, ALICE)
    given, got = (cash, shares) if side is Side.BUY else (shares, cash)
    return (
        _token(1, token_id, shares, giver, taker),
        paid(2, taker, giver, cash),
        OrderFilled(
            log_index=3,
            contract=EXCHANGE,
            order_id=order_id,
            maker=FUNDER,
            taker=EXCHANGE,
            side=side,
            token_id=token_id,
            maker_amount_micro=given,
            taker_amount_micro=got,
            fee_micro=0,
        ),
    )


def _both(condition_id: str, shares: int, sender: str, receiver: str) -> tuple[TokenTransfer, ...]:
    first = _token(10, f"{condition_id}-yes", shares, sender, receiver)
    return (first, replace(first, part=1, token_id=f"{condition_id}-no"))


def _token(log_index: int, token_id: str, shares: int, sender: str, receiver: str) -> TokenTransfer:
    where: dict[str, Any] = {"log_index": log_index, "contract": CONTRACT, "operator": ADAPTER}
    return TokenTransfer(token_id=token_id, shares_micro=shares, sender=sender, receiver=receiver, **where)


def paid(log_index: int, sender: str, receiver: str, amount: int) -> CollateralTransfer:
    """A transfer of pUSD."""
    return CollateralTransfer(
        log_index=log_index, contract=PUSD, bucket="pusd", sender=sender, receiver=receiver, amount_micro=amount
    )
