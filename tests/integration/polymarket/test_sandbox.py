"""Every reader against the sandbox: its own books are the oracle, its faults are met and end as they should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from messages.reads import (
    BalancesAnswer,
    MarketsAnswer,
    OrderAnswer,
    OrdersAnswer,
    PositionsAnswer,
    Read,
    ReadBalances,
    ReadCompleted,
    ReadFailed,
    ReadMarkets,
    ReadOpenOrders,
    ReadOrder,
    ReadPositions,
    ReadTrades,
    TradesAnswer,
)
from polymarket.clob import read_server_time
from polymarket.driver import HttpDriver
from polymarket.payloads import parse_micro
from polymarket.reading import ReadContext, ReadResult
from polymarket.reads import PolymarketReads
from polymarket.sandbox.actions import Resolve
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.process import SandboxProcess
from polymarket.settings import ApiCredentials, PolymarketSettings, Secret, WalletSettings
from portfolio.facts import FailureKind, MarketMeta, TokenRef, Verdict
from tests.integration.polymarket.conftest import now_ms
from tests.integration.polymarket.test_reads import ask

WORLD = WorldOptions(seed=11, activity=False, orders=35, protocol_v2_markets=1)
PAGES = ServerOptions(page_size=10)


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxProcess]:
    with SandboxProcess(WORLD, PAGES) as running:
        yield running


@pytest.fixture
def sandbox(process: SandboxProcess) -> Iterator[SandboxProcess]:
    """The same world for every test, standing still."""
    process.info = process.control.reseed(WORLD.seed) | process.urls
    process.control.pause()
    yield process
    process.control.clear_faults()


def settings_of(sandbox: SandboxProcess, **changes: Any) -> PolymarketSettings:
    wallet = sandbox.info["wallet"]
    credentials = ApiCredentials(
        key=Secret(wallet["api_key"]),
        secret=Secret(wallet["api_secret"]),
        passphrase=Secret(wallet["api_passphrase"]),
    )
    main = WalletSettings(
        name="main", address=wallet["address"], signer_address=wallet["signer_address"], credentials=credentials
    )
    settings = PolymarketSettings(
        clob_url=sandbox.urls["clob_url"],
        data_api_url=sandbox.urls["data_api_url"],
        gamma_url=sandbox.urls["gamma_url"],
        rpc_url=sandbox.urls["rpc_url"],
        confirmations=0,
        timeout_ms=20_000,
        wallets=(main,),
    )
    return msgspec.structs.replace(settings, **changes)


@pytest.fixture
def reads(sandbox: SandboxProcess) -> Iterator[PolymarketReads]:
    adapter = PolymarketReads(settings_of(sandbox), now_ms)
    yield adapter
    adapter.close(timeout_s=5)


def complete(result: ReadResult) -> Any:
    assert isinstance(result, ReadCompleted), result
    assert result.certificate.verdict is Verdict.COMPLETE, result.certificate.reason
    return result.answer


def all_tokens(books: dict[str, Any]) -> tuple[TokenRef, ...]:
    return tuple(TokenRef(contract=m["contract"], token_id=token) for m in books["markets"] for token in m["tokens"])


@pytest.mark.req("S-02", "L-29", "R-15")
def test_open_orders_are_those_of_the_books_over_all_pages(sandbox: SandboxProcess, reads: PolymarketReads) -> None:
    answer = complete(ask(reads, ReadOpenOrders(wallet="main")))
    assert isinstance(answer, OrdersAnswer)
    expected = {row["id"]: row for row in sandbox.control.books()["orders"]}
    assert [order.order_id for order in answer.orders] == sorted(expected)
    assert len(expected) > PAGES.page_size
    for order in answer.orders:
        row = expected[order.order_id]
        assert order.original_size_micro == parse_micro(row["original_size"].encode())
        assert order.price_micro == parse_micro(row["price"].encode())
        assert (order.token_id, order.side, order.owner) == (row["asset_id"], row["side"], row["owner"])


@pytest.mark.req("L-06")
def test_the_fate_of_an_order_is_found_and_an_unknown_one_is_none(
    sandbox: SandboxProcess, reads: PolymarketReads
) -> None:
    known = sandbox.control.books()["orders"][0]["id"]
    answer = complete(ask(reads, ReadOrder(wallet="main", order_id=known)))
    assert isinstance(answer, OrderAnswer)
    assert answer.order is not None
    assert answer.order.order_id == known
    assert complete(ask(reads, ReadOrder(wallet="main", order_id="0x" + "9" * 64))).order is None


@pytest.mark.req("L-17")
def test_trades_are_those_of_the_books_and_after_includes_its_own_second(
    sandbox: SandboxProcess, reads: PolymarketReads
) -> None:
    expected = sorted(sandbox.control.books()["trades"], key=lambda row: int(row["match_time_nano"]))
    answer = complete(ask(reads, ReadTrades(wallet="main", after_s=0)))
    assert isinstance(answer, TradesAnswer)
    assert [trade.matched_at_ns for trade in answer.trades] == [int(row["match_time_nano"]) for row in expected]
    assert {trade.trade_id for trade in answer.trades} == {row["id"] for row in expected}
    assert [trade.size_micro for trade in answer.trades] == [parse_micro(row["size"].encode()) for row in expected]
    last = expected[-1]
    later = complete(ask(reads, ReadTrades(wallet="main", after_s=int(last["match_time"]))))
    assert last["id"] in {trade.trade_id for trade in later.trades}


@pytest.mark.req("S-02", "D-13", "D-15")
def test_positions_agree_with_the_books_within_the_witness_rounding(
    sandbox: SandboxProcess, reads: PolymarketReads
) -> None:
    result = ask(reads, ReadPositions(wallet="main"))
    answer = complete(result)
    assert isinstance(answer, PositionsAnswer)
    held = {row["token_id"]: row["settled_micro"] for row in sandbox.control.books()["positions"]}
    shown = {position.token_id: position.size_micro for position in answer.positions}
    assert shown.keys() == held.keys()
    assert all(abs(shown[token] - held[token]) <= 100 for token in held)
    assert isinstance(result, ReadCompleted)
    assert result.certificate.block_number is not None
    assert result.certificate.block_time_ms is not None


@pytest.mark.req("D-09", "D-28", "R-18", "X-08", "R-19")
def test_balances_are_those_of_the_books_to_the_base_unit(sandbox: SandboxProcess, reads: PolymarketReads) -> None:
    books = sandbox.control.books()
    answer = complete(ask(reads, ReadBalances(wallet="main", tokens=all_tokens(books))))
    assert isinstance(answer, BalancesAnswer)
    balances = answer.balances
    assert (balances.block_number, balances.block_hash) == (books["block"]["number"], books["block"]["hash"])
    held = {token.token_id: token.amount_micro for token in balances.tokens if token.amount_micro}
    assert held == {token: amount for token, amount in books["tokens"].items() if amount}
    assert {bucket.name: bucket.amount_micro for bucket in balances.collateral} == books["cash"]


@pytest.mark.req("R-31", "D-09")
def test_the_default_block_is_the_finalized_one_and_can_be_read_again(sandbox: SandboxProcess) -> None:
    books = sandbox.control.books()
    adapter = PolymarketReads(settings_of(sandbox, confirmations=None), now_ms)
    first = complete(ask(adapter, ReadBalances(wallet="main", tokens=()))).balances
    assert first.block_number == books["finalized"]
    again = ReadBalances(
        wallet="main", tokens=all_tokens(books), block_number=first.block_number, block_hash=first.block_hash
    )
    sandbox.control.mine(3)
    assert complete(ask(adapter, again)).balances.block_hash == first.block_hash


@pytest.mark.req("R-06")
def test_payouts_and_question_counts_come_from_the_chain(sandbox: SandboxProcess, reads: PolymarketReads) -> None:
    markets = sandbox.control.books()["markets"]
    event = next(m["neg_risk_market_id"] for m in markets if m["neg_risk"])
    resolved, other = [m["condition_id"] for m in markets if not m["neg_risk"] and m["version"] == "v1"][:2]
    sandbox.control.act(Resolve(condition_id=resolved, payouts=[0, 1]))
    sandbox.control.mine(1)
    read = ReadBalances(wallet="main", tokens=(), payouts_of=(resolved, other), question_counts_of=(event,))
    balances = complete(ask(reads, read)).balances
    assert [(p.condition_id, p.numerators, p.denominator) for p in balances.payouts] == [(resolved, (0, 1), 1)]
    assert [c.count for c in balances.question_counts] == [sum(m["neg_risk_market_id"] == event for m in markets)]


def metadata(reads: PolymarketReads, **asked: tuple[str, ...]) -> dict[str, MarketMeta]:
    answer = complete(ask(reads, ReadMarkets(wallet="main", **asked)))
    assert isinstance(answer, MarketsAnswer)
    return {market.condition_id: market for market in answer.markets}


@pytest.mark.req("R-18", "X-08", "S-02", "R-20")
def test_metadata_of_all_markets_resolved_ones_included(sandbox: SandboxProcess, reads: PolymarketReads) -> None:
    books = sandbox.control.books()
    sandbox.control.act(Resolve(condition_id=books["markets"][0]["condition_id"], payouts=[1, 0]))
    sandbox.control.mine(1)
    found = metadata(reads, condition_ids=tuple(m["condition_id"] for m in books["markets"]))
    assert found.keys() == {m["condition_id"] for m in books["markets"]}
    for row in books["markets"]:
        market = found[row["condition_id"]]
        assert [token.token_id for token in market.tokens] == row["tokens"]
        assert {token.contract for token in market.tokens} == {row["contract"].lower()}
        assert (market.version, market.fee_rate_micro) == (row["version"], row["fee_rate_micro"])
        assert market.neg_risk is row["neg_risk"]
        assert market.neg_risk_derived is (row["neg_risk"] if row["version"] == "v1" else None)
    assert found[books["markets"][0]["condition_id"]].closed


@pytest.mark.req("R-06")
def test_a_wrong_claim_about_neg_risk_is_seen_through(sandbox: SandboxProcess, reads: PolymarketReads) -> None:
    row = next(m for m in sandbox.control.books()["markets"] if m["neg_risk"])
    sandbox.control.claim_neg_risk(row["condition_id"], neg_risk=False)
    market = metadata(reads, token_ids=(row["tokens"][1],))[row["condition_id"]]
    assert (market.neg_risk_claimed, market.neg_risk_derived, market.neg_risk) == (False, True, True)
    assert (market.market_id, market.question_index) == (row["neg_risk_market_id"], row["question_index"])


def test_the_server_time_is_that_of_the_world(sandbox: SandboxProcess) -> None:
    settings = settings_of(sandbox)
    context = ReadContext(correlation="c", started_at_ms=0, nonce="1")
    time = HttpDriver(settings, now_ms).run(read_server_time(settings, context))
    assert time.server_ms == sandbox.control.time().now_ms // 1000 * 1000


READS: dict[str, Read] = {
    "clob": ReadOpenOrders(wallet="main"),
    "data": ReadPositions(wallet="main"),
    "rpc": ReadBalances(wallet="main", tokens=()),
}
FAULTS = [
    ("down", FailureKind.UNREACHABLE),
    ("slow", FailureKind.TIMEOUT),
    ("http_425", FailureKind.THROTTLED),
    ("http_429", FailureKind.THROTTLED),
    ("http_503", FailureKind.THROTTLED),
    ("html_error", FailureKind.UNREACHABLE),
    ("malformed_json", FailureKind.MALFORMED),
    ("wrong_content_type", FailureKind.MALFORMED),
]


@pytest.mark.req("S-11", "S-12", "S-15")
@pytest.mark.parametrize("target", READS)
@pytest.mark.parametrize(("kind", "expected"), FAULTS)
def test_a_fault_of_the_transport_is_met_and_fails_the_read(
    target: Any, kind: Any, expected: FailureKind, sandbox: SandboxProcess
) -> None:
    timeout_ms = 500 if kind == "slow" else 20_000
    adapter = PolymarketReads(settings_of(sandbox, timeout_ms=timeout_ms, retries_per_read=1), now_ms)
    with sandbox.control.playing(FaultSpec(target=target, kind=kind)) as fault:
        result = ask(adapter, READS[target])
        assert sandbox.control.hits(fault) > 0
    assert isinstance(result, ReadFailed), result
    assert result.kind is expected


@pytest.mark.req("R-16", "X-09")
@pytest.mark.parametrize("value", ['"NaN"', "1e-9", '"0.1234567"', "-1", '"many"', "null"])
def test_a_number_that_is_none_rejects_its_rows_and_the_page_is_not_complete(
    value: str, sandbox: SandboxProcess, reads: PolymarketReads
) -> None:
    with sandbox.control.playing(FaultSpec(target="clob", kind="bad_number", value=value)) as fault:
        result = ask(reads, ReadOpenOrders(wallet="main"))
        assert sandbox.control.hits(fault) > 0
    assert isinstance(result, ReadCompleted)
    assert result.certificate.verdict is Verdict.PARTIAL
    assert result.certificate.rejected_rows > 0
    assert "rejected" in result.certificate.reason


@pytest.mark.req("R-30", "L-08")
def test_pages_that_move_for_ever_prove_no_absence(sandbox: SandboxProcess, reads: PolymarketReads) -> None:
    with sandbox.control.playing(FaultSpec(target="clob", kind="moved_pages")):
        result = ask(reads, ReadOpenOrders(wallet="main"))
    assert isinstance(result, ReadCompleted)
    assert result.certificate.verdict is Verdict.PARTIAL
    assert "moved" in result.certificate.reason


@pytest.mark.req("R-30", "L-08")
def test_pages_that_moved_once_are_read_again_and_complete(sandbox: SandboxProcess, reads: PolymarketReads) -> None:
    with sandbox.control.playing(FaultSpec(target="clob", kind="moved_pages", count=2)) as fault:
        answer = complete(ask(reads, ReadOpenOrders(wallet="main")))
        assert sandbox.control.hits(fault) == 2
    assert len(answer.orders) == len(sandbox.control.books()["orders"])


@pytest.mark.req("R-15")
@pytest.mark.parametrize("target", ["clob", "data"])
def test_a_cursor_that_loops_fails_the_read(target: Any, sandbox: SandboxProcess, reads: PolymarketReads) -> None:
    with sandbox.control.playing(FaultSpec(target=target, kind="loop_cursor")):
        result = ask(reads, READS[target])
    assert isinstance(result, ReadFailed)
    assert (result.kind, "led back" in result.detail) == (FailureKind.MALFORMED, True)


@pytest.mark.req("S-12", "S-22")
@pytest.mark.parametrize(
    ("kind", "expected"), [("wrong_chain_id", FailureKind.WRONG_CHAIN), ("no_code", FailureKind.NO_CONTRACT)]
)
def test_another_chain_or_a_missing_contract_is_not_believed(
    kind: Any, expected: FailureKind, sandbox: SandboxProcess, reads: PolymarketReads
) -> None:
    with sandbox.control.playing(FaultSpec(target="rpc", kind=kind)):
        result = ask(reads, READS["rpc"])
    assert isinstance(result, ReadFailed)
    assert result.kind is expected
    complete(ask(reads, READS["rpc"]))


@pytest.mark.req("S-11")
def test_a_secret_that_is_wrong_is_refused_by_the_exchange(sandbox: SandboxProcess) -> None:
    settings = settings_of(sandbox)
    (wallet,) = settings.wallets
    assert wallet.credentials is not None
    wrong = msgspec.structs.replace(wallet.credentials, secret=Secret("d3Jvbmc="))
    adapter = PolymarketReads(
        msgspec.structs.replace(settings, wallets=(msgspec.structs.replace(wallet, credentials=wrong),)), now_ms
    )
    result = ask(adapter, READS["clob"])
    assert isinstance(result, ReadFailed)
    assert result.kind is FailureKind.UNAUTHORIZED
