"""Coins and shares as their contracts move them: every movement changes balances and leaves its log, never only one.

A coin is an ERC-20, named by its address; shares are ERC-1155 tokens of a contract. Allowances are not kept: where
a contract tells what is left of one, it is as if that had been given just before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from polymarket.sandbox import addresses
from polymarket.sandbox.chain import COIN, NOBODY, Chain
from polymarket.sandbox.logs import APPROVAL, TRANSFER, TRANSFER_BATCH, TRANSFER_SINGLE, Log

_UNLIMITED = 2**256 - 1
_TELLS_ALLOWANCES = addresses.USDC_E


class Way(NamedTuple):
    """From whom to whom shares of a contract go, and who moves them. ``NOBODY`` mints or burns."""

    contract: str
    operator: str
    sender: str
    recipient: str


def send_coin(chain: Chain, coin: str, sender: str, recipient: str, amount: int) -> None:
    """A plain transfer; reverts where the sender has less."""
    chain.move((coin, COIN), sender, recipient, amount)
    chain.emit(Log(coin, TRANSFER, sender, recipient, amount))


def pull_coin(chain: Chain, coin: str, sender: str, recipient: str, amount: int) -> None:
    """A transfer by its recipient out of an allowance, which bridged USDC tells the rest of."""
    send_coin(chain, coin, sender, recipient, amount)
    allowed(chain, coin, (sender, recipient), amount)


def allowed(chain: Chain, coin: str, parties: tuple[str, str], used: int) -> None:
    """What is left of an allowance (owner, spender) after this use, if the coin tells it."""
    if coin == _TELLS_ALLOWANCES:
        chain.emit(Log(coin, APPROVAL, *parties, _UNLIMITED - used))


def mint_coin(chain: Chain, coin: str, recipient: str, amount: int) -> None:
    """Coins come into being."""
    chain.mint((coin, COIN), recipient, amount)
    chain.emit(Log(coin, TRANSFER, NOBODY, recipient, amount))


def burn_coin(chain: Chain, coin: str, holder: str, amount: int) -> None:
    """Coins are destroyed; reverts where the holder has fewer."""
    chain.burn((coin, COIN), holder, amount)
    chain.emit(Log(coin, TRANSFER, holder, NOBODY, amount))


def send_shares(chain: Chain, way: Way, token: str, amount: int) -> None:
    """Shares of one token go their way; reverts where the sender has fewer."""
    _shift(chain, way, int(token), amount)
    chain.emit(Log(way.contract, TRANSFER_SINGLE, way.operator, way.sender, way.recipient, int(token), amount))


def send_batch(chain: Chain, way: Way, amounts: Mapping[str, int]) -> None:
    """Shares of several tokens go their way at once; an amount of zero is told like any other."""
    for token, amount in amounts.items():
        _shift(chain, way, int(token), amount)
    ids, values = [int(token) for token in amounts], list(amounts.values())
    chain.emit(Log(way.contract, TRANSFER_BATCH, way.operator, way.sender, way.recipient, ids, values))


def coin_balance(chain: Chain, coin: str, holder: str) -> int:
    """What a holder has now, within the transaction that runs."""
    return chain.balance(coin, holder, COIN)


def _shift(chain: Chain, way: Way, token: int, amount: int) -> None:
    key = (way.contract, token)
    if way.sender == NOBODY:
        chain.mint(key, way.recipient, amount)
    elif way.recipient == NOBODY:
        chain.burn(key, way.sender, amount)
    else:
        chain.move(key, way.sender, way.recipient, amount)
