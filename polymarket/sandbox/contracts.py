"""What the contracts do with balances: wrap, split, merge, redeem, convert, transfer, settle a match.

Each function is the body of one transaction and raises ``RevertedError`` where the contract would revert. The rules are
those of the collateral token, ConditionalTokens and NegRiskAdapter; who may call them is not modelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polymarket.sandbox import addresses
from polymarket.sandbox.chain import COIN, Chain, RevertedError
from polymarket.sandbox.markets import Event, Market

PUSD = (addresses.PUSD, COIN)
USDC_E = (addresses.USDC_E, COIN)
WCOL = (addresses.WCOL, COIN)
_BIPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Payment:
    """pUSD that one party of a match pays (positive) or receives (negative), and the fee on top."""

    holder: str
    token: str
    shares: int
    cash: int
    fee: int = 0


def deposit(chain: Chain, holder: str, amount: int) -> None:
    """Bridged USDC from outside goes into the vault; the holder receives as much pUSD."""
    chain.mint(USDC_E, addresses.VAULT, amount)
    chain.mint(PUSD, holder, amount)


def withdraw(chain: Chain, holder: str, amount: int) -> None:
    """The reverse of a deposit."""
    chain.burn(PUSD, holder, amount)
    chain.burn(USDC_E, addresses.VAULT, amount)


def split(chain: Chain, holder: str, market: Market, amount: int) -> None:
    """Lock pUSD and mint as many shares of both outcomes."""
    _require(market.payouts is None, f"market {market.condition_id} is resolved; split another one")
    chain.burn(PUSD, holder, amount)
    _lock(chain, market, amount)
    for token in market.tokens:
        chain.mint((market.token_contract, int(token)), holder, amount)


def merge(chain: Chain, holder: str, market: Market, amount: int, *, direct: bool = False) -> None:
    """Burn as many shares of both outcomes and release their collateral; ``direct`` pays bridged USDC (R-19)."""
    for token in market.tokens:
        chain.burn((market.token_contract, int(token)), holder, amount)
    _release(chain, market, holder, amount, direct=direct)


def redeem(chain: Chain, holder: str, market: Market, *, direct: bool = False) -> tuple[int, int, int]:
    """Burn all shares of a resolved market for their payout; returns shares of both outcomes and the payout."""
    payouts = market.payouts
    if payouts is None:
        raise RevertedError(f"market {market.condition_id} is not resolved; resolve it first")
    yes, no = (chain.balance(market.token_contract, holder, int(token)) for token in market.tokens)
    payout = (yes * payouts[0] + no * payouts[1]) // sum(payouts)
    for token, amount in zip(market.tokens, (yes, no), strict=True):
        chain.burn((market.token_contract, int(token)), holder, amount)
    _release(chain, market, holder, payout, direct=direct)
    return yes, no, payout


def convert(chain: Chain, holder: str, event: Event, indexes: Sequence[int], amount: int) -> tuple[int, int]:
    """NO of the questions in ``indexes`` becomes YES of all others and collateral (R-06).

    Returns the YES per other question and the collateral received. The NO go to the burn address; those minted beside
    the YES do too. Wrapped collateral is minted without backing for them, exactly as the adapter does.
    """
    chosen = {event.markets[index].condition_id: event.markets[index] for index in indexes}
    _require(bool(chosen), "no question was chosen; name at least one question index")
    _require(len(event.markets) > 1, "an event of one question cannot convert")
    for market in chosen.values():
        chain.move((market.token_contract, int(market.tokens[1])), holder, addresses.NO_BURN, amount)
    fee = amount * event.fee_bips // _BIPS
    others = [market for market in event.markets if market.condition_id not in chosen]
    for market in others:
        _mint_for_conversion(chain, market, holder, (amount, fee))
    cash = (len(chosen) - 1) * (amount - fee)
    _unwrap_to_pusd(chain, holder, cash)
    _unwrap_to_pusd(chain, addresses.NEG_RISK_FEE_VAULT, (len(chosen) - 1) * fee)
    return amount - fee if others else 0, cash


def settle(chain: Chain, market: Market, payments: Sequence[Payment], *, fail: bool = False) -> None:
    """A match: shares and pUSD between its parties, minting or merging what the parties together lack or have over.

    Signs are the party's own: ``shares`` positive are received, ``cash`` positive is paid. ``fail`` lets it revert.
    """
    _require(not fail, "the settlement transaction reverted")
    for payment in payments:
        chain.burn(PUSD, payment.holder, max(payment.cash + payment.fee, 0))
        if payment.shares < 0:
            chain.burn((market.token_contract, int(payment.token)), payment.holder, -payment.shares)
    _settle_sets(chain, market, payments)
    for payment in payments:
        chain.mint(PUSD, payment.holder, max(-payment.cash - payment.fee, 0))
        chain.mint(PUSD, addresses.FEE_RECEIVER, payment.fee)
        if payment.shares > 0:
            chain.mint((market.token_contract, int(payment.token)), payment.holder, payment.shares)


def check_report(market: Market, event: Event, payouts: tuple[int, int]) -> None:
    """Refuse a second report, and in a neg-risk event a second winner or a shared payout, as the contracts do."""
    _require(market.payouts is None, f"market {market.condition_id} is resolved already")
    if market.neg_risk:
        won = [other.condition_id for other in event.markets if other.payouts and other.payouts[0]]
        _require(min(payouts) == 0, "a neg-risk question is answered YES or NO, never both")
        _require(not (won and payouts[0]), f"the event is determined already: {won} won")


def _settle_sets(chain: Chain, market: Market, payments: Sequence[Payment]) -> None:
    """Lock or release the collateral of the complete sets that a match mints or merges."""
    net = [sum(payment.shares for payment in payments if payment.token == token) for token in market.tokens]
    _require(net[0] == net[1], f"a match left {net} shares over; its legs must add up to complete sets")
    cash = sum(payment.cash for payment in payments)
    _require(cash == net[0], f"a match paid {cash} for {net[0]} complete sets; its cash must add up")
    if net[0] >= 0:
        _lock(chain, market, net[0])
    else:
        _unlock(chain, market, -net[0])


def _lock(chain: Chain, market: Market, amount: int) -> None:
    """The vault's bridged USDC goes behind outcome tokens, wrapped where the market is neg-risk."""
    if market.neg_risk:
        chain.move(USDC_E, addresses.VAULT, addresses.WCOL, amount)
        chain.mint(WCOL, market.token_contract, amount)
    else:
        chain.move(USDC_E, addresses.VAULT, market.token_contract, amount)


