"""What users call: split, merge, redeem, convert; by an adapter in pUSD, or directly in bridged USDC (R-19).

Each function is the body of one transaction and raises ``RevertedError`` where the contract would revert. The rules are
those of the collateral token, ConditionalTokens and NegRiskAdapter; who may call them is not modelled. Of Protocol V2
the modules' own events are not known for certain, so its markets show their transfers only.
"""

from __future__ import annotations

from collections.abc import Sequence

from polymarket.sandbox import addresses, collateral, conditional_tokens
from polymarket.sandbox.chain import NOBODY, Chain, RevertedError
from polymarket.sandbox.conditional_tokens import CTF, conversion_fee, held, payout_of
from polymarket.sandbox.logs import BINARY_REDEMPTION, NEG_RISK_AUTO_REDEMPTION, Log
from polymarket.sandbox.markets import Event, Market
from polymarket.sandbox.tokens import Way, coin_balance, send_batch, send_coin

MANAGER, MODULE = addresses.POSITION_MANAGER, addresses.BINARY_MODULE


def adapter_of(market: Market, *, exchange: bool = False) -> str:
    """The collateral adapter of a market: the one that users call, or the one beneath the exchange."""
    if market.version == "v2":
        return MODULE
    if exchange:
        return addresses.EXCHANGE_NEG_RISK_CTF_ADAPTER if market.neg_risk else addresses.EXCHANGE_CTF_ADAPTER
    return addresses.NEG_RISK_CTF_ADAPTER if market.neg_risk else addresses.CTF_ADAPTER


def split(chain: Chain, holder: str, market: Market, amount: int, *, direct: bool = False) -> None:
    """Lock collateral and mint as many shares of both outcomes."""
    _require(market.payouts is None, f"market {market.condition_id} is resolved; split another one")
    if direct:
        _require_ctf(market)
        conditional_tokens.split(chain, holder, market, amount)
    else:
        split_by(chain, adapter_of(market), holder, market, amount)


def merge(chain: Chain, holder: str, market: Market, amount: int, *, direct: bool = False) -> None:
    """Burn as many shares of both outcomes and release their collateral; ``direct`` pays bridged USDC."""
    if direct:
        _require_ctf(market)
        conditional_tokens.merge(chain, holder, market, amount)
    else:
        merge_by(chain, adapter_of(market), holder, market, amount)


def redeem(chain: Chain, holder: str, market: Market, *, direct: bool = False) -> tuple[int, int, int]:
    """Burn all shares of a resolved market for their payout; returns shares of both outcomes and the payout."""
    _require(market.payouts is not None, f"market {market.condition_id} is not resolved; resolve it first")
    amounts = held(chain, market, holder)
    if direct:
        _require_ctf(market)
        conditional_tokens.redeem(chain, holder, market)
    else:
        _redeem_by_adapter(chain, holder, market)
    yes, no = amounts.values()
    return yes, no, payout_of(market, (yes, no))


def redeem_for(chain: Chain, holder: str, market: Market) -> tuple[int, int, int]:
    """An operator takes the holder's shares of a resolved market, redeems them itself and wraps the payout for it."""
    _require(market.payouts is not None, f"market {market.condition_id} is not resolved; resolve it first")
    _require_ctf(market)
    operator, amounts = addresses.AUTO_REDEEMER, held(chain, market, holder)
    send_batch(chain, Way(CTF, operator, holder, operator), amounts)
    conditional_tokens.redeem(chain, operator, market)
    payout = coin_balance(chain, addresses.USDC_E, operator)
    if payout > 0:
        collateral.onramp(chain, (operator, holder), payout)
    said = NEG_RISK_AUTO_REDEMPTION if market.neg_risk else BINARY_REDEMPTION
    chain.emit(Log(operator, said, holder, market.condition_id, payout))
    yes, no = amounts.values()
    return yes, no, payout


