"""ConditionalTokens and the neg-risk adapter above it, as whoever calls them finds them: collateral is bridged USDC.

``caller`` is the stakeholder that stands in their events: a user who calls directly, else a collateral adapter (R-19).
The neg-risk adapter is itself a caller of ConditionalTokens, with wrapped collateral.
"""

from __future__ import annotations

from collections.abc import Collection

from polymarket.sandbox import addresses, collateral
from polymarket.sandbox.chain import NOBODY, Chain
from polymarket.sandbox.logs import (
    CONDITION_RESOLUTION,
    NEG_RISK_CONVERTED,
    NEG_RISK_MERGE,
    NEG_RISK_OUTCOME,
    NEG_RISK_REDEMPTION,
    NEG_RISK_SPLIT,
    PAYOUT_REDEMPTION,
    POSITION_SPLIT,
    POSITIONS_MERGE,
    Log,
)
from polymarket.sandbox.markets import Event, Market
from polymarket.sandbox.tokens import (
    Way,
    burn_coin,
    coin_balance,
    mint_coin,
    pull_coin,
    send_batch,
    send_coin,
    send_shares,
)

CTF, ADAPTER, WCOL, USDC_E = (
    addresses.CONDITIONAL_TOKENS,
    addresses.NEG_RISK_ADAPTER,
    addresses.WCOL,
    addresses.USDC_E,
)
_NO_PARENT = "0x" + "00" * 32
_PARTITION = (1, 2)
_BIPS = 10_000


def split(chain: Chain, caller: str, market: Market, amount: int) -> None:
    """Bridged USDC of the caller becomes shares of both outcomes."""
    if not market.neg_risk:
        _split(chain, caller, market, amount)
        return
    collateral.pull(chain, caller, ADAPTER, amount)
    collateral.pull(chain, ADAPTER, WCOL, amount)
    mint_coin(chain, WCOL, ADAPTER, amount)
    _split(chain, ADAPTER, market, amount)
    send_batch(chain, Way(CTF, ADAPTER, ADAPTER, caller), dict.fromkeys(market.tokens, amount))
    chain.emit(Log(ADAPTER, NEG_RISK_SPLIT, caller, market.condition_id, amount))


def merge(chain: Chain, caller: str, market: Market, amount: int) -> None:
    """Shares of both outcomes of the caller become bridged USDC."""
    if not market.neg_risk:
        _merge(chain, caller, market, amount)
        return
    send_batch(chain, Way(CTF, ADAPTER, caller, ADAPTER), dict.fromkeys(market.tokens, amount))
    _merge(chain, ADAPTER, market, amount)
    _unwrap(chain, caller, amount)
    chain.emit(Log(ADAPTER, NEG_RISK_MERGE, caller, market.condition_id, amount))


def redeem(chain: Chain, caller: str, market: Market) -> None:
    """All shares of the caller in a resolved market become their payout in bridged USDC."""
    if not market.neg_risk:
        _redeem(chain, caller, market)
        return
    amounts = held(chain, market, caller)
    send_batch(chain, Way(CTF, ADAPTER, caller, ADAPTER), amounts)
    _redeem(chain, ADAPTER, market)
    payout = coin_balance(chain, WCOL, ADAPTER)
    if payout > 0:
        _unwrap(chain, caller, payout)
    chain.emit(Log(ADAPTER, NEG_RISK_REDEMPTION, caller, market.condition_id, list(amounts.values()), payout))


