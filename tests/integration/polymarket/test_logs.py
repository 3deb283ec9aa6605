"""The reader of logs against the sandbox's chain: its books say what moved, its faults what may go wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from messages.reads import LogsAnswer, ReadCompleted, ReadFailed, ReadLogs
from polymarket.reading import ReadResult
from polymarket.reads import PolymarketReads
from polymarket.sandbox.actions import (
    Convert,
    Deposit,
    ExternalTrade,
    Merge,
    Redeem,
    Reorganise,
    Resolve,
    Split,
    TransferIn,
    TransferOut,
    Unwrap,
    Withdraw,
)
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.trading import BUY, SELL
from portfolio.chain import ChainTransaction, CollateralTransfer, OrderFilled, TokenTransfer
from portfolio.facts import FailureKind, Verdict
from tests.integration.polymarket.conftest import now_ms
from tests.integration.polymarket.test_reads import ask
from tests.integration.polymarket.test_sandbox import settings_of

WORLD = WorldOptions(seed=11, activity=False, protocol_v2_markets=1)


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxProcess]:
    with SandboxProcess(WORLD) as running:
        yield running


@pytest.fixture
def sandbox(process: SandboxProcess) -> Iterator[SandboxProcess]:
    """The same world for every test, standing still."""
    process.info = process.control.reseed(WORLD.seed) | process.urls
    process.control.pause()
    yield process
    process.control.clear_faults()
    process.control.settings(logs_range_blocks=10_000)


class Watcher:
    """Reads logs from where the last reading ended."""

    def __init__(self, sandbox: SandboxProcess, **settings: Any) -> None:
        self.sandbox = sandbox
        self.reads = PolymarketReads(settings_of(sandbox, **settings), now_ms)
        self.wallet = sandbox.info["wallet"]["address"].lower()
        self.next_block = sandbox.control.time().head + 1
        self.known: tuple[tuple[int, str], ...] = ()

    def ask(self, **changes: Any) -> ReadResult:
        wanted: dict[str, Any] = {"from_block": self.next_block, "known": self.known, **changes}
        return ask(self.reads, ReadLogs(wallet="main", wallets=(self.wallet,), **wanted))

    def read(self, **changes: Any) -> LogsAnswer:
        result = self.ask(**changes)
        assert isinstance(result, ReadCompleted), result
        assert result.certificate.verdict is Verdict.COMPLETE, result.certificate.reason
        assert isinstance(result.answer, LogsAnswer)
        return result.answer

    def follow(self) -> tuple[ChainTransaction, ...]:
        """Read on, and remember where."""
        answer = self.read()
        assert answer.replaced == ()
        self.next_block = answer.to_block + 1
        self.known += ((answer.to_block, answer.to_hash),)
        return answer.transactions

    def moved(self, transactions: tuple[ChainTransaction, ...]) -> tuple[dict[str, int], dict[str, int]]:
        """What went to the wallet less what left it: shares by token, cash by bucket."""
        tokens: Counter[str] = Counter()
        cash: Counter[str] = Counter()
        for log in (log for transaction in transactions for log in transaction.logs):
            if isinstance(log, TokenTransfer):
                tokens[log.token_id] += log.shares_micro * ((log.receiver == self.wallet) - (log.sender == self.wallet))
            elif isinstance(log, CollateralTransfer):
                cash[log.bucket] += log.amount_micro * ((log.receiver == self.wallet) - (log.sender == self.wallet))
        return changed(tokens, Counter()), changed(cash, Counter())


@pytest.fixture
def watcher(sandbox: SandboxProcess) -> Iterator[Watcher]:
    made = Watcher(sandbox)
    yield made
    made.reads.close(timeout_s=5)


def books(sandbox: SandboxProcess) -> tuple[Counter[str], Counter[str]]:
    return Counter(sandbox.control.tokens()), Counter(sandbox.control.cash())


def changed(after: Counter[str], before: Counter[str]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after.keys() | before.keys() if after[name] != before[name]}


def everything_happens(sandbox: SandboxProcess) -> int:
    """One of each kind of change, some in one block; how many transactions they are."""
    control, markets = sandbox.control, sandbox.control.books()["markets"]
    plain = next(market for market in markets if not market["neg_risk"])
    event = [market for market in markets if market["neg_risk"]]
    for market in (plain, *event):
        control.act(Split(condition_id=market["condition_id"], amount="30"))
    control.act(Unwrap(amount="13"))
    control.mine()
    control.act(Split(condition_id=plain["condition_id"], amount="4", direct=True))
    control.act(ExternalTrade(token_id=plain["tokens"][0], side=BUY, size="5", price="0.4"))
    control.act(ExternalTrade(token_id=plain["tokens"][1], side=SELL, size="6", price="0.5"))
    control.act(ExternalTrade(token_id=event[0]["tokens"][0], side=BUY, size="7", price="0.3"))
    control.act(Merge(condition_id=plain["condition_id"], amount="3"))
    control.act(TransferOut(token_id=plain["tokens"][0], amount="1"))
    control.act(TransferIn(token_id=plain["tokens"][1], amount="2"))
    control.act(Deposit(amount="11"))
    control.act(Withdraw(amount="12"))
    control.act(Convert(neg_risk_market_id=event[0]["neg_risk_market_id"], questions=[0], amount="2"))
    control.mine()
    control.act(Resolve(condition_id=plain["condition_id"], payouts=[1, 0]))
    control.mine()
    control.act(Redeem(condition_id=plain["condition_id"]))
    control.mine(3)
    return len(event) + 13


@pytest.mark.req("X-01", "R-19")
def test_what_the_logs_moved_is_what_changed_in_the_books(sandbox: SandboxProcess, watcher: Watcher) -> None:
    before = books(sandbox)
    count = everything_happens(sandbox)
    transactions = watcher.follow()
    after = books(sandbox)
    assert watcher.moved(transactions) == (changed(after[0], before[0]), changed(after[1], before[1]))
    assert len(transactions) == count
    fills = [each for each in transactions if any(isinstance(log, OrderFilled) for log in each.logs)]
    assert len(fills) == 3
    assert [each.complete for each in fills] == [False] * 3
    assert sum(each.complete for each in transactions) == count - 3


@pytest.mark.req("X-01")
def test_ranges_that_are_too_large_are_made_smaller_and_find_the_same(
    sandbox: SandboxProcess, watcher: Watcher
) -> None:
    first = watcher.next_block
    everything_happens(sandbox)
    sandbox.control.mine(40)
    whole = watcher.read()
    sandbox.control.settings(logs_range_blocks=12)
    smaller = watcher.read(from_block=first)
    assert (smaller.transactions, smaller.to_hash) == (whole.transactions, whole.to_hash)
    assert smaller.range_blocks <= 12


@pytest.mark.req("X-01")
def test_a_reorganisation_is_told_and_its_blocks_read_anew(sandbox: SandboxProcess, watcher: Watcher) -> None:
    condition = sandbox.control.books()["markets"][2]["condition_id"]
    for _ in range(4):
        sandbox.control.act(Split(condition_id=condition, amount="5"))
        sandbox.control.mine()
        watcher.follow()
    known = watcher.known
    sandbox.control.act(Reorganise(depth=2))
    answer = watcher.read()
    assert (list(answer.replaced), answer.to_block) == (list(known[2:]), watcher.next_block - 1)
    again = watcher.read(from_block=known[2][0], known=watcher.known[:2])
    assert again.replaced == ()
    assert len(again.transactions) == 2, "both splits are back, each in another block"


@pytest.mark.req("X-01", "X-14")
@pytest.mark.parametrize("kind", ["rpc_logs_refused", "rpc_logs_pruned"])
def test_a_node_that_does_not_serve_logs_says_what_to_do(kind: Any, sandbox: SandboxProcess, watcher: Watcher) -> None:
    sandbox.control.mine(40)
    with sandbox.control.playing(FaultSpec(target="rpc", kind=kind)):
        failed = watcher.ask()
    assert isinstance(failed, ReadFailed)
    assert failed.kind is FailureKind.REFUSED
    assert "endpoint into polygon.rpc_url" in failed.detail
    assert watcher.read().to_block == sandbox.control.time().head


@pytest.mark.req("X-01", "X-14")
def test_a_node_that_is_gone_is_followed_by_the_next_one(sandbox: SandboxProcess) -> None:
    watcher = Watcher(sandbox, rpc_url="http://127.0.0.1:9/gone", further_rpc_urls=(sandbox.urls["rpc_url"],))
    sandbox.control.act(Deposit(amount="3"))
    sandbox.control.mine()
    try:
        assert watcher.moved(watcher.follow())[1] == {"pusd": 3_000_000}
    finally:
        watcher.reads.close(timeout_s=5)
