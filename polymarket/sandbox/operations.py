"""What the wallet does on the chain besides trading, each as one transaction of the next block.

Every function checks nothing in advance: a transaction that the contracts refuse is kept in ``world.refused`` under its
hash. What did happen goes into the books with its whole effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from polymarket.sandbox import addresses, collateral, conditional_tokens, contracts
from polymarket.sandbox.books import PUSD, USDC_E, Operation
from polymarket.sandbox.contracts import adapter_of
from polymarket.sandbox.markets import Event, Market
from polymarket.sandbox.tokens import Way, send_coin, send_shares
from polymarket.sandbox.trading import OrderRefusedError
from polymarket.sandbox.world import World

_COINS = {PUSD: addresses.PUSD, USDC_E: addresses.USDC_E}


def deposit(world: World, amount: int) -> str:
    """pUSD from outside; a negative amount takes it out again."""

    def apply(block: int, at_ms: int) -> Operation:
        change = collateral.deposit if amount >= 0 else collateral.withdraw
        change(world.chain, world.wallet.address, abs(amount))
        return Operation(
            kind="DEPOSIT" if amount >= 0 else "WITHDRAWAL",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            cash={PUSD: amount},
        )

    transaction = world.submit(addresses.ONRAMP if amount >= 0 else addresses.OFFRAMP, apply)
    return transaction


def wrap(world: World, amount: int) -> str:
    """The wallet's own bridged USDC becomes pUSD; a negative amount is the reverse."""
    wallet = world.wallet.address

    def apply(block: int, at_ms: int) -> Operation:
        change = collateral.onramp if amount >= 0 else collateral.offramp
        change(world.chain, (wallet, wallet), abs(amount))
        return Operation(
            kind="WRAP" if amount >= 0 else "UNWRAP",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            cash={PUSD: amount, USDC_E: -amount},
        )

    transaction = world.submit(addresses.ONRAMP if amount >= 0 else addresses.OFFRAMP, apply)
    return transaction


def split(world: World, market: Market, amount: int, *, direct: bool = False) -> str:
    """Turn pUSD into shares of both outcomes; ``direct`` calls the contract itself with bridged USDC (R-19)."""

    def apply(block: int, at_ms: int) -> Operation:
        contracts.split(world.chain, world.wallet.address, market, amount, direct=direct)
        return Operation(
            kind="SPLIT",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            tokens=dict.fromkeys(market.tokens, amount),
            cash={_bucket(direct=direct): -amount},
            condition_id=market.condition_id,
        )

    transaction = world.submit(_target(market, direct=direct), apply)
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
            cash={_bucket(direct=direct): amount},
            condition_id=market.condition_id,
        )

    transaction = world.submit(_target(market, direct=direct), apply)
    return transaction


def redeem(world: World, market: Market, *, direct: bool = False, operator: bool = False) -> str:
    """Turn all shares of a resolved market into their payout; with ``operator`` somebody else does it for the wallet.

    An operator redeems in pUSD; ``direct`` is the wallet's own way only.
    """
    if direct and operator:
        raise OrderRefusedError("direct and operator were both asked for; an operator redeems by the adapter")

    def apply(block: int, at_ms: int) -> Operation:
        wallet = world.wallet.address
        if operator:
            yes, no, payout = contracts.redeem_for(world.chain, wallet, market)
        else:
            yes, no, payout = contracts.redeem(world.chain, wallet, market, direct=direct)
        changes = {token: -amount for token, amount in zip(market.tokens, (yes, no), strict=True) if amount}
        return Operation(
            kind="REDEEM",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            tokens=changes,
            cash={_bucket(direct=direct): payout},
            condition_id=market.condition_id,
        )

    if operator:
        transaction = world.submit(addresses.AUTO_REDEEMER, apply, addresses.SETTLEMENT_OPERATOR)
    else:
        transaction = world.submit(_target(market, direct=direct), apply)
    return transaction


