"""Fills that do not settle in time are looked up again, on the exchange and on the chain; the market decides (R-10)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace

from actors.checking import AT_ONCE_MAX
from actors.coordinator import EXTRA_CYCLE_MS
from messages.reads import Read, ReadBalances, ReadMarkets, ReadOpenOrders, ReadReceipt, ReadTrades
from portfolio.facts import FailureKind, MakerLeg, Receipt, ReceiptStatus, Side, TradeStatus
from portfolio.outcomes import CycleStatus
from tests.support.moves import Deal, becomes, settle, trade
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.support.venue import FUNDER, OWN_KEY, Reply
from tests.unit.actors.worlds import INGEST, SHARE, Poison, following, issues, lookups, show, states

TTL_MS = 900_000
IN_FLIGHT = Deal(token_id="0xa-yes", size=10 * SHARE, price=500_000, status=TradeStatus.MATCHED, settled=False)
HASH = "0xhash-of-trade-1"
MATCHED, MINED, RETRYING = TradeStatus.MATCHED, TradeStatus.MINED, TradeStatus.RETRYING


def waiting(build: Build) -> Harness:
    """A fill of ten shares is in flight, its message lost; the time to live ends with the next cycle."""
    harness = following(build())
    show(harness, trade(harness.venue, "trade-1", IN_FLIGHT))
    harness.runtime.run_for(TTL_MS - INTERVAL_MS)
    harness.venue.asked.clear()
    return harness


def receipt(harness: Harness, status: ReceiptStatus) -> None:
    """What the chain says of the trade's transaction from now on."""
    block = 777 if status is not ReceiptStatus.ABSENT else None
    harness.venue.receipts[HASH] = Receipt(transaction_hash=HASH, status=status, block_number=block)


def time_is_up(harness: Harness) -> None:
    """The first cycle behind the time to live."""
    harness.runtime.run_for(INTERVAL_MS + EXTRA_CYCLE_MS)


@pytest.mark.req("R-10", "L-03")
def test_a_fill_is_looked_up_by_the_first_cycle_after_its_time_to_live_and_not_before(build: Build) -> None:
    harness = waiting(build)
    matched_ms = harness.venue.trades[0].matched_at_ns // 1_000_000
    harness.runtime.run_for(matched_ms + TTL_MS - harness.clock.now_ms() - 1)
    assert lookups(harness) == []
    harness.runtime.run_for(INTERVAL_MS)
    trade_read = ReadTrades(wallet="main", after_s=0, trade_id="trade-1")
    assert lookups(harness) == [trade_read, ReadReceipt(wallet="main", transaction_hash=HASH)]


@pytest.mark.req("R-10", "L-03", "X-01")
def test_a_receipt_settles_it(build: Build) -> None:
    harness = waiting(build)
    receipt(harness, ReceiptStatus.SUCCEEDED)
    time_is_up(harness)
    (row,) = harness.queries.fills()
    assert (row["state"], row["settled_by"]) == ("SETTLED", f"transaction {HASH} in block 777")
    asked = len(lookups(harness))
    settle(harness.venue, IN_FLIGHT)
    harness.runtime.run_for(2 * TTL_MS)
    assert len(lookups(harness)) == asked
    assert harness.shares() == {"0xa-yes": 110 * SHARE}


@pytest.mark.req("R-10", "L-01")
def test_what_the_trade_is_by_now_is_booked_before_anything_is_decided(build: Build) -> None:
    """The list is late, the single look-up is not: the trade is confirmed."""
    harness = waiting(build)
    receipt(harness, ReceiptStatus.ABSENT)
    becomes(harness.venue, "trade-1", TradeStatus.CONFIRMED)
    harness.venue.trades_by_id_only = True
    time_is_up(harness)
    assert states(harness) == {"trade-1": "SETTLED"}
    newest = harness.queries.fill_observations()[0]
    assert (newest["status"], newest["feed"]) == ("CONFIRMED", "check")


@pytest.mark.req("R-10", "L-03")
@pytest.mark.parametrize(
    ("status", "because"),
    [(RETRYING, "the exchange is retrying the settlement"), (MINED, "the exchange calls it MINED")],
)
def test_it_waits_another_time_to_live_while_the_exchange_is_at_it(
    build: Build, status: TradeStatus, because: str
) -> None:
    harness = waiting(build)
    becomes(harness.venue, "trade-1", status)
    time_is_up(harness)
    assert (states(harness), issues(harness, "FILL_OVERDUE")) == ({"trade-1": "OBSERVED"}, [because])
    asked = len(lookups(harness))
    harness.runtime.run_for(TTL_MS - 2 * INTERVAL_MS)
    assert len(lookups(harness)) == asked
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert len(lookups(harness)) > asked
    assert issues(harness, "FILL_OVERDUE") == [because, because]


