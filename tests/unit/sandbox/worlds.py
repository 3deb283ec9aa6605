"""Worlds for the tests, and what must hold in each of them at every block."""

from __future__ import annotations

from polymarket.sandbox import addresses
from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import AnyAction
from polymarket.sandbox.chain import COIN
from polymarket.sandbox.genesis import create_world
from polymarket.sandbox.markets import Market
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.world import World

NOW_MS = 1_795_000_000_000
SHARE = 1_000_000


def world(options: WorldOptions | None = None) -> World:
    """A quiet world, unless asked for another one."""
    return create_world(options or WorldOptions(activity=False), NOW_MS)


def do(here: World, *actions: AnyAction, blocks: int = 1) -> list[dict[str, object]]:
    """Let things happen and settle."""
    results = [act(here, action) for action in actions]
    here.mine(blocks)
    return results


def total(here: World, contract: str, token: int, at: int) -> int:
    """Everybody's balances of a token together."""
    return sum(here.chain.holders(contract, token, at).values())


def owed(here: World, market: Market, at: int) -> int:
    """Collateral that the shares of a market are worth together: complete sets, or payouts once resolved."""
    yes, no = (total(here, market.token_contract, int(token), at) for token in market.tokens)
    if market.payouts is None or (market.resolved_block or 0) > at:
        assert yes == no, f"shares of {market.question} differ: {yes} YES, {no} NO"
        return yes
    return (yes * market.payouts[0] + no * market.payouts[1]) // sum(market.payouts)


def check_conservation(here: World, at: int) -> None:
    """Shares are backed to the base unit, pUSD is backed to the base unit, and the wallet's books are the chain's."""
    for contract in (addresses.CONDITIONAL_TOKENS, addresses.POSITION_MANAGER):
        for lock in (addresses.USDC_E, addresses.WCOL):
            markets = [m for m in here.directory.markets if (m.token_contract, m.lock) == (contract, lock)]
            assert here.chain.balance(lock, contract, COIN, at) == sum(owed(here, market, at) for market in markets)
    assert total(here, addresses.PUSD, COIN, at) == here.chain.balance(addresses.USDC_E, addresses.VAULT, COIN, at)


def check_books(here: World) -> None:
    """The wallet's own record agrees with the chain at the head."""
    head = here.chain.head.number
    held = {
        token: here.balance(market, token, head)
        for market in here.directory.markets
        for token in market.tokens
        if here.balance(market, token, head)
    }
    assert held == here.books.tokens
    assert here.cash(head) == here.books.cash
