"""Labelling over mixtures of what the contracts write, and over logs that no contract would write (X-01, X-10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.chain import (
    ChainChange,
    ChainLog,
    ChainTransaction,
    ChangeKind,
    CollateralTransfer,
    CollateralWrapped,
    OrderFilled,
    PayoutRedeemed,
    PositionsConverted,
    PositionsMerged,
    PositionSplit,
    TokenTransfer,
)
from portfolio.facts import Side
from portfolio.labelling import label
from portfolio.labelling_book import NOBODY
from tests.unit.portfolio.transaction_logs import (
    ADAPTER,
    ALICE,
    BOB,
    BOOK,
    BURN,
    CAROL,
    CTF,
    EVENT,
    EXCHANGE,
    FEES,
    NEG_ADAPTER,
    NRA,
    PUSD,
    QUESTIONS,
    RAIN,
    REWARDS,
    SECOND_WALLET,
    SNOW,
    USDC,
    VAULT,
    WALLET,
    WCOL,
    Told,
    book,
    told,
)
from tests.unit.portfolio.transactions import Order, Tx

MARKETS = (RAIN, SNOW, *QUESTIONS)
OURS = (WALLET, SECOND_WALLET)
AMOUNT = st.integers(1, 9)
Step = Callable[[Tx], None]


def movements(transaction: ChainTransaction, wallet: str) -> tuple[dict[str, int], dict[str, int]]:
    """What really came and went, per token and per bucket."""
    tokens: Counter[str] = Counter()
    cash: Counter[str] = Counter()
    for log in transaction.logs:
        for sign, side in ((1, "receiver"), (-1, "sender")):
            if isinstance(log, TokenTransfer) and getattr(log, side) == wallet:
                tokens[log.token_id] += sign * log.shares_micro
            elif isinstance(log, CollateralTransfer) and getattr(log, side) == wallet:
                cash[log.bucket] += sign * log.amount_micro
    return without_zeros(tokens.items()), without_zeros(cash.items())


def sums(changes: Iterable[ChainChange]) -> tuple[dict[str, int], dict[str, int]]:
    tokens: Counter[str] = Counter()
    cash: Counter[str] = Counter()
    for change in changes:
        for sum_, pairs in ((tokens, change.legs), (cash, change.cash)):
            for name, amount in pairs:
                sum_[name] += amount
    return without_zeros(tokens.items()), without_zeros(cash.items())


def without_zeros(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    return {name: amount for name, amount in pairs if amount}


@st.composite
def matches(draw: st.DrawFn) -> Step:
    """A match in which our wallets are taker, one or several makers, or both."""
    users = st.sampled_from((WALLET, SECOND_WALLET, ALICE, BOB))
    market = draw(st.sampled_from((RAIN, QUESTIONS[0])))
    side = draw(st.sampled_from(Side))
    taker = Order(user=draw(users), side=side, token=market.yes, fee=draw(st.integers(0, 1)))
    makers = []
    for _ in range(draw(st.integers(1, 3))):
        shares = draw(st.integers(3, 9))
        same = draw(st.booleans())
        makers.append(
            Order(
                user=draw(users),
                side=side if same else (Side.SELL if side is Side.BUY else Side.BUY),
                token=market.no if same else market.yes,
                shares=shares,
                cash=draw(st.integers(1, shares - 1)),
                fee=draw(st.integers(0, 1)),
            )
        )
    surplus = draw(st.integers(0, 2))
    return lambda tx: tx.match(market, taker, *makers, surplus=surplus)


@st.composite
def operations(draw: st.DrawFn) -> Step:
    """A split, merge, redemption, conversion or wrap, by one of ours or by somebody else."""
    user = draw(st.sampled_from((WALLET, WALLET, SECOND_WALLET, ALICE)))
    market = draw(st.sampled_from(MARKETS))
    amount, direct = draw(AMOUNT), draw(st.booleans())
    held = draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
    indexes = draw(st.sets(st.integers(0, 3), min_size=1))
    fee_bips = draw(st.sampled_from((0, 0, 2_500)))
    steps: tuple[Step, ...] = (
        lambda tx: tx.split(user, market, amount, direct=direct),
        lambda tx: tx.merge(user, market, amount, direct=direct),
        lambda tx: tx.redeem(user, market, held, held[0], direct=direct),
        lambda tx: tx.redeem_for(user, market, held, held[1]),
        lambda tx: tx.convert(user, sorted(indexes), amount * 4, fee_bips=fee_bips, direct=direct),
        lambda tx: tx.wrap(user, amount),
        lambda tx: tx.unwrap(user, amount),
        lambda tx: tx.unwrap_wcol(user, amount),
        lambda tx: tx.resolve(market),
    )
    return draw(st.sampled_from(steps))


@st.composite
def transfers(draw: st.DrawFn) -> Step:
    """Tokens or collateral from somebody, to somebody, or to oneself."""
    user = draw(st.sampled_from(OURS))
    market = draw(st.sampled_from(MARKETS))
    amount, bucket = draw(AMOUNT), draw(st.sampled_from(("pusd", "usdc_e", "wcol")))
    steps: tuple[Step, ...] = (
        lambda tx: tx.send_tokens(CAROL, user, market, market.no, amount),
        lambda tx: tx.send_tokens(user, CAROL, market, market.yes, amount),
        lambda tx: tx.send_cash(REWARDS, user, amount, bucket),
        lambda tx: tx.send_cash(user, CAROL, amount, bucket),
        lambda tx: tx.tokens(user, user, (market.yes, amount)),
        lambda tx: tx.cash(bucket, user, user, amount),
    )
    return draw(st.sampled_from(steps))


STEPS = st.lists(st.one_of(matches(), operations(), transfers()), min_size=1, max_size=5)


def written(steps: Iterable[Step]) -> Tx:
    tx = Tx()
    for step in steps:
        step(tx)
    return tx


BY_ITSELF = frozenset(
    {
        ChangeKind.TRANSFER_IN,
        ChangeKind.TRANSFER_OUT,
        ChangeKind.DEPOSIT,
        ChangeKind.WITHDRAWAL,
        ChangeKind.REWARD,
    }
)
"""Kinds that are netted by their other side, so that several make one."""


def causes(items: Iterable[Told]) -> Counter[Told]:
    return Counter(item for item in items if item[0] not in BY_ITSELF)


def netted(items: Iterable[Told]) -> dict[tuple[str, str], int]:
    """What came and went by itself, rewards apart; Carol's tokens and cash go both ways."""
    sums_: Counter[tuple[str, str]] = Counter()
    for kind, _, legs, cash in items:
        if kind in BY_ITSELF:
            for name, amount in (*legs, *cash):
                sums_[("reward" if kind is ChangeKind.REWARD else "", name)] += amount
    return {key: amount for key, amount in sums_.items() if amount}