@pytest.mark.req("R-10", "S-12")
def test_it_waits_another_time_to_live_where_the_chain_cannot_be_asked(build: Build) -> None:
    harness = waiting(build)
    harness.venue.failing = {ReadReceipt: FailureKind.UNREACHABLE}
    time_is_up(harness)
    assert states(harness) == {"trade-1": "OBSERVED"}
    assert issues(harness, "FILL_OVERDUE") == ["the chain could not be asked"]


@pytest.mark.req("R-10", "L-03")
def test_it_waits_where_another_leg_of_its_trade_has_settled(build: Build) -> None:
    harness = following(build())
    legs = tuple(
        MakerLeg(
            order_id=f"order-{number}",
            owner=OWN_KEY,
            maker_address=FUNDER,
            token_id=f"0xa-{('yes', 'no')[number]}",
            price_micro=500_000,
            size_micro=SHARE,
            side=Side.BUY,
        )
        for number in range(2)
    )
    made = trade(harness.venue, "trade-1", IN_FLIGHT)
    made = replace(made, maker_address="0x00000000000000000000000000000000000000aa", legs=legs)
    harness.venue.trades = [made]
    show(harness, made)
    harness.venue.balances["0xa-no"] = SHARE
    harness.venue.cash_micro -= SHARE // 2
    harness.runtime.run_for(TTL_MS + INTERVAL_MS)
    (waits,) = [row for row in harness.queries.fills() if row["order_id"] == "order-0"]
    assert waits["state"] == "OBSERVED"
    assert issues(harness, "FILL_OVERDUE") == ["another leg of the trade has settled"]


@pytest.mark.req("R-10", "L-03", "L-13", "R-25")
@pytest.mark.parametrize(
    ("hidden", "chain", "because"),
    [
        (False, ReceiptStatus.ABSENT, "MATCHED on the exchange, in no block"),
        (False, ReceiptStatus.REVERTED, "MATCHED on the exchange, its transaction reverted"),
        (True, ReceiptStatus.SUCCEEDED, "not shown by the exchange, in no block"),
    ],
    ids=["in no block", "reverted", "not shown any more"],
)
def test_it_expires_visibly_where_nothing_speaks_for_it(
    build: Build, *, hidden: bool, chain: ReceiptStatus, because: str
) -> None:
    harness = waiting(build)
    receipt(harness, chain)
    harness.venue.hide_trades = (lambda _: True) if hidden else None
    time_is_up(harness)
    assert (states(harness), harness.shares()) == ({"trade-1": "EXPIRED"}, {"0xa-yes": 100 * SHARE})
    assert issues(harness, "FILL_EXPIRED") == [because]
    harness.runtime.run_for(2 * INTERVAL_MS)
    last = harness.settlements()[-1]
    assert (last["cause"], last["evidence"].split(",")[0]) == ("FILL_EXPIRED", "trade trade-1")
    assert len([row for row in harness.settlements() if row["cause"] == "FILL_EXPIRED"]) == 1
    assert harness.may_trade().allowed, "a reversal pauses nobody"


@pytest.mark.req("R-10", "L-03")
@pytest.mark.parametrize("by", ["its status", "the balance"])
def test_an_expired_fill_that_settles_after_all_is_reinstated_under_its_key(build: Build, by: str) -> None:
    harness = waiting(build)
    time_is_up(harness)
    assert states(harness) == {"trade-1": "EXPIRED"}
    harness.runtime.run_for(INTERVAL_MS)
    assert [row["cause"] for row in harness.settlements()][-1] == "FILL_EXPIRED"
    settle(harness.venue, IN_FLIGHT)
    if by == "its status":
        show(harness, becomes(harness.venue, "trade-1", TradeStatus.CONFIRMED))
        assert states(harness) == {"trade-1": "SETTLED"}
    harness.runtime.run_for(3 * INTERVAL_MS)
    assert (states(harness), harness.shares()) == ({"trade-1": "SETTLED"}, {"0xa-yes": 110 * SHARE})
    assert issues(harness, "FILL_REINSTATED") == ["it settled after all"]
    assert [row["cause"] for row in harness.settlements()][-1] == "FILL_REINSTATED"


