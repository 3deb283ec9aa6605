"""The world as a whole: it conserves what it holds, repeats itself from its seed, and remembers its past."""

from __future__ import annotations

import pytest

from polymarket.sandbox import addresses
from polymarket.sandbox.actions import (
    AnyAction,
    Convert,
    Deposit,
    ExternalTrade,
    Merge,
    Redeem,
    Resolve,
    Split,
    TransferIn,
    TransferOut,
    Withdraw,
)
from polymarket.sandbox.chain import COIN
from polymarket.sandbox.genesis import HISTORY_BLOCKS, OPENING_CASH
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.trading import BUY, CONFIRMED, SELL
from polymarket.sandbox.world import LONGEST_LEAP, World
from tests.unit.sandbox.worlds import NOW_MS, SHARE, check_books, check_conservation, do, world

pytestmark = pytest.mark.req("X-07")


def everything(here: World) -> list[AnyAction]:
    """One of each thing that moves balances."""
    first, second, third = here.directory.markets[:3]
    event = here.directory.markets[-1].neg_risk_market_id or ""
    questions = here.directory.by_neg_risk_id[event].markets
    return [
        ExternalTrade(token_id=first.tokens[0], side=SELL, size="100.5", price="0.27"),
        ExternalTrade(token_id=second.tokens[0], side=BUY, size="33.333333", price="0.333", role="MAKER"),
        *(ExternalTrade(token_id=one.tokens[1], side=BUY, size="60", price="0.6") for one in questions[:2]),
        Split(condition_id=first.condition_id, amount="12.345678"),
        Merge(condition_id=third.condition_id, amount="500", direct=True),
        TransferIn(token_id=second.tokens[0], amount="7"),
        TransferOut(token_id=third.tokens[0], amount="50"),
        TransferIn(amount="3.5", asset="usdc_e"),
        Deposit(amount="1000"),
        Withdraw(amount="250"),
        Resolve(condition_id=first.condition_id, payouts=[1, 0]),
    ]


