"""Reorganisations: what comes back, what does not, and that everything which follows from a block goes with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from polymarket.sandbox import addresses
from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import (
    AnyAction,
    Convert,
    Deposit,
    ExternalTrade,
    FailTrade,
    FillOrder,
    Merge,
    Redeem,
    Reorganise,
    Resolve,
    SettleTrade,
    Split,
    TransferIn,
    TransferOut,
    Unwrap,
    Withdraw,
    Wrap,
)
from polymarket.sandbox.feed import TradeNews
from polymarket.sandbox.genesis import create_world
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.trading import BUY, SELL, OrderRefusedError, Trade
from polymarket.sandbox.world import World
from tests.unit.sandbox.worlds import NOW_MS, SHARE, check_books, check_conservation, do, world

pytestmark = pytest.mark.req("X-07", "R-31")


@pytest.fixture
def here() -> World:
    return world()


def reorganise(here: World, depth: int = 1, **how: object) -> dict[str, object]:
    return act(here, Reorganise(depth=depth, **how))  # type: ignore[arg-type]


def sent(here: World, action: AnyAction) -> str:
    """The hash of its transaction, which is in the latest block."""
    (result,) = do(here, action)
    if "transaction_hash" in result:
        return str(result["transaction_hash"])
    return here.exchange.trades[str(result["trade_id"])].transaction_hash


def filled(here: World, **how: object) -> Trade:
    """A fill of one of the wallet's orders that is in the latest block."""
    order = here.exchange.live_orders(here.wallet.address)[0]
    (result,) = do(here, FillOrder(order_id=order.order_id, size="10", **how))  # type: ignore[arg-type]
    return here.exchange.trades[str(result["trade_id"])]


def holdings(here: World) -> tuple[dict[str, int], dict[str, int]]:
    return here.books.tokens, here.books.cash


def block_of(here: World, tx_hash: str) -> int | None:
    receipt = here.chain.receipt(tx_hash)
    return None if receipt is None else receipt.block


def test_everything_comes_back_a_block_later_in_blocks_with_other_hashes(here: World) -> None:
    deposit = sent(here, Deposit(amount="10"))
    split = sent(here, Split(condition_id=here.directory.markets[0].condition_id, amount="5"))
    head, before = here.chain.head.number, holdings(here)
    old = here.chain.blocks[-2:]
    told = reorganise(here, 2)
    assert (told["fork"], told["head"], here.chain.head.number) == (head - 2, head + 1, head + 1)
    assert told["dropped"] == [{"number": block.number, "hash": block.hash} for block in old]
    assert told["returning"] == [deposit, split]
    assert (block_of(here, deposit), block_of(here, split)) == (head, head + 1)
    assert holdings(here) == before
    assert [operation.block for operation in here.books.operations[-2:]] == [head, head + 1]
    new = here.chain.blocks[-3:]
    assert {block.hash for block in old}.isdisjoint(block.hash for block in new)
    assert [block.timestamp_s for block in new[:2]] == [block.timestamp_s for block in old]
    for parent, block in zip(here.chain.blocks[-5:], here.chain.blocks[-4:], strict=False):
        assert block.parent_hash == parent.hash
    check_conservation(here, head + 1)


def test_balances_of_the_past_are_those_of_the_chain_that_stayed(here: World) -> None:
    cash = here.cash()["pusd"]
    sent(here, Deposit(amount="10"))
    head = here.chain.head.number
    assert here.cash(head)["pusd"] == cash + 10 * SHARE
    reorganise(here, 1)
    assert here.cash(head)["pusd"] == cash
    assert here.cash(head + 1)["pusd"] == cash + 10 * SHARE


def test_without_a_delay_the_numbers_stay_and_the_hashes_do_not(here: World) -> None:
    deposit = sent(here, Deposit(amount="10"))
    head, old = here.chain.head.number, here.chain.head
    reorganise(here, 1, delay=0, blocks=1)
    assert (here.chain.head.number, block_of(here, deposit)) == (head, head)
    assert here.chain.head.transactions == old.transactions
    assert here.chain.head.hash != old.hash
    assert here.chain.head.parent_hash == old.parent_hash


