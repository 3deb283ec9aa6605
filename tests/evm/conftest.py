"""A node for the tests of balances, where each has a market, a wallet and a database of its own; one for the stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evm.command import Command
from tests.evm.exchange import QuietExchange
from tests.evm.market import ChainMarket
from tests.evm.stage import Stage, compiled
from tests.support.evm import BLOCKS_ON_REQUEST, EvmNode, EvmUnavailable, install, required


@pytest.fixture(scope="session")
def modules(request: pytest.FixtureRequest) -> Path:
    """The node's executable, the built contracts and the compiler."""
    try:
        # An installation takes a while; its one line is for whoever waits, not for the captured output.
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            return install()
    except EvmUnavailable as reason:
        if required():
            pytest.fail(f"PORTFOLIO_SYNC_REQUIRE_EVM is set, but {reason}")
        pytest.skip(f"not run: {reason}")


@pytest.fixture(scope="session")
def node(modules: Path) -> Iterator[EvmNode]:
    with EvmNode(modules) as node:
        yield node


@pytest.fixture(scope="session")
def stage(modules: Path) -> Iterator[Stage]:
    """On a node of its own, whose blocks come on request: reorganisations here touch no other test's transactions."""
    with EvmNode(modules, BLOCKS_ON_REQUEST) as node:
        yield Stage(node, compiled(modules))


@pytest.fixture(scope="session")
def wallets(node: EvmNode) -> Iterator[str]:
    """Accounts for tests to take; the first deployed the contracts, the last ones have other parts."""
    return iter(node.accounts[1:-3])


@pytest.fixture
def market(node: EvmNode, wallets: Iterator[str], request: pytest.FixtureRequest) -> ChainMarket:
    market = ChainMarket(node, request.node.nodeid, node.web3.to_checksum_address(next(wallets)), node.accounts[-3])
    market.open()
    return market


@pytest.fixture
def exchange(market: ChainMarket) -> Iterator[QuietExchange]:
    exchange = QuietExchange(market)
    yield exchange
    exchange.stop()


@pytest.fixture
def command(tmp_path: Path, node: EvmNode, exchange: QuietExchange, market: ChainMarket) -> Command:
    return Command(tmp_path, node, exchange, market.wallet)