def convert(
    chain: Chain, holder: str, event: Event, terms: tuple[Sequence[int], int], *, direct: bool = False
) -> tuple[int, int]:
    """An amount of NO of each of some questions (indexes, amount) becomes YES of all others and collateral.

    Returns the YES per other question and the collateral received.
    """
    indexes, amount = terms
    _require(bool(indexes), "no question was chosen; name at least one question index")
    _require(len(event.markets) > 1, "an event of one question cannot convert")
    if direct:
        conditional_tokens.convert(chain, holder, event, indexes, amount)
    else:
        _convert_by_adapter(chain, holder, event, indexes, amount)
    out = amount - conversion_fee(event, amount)
    others = len(event.markets) > len(set(indexes))
    return out if others else 0, (len(set(indexes)) - 1) * out


def check_report(market: Market, event: Event, payouts: tuple[int, int]) -> None:
    """Refuse a second report, and in a neg-risk event a second winner or a shared payout, as the contracts do."""
    _require(market.payouts is None, f"market {market.condition_id} is resolved already")
    if market.neg_risk:
        won = [other.condition_id for other in event.markets if other.payouts and other.payouts[0]]
        _require(min(payouts) == 0, "a neg-risk question is answered YES or NO, never both")
        _require(not (won and payouts[0]), f"the event is determined already: {won} won")


def split_by(chain: Chain, adapter: str, holder: str, market: Market, amount: int) -> None:
    """An adapter takes pUSD of the holder and gives shares of both outcomes."""
    if market.version == "v2":
        collateral.unwrap_for(chain, MODULE, (holder, MANAGER), amount)
        send_batch(chain, Way(MANAGER, MODULE, NOBODY, holder), dict.fromkeys(market.tokens, amount))
        return
    collateral.unwrap_for(chain, adapter, (holder, adapter), amount)
    conditional_tokens.split(chain, adapter, market, amount)
    send_batch(chain, Way(CTF, adapter, adapter, holder), dict.fromkeys(market.tokens, amount))


def merge_by(chain: Chain, adapter: str, holder: str, market: Market, amount: int) -> None:
    """An adapter takes shares of both outcomes of the holder and gives pUSD."""
    if market.version == "v2":
        send_batch(chain, Way(MANAGER, MODULE, holder, NOBODY), dict.fromkeys(market.tokens, amount))
        _release_v2(chain, holder, amount)
        return
    send_batch(chain, Way(CTF, adapter, holder, adapter), dict.fromkeys(market.tokens, amount))
    conditional_tokens.merge(chain, adapter, market, amount)
    collateral.wrap_own(chain, adapter, holder, amount)


def _redeem_by_adapter(chain: Chain, holder: str, market: Market) -> None:
    """The adapter takes all that the holder has of both outcomes, also where that is nothing of one."""
    amounts, adapter = held(chain, market, holder), adapter_of(market)
    if market.version == "v2":
        send_batch(chain, Way(MANAGER, MODULE, holder, NOBODY), amounts)
        _release_v2(chain, holder, payout_of(market, amounts.values()))
        return
    send_batch(chain, Way(CTF, adapter, holder, adapter), amounts)
    conditional_tokens.redeem(chain, adapter, market)
    collateral.wrap_all(chain, adapter, holder)


def _convert_by_adapter(chain: Chain, holder: str, event: Event, indexes: Sequence[int], amount: int) -> None:
    adapter, chosen = addresses.NEG_RISK_CTF_ADAPTER, set(indexes)
    given = {market.tokens[1]: amount for index, market in enumerate(event.markets) if index in chosen}
    send_batch(chain, Way(CTF, adapter, holder, adapter), given)
    conditional_tokens.convert(chain, adapter, event, chosen, amount)
    out = amount - conversion_fee(event, amount)
    received = {market.tokens[0]: out for index, market in enumerate(event.markets) if index not in chosen}
    send_batch(chain, Way(CTF, adapter, adapter, holder), received)
    if coin_balance(chain, addresses.USDC_E, adapter) > 0:
        collateral.wrap_all(chain, adapter, holder)


def _release_v2(chain: Chain, holder: str, amount: int) -> None:
    send_coin(chain, addresses.USDC_E, MANAGER, MODULE, amount)
    collateral.wrap_own(chain, MODULE, holder, amount)


def _require_ctf(market: Market) -> None:
    _require(market.version != "v2", f"market {market.condition_id} is of Protocol V2; it is called by its module only")


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as the contract's own require()
    if not condition:
        raise RevertedError(message)