def test_what_comes_back_late_is_undone_until_then_and_newer_things_wait_for_it(here: World) -> None:
    before = holdings(here)
    deposit = sent(here, Deposit(amount="10"))
    head = here.chain.head.number
    reorganise(here, 1, delay=4)
    assert (here.chain.head.number, holdings(here), block_of(here, deposit)) == (head + 1, before, None)
    withdrawal = str(act(here, Withdraw(amount="3"))["transaction_hash"])
    trade = here.exchange.trades[str(act(here, buy(here))["trade_id"])]
    here.mine(2)
    assert [block_of(here, tx_hash) for tx_hash in (deposit, withdrawal)] == [None, None]
    here.mine(2)
    assert [block_of(here, tx_hash) for tx_hash in (deposit, withdrawal)] == [head + 4, head + 5]
    assert trade.block == head + 5
    check_books(here)


def buy(here: World, **how: object) -> ExternalTrade:
    token = here.directory.markets[4].tokens[0]
    return ExternalTrade(token_id=token, side=BUY, size="10", price="0.4", **how)  # type: ignore[arg-type]


OPERATIONS: dict[str, Callable[[World], AnyAction]] = {
    "transfer in": lambda here: TransferIn(token_id=here.directory.markets[0].tokens[0], amount="7"),
    "transfer out": lambda here: TransferOut(token_id=here.directory.markets[0].tokens[0], amount="7"),
    "reward": lambda here: TransferIn(amount="7", asset="pusd"),
    "deposit": lambda here: Deposit(amount="7"),
    "withdrawal": lambda here: Withdraw(amount="7"),
    "unwrap": lambda here: Unwrap(amount="7"),
    "split": lambda here: Split(condition_id=here.directory.markets[2].condition_id, amount="7"),
    "merge": lambda here: Merge(condition_id=here.directory.markets[2].condition_id, amount="7"),
    "direct merge": lambda here: Merge(condition_id=here.directory.markets[2].condition_id, amount="7", direct=True),
    "conversion": lambda here: Convert(
        neg_risk_market_id=here.directory.markets[-1].neg_risk_market_id or "", questions=[0], amount="7"
    ),
    "redemption": lambda here: Redeem(condition_id=here.directory.markets[1].condition_id),
    "auto-redemption": lambda here: Redeem(condition_id=here.directory.markets[1].condition_id, operator=True),
    "unlisted trade": lambda here: buy(here, listed=False),
}


@pytest.mark.req("R-21")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_dropped_for_good_leaves_no_trace_in_balances_books_or_published_positions(operation: str) -> None:
    here = create_world(WorldOptions(activity=False, finality_blocks=20), NOW_MS)
    event = here.directory.markets[-3]
    do(here, TransferIn(token_id=event.tokens[1], amount="50"))
    do(here, Resolve(condition_id=here.directory.markets[1].condition_id, payouts=[0, 1]))
    before, published = holdings(here), len(here.published.operations)
    tx_hash = sent(here, OPERATIONS[operation](here))
    assert holdings(here) != before
    told = reorganise(here, 1, drop=[tx_hash])
    here.mine(5)
    assert told["gone"] == [tx_hash]
    assert (holdings(here), len(here.published.operations)) == (before, published)
    assert (block_of(here, tx_hash), here.refused) == (None, {})
    check_books(here)
    check_conservation(here, here.chain.head.number)


def test_what_needed_a_dropped_transaction_reverts_when_it_comes_back(here: World) -> None:
    received = sent(here, TransferIn(amount="50", asset="usdc_e"))
    wrapped = sent(here, Wrap(amount="50"))
    before = here.books.cash
    reorganise(here, 2, drop=[received])
    receipt = here.chain.receipt(wrapped)
    assert receipt is not None
    assert (receipt.succeeded, wrapped in here.refused) == (False, True)
    assert here.books.cash == {**before, "pusd": before["pusd"] - 50 * SHARE}
    check_books(here)