def _unlock(chain: Chain, market: Market, amount: int) -> None:
    """The reverse of ``_lock``."""
    if market.neg_risk:
        chain.burn(WCOL, market.token_contract, amount)
        chain.move(USDC_E, addresses.WCOL, addresses.VAULT, amount)
    else:
        chain.move(USDC_E, market.token_contract, addresses.VAULT, amount)


def _release(chain: Chain, market: Market, holder: str, amount: int, *, direct: bool) -> None:
    _unlock(chain, market, amount)
    if direct:
        chain.move(USDC_E, addresses.VAULT, holder, amount)
    else:
        chain.mint(PUSD, holder, amount)


def _mint_for_conversion(chain: Chain, market: Market, holder: str, terms: tuple[int, int]) -> None:
    amount, fee = terms
    yes, no = (int(token) for token in market.tokens)
    chain.mint(WCOL, market.token_contract, amount)
    chain.mint((market.token_contract, yes), holder, amount - fee)
    chain.mint((market.token_contract, yes), addresses.NEG_RISK_FEE_VAULT, fee)
    chain.mint((market.token_contract, no), addresses.NO_BURN, amount)


def _unwrap_to_pusd(chain: Chain, holder: str, amount: int) -> None:
    chain.move(USDC_E, addresses.WCOL, addresses.VAULT, amount)
    chain.mint(PUSD, holder, amount)


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as the contract's own require()
    if not condition:
        raise RevertedError(message)
