"""What the wallet does on the chain besides trading, each as one transaction of the next block.

Every function checks nothing in advance: a transaction that the contracts refuse is kept in ``world.refused`` under its
hash. What did happen goes into the books with its whole effect.
"""

from __future__ import annotations

from collections.abc import Sequence

from polymarket.sandbox import contracts
from polymarket.sandbox.books import PUSD, USDC_E, Operation
from polymarket.sandbox.chain import COIN
from polymarket.sandbox.markets import Event, Market
from polymarket.sandbox.trading import OrderRefusedError
from polymarket.sandbox.world import World

_BUCKETS = {PUSD: contracts.PUSD, USDC_E: contracts.USDC_E}


def deposit(world: World, amount: int) -> str:
    """pUSD from outside; a negative amount takes it out again."""

    def apply(block: int, at_ms: int) -> Operation:
        change = contracts.deposit if amount >= 0 else contracts.withdraw
        change(world.chain, world.wallet.address, abs(amount))
        return Operation(
            kind="DEPOSIT" if amount >= 0 else "WITHDRAWAL",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            cash={PUSD: amount},
        )

    transaction = world.submit("DEPOSIT", apply)
    return transaction


def split(world: World, market: Market, amount: int) -> str:
    """Turn pUSD into shares of both outcomes."""

    def apply(block: int, at_ms: int) -> Operation:
        contracts.split(world.chain, world.wallet.address, market, amount)
        return Operation(
            kind="SPLIT",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            tokens=dict.fromkeys(market.tokens, amount),
            cash={PUSD: -amount},
            condition_id=market.condition_id,
        )

    transaction = world.submit("SPLIT", apply)
    return transaction


def merge(world: World, market: Market, amount: int, *, direct: bool = False) -> str:
    """Turn shares of both outcomes into pUSD; ``direct`` calls the contract itself and gets bridged USDC (R-19)."""

    def apply(block: int, at_ms: int) -> Operation:
        contracts.merge(world.chain, world.wallet.address, market, amount, direct=direct)
        return Operation(
            kind="MERGE",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            tokens=dict.fromkeys(market.tokens, -amount),
            cash={USDC_E if direct else PUSD: amount},
            condition_id=market.condition_id,
        )

    transaction = world.submit("MERGE", apply)
    return transaction


def redeem(world: World, market: Market, *, direct: bool = False) -> str:
    """Turn all shares of a resolved market into their payout."""

    def apply(block: int, at_ms: int) -> Operation:
        yes, no, payout = contracts.redeem(world.chain, world.wallet.address, market, direct=direct)
        changes = {token: -amount for token, amount in zip(market.tokens, (yes, no), strict=True) if amount}
        return Operation(
            kind="REDEEM",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            tokens=changes,
            cash={USDC_E if direct else PUSD: payout},
            condition_id=market.condition_id,
        )

    transaction = world.submit("REDEEM", apply)
    return transaction


def convert(world: World, event: Event, indexes: Sequence[int], amount: int) -> str:
    """Turn NO of some questions of a neg-risk event into YES of the others and pUSD."""

    def apply(block: int, at_ms: int) -> Operation:
        shares, cash = contracts.convert(world.chain, world.wallet.address, event, indexes, amount)
        changes = {
            (market.tokens[1] if index in indexes else market.tokens[0]): (-amount if index in indexes else shares)
            for index, market in enumerate(event.markets)
        }
        return Operation(
            kind="CONVERSION",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            tokens=changes,
            cash={PUSD: cash},
            condition_id=event.markets[indexes[0]].condition_id,
            details={"neg_risk_market_id": event.neg_risk_market_id, "indexes": list(indexes)},
        )

    transaction = world.submit("CONVERSION", apply)
    return transaction


def transfer_out(world: World, market: Market, token: str, amount: int) -> str:
    """Send shares to another address."""
    return _transfer(world, market, token, -amount)


def transfer_in(world: World, market: Market, token: str, amount: int) -> str:
    """Receive shares from another address, which gets them by a split."""
    return _transfer(world, market, token, amount)


def transfer_cash(world: World, bucket: str, amount: int) -> str:
    """Receive (+) or send (−) collateral by a plain transfer: a reward, a payment, bridged USDC."""
    key = _BUCKETS.get(bucket)
    if key is None:
        raise OrderRefusedError(f"asset was {bucket[:20]!r}, expected one of {', '.join(_BUCKETS)}")
    outside = world.traders[0].address

    def apply(block: int, at_ms: int) -> Operation:
        if amount >= 0:
            _fund(world, bucket, outside, amount)
            world.chain.move(key, outside, world.wallet.address, amount)
        else:
            world.chain.move(key, world.wallet.address, outside, -amount)
        return Operation(
            kind="TRANSFER_IN" if amount >= 0 else "TRANSFER_OUT",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            cash={bucket: amount},
        )

    transaction = world.submit("TRANSFER", apply)
    return transaction


def resolve(world: World, market: Market, payouts: tuple[int, int]) -> str:
    """Report the payouts of a market; its orders are cancelled at once, as the exchange does."""

    def apply(block: int, at_ms: int) -> None:
        event = world.directory.event_of[market.condition_id]
        contracts.check_report(market, event, payouts)
        market.payouts, market.resolved_block, market.resolved_ms = payouts, block, at_ms
        world.exchange.close_market(market.condition_id)

    return world.submit("RESOLUTION", apply)


def _fund(world: World, bucket: str, holder: str, amount: int) -> None:
    if bucket == PUSD:
        contracts.deposit(world.chain, holder, amount)
    else:
        world.chain.mint((contracts.USDC_E[0], COIN), holder, amount)


def _transfer(world: World, market: Market, token: str, amount: int) -> str:
    key = (market.token_contract, int(token))
    outside = world.traders[0].address

    def apply(block: int, at_ms: int) -> Operation:
        if amount >= 0:
            contracts.deposit(world.chain, outside, amount)
            contracts.split(world.chain, outside, market, amount)
            world.chain.move(key, outside, world.wallet.address, amount)
        else:
            world.chain.move(key, world.wallet.address, outside, -amount)
        return Operation(
            kind="TRANSFER_IN" if amount >= 0 else "TRANSFER_OUT",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            tokens={token: amount},
            condition_id=market.condition_id,
        )

    transaction = world.submit("TRANSFER", apply)
    return transaction
