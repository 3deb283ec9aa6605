"""Entries for tests: short builders, and hypothesis strategies for whole ledgers of every kind of entry."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from portfolio.entries import (
    Carry,
    Cause,
    Conversion,
    EconomicTime,
    Entry,
    Fill,
    FillState,
    Merge,
    Redemption,
    Split,
    Trade,
)
from portfolio.facts import Role, Side

CONDITION = "0xc0"
EVENT = "0xe0"
YES, NO = "yes", "no"
EVENT_YES = ("y0", "y1", "y2")
EVENT_NO = ("n0", "n1", "n2")
TOKENS = (YES, NO, *EVENT_YES, *EVENT_NO)


def at(time: int) -> EconomicTime:
    return EconomicTime(time)


def fill(time: int, side: Side, shares: int, amount: int, **given: Any) -> Fill:
    values: dict[str, Any] = {
        "entry_id": f"fill-{time}",
        "at": at(time),
        "trade_id": f"trade-{time}",
        "order_id": "order",
        "condition_id": CONDITION,
        "token_id": YES,
        "side": side,
        "role": Role.TAKER,
        "price_micro": amount * 1_000_000 // shares if shares else 0,
        "size_micro": shares,
        "amount_micro": amount,
        "fee_micro": 0,
        "state": FillState.SETTLED,
        "owner": "key",
        "external": False,
        "transaction_hash": None,
    }
    return Fill(**(values | given))


def buy(time: int, shares: int, amount: int, **given: Any) -> Fill:
    return fill(time, Side.BUY, shares, amount, **given)


def sell(time: int, shares: int, amount: int, **given: Any) -> Fill:
    return fill(time, Side.SELL, shares, amount, **given)


def carry(time: int, shares: int, cost: int, token_id: str = YES, cause: Cause = Cause.TRANSFER_IN) -> Carry:
    return Carry(
        entry_id=f"carry-{time}",
        at=at(time),
        cause=cause,
        condition_id=CONDITION,
        token_id=token_id,
        shares_micro=shares,
        cost_micro=cost,
        evidence="test",
    )


def trade(time: int, side: Side, shares: int, amount: int, **given: Any) -> Trade:
    values: dict[str, Any] = {
        "entry_id": f"trade-{time}",
        "at": at(time),
        "cause": Cause.EXTERNAL_SALE if side is Side.SELL else Cause.EXTERNAL_BUY,
        "condition_id": CONDITION,
        "token_id": YES,
        "side": side,
        "shares_micro": shares,
        "amount_micro": amount,
        "evidence": "test",
    }
    return Trade(**(values | given))


def redemption(time: int, shares: int, proceeds: int, token_id: str = YES) -> Redemption:
    return Redemption(
        entry_id=f"redemption-{time}",
        at=at(time),
        condition_id=CONDITION,
        token_id=token_id,
        shares_micro=shares,
        proceeds_micro=proceeds,
        evidence="test",
    )


def split(time: int, shares: int) -> Split:
    return Split(
        entry_id=f"split-{time}",
        at=at(time),
        condition_id=CONDITION,
        yes_token_id=YES,
        no_token_id=NO,
        shares_micro=shares,
        evidence="test",
    )


def merge(time: int, shares: int) -> Merge:
    return Merge(
        entry_id=f"merge-{time}",
        at=at(time),
        condition_id=CONDITION,
        yes_token_id=YES,
        no_token_id=NO,
        shares_micro=shares,
        evidence="test",
    )


def conversion(
    time: int,
    shares: int,
    no_indexes: tuple[int, ...],
    collateral: int | None = None,
    questions: int = 3,
) -> Conversion:
    """Without ``collateral``: what the contract pays at no fee, (number of NO - 1) x shares."""
    others = tuple(index for index in range(questions) if index not in no_indexes)
    return Conversion(
        entry_id=f"conversion-{time}",
        at=at(time),
        neg_risk_market_id=EVENT,
        no_token_ids=tuple(f"n{index}" for index in no_indexes),
        yes_token_ids=tuple(f"y{index}" for index in others),
        shares_micro=shares,
        yes_shares_micro=shares,
        collateral_micro=(len(no_indexes) - 1) * shares if collateral is None else collateral,
        evidence="test",
    )


SHARES = st.one_of(st.integers(0, 12), st.integers(0, 5_000_000_000))
TIMES = st.integers(0, 40)


@st.composite
def fills(draw: st.DrawFn) -> Fill:
    shares = draw(SHARES)
    price = draw(st.integers(1, 999_999))
    return fill(
        draw(TIMES),
        draw(st.sampled_from(Side)),
        shares,
        shares * price // 1_000_000,
        price_micro=price,
        token_id=draw(st.sampled_from(TOKENS)),
        state=draw(st.sampled_from(FillState)),
        fee_micro=draw(st.integers(0, 1_000)),
        external=draw(st.booleans()),
    )


@st.composite
def adjustments(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from(["split", "merge", "redemption", "conversion", "trade", "carry"]))
    time, shares, token_id = draw(TIMES), draw(SHARES), draw(st.sampled_from(TOKENS))
    amount = draw(st.integers(0, 2 * shares + 3))
    if kind == "split":
        return split(time, shares)
    if kind == "merge":
        return merge(time, shares)
    if kind == "redemption":
        return redemption(time, shares, amount, token_id)
    if kind == "conversion":
        indexes = draw(st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True).map(sorted))
        return conversion(time, shares, tuple(indexes), draw(st.one_of(st.none(), st.just(amount))))
    if kind == "trade":
        side, fee = draw(st.sampled_from(Side)), draw(st.integers(0, 1_000))
        return trade(time, side, shares, amount, token_id=token_id, fee_micro=fee)
    signed = shares if draw(st.booleans()) else -shares
    return carry(time, signed, amount, token_id)


def named(entries: list[Entry]) -> list[Entry]:
    """Each with an id of its own; the first of two at one time need not have the lower id."""
    return [_renamed(entry, f"{(7 * index) % 101:03d}-{index}") for index, entry in enumerate(entries)]


def _renamed(entry: Entry, entry_id: str) -> Entry:
    return replace(entry, entry_id=entry_id)


LEDGERS = st.lists(st.one_of(fills(), adjustments()), max_size=14).map(named)
"""Any entries at all, sales of what was never bought included."""


@st.composite
def covered_trades(draw: st.DrawFn) -> list[Fill]:
    """Purchases and sales of one token in which nothing is sold that is not held."""
    held, made = 0, []
    for time in range(draw(st.integers(0, 12))):
        selling = held > 0 and draw(st.booleans())
        shares = draw(st.integers(1, held)) if selling else draw(st.integers(1, 10_000_000))
        amount = draw(st.integers(0, shares))
        made.append(sell(time, shares, amount) if selling else buy(time, shares, amount))
        held += -shares if selling else shares
    return made
