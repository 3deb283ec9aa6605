"""The user stream, receipts and narrowed trade reads against the sandbox, whose own books are the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from messages.reads import ReadReceipt, ReadTrades
from messages.stream import StreamClosed, StreamEvents, StreamOpened
from polymarket.payloads import parse_micro
from polymarket.reads import PolymarketReads
from polymarket.sandbox.actions import Cancel, FillOrder
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.process import SandboxProcess
from polymarket.settings import PolymarketSettings, Secret
from polymarket.user_stream import PolymarketUserStream, StreamTimings
from portfolio.facts import OrderChange, OrderMessage, OrderStatus, ReceiptStatus, Trade, TradeMessage, TradeStatus
from tests.integration.polymarket.channel import Jitter, Receiver, until
from tests.integration.polymarket.conftest import now_ms
from tests.integration.polymarket.test_reads import ask
from tests.integration.polymarket.test_sandbox import complete, settings_of

WORLD = WorldOptions(seed=12, activity=False, orders=10)


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxProcess]:
    with SandboxProcess(WORLD, ServerOptions()) as running:
        yield running


@pytest.fixture
def sandbox(process: SandboxProcess) -> SandboxProcess:
    """The same world for every test, standing still."""
    process.info = process.control.reseed(WORLD.seed) | process.urls
    process.control.pause()
    return process


@pytest.fixture
def settings(sandbox: SandboxProcess) -> PolymarketSettings:
    return settings_of(sandbox, user_ws_url=sandbox.urls["user_ws_url"])


@pytest.fixture
def receiver(settings: PolymarketSettings) -> Iterator[Receiver]:
    """Listens to the sandbox; its subscription was answered, so nothing that follows is missed."""
    receiver = Receiver()
    stream = PolymarketUserStream(settings, "main", now_ms, StreamTimings(ping_s=0.05))
    stream.open(receiver)
    receiver.wait(StreamOpened)
    until(lambda: stream._open is not None and stream._open[0].heard_at_ms is not None)
    yield receiver
    stream.close()


def events(receiver: Receiver, kind: type[Any]) -> list[Any]:
    return [event for frame in receiver.of(StreamEvents) for event in frame.events if isinstance(event, kind)]


def own_order(sandbox: SandboxProcess) -> dict[str, Any]:
    order: dict[str, Any] = sandbox.control.books()["orders"][0]
    return order


@pytest.mark.req("L-01", "D-06")
def test_a_fill_is_shown_to_the_base_unit_and_again_when_it_settles(
    sandbox: SandboxProcess, receiver: Receiver
) -> None:
    order = own_order(sandbox)
    sandbox.control.act(FillOrder(order_id=order["id"], size="7.5"))
    until(lambda: events(receiver, TradeMessage) and events(receiver, OrderMessage))
    (seen,) = [message.trade for message in events(receiver, TradeMessage)]
    (leg,) = [leg for leg in seen.legs if leg.order_id == order["id"]]
    assert (leg.size_micro, leg.price_micro) == (7_500_000, parse_micro(order["price"].encode()))
    (update,) = events(receiver, OrderMessage)
    before = parse_micro(order["size_matched"].encode()) or 0
    assert (update.change, update.order.order_id) == (OrderChange.UPDATE, order["id"])
    assert update.order.size_matched_micro == before + 7_500_000
    sandbox.control.mine(5)
    until(lambda: TradeStatus.CONFIRMED in {message.trade.status for message in events(receiver, TradeMessage)})
    assert {message.trade.trade_id for message in events(receiver, TradeMessage)} == {seen.trade_id}


@pytest.mark.req("L-06")
def test_a_cancellation_is_shown(sandbox: SandboxProcess, receiver: Receiver) -> None:
    order = own_order(sandbox)
    sandbox.control.act(Cancel(order_id=order["id"]))
    until(lambda: events(receiver, OrderMessage))
    (message,) = events(receiver, OrderMessage)
    assert (message.change, message.order.status) == (OrderChange.CANCELLATION, OrderStatus.CANCELED)


@pytest.mark.req("S-21")
def test_credentials_that_the_exchange_does_not_know_are_named_after_three_attempts(
    settings: PolymarketSettings,
) -> None:
    (wallet,) = settings.wallets
    assert wallet.credentials is not None
    wrong = msgspec.structs.replace(wallet.credentials, passphrase=Secret("wrong"))
    settings = msgspec.structs.replace(settings, wallets=(msgspec.structs.replace(wallet, credentials=wrong),))
    receiver = Receiver()
    # With a clock that stands still every close comes within a second of subscribing.
    stream = PolymarketUserStream(settings, "main", lambda: 0, jitter=Jitter())
    stream.open(receiver)
    assert "credentials of wallet 'main'" in receiver.wait(StreamClosed, 3)[2].reason
    stream.close()


@pytest.fixture
def reads(settings: PolymarketSettings) -> Iterator[PolymarketReads]:
    adapter = PolymarketReads(settings, now_ms)
    yield adapter
    adapter.close(timeout_s=5)


def trades(reads: PolymarketReads, **narrowed: str) -> list[Trade]:
    return list(complete(ask(reads, ReadTrades(wallet="main", after_s=0, **narrowed))).trades)


@pytest.mark.req("R-10")
def test_trades_are_narrowed_to_a_market_or_to_one(sandbox: SandboxProcess, reads: PolymarketReads) -> None:
    everything = trades(reads)
    one = everything[0]
    assert 0 < len(trades(reads, condition_id=one.condition_id)) < len(everything)
    assert trades(reads, condition_id=one.condition_id) == [
        trade for trade in everything if trade.condition_id == one.condition_id
    ]
    assert trades(reads, trade_id=one.trade_id) == [one]
    assert trades(reads, trade_id="no-such-trade") == []


@pytest.mark.req("R-10", "X-01")
def test_the_receipt_of_a_settled_trade_is_found_and_of_an_unknown_one_is_not(
    sandbox: SandboxProcess, reads: PolymarketReads
) -> None:
    settled = next(trade for trade in trades(reads) if trade.transaction_hash and trade.status is TradeStatus.CONFIRMED)
    assert settled.transaction_hash is not None
    found = complete(ask(reads, ReadReceipt(wallet="main", transaction_hash=settled.transaction_hash))).receipt
    assert (found.transaction_hash, found.status) == (settled.transaction_hash, ReceiptStatus.SUCCEEDED)
    assert 0 < found.block_number <= sandbox.control.books()["block"]["number"]
    absent = complete(ask(reads, ReadReceipt(wallet="main", transaction_hash="0x" + "9" * 64))).receipt
    assert (absent.status, absent.block_number) == (ReceiptStatus.ABSENT, None)