def convert(chain: Chain, caller: str, event: Event, indexes: Collection[int], amount: int) -> None:
    """NO of the questions in ``indexes`` becomes YES of all others and bridged USDC (R-06).

    The NO go to the burn address, those minted beside the YES too. Wrapped collateral is minted without backing for
    them, exactly as the adapter does.
    """
    given = [market for index, market in enumerate(event.markets) if index in indexes]
    others = [market for index, market in enumerate(event.markets) if index not in indexes]
    mint_coin(chain, WCOL, ADAPTER, len(others) * amount)
    for market in others:
        _split(chain, ADAPTER, market, amount)
    burnt, beside = ({market.tokens[1]: amount for market in group} for group in (given, others))
    send_batch(chain, Way(CTF, ADAPTER, caller, addresses.NO_BURN), burnt)
    send_batch(chain, Way(CTF, ADAPTER, ADAPTER, addresses.NO_BURN), beside)
    fee = conversion_fee(event, amount)
    shares = ((addresses.NEG_RISK_FEE_VAULT, fee), (caller, amount - fee))
    for recipient, share in shares:
        if len(given) > 1 and share:
            send_coin(chain, USDC_E, WCOL, recipient, (len(given) - 1) * share)
    for recipient, share in shares:
        if others and share:
            send_batch(chain, Way(CTF, ADAPTER, ADAPTER, recipient), {market.tokens[0]: share for market in others})
    chosen = sum(1 << index for index in indexes)
    chain.emit(Log(ADAPTER, NEG_RISK_CONVERTED, caller, event.neg_risk_market_id or "", chosen, amount))


def conversion_fee(event: Event, amount: int) -> int:
    """What a conversion takes of each share and each unit of collateral that it gives out."""
    return amount * event.fee_bips // _BIPS


def report(chain: Chain, market: Market, payouts: tuple[int, int]) -> None:
    """The oracle of a market reports its payouts; of a neg-risk question that is the adapter."""
    oracle = ADAPTER if market.neg_risk else addresses.ORACLE
    said = (market.condition_id, oracle, market.question_id, len(payouts), list(payouts))
    chain.emit(Log(CTF, CONDITION_RESOLUTION, *said))
    if market.neg_risk:
        won = int(payouts[0] > 0)
        chain.emit(Log(ADAPTER, NEG_RISK_OUTCOME, market.neg_risk_market_id or "", market.question_id, won))


def held(chain: Chain, market: Market, holder: str) -> dict[str, int]:
    """Shares of both outcomes that a holder has now, within the transaction that runs."""
    return {token: chain.balance(market.token_contract, holder, int(token)) for token in market.tokens}


def payout_of(market: Market, shares: Collection[int]) -> int:
    """Collateral that shares of both outcomes of a resolved market are worth."""
    payouts = market.payouts or (0, 0)
    return sum(amount * payout // sum(payouts) for amount, payout in zip(shares, payouts, strict=True))


def _split(chain: Chain, stakeholder: str, market: Market, amount: int) -> None:
    pull_coin(chain, market.lock, stakeholder, CTF, amount)
    send_batch(chain, Way(CTF, stakeholder, NOBODY, stakeholder), dict.fromkeys(market.tokens, amount))
    said = (stakeholder, market.lock, _NO_PARENT, market.condition_id, _PARTITION, amount)
    chain.emit(Log(CTF, POSITION_SPLIT, *said))


def _merge(chain: Chain, stakeholder: str, market: Market, amount: int) -> None:
    send_batch(chain, Way(CTF, stakeholder, stakeholder, NOBODY), dict.fromkeys(market.tokens, amount))
    send_coin(chain, market.lock, CTF, stakeholder, amount)
    said = (stakeholder, market.lock, _NO_PARENT, market.condition_id, _PARTITION, amount)
    chain.emit(Log(CTF, POSITIONS_MERGE, *said))


def _redeem(chain: Chain, redeemer: str, market: Market) -> None:
    """Only shares that are there are burnt, and only a payout that is one is paid, as the contract does."""
    amounts = held(chain, market, redeemer)
    for token, amount in amounts.items():
        if amount > 0:
            send_shares(chain, Way(CTF, redeemer, redeemer, NOBODY), token, amount)
    payout = payout_of(market, amounts.values())
    if payout > 0:
        send_coin(chain, market.lock, CTF, redeemer, payout)
    said = (redeemer, market.lock, _NO_PARENT, market.condition_id, _PARTITION, payout)
    chain.emit(Log(CTF, PAYOUT_REDEMPTION, *said))


def _unwrap(chain: Chain, recipient: str, amount: int) -> None:
    burn_coin(chain, WCOL, ADAPTER, amount)
    send_coin(chain, USDC_E, WCOL, recipient, amount)
