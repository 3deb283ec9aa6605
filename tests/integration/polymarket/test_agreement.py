"""Agreement of RPC endpoints over real sockets: one chain, forks of it, another chain, nobody there (X-14, R-31)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from messages.reads import AgreementAnswer, BalancesAnswer, ReadAgreement, ReadBalances, ReadCompleted, ReadFailed
from polymarket.reads import PolymarketReads
from polymarket.sandbox.actions import Reorganise
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from portfolio.facts import Balances, FailureKind, Source, Verdict
from tests.integration.polymarket.conftest import now_ms
from tests.integration.polymarket.test_reads import ask
from tests.integration.polymarket.test_sandbox import settings_of

pytestmark = pytest.mark.req("X-14")

WORLD = WorldOptions(seed=11, activity=False)
OTHER_WORLD = WorldOptions(seed=12, activity=False)
DEAD = "http://127.0.0.1:9/gone"


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxProcess]:
    with SandboxProcess(WORLD) as running:
        yield running


@pytest.fixture(scope="module")
def other() -> Iterator[SandboxProcess]:
    """A chain with another history."""
    with SandboxProcess(OTHER_WORLD) as running:
        yield running


@pytest.fixture
def sandbox(process: SandboxProcess) -> Iterator[SandboxProcess]:
    """The same world for every test, standing still."""
    process.info = process.control.reseed(WORLD.seed) | process.urls
    process.control.pause()
    yield process
    process.control.clear_faults()


class Endpoints:
    """The sandbox's endpoint and others beside it. A slash more in its URL makes another one of the same chain."""

    def __init__(self, sandbox: SandboxProcess, *others: str, **settings: Any) -> None:
        self.reads = PolymarketReads(settings_of(sandbox, further_rpc_urls=others, **settings), now_ms)

    def pinned(self) -> Balances:
        """The balances of a cycle, and so their block."""
        result = ask(self.reads, ReadBalances(wallet="main", tokens=()))
        assert isinstance(result, ReadCompleted), result
        assert isinstance(result.answer, BalancesAnswer)
        return result.answer.balances

    def agreement(self, at: Balances) -> AgreementAnswer:
        read = ReadAgreement(wallet="main", block_number=at.block_number, block_hash=at.block_hash)
        result = ask(self.reads, read)
        assert isinstance(result, ReadCompleted), result
        assert (result.certificate.source, result.certificate.verdict) == (Source.CHAIN_AGREEMENT, Verdict.COMPLETE)
        assert isinstance(result.answer, AgreementAnswer)
        return result.answer

    def close(self) -> None:
        self.reads.close(timeout_s=5)


@pytest.fixture
def twins(sandbox: SandboxProcess) -> Iterator[Endpoints]:
    """Two endpoints of one chain."""
    made = Endpoints(sandbox, sandbox.urls["rpc_url"] + "/")
    yield made
    made.close()


def beside(sandbox: SandboxProcess, *others: str) -> AgreementAnswer:
    """What is said of the block that the sandbox has pinned where these are the other endpoints."""
    endpoints = Endpoints(sandbox, *others)
    try:
        return endpoints.agreement(endpoints.pinned())
    finally:
        endpoints.close()


def mine_past(sandbox: SandboxProcess, other: SandboxProcess) -> None:
    """Let the sandbox have a block that the other one does not have."""
    other.control.pause()
    sandbox.control.mine(max(0, other.control.time().head - sandbox.control.time().head) + 1)


def test_endpoints_of_one_chain_agree_on_what_was_pinned(sandbox: SandboxProcess, twins: Endpoints) -> None:
    at = twins.pinned()
    answer = twins.agreement(at)
    assert (answer.block_number, answer.block_hash, answer.endpoints) == (at.block_number, at.block_hash, 2)
    assert (answer.agreeing, answer.differing, answer.silent) == ((1, 2), (), ())
    sandbox.control.mine(3)
    assert twins.agreement(at).agreeing == (1, 2), "what comes later changes nothing before"


def test_a_block_that_was_reorganised_away_is_no_longer_agreed_on(sandbox: SandboxProcess, twins: Endpoints) -> None:
    sandbox.control.mine(2)
    at = twins.pinned()
    sandbox.control.act(Reorganise(depth=2))
    answer = twins.agreement(at)
    assert (answer.agreeing, [place for place, _ in answer.differing]) == ((), [1, 2])
    assert twins.agreement(twins.pinned()).agreeing == (1, 2)


def test_an_endpoint_with_another_history_differs(sandbox: SandboxProcess, other: SandboxProcess) -> None:
    mine_past(other, sandbox)
    answer = beside(sandbox, other.urls["rpc_url"])
    assert (answer.agreeing, answer.silent, answer.disagreed) == ((1,), (), True)
    ((place, reason),) = answer.differing
    assert place == 2
    assert reason.startswith(f"its block {answer.block_number} was 0x")
    assert answer.block_hash not in reason


def test_an_endpoint_that_speaks_for_another_chain_differs(sandbox: SandboxProcess, other: SandboxProcess) -> None:
    with other.control.playing(FaultSpec(target="rpc", kind="wrong_chain_id")):
        answer = beside(sandbox, other.urls["rpc_url"])
    ((place, reason),) = answer.differing
    assert (place, reason) == (2, "the RPC's chain id was 1, expected 137; check polygon.rpc_url")


def test_an_endpoint_without_the_block_is_silent_until_it_has_one(
    sandbox: SandboxProcess, other: SandboxProcess
) -> None:
    mine_past(sandbox, other)
    answer = beside(sandbox, other.urls["rpc_url"])
    assert (answer.agreeing, answer.disagreed) == ((1,), False)
    assert answer.silent == ((2, f"it does not have block {answer.block_number}, or not yet"),)
    mine_past(other, sandbox)
    assert beside(sandbox, other.urls["rpc_url"]).disagreed, "what it has is another chain's"


def test_a_dead_endpoint_is_silent_and_its_url_is_not_told(sandbox: SandboxProcess) -> None:
    answer = beside(sandbox, DEAD, sandbox.urls["rpc_url"] + "/")
    assert (answer.endpoints, answer.agreeing, answer.differing) == (3, (1, 3), ())
    ((place, reason),) = answer.silent
    assert place == 2
    assert "no connection" in reason
    assert DEAD not in reason


def test_where_all_endpoints_are_down_the_read_fails(sandbox: SandboxProcess, twins: Endpoints) -> None:
    at = twins.pinned()
    with sandbox.control.playing(FaultSpec(target="rpc", kind="down")):
        read = ReadAgreement(wallet="main", block_number=at.block_number, block_hash=at.block_hash)
        failed = ask(twins.reads, read)
    assert isinstance(failed, ReadFailed)
    assert (failed.source, failed.kind) == (Source.CHAIN_AGREEMENT, FailureKind.UNREACHABLE)
    assert "1: " in failed.detail
    assert "2: " in failed.detail
    assert twins.agreement(at).agreeing == (1, 2)


@pytest.mark.req("R-31")
def test_one_endpoint_alone_is_waived_without_a_request(sandbox: SandboxProcess) -> None:
    endpoints = Endpoints(sandbox)
    try:
        at = endpoints.pinned()
        before = sandbox.control.requests()
        answer = endpoints.agreement(at)
        assert sandbox.control.requests() == before
    finally:
        endpoints.close()
    assert (answer.waived, answer.endpoints, answer.agreeing, answer.silent) == (True, 1, (), ())