def test_the_default_world_opens_as_documented() -> None:
    here = world()
    markets = here.directory.markets
    assert [market.neg_risk for market in markets] == [False] * 6 + [True] * 3
    assert here.books.cash == {"pusd": OPENING_CASH, "usdc_e": 0, "wcol": 0}
    assert OPENING_CASH == 52_341 * SHARE
    assert [here.books.tokens[market.tokens[0]] // SHARE for market in markets[6:]] == [400, 300, 200]
    assert len(here.exchange.live_orders(here.wallet.address)) == 8
    assert {trade.status for trade in here.exchange.trades.values()} == {CONFIRMED}
    assert here.chain.head.number - here.chain.first_number == HISTORY_BLOCKS
    assert here.chain.head.timestamp_s == NOW_MS // 1000
    assert here.refused == {}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_block_of_a_lively_world_conserves_shares_and_cash(seed: int) -> None:
    here = world(WorldOptions(seed=seed, protocol_v2_markets=1))
    here.advance(NOW_MS + 300 * here.options.block_time_ms)
    for block in here.chain.blocks:
        check_conservation(here, block.number)
    check_books(here)
    assert len(here.exchange.trades) > 10


def test_every_kind_of_operation_conserves_shares_and_cash() -> None:
    here = world()
    event = here.directory.markets[-1].neg_risk_market_id or ""
    do(here, *everything(here))
    do(
        here,
        Redeem(condition_id=here.directory.markets[0].condition_id),
        Convert(neg_risk_market_id=event, questions=[0, 1], amount="60"),
    )
    assert here.refused == {}
    for block in here.chain.blocks:
        check_conservation(here, block.number)
    check_books(here)


def test_what_comes_in_from_outside_and_leaves_is_all_that_changes_the_total_of_dollars() -> None:
    here = world()
    held = (addresses.VAULT, addresses.CONDITIONAL_TOKENS, addresses.POSITION_MANAGER, addresses.WCOL)

    def dollars() -> int:
        return sum(here.chain.balance(addresses.USDC_E, holder, COIN) for holder in (*held, here.wallet.address))

    before = dollars()
    market = here.directory.markets[2]
    do(here, Merge(condition_id=market.condition_id, amount="500", direct=True))
    do(here, Split(condition_id=market.condition_id, amount="40"))
    assert dollars() == before
    do(here, Withdraw(amount="250"))
    assert dollars() == before - 250 * SHARE


def test_the_same_seed_and_calls_make_the_same_world_to_the_last_hash() -> None:
    one, other = (world(WorldOptions(seed=11)) for _ in range(2))
    for here in (one, other):
        here.advance(NOW_MS + 200_000)
    assert one.chain.head.hash == other.chain.head.hash
    assert one.books.operations == other.books.operations
    assert list(one.exchange.orders) == list(other.exchange.orders)


def test_another_seed_makes_another_world() -> None:
    one, other = (world(WorldOptions(seed=seed)) for seed in (11, 12))
    assert one.chain.head.hash != other.chain.head.hash
    assert one.wallet.address != other.wallet.address


def test_time_in_small_steps_and_in_one_makes_the_same_world() -> None:
    one, other = (world(WorldOptions(seed=11)) for _ in range(2))
    for step in range(1, 101):
        one.advance(NOW_MS + step * 1000)
    other.advance(NOW_MS + 100_000)
    assert one.chain.head.hash == other.chain.head.hash
    assert one.advance(NOW_MS) == 0, "time never goes back"


def test_a_leap_in_time_is_bounded_in_blocks_and_leaves_the_numbers_without_a_gap() -> None:
    here = world()
    head = here.chain.head.number
    here.advance(NOW_MS + 365 * 86_400_000)
    assert here.chain.head.number - head == LONGEST_LEAP + 1
    assert here.chain.head.timestamp_s * 1000 == NOW_MS + 365 * 86_400_000


def test_any_past_block_can_be_read() -> None:
    here = world()
    market = here.directory.markets[2]
    token = market.tokens[0]
    seen = {}
    for amount in ("1", "2.5", "0.000001"):
        do(here, Split(condition_id=market.condition_id, amount=amount))
        seen[here.chain.head.number] = here.balance(market, token)
    here.mine(3)
    assert {block: here.balance(market, token, block) for block in seen} == seen
    assert here.balance(market, token, here.chain.first_number) == 0
    assert sorted(seen.values()) == [601_000_000, 603_500_000, 603_500_001]


def test_blocks_are_linked_by_their_hashes_and_found_by_them() -> None:
    here = world()
    for parent, child in zip(here.chain.blocks, here.chain.blocks[1:], strict=False):
        assert child.parent_hash == parent.hash
        assert here.chain.block_by_hash(child.hash) is child
    assert here.chain.block(here.chain.head.number + 1) is None
    assert here.chain.block(here.chain.first_number - 1) is None
    assert here.finalized() == here.chain.head.number - here.options.finality_blocks


def test_a_refused_transaction_changes_nothing_and_says_why() -> None:
    here = world()
    cash, head = here.cash(), here.books.operations[-1]
    market = here.directory.markets[0]
    (result,) = do(here, Merge(condition_id=market.condition_id, amount="5"))
    assert "had 0 of token" in here.refused[str(result["transaction_hash"])]
    assert here.cash() == cash
    assert here.books.operations[-1] is head
    check_books(here)


def test_a_world_can_have_a_thousand_markets() -> None:
    here = world(WorldOptions(markets=1000, positions=50, orders=100, activity=False))
    assert len(here.directory.markets) == 1003
    assert len(here.books.tokens) == 50
    assert len(here.exchange.live_orders(here.wallet.address)) == 100
    assert here.books.cash["pusd"] == OPENING_CASH


def test_a_small_world_without_events_can_be_lively() -> None:
    here = world(WorldOptions(markets=1, events=0, positions=1, orders=1))
    here.advance(NOW_MS + 100_000)
    check_conservation(here, here.chain.head.number)
    check_books(here)