def convert(world: World, event: Event, terms: tuple[Sequence[int], int], *, direct: bool = False) -> str:
    """Turn an amount of NO of some questions (indexes, amount) of a neg-risk event into YES of the others and pUSD."""
    indexes, amount = terms

    def apply(block: int, at_ms: int) -> Operation:
        shares, cash = contracts.convert(world.chain, world.wallet.address, event, terms, direct=direct)
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
            cash={_bucket(direct=direct): cash},
            condition_id=event.markets[indexes[0]].condition_id,
            details={"neg_risk_market_id": event.neg_risk_market_id, "indexes": list(indexes)},
        )

    transaction = world.submit(_target(event.markets[0], direct=direct), apply)
    return transaction


def transfer_out(world: World, market: Market, token: str, amount: int) -> str:
    """Send shares to another address."""
    return _transfer(world, market, token, -amount)


def transfer_in(world: World, market: Market, token: str, amount: int) -> str:
    """Receive shares from another address."""
    return _transfer(world, market, token, amount)


def transfer_cash(world: World, bucket: str, amount: int) -> str:
    """Receive (+) or send (−) collateral by a plain transfer: a reward, a payment, bridged USDC."""
    coin = _COINS.get(bucket)
    if coin is None:
        raise OrderRefusedError(f"asset was {bucket[:20]!r}, expected one of {', '.join(_COINS)}")
    outside, wallet = world.traders[0].address, world.wallet.address

    def apply(block: int, at_ms: int) -> Operation:
        sender, recipient = (outside, wallet) if amount >= 0 else (wallet, outside)
        send_coin(world.chain, coin, sender, recipient, abs(amount))
        return Operation(
            kind="TRANSFER_IN" if amount >= 0 else "TRANSFER_OUT",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            cash={bucket: amount},
        )

    transaction = world.submit(coin, apply, _sender(world, amount))
    return transaction


def resolve(world: World, market: Market, payouts: tuple[int, int]) -> str:
    """Report the payouts of a market; its orders are cancelled at once, as the exchange does."""

    def apply(block: int, at_ms: int) -> None:
        event = world.directory.event_of[market.condition_id]
        contracts.check_report(market, event, payouts)
        conditional_tokens.report(world.chain, market, payouts)
        market.payouts, market.resolved_block, market.resolved_ms = payouts, block, at_ms
        world.exchange.close_market(market.condition_id)

    oracle = addresses.NEG_RISK_OPERATOR if market.neg_risk else addresses.ORACLE
    return world.submit(oracle, apply, addresses.SETTLEMENT_OPERATOR)


def prepare(world: World, target: str, change: Callable[[], None]) -> str:
    """Something that others do and that does not touch the wallet."""

    def apply(_block: int, _at_ms: int) -> None:
        change()

    return world.submit(target, apply, world.traders[0].address)


def _transfer(world: World, market: Market, token: str, amount: int) -> str:
    outside, wallet = world.traders[0].address, world.wallet.address
    sender, recipient = (outside, wallet) if amount >= 0 else (wallet, outside)

    def apply(block: int, at_ms: int) -> Operation:
        send_shares(world.chain, Way(market.token_contract, sender, sender, recipient), token, abs(amount))
        return Operation(
            kind="TRANSFER_IN" if amount >= 0 else "TRANSFER_OUT",
            at_ms=at_ms,
            block=block,
            transaction_hash=transaction,
            tokens={token: amount},
            condition_id=market.condition_id,
        )

    transaction = world.submit(market.token_contract, apply, _sender(world, amount))
    return transaction


def _sender(world: World, amount: int) -> str:
    """Who sends the transaction of a transfer in (+) or out (−)."""
    return world.traders[0].address if amount >= 0 else ""


def _bucket(*, direct: bool) -> str:
    return USDC_E if direct else PUSD


def _target(market: Market, *, direct: bool) -> str:
    """The contract that a user calls."""
    if not direct:
        return adapter_of(market)
    return addresses.NEG_RISK_ADAPTER if market.neg_risk else addresses.CONDITIONAL_TOKENS