def test_a_resolution_comes_and_goes_with_its_block_and_so_does_the_redemption(here: World) -> None:
    market = here.directory.markets[2]
    before = holdings(here)
    resolved = sent(here, Resolve(condition_id=market.condition_id, payouts=[1, 0]))
    redeemed = sent(here, Redeem(condition_id=market.condition_id))
    assert market.closed
    reorganise(here, 2, delay=3)
    assert (market.payouts, holdings(here)) == (None, before)
    here.mine(2)
    assert (market.payouts, market.resolved_block) == ((1, 0), block_of(here, resolved))
    assert here.balance(market, market.tokens[0]) == 0
    assert redeemed not in here.refused
    reorganise(here, 2, drop=[resolved])
    assert (market.payouts, holdings(here)) == (None, before)
    assert "not resolved" in here.refused[redeemed]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"depth": 5}, "is finalized; at most 4 blocks"),
        ({"depth": 0}, "at least 1"),
        ({"delay": -1}, "at least 1"),
        ({"blocks": -1}, "at least 1"),
        ({"drop": ["0x12"]}, "0x12 is no transaction of the last 1 blocks"),
        ({"trade_status": "CONFIRMED"}, "expected RETRYING, MATCHED"),
    ],
)
def test_what_cannot_be_reorganised_is_refused_and_changes_nothing(
    here: World, how: dict[str, object], reason: str
) -> None:
    sent(here, Deposit(amount="10"))
    before, head = holdings(here), here.chain.head
    with pytest.raises(OrderRefusedError, match=reason):
        reorganise(here, **{"depth": 1, **how})  # type: ignore[arg-type]
    assert (holdings(here), here.chain.head) == (before, head)


def test_the_head_can_go_back_but_the_finalized_block_never_does(here: World) -> None:
    deposit = sent(here, Deposit(amount="10"))
    head, finalized = here.chain.head.number, here.finalized()
    reorganise(here, 3, blocks=0)
    assert (here.chain.head.number, here.finalized()) == (head - 3, finalized)
    with pytest.raises(OrderRefusedError, match="at most 1 blocks"):
        reorganise(here, 2)
    reorganise(here, 1, blocks=1)
    assert here.finalized() == finalized
    here.mine(4)
    assert block_of(here, deposit) == head + 1
    check_books(here)


def test_blocks_can_be_dropped_again_and_again(here: World) -> None:
    deposits = [sent(here, Deposit(amount="10")) for _ in range(3)]
    before = holdings(here)
    for _ in range(5):
        reorganise(here, 3)
    here.mine(2)
    assert [block_of(here, tx_hash) for tx_hash in deposits] == sorted(block_of(here, t) or 0 for t in deposits)
    assert holdings(here) == before
    assert here.chain.holders(addresses.PUSD, 0)[here.wallet.address] == before[1]["pusd"]


def statuses(here: World, trade: Trade) -> list[tuple[str, str]]:
    """What the wallet's clients were told of a trade: status and hash."""
    news = [one for bulletin in here.feed.since(0) for one in bulletin.news]
    found = [one.trade for one in news if isinstance(one, TradeNews)]
    return [(one.status, one.transaction_hash) for one in found if one.trade_id == trade.trade_id]


@pytest.mark.parametrize("status", ["RETRYING", "MATCHED"])
def test_a_fill_whose_block_was_dropped_is_on_its_way_again_under_its_hash(here: World, status: str) -> None:
    trade = filled(here)
    head, tx_hash, before = here.chain.head.number, trade.transaction_hash, holdings(here)
    reorganise(here, 1, delay=3, trade_status=status)
    assert (trade.status, trade.block, trade.transaction_hash) == (status, None, tx_hash)
    assert holdings(here) != before
    here.mine(2)
    assert (trade.status, trade.block, holdings(here)) == ("MINED", head + 3, before)
    here.mine(3)
    assert statuses(here, trade) == [
        ("MATCHED", ""),
        ("MINED", tx_hash),
        (status, tx_hash),
        ("MINED", tx_hash),
        ("CONFIRMED", tx_hash),
    ]