@pytest.mark.req("X-01", "L-14", "X-10", "R-19")
@given(STEPS)
def test_what_a_wallet_did_is_told_from_its_transaction(steps: list[Step]) -> None:
    """Every cause with its exact legs and cash, whatever else and whoever else is in the transaction."""
    tx = written(steps)
    transaction = tx.done()
    for wallet in OURS:
        changes = label(transaction, wallet, BOOK)
        found, wanted = [told(change) for change in changes], tx.expected.get(wallet, [])
        assert causes(found) == causes(wanted)
        assert netted(found) == netted(wanted)
        assert sums(changes) == movements(transaction, wallet)


NAMES = st.sampled_from(
    (WALLET, WALLET, SECOND_WALLET, ALICE, CTF, NRA, ADAPTER, NEG_ADAPTER, EXCHANGE, FEES, PUSD, VAULT, NOBODY, BURN)
)
TOKENS = st.sampled_from((RAIN.yes, RAIN.no, *(q.yes for q in QUESTIONS), *(q.no for q in QUESTIONS), "x1", "x2"))
CONDITIONS = st.sampled_from((RAIN.name, QUESTIONS[0].name, "unknown"))
SMALL = st.integers(0, 4)
ANY_LOG = st.one_of(
    st.builds(
        TokenTransfer,
        log_index=st.just(0),
        contract=st.just(CTF),
        operator=NAMES,
        sender=NAMES,
        receiver=NAMES,
        token_id=TOKENS,
        shares_micro=SMALL,
    ),
    st.builds(
        CollateralTransfer,
        log_index=st.just(0),
        contract=st.sampled_from((PUSD, USDC, WCOL)),
        bucket=st.sampled_from(("pusd", "usdc_e", "wcol")),
        sender=NAMES,
        receiver=NAMES,
        amount_micro=SMALL,
    ),
    st.builds(
        OrderFilled,
        log_index=st.just(0),
        contract=st.just(EXCHANGE),
        order_id=st.just("0x01"),
        maker=NAMES,
        taker=NAMES,
        side=st.sampled_from(Side),
        token_id=TOKENS,
        maker_amount_micro=SMALL,
        taker_amount_micro=SMALL,
        fee_micro=st.integers(0, 1),
    ),
    st.builds(
        PositionSplit,
        log_index=st.just(0),
        contract=st.sampled_from((CTF, NRA)),
        stakeholder=NAMES,
        condition_id=CONDITIONS,
        amount_micro=SMALL,
    ),
    st.builds(
        PositionsMerged,
        log_index=st.just(0),
        contract=st.sampled_from((CTF, NRA)),
        stakeholder=NAMES,
        condition_id=CONDITIONS,
        amount_micro=SMALL,
    ),
    st.builds(
        PayoutRedeemed,
        log_index=st.just(0),
        contract=st.sampled_from((CTF, NRA)),
        redeemer=NAMES,
        condition_id=CONDITIONS,
        payout_micro=SMALL,
    ),
    st.builds(
        PositionsConverted,
        log_index=st.just(0),
        contract=st.just(NRA),
        stakeholder=NAMES,
        neg_risk_market_id=st.sampled_from((EVENT, "0x0f")),
        index_set=st.integers(1, 15),
        amount_micro=SMALL,
    ),
    st.builds(
        CollateralWrapped,
        log_index=st.just(0),
        contract=st.just(PUSD),
        caller=NAMES,
        asset=st.just(USDC),
        receiver=NAMES,
        amount_micro=SMALL,
        unwrapped=st.booleans(),
    ),
)


