"""What a wallet does, and what is done to it. Every operation returns the hash of its one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eth_abi.abi import decode, encode
from eth_typing import ChecksumAddress
from eth_utils.abi import function_signature_to_4byte_selector
from hexbytes import HexBytes

from tests.evm.stage.chain import CASH, UNLIMITED, Chain
from tests.evm.stage.market import BOTH, NO_PARENT, Event, Market
from tests.evm.stage.trading import Terms, match

ADAPTERS = ("collateral_adapter", "neg_risk_collateral_adapter")
EXCHANGES = ("exchange", "neg_risk_exchange")
APPROVED = {
    "conditional_tokens": (*ADAPTERS, *EXCHANGES, "neg_risk_adapter", "auto_redeemer"),
    "pusd": (*ADAPTERS, *EXCHANGES, "ramp"),
    "usdc_e": ("conditional_tokens", "neg_risk_adapter", "ramp"),
}
"""Who may move what of every wallet."""

Call = tuple[str, list[str], str]
SHARES: Call = ("balanceOfBatch", ["address[]", "uint256[]"], "uint256[]")
CASH_OF: Call = ("balanceOf", ["address"], "uint256")


@dataclass(frozen=True)
class Balances:
    """Micro-shares by token id and micro-dollars by bucket; of tokens only what is not zero."""

    tokens: dict[str, int]
    cash: dict[str, int]


class Wallet:
    """An account of the node with all approvals. The other side of everything it does is the house."""

    def __init__(self, chain: Chain, address: ChecksumAddress) -> None:
        self.chain, self.address = chain, address

    def prepare(self, micro: int) -> None:
        """Approve, and have as much pUSD and as much bridged USDC."""
        chain = self.chain
        for token, spenders in APPROVED.items():
            approve, unlimited = ("approve", UNLIMITED) if token in CASH.values() else ("setApprovalForAll", True)
            for name in spenders:
                self._do(token, approve, chain.address(name), unlimited)
        usdc, bank = chain.contract("usdc_e").functions, chain.address("deployer")
        chain.send(bank, usdc.mint(self.address, 2 * micro))
        self.wrap(micro)

    def balances_at(self, block: int) -> Balances:
        """What the contracts say, as of that block."""
        chain, me = self.chain, self.address
        ids = chain.tokens
        (shares,) = self._read("conditional_tokens", SHARES, ([me] * len(ids), ids), block)
        cash = {name: self._read(contract, CASH_OF, (me,), block) for name, contract in CASH.items()}
        return Balances(
            tokens={str(token): micro for token, micro in zip(ids, shares, strict=True) if micro},
            cash={name: micro for name, (micro,) in cash.items()},
        )

    def _read(self, contract: str, call: Call, arguments: Sequence[Any], block: int) -> tuple[Any, ...]:
        """Encoded here: web3 takes longer over the arrays than the node over its answer."""
        name, takes, gives = call
        data = function_signature_to_4byte_selector(f"{name}({','.join(takes)})") + encode(takes, arguments)
        asked = {"to": self.chain.address(contract), "data": "0x" + data.hex()}
        return decode([gives], HexBytes(self.chain.node.rpc("eth_call", asked, hex(block))))

    # Positions, by the adapters and pUSD, as the exchange's own pages do it

    def split(self, market: Market, micro: int) -> str:
        """PUSD into as many YES and NO."""
        return self._adapter(market, "splitPosition", micro)

    def merge(self, market: Market, micro: int) -> str:
        """YES and NO into as much pUSD."""
        return self._adapter(market, "mergePositions", micro)

    def redeem(self, market: Market) -> str:
        """All it has of an answered market into pUSD. The batch has a zero where it has only one of both outcomes."""
        return self._adapter(market, "redeemPositions")

    def convert(self, event: Event, indices: set[int], micro: int) -> str:
        """NO of these questions into YES of all others, and all but one of the NO into pUSD; less the event's fee."""
        return self._do("neg_risk_collateral_adapter", "convertPositions", event.market_id, _bits(indices), micro)

    def auto_redeem(self, market: Market) -> str:
        """An operator redeems for the wallet; pUSD. The wallet sends nothing."""
        kind = "redeemNegRisk" if market.neg_risk else "redeemBinary"
        call = self.chain.contract("auto_redeemer").functions[kind](self.address, market.condition)
        return self.chain.send(self.chain.address("operator"), call)

    def _adapter(self, market: Market, operation: str, *micro: int) -> str:
        pusd = self.chain.address("pusd")
        name = f"{market.prefix}collateral_adapter"
        return self._do(name, operation, pusd, NO_PARENT, market.condition, list(BOTH), *micro)

    # Positions directly, in bridged USDC: on ConditionalTokens, or on the neg-risk adapter

    def split_directly(self, market: Market, micro: int) -> str:
        """Bridged USDC into as many YES and NO."""
        return self._directly(market, "splitPosition", micro)

    def merge_directly(self, market: Market, micro: int) -> str:
        """YES and NO into as much bridged USDC."""
        return self._directly(market, "mergePositions", micro)

    def redeem_directly(self, market: Market) -> str:
        """All it has of an answered market into bridged USDC."""
        if not market.neg_risk:
            return self._directly(market, "redeemPositions")
        held = self.balances_at(self.chain.head).tokens
        amounts = [held.get(str(token), 0) for token in market.tokens]
        return self._do("neg_risk_adapter", "redeemPositions", market.condition, amounts)

    def convert_directly(self, event: Event, indices: set[int], micro: int) -> str:
        """As :meth:`convert`, the cash in bridged USDC."""
        return self._do("neg_risk_adapter", "convertPositions", event.market_id, _bits(indices), micro)

    def _directly(self, market: Market, operation: str, *micro: int) -> str:
        if market.neg_risk:
            return self._do("neg_risk_adapter", operation, market.condition, *micro)
        usdc = self.chain.address("usdc_e")
        return self._do("conditional_tokens", operation, usdc, NO_PARENT, market.condition, list(BOTH), *micro)

    # Transfers

    def transfer_out(self, token: int, micro: int) -> str:
        """Shares to the house."""
        return self._do("conditional_tokens", "safeTransferFrom", self.address, self._house, token, micro, b"")

    def transfer_in(self, token: int, micro: int) -> str:
        """Shares from the house."""
        call = self.chain.contract("conditional_tokens").functions.safeTransferFrom
        return self.chain.send(self._house, call(self._house, self.address, token, micro, b""))

    def batch_with_zero(self, market: Market, micro: int) -> str:
        """So many YES and no NO to the house, in one batch that names both."""
        both, values = list(market.tokens), [micro, 0]
        return self._do("conditional_tokens", "safeBatchTransferFrom", self.address, self._house, both, values, b"")

    def deposit(self, micro: int, bucket: str = "pusd") -> str:
        """Cash from the house, in one of :data:`tests.evm.stage.chain.CASH`."""
        call = self.chain.contract(CASH[bucket]).functions.transfer(self.address, micro)
        return self.chain.send(self._house, call)

    def withdraw(self, micro: int, bucket: str = "pusd") -> str:
        """Cash to the house."""
        return self._do(CASH[bucket], "transfer", self._house, micro)

    def wrap(self, micro: int) -> str:
        """Its bridged USDC into its pUSD."""
        return self._do("ramp", "wrap", self.chain.address("usdc_e"), self.address, micro)

    def unwrap(self, micro: int) -> str:
        """Its pUSD into its bridged USDC."""
        return self._do("ramp", "unwrap", self.chain.address("usdc_e"), self.address, micro)

    # Fills

    def fill_as_taker(self, terms: Terms) -> str:
        """Its order meets a resting one of the house."""
        chain = self.chain
        taker, maker = terms.order(chain, self.address), terms.counterparty(chain, self._house)
        return match(chain, terms.market, taker, [maker])

    def fill_as_maker(self, terms: Terms) -> str:
        """Its resting order is met by one of the house."""
        chain = self.chain
        taker, maker = terms.counterparty(chain, self._house), terms.order(chain, self.address)
        return match(chain, terms.market, taker, [maker])

    def external_fill(self, terms: Terms) -> str:
        """As taker, by an order that somebody else placed for the wallet: nobody here has ever seen its hash (R-21)."""
        return self.fill_as_taker(replace(terms, order_hash=self.chain.fresh_hash()))

    @property
    def _house(self) -> ChecksumAddress:
        return self.chain.address("house")

    def _do(self, contract: str, function: str, *arguments: Any) -> str:
        return self.chain.send(self.address, self.chain.contract(contract).functions[function](*arguments))


def _bits(indices: set[int]) -> int:
    return sum(1 << index for index in indices)