def test_the_exchange_can_say_nothing_of_a_reorganisation(here: World) -> None:
    trade = filled(here)
    head, tx_hash = here.chain.head.number, trade.transaction_hash
    reorganise(here, 1, delay=2, trade_status="")
    assert (trade.status, trade.block) == ("MINED", None)
    here.mine(5)
    assert (trade.status, trade.block) == ("CONFIRMED", head + 2)
    assert statuses(here, trade) == [("MATCHED", ""), ("MINED", tx_hash), ("CONFIRMED", tx_hash)]


def test_a_fill_that_was_confirmed_too_early_is_confirmed_again(here: World) -> None:
    trade = filled(here)
    here.mine(3)
    assert trade.status == "CONFIRMED"
    reorganise(here, 4)
    assert [status for status, _ in statuses(here, trade)][2:] == ["CONFIRMED", "RETRYING", "MINED", "CONFIRMED"]
    check_books(here)


@pytest.mark.parametrize("status", ["RETRYING", "MATCHED", ""])
def test_a_fill_that_was_dropped_for_good_can_be_settled_under_another_hash(here: World, status: str) -> None:
    before = holdings(here)
    trade = filled(here)
    after, tx_hash = holdings(here), trade.transaction_hash
    reorganise(here, 1, drop=[tx_hash], trade_status=status)
    here.mine(3)
    assert (trade.status, holdings(here)) == (status or "MINED", before)
    do(here, SettleTrade(trade_id=trade.trade_id))
    assert (trade.status, holdings(here)) == ("MINED", after)
    assert (block_of(here, tx_hash), trade.transaction_hash != tx_hash) == (None, True)
    assert statuses(here, trade)[-1] == ("MINED", trade.transaction_hash)


def test_a_fill_that_was_dropped_for_good_can_fail(here: World) -> None:
    before = holdings(here)
    trade = filled(here, cross=True)
    reorganise(here, 1, drop=[trade.transaction_hash])
    do(here, FailTrade(trade_id=trade.trade_id, dropped=True))
    assert (trade.status, holdings(here), here.exchange.unsettled) == ("FAILED", before, {})
    check_conservation(here, here.chain.head.number)


@pytest.mark.req("R-21")
def test_a_dropped_fill_that_the_exchange_never_listed_is_over(here: World) -> None:
    tx_hash = sent(here, buy(here, listed=False))
    (trade,) = [trade for trade in here.exchange.trades.values() if trade.transaction_hash == tx_hash]
    reorganise(here, 1, drop=[tx_hash])
    assert (trade.status, here.exchange.unsettled) == ("FAILED", {})


def test_a_transaction_that_reverted_comes_back_and_reverts_again(here: World) -> None:
    merge = sent(here, Merge(condition_id=here.directory.markets[0].condition_id, amount="9999"))
    trade = filled(here, retries=1)
    failed = trade.transaction_hash
    reorganise(here, 2)
    assert (trade.status, merge in here.refused) == ("RETRYING", True)
    for tx_hash in (merge, failed):
        receipt = here.chain.receipt(tx_hash)
        assert receipt is not None
        assert not receipt.succeeded
    here.mine(2)
    assert trade.status == "MINED"
    check_books(here)


def test_a_sale_of_shares_whose_purchase_comes_back_waits_for_that(here: World) -> None:
    market = here.directory.markets[4]
    sent(here, buy(here))
    act(here, ExternalTrade(token_id=market.tokens[0], side=SELL, size="10", price="0.4"))
    reorganise(here, 1, delay=2)
    here.mine(4)
    assert here.balance(market, market.tokens[0]) == 0
    assert {trade.status for trade in here.exchange.trades.values()} <= {"MINED", "CONFIRMED"}


def test_a_world_with_a_reorganisation_repeats_itself() -> None:
    def run() -> tuple[str, dict[str, int]]:
        here = create_world(WorldOptions(seed=11), NOW_MS)
        for step in range(1, 40):
            here.advance(NOW_MS + step * here.options.block_time_ms)
            if step % 7 == 0:
                reorganise(here, 1 + step % 4)
                check_books(here)
        return here.chain.head.hash, here.books.tokens

    assert run() == run()
