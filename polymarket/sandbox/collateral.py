"""The collateral token pUSD: wrapping bridged USDC into it and back; its backing lies in the vault.

The asset goes to the collateral token's own address first, as its contract wants it; ``caller`` is who asked for it.
"""

from __future__ import annotations

from polymarket.sandbox import addresses
from polymarket.sandbox.chain import Chain
from polymarket.sandbox.logs import UNWRAPPED, WRAPPED, Log
from polymarket.sandbox.tokens import allowed, burn_coin, coin_balance, mint_coin, pull_coin, send_coin

PUSD, USDC_E = addresses.PUSD, addresses.USDC_E


def wrap_own(chain: Chain, caller: str, recipient: str, amount: int) -> None:
    """A contract turns bridged USDC of its own into pUSD for somebody."""
    send_coin(chain, USDC_E, caller, PUSD, amount)
    _wrap(chain, caller, recipient, amount)


def unwrap_for(chain: Chain, caller: str, parties: tuple[str, str], amount: int) -> None:
    """A contract takes pUSD from the first of the two and lets bridged USDC go to the second."""
    payer, recipient = parties
    send_coin(chain, PUSD, payer, PUSD, amount)
    send_coin(chain, USDC_E, addresses.VAULT, recipient, amount)
    allowed(chain, USDC_E, (addresses.VAULT, PUSD), amount)
    burn_coin(chain, PUSD, PUSD, amount)
    chain.emit(Log(PUSD, UNWRAPPED, caller, USDC_E, recipient, amount))


def deposit(chain: Chain, holder: str, amount: int) -> None:
    """Bridged USDC from outside is wrapped; the holder receives as much pUSD."""
    onramp(chain, (addresses.BRIDGE, holder), amount)


def withdraw(chain: Chain, holder: str, amount: int) -> None:
    """The reverse of a deposit."""
    offramp(chain, (holder, addresses.BRIDGE), amount)


def onramp(chain: Chain, parties: tuple[str, str], amount: int) -> None:
    """Bridged USDC of the first of the two becomes pUSD of the second."""
    payer, recipient = parties
    send_coin(chain, USDC_E, payer, PUSD, amount)
    allowed(chain, USDC_E, (payer, addresses.ONRAMP), amount)
    _wrap(chain, addresses.ONRAMP, recipient, amount)


def offramp(chain: Chain, parties: tuple[str, str], amount: int) -> None:
    """pUSD of the first of the two becomes bridged USDC of the second."""
    unwrap_for(chain, addresses.OFFRAMP, parties, amount)


def wrap_all(chain: Chain, caller: str, recipient: str) -> int:
    """A contract wraps all bridged USDC that it has for somebody; returns how much, which may be nothing."""
    amount = coin_balance(chain, USDC_E, caller)
    wrap_own(chain, caller, recipient, amount)
    return amount


def bridge_in(chain: Chain, recipient: str, amount: int) -> None:
    """Bridged USDC comes into being."""
    mint_coin(chain, USDC_E, recipient, amount)


def pull(chain: Chain, payer: str, contract: str, amount: int) -> None:
    """A contract takes bridged USDC that it was allowed to take."""
    pull_coin(chain, USDC_E, payer, contract, amount)


def _wrap(chain: Chain, caller: str, recipient: str, amount: int) -> None:
    mint_coin(chain, PUSD, recipient, amount)
    send_coin(chain, USDC_E, PUSD, addresses.VAULT, amount)
    chain.emit(Log(PUSD, WRAPPED, caller, USDC_E, recipient, amount))