@pytest.mark.req("R-10", "L-30")
@pytest.mark.parametrize("how", ["failed", "partial"])
def test_a_look_up_that_says_nothing_decides_nothing_and_the_next_cycle_asks_again(
    build: Build, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single look-ups fail while the lists come: the fill stays as it is, cycle after cycle."""
    harness = waiting(build)
    through = harness.venue.request
    broken: dict[type[object], FailureKind] = {ReadTrades: FailureKind.TIMEOUT} if how == "failed" else {}

    def request(read: Read, reply: Reply, correlation: str) -> None:
        single = isinstance(read, ReadTrades) and read.trade_id
        harness.venue.failing = broken if single else {}
        harness.venue.partial = {ReadTrades} if single and not broken else set()
        through(read, reply, correlation)

    monkeypatch.setattr(harness.venue, "request", request)
    time_is_up(harness)
    asked = len(lookups(harness))
    assert asked >= 1
    harness.runtime.run_for(3 * INTERVAL_MS)
    assert len(lookups(harness)) == asked + 3
    assert states(harness) == {"trade-1": "OBSERVED"}
    assert issues(harness, "FILL_OVERDUE") == issues(harness, "FILL_EXPIRED") == []
    monkeypatch.setattr(harness.venue, "request", through)
    harness.venue.failing, harness.venue.partial = {}, set()
    harness.runtime.run_for(INTERVAL_MS)
    assert states(harness) == {"trade-1": "EXPIRED"}


@pytest.mark.req("R-10", "S-12")
def test_what_the_exchange_confirmed_is_not_looked_up_though_no_balance_has_shown_it(build: Build) -> None:
    harness = following(build())
    harness.venue.failing = {ReadBalances: FailureKind.UNREACHABLE}
    show(harness, trade(harness.venue, "trade-1", dataclasses.replace(IN_FLIGHT, status=TradeStatus.CONFIRMED)))
    harness.runtime.run_for(TTL_MS + 2 * INTERVAL_MS)
    assert harness.metrics.reports[-1].status is CycleStatus.RPC_UNAVAILABLE
    assert (states(harness), lookups(harness)) == ({"trade-1": "SETTLED"}, [])


@pytest.mark.req("R-10", "S-11")
def test_a_cycle_that_compared_nothing_looks_up_nothing(build: Build) -> None:
    harness = waiting(build)
    harness.venue.failing = {ReadOpenOrders: FailureKind.UNREACHABLE}
    harness.runtime.run_for(3 * INTERVAL_MS)
    assert harness.metrics.reports[-1].status is CycleStatus.CLOB_UNAVAILABLE
    assert lookups(harness) == []
    harness.venue.failing = {}
    harness.runtime.run_for(INTERVAL_MS)
    assert states(harness) == {"trade-1": "EXPIRED"}


@pytest.mark.req("R-10", "L-17")
def test_the_time_to_live_goes_on_through_a_restart(build: Build) -> None:
    harness = waiting(build)
    harness.restart()
    time_is_up(harness)
    assert states(harness) == {"trade-1": "EXPIRED"}


@pytest.mark.req("R-10", "S-15")
def test_no_more_than_so_many_are_looked_up_at_once_and_none_twice(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = following(build())
    count = AT_ONCE_MAX + 15
    for number in range(count):
        show(harness, trade(harness.venue, f"trade-{number:02}", IN_FLIGHT))
    harness.runtime.run_for(TTL_MS - INTERVAL_MS)
    harness.venue.asked.clear()
    held: dict[str, Callable[[], None]] = {}
    through = harness.venue.request

    def hold(read: Read, reply: Reply, correlation: str) -> None:
        if isinstance(read, ReadTrades) and read.trade_id:
            assert read.trade_id not in held
            held[read.trade_id] = partial(through, read, reply, correlation)
        else:
            through(read, reply, correlation)

    monkeypatch.setattr(harness.venue, "request", hold)
    harness.runtime.run_for(3 * INTERVAL_MS)
    assert len(held) == AT_ONCE_MAX
    monkeypatch.setattr(harness.venue, "request", through)
    for answer in held.values():
        answer()
    harness.runtime.run_until_idle()
    assert list(states(harness).values()).count("EXPIRED") == AT_ONCE_MAX
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert list(states(harness).values()).count("EXPIRED") == count


@pytest.mark.req("R-10", "L-12")
def test_an_ingest_that_crashed_decides_nothing_before_it_knows_the_market_again(build: Build) -> None:
    """Its directory is empty, and the list of trades is silent: what the look-up showed may not get lost behind it."""
    harness = waiting(build)
    becomes(harness.venue, "trade-1", TradeStatus.CONFIRMED)
    harness.venue.trades_by_id_only = True
    harness.crashes_expected = True
    harness.post.tell(INGEST, Poison())
    asked = harness.venue.count(ReadMarkets)
    time_is_up(harness)
    assert harness.restarted == [INGEST]
    assert issues(harness, "FILL_EXPIRED") == []
    harness.runtime.run_for(INTERVAL_MS)
    assert states(harness) == {"trade-1": "SETTLED"}
    assert harness.venue.count(ReadMarkets) == asked, "the coordinator knew it"


@pytest.mark.req("R-10", "S-15")
def test_a_look_up_that_takes_long_is_not_begun_again(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = waiting(build)
    through = harness.venue.request

    def silent(read: Read, reply: Reply, correlation: str) -> None:
        harness.venue.asked.append(read)
        if not getattr(read, "trade_id", ""):
            through(read, reply, correlation)

    monkeypatch.setattr(harness.venue, "request", silent)
    harness.runtime.run_for(4 * INTERVAL_MS)
    assert lookups(harness) == [ReadTrades(wallet="main", after_s=0, trade_id="trade-1")]