def numbered(logs: list[ChainLog]) -> ChainTransaction:
    tx = Tx()
    for log in logs:
        values = {name: getattr(log, name) for name in log.__struct_fields__ if name not in {"log_index", "contract"}}
        tx.emit(type(log), log.contract, **values)
    return tx.done()


@pytest.mark.req("X-01", "X-10")
@given(st.lists(ANY_LOG, max_size=14), st.sampled_from((BOOK, book(), book(QUESTIONS[0]))))
def test_the_changes_add_up_to_the_movements_whatever_the_events_say(logs: list[ChainLog], known: object) -> None:
    assert isinstance(known, type(BOOK))
    transaction = numbered(logs)
    for wallet in OURS:
        changes = label(transaction, wallet, known)
        assert sums(changes) == movements(transaction, wallet)
        assert changes == label(transaction, wallet, known)
        assert [change.log_index for change in changes] == sorted(change.log_index for change in changes)
        names = [
            (change.log_index, change.kind, tuple(dict(change.legs)), tuple(dict(change.cash))) for change in changes
        ]
        assert len(names) == len(set(names))


@pytest.mark.req("X-10", "R-20")
@given(matches())
def test_the_wallets_own_logs_alone_tell_its_fills(step: Step) -> None:
    """And the fee is the one that the exchange stated."""
    tx = written([step])
    for wallet in OURS:
        transaction = tx.own_logs(wallet)
        changes = label(transaction, wallet, BOOK)
        assert Counter(told(change) for change in changes) == Counter(tx.expected.get(wallet, []))
        stated = sum(log.fee_micro for log in transaction.logs if isinstance(log, OrderFilled) and log.maker == wallet)
        assert sum(change.fee_micro for change in changes) == stated
