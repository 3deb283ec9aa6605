"""What is kept for the user channel: each thing once, in order, of the wallet only, and never without bound."""

from __future__ import annotations

import pytest

from polymarket.sandbox import feed
from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import Cancel, ExternalTrade, FillOrder
from polymarket.sandbox.feed import Bulletin, Feed, OrderNews, TradeNews
from polymarket.sandbox.names import Names
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.trading import BUY, CONFIRMED, FAILED, MATCHED, MINED, RETRYING, Order, OrderTerms
from polymarket.sandbox.world import World
from tests.unit.sandbox.worlds import NOW_MS, SHARE, check_books, check_conservation, world

pytestmark = pytest.mark.req("X-07")


def fresh(here: World, since: int) -> list[Bulletin]:
    return here.feed.since(since)


def kinds(bulletins: list[Bulletin]) -> list[list[str]]:
    """What is told, bulletin by bulletin."""
    return [
        [news.kind if isinstance(news, OrderNews) else news.trade.status for news in bulletin.news]
        for bulletin in bulletins
    ]


def test_numbers_count_up_and_only_what_is_new_is_given() -> None:
    here = world()
    start = here.feed.number
    assert fresh(here, start) == []
    order = here.exchange.live_orders(here.wallet.address)[0]
    act(here, FillOrder(order_id=order.order_id, size="5"))
    middle = here.feed.number
    act(here, Cancel(order_id=order.order_id))
    assert kinds(fresh(here, middle)) == [["CANCELLATION"]]
    assert [bulletin.number for bulletin in fresh(here, start)] == [start + 1, start + 2]
    assert {bulletin.at_ms for bulletin in fresh(here, start)} == {here.now_ms}


def test_what_was_told_stays_as_it_was_when_the_order_and_the_trade_move_on() -> None:
    here = world()
    start = here.feed.number
    order = here.exchange.live_orders(here.wallet.address)[0]
    act(here, FillOrder(order_id=order.order_id, size="5"))
    act(here, FillOrder(order_id=order.order_id, size="7"))
    here.mine(4)
    news = [item for bulletin in fresh(here, start) for item in bulletin.news]
    sizes = [(item.order.matched, len(item.order.trade_ids)) for item in news if isinstance(item, OrderNews)]
    assert sizes == [(5 * SHARE, 1), (12 * SHARE, 2)]
    statuses = [item.trade.status for item in news if isinstance(item, TradeNews)]
    assert statuses == [MATCHED, MATCHED, MINED, MINED, CONFIRMED, CONFIRMED]


def test_of_strangers_nothing_is_kept() -> None:
    here = world()
    start = here.feed.number
    token = here.directory.markets[4].tokens[0]
    terms = OrderTerms(token=token, side=BUY, price=10_000, size=20 * SHARE)
    stranger, _ = here.place(here.traders[0], terms)
    here.exchange.cancel(stranger.order_id)
    here.place(here.traders[1], OrderTerms(token=token, side=BUY, price=990_000, size=20 * SHARE))
    assert len(here.exchange.trades) > len(here.exchange.trades_of(here.wallet.address))
    assert fresh(here, start) == []


def test_an_unlisted_match_is_never_told() -> None:
    here = world()
    start = here.feed.number
    token = here.directory.markets[4].tokens[0]
    act(here, ExternalTrade(token_id=token, side=BUY, size="5", price="0.4", listed=False))
    here.mine(4)
    assert fresh(here, start) == []


def test_a_reader_that_is_too_far_behind_has_missed_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "KEPT", 3)
    here = world()
    kept = Feed(Names(1), frozenset({here.wallet.address}), lambda: NOW_MS)
    order: Order = here.exchange.live_orders(here.wallet.address)[0]
    for _ in range(5):
        kept.order("UPDATE", order)
    assert kept.number == 5
    assert [bulletin.number for bulletin in kept.since(0)] == [3, 4, 5]
    assert [bulletin.number for bulletin in kept.since(4)] == [5]


def test_the_race_in_a_match_is_the_seeds() -> None:
    told = []
    for _ in range(2):
        here = world()
        order = here.exchange.live_orders(here.wallet.address)[0]
        start = here.feed.number
        for _ in range(12):
            act(here, FillOrder(order_id=order.order_id, size="1"))
        told.append([(kinds([bulletin]), bulletin.together) for bulletin in fresh(here, start)])
    assert told[0] == told[1]
    assert len({str(entry) for entry in told[0]}) > 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"retry_percent": 100}, RETRYING), ({"fail_percent": 100}, FAILED)],
    ids=["retried", "failed"],
)
def test_fills_that_happen_by_themselves_can_meet_trouble(options: dict[str, int], expected: str) -> None:
    here = world(WorldOptions(**options))  # type: ignore[arg-type]
    start, opening = here.feed.number, set(here.exchange.trades)
    here.advance(NOW_MS + 200 * here.options.block_time_ms)
    statuses = {status for told in kinds(fresh(here, start)) for status in told}
    assert expected in statuses
    makers = [t for t in here.exchange.trades_of(here.wallet.address) if t.trade_id not in opening]
    assert any(trade.status == (CONFIRMED if expected == RETRYING else FAILED) for trade in makers)
    check_conservation(here, here.chain.head.number)
    check_books(here)


def test_without_trouble_asked_for_there_is_none() -> None:
    here = world(WorldOptions())
    here.advance(NOW_MS + 200 * here.options.block_time_ms)
    assert {trade.status for trade in here.exchange.trades.values()} <= {MATCHED, MINED, CONFIRMED}
