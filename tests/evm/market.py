"""A binary market on the chain and what a wallet does with it, by transactions of the wallet's own account."""

from __future__ import annotations

from typing import Any

from eth_typing import ChecksumAddress
from web3 import Web3

from tests.support.evm import EvmNode

NO_PARENT = b"\0" * 32
INDEX_SETS = (1, 2)
WEALTH_MICRO = 1_000_000 * 1_000_000
PUSD_MICRO = 52_341_654_321
OPENING_MICRO = 1_234_567_891
"""What a test's wallet holds of each outcome when the service first looks."""


class ChainMarket:
    """One condition on bridged USDC, and one wallet that is rich in it. All ids here are the contract's own answers."""

    def __init__(self, node: EvmNode, name: str, wallet: ChecksumAddress, other: ChecksumAddress) -> None:
        """``name`` makes the question; ``other`` is who the wallet sends to."""
        self.node, self.wallet, self.other = node, wallet, other
        self.oracle = node.accounts[0]
        self.question_id = bytes(Web3.keccak(text=name))
        contract = node.conditional_tokens.functions
        self.condition = bytes(contract.getConditionId(self.oracle, self.question_id, 2).call())
        collections = [contract.getCollectionId(NO_PARENT, self.condition, each).call() for each in INDEX_SETS]
        usdc = node.address("usdc_e")
        self.yes, self.no = (contract.getPositionId(usdc, collection).call() for collection in collections)

    def open(self) -> None:
        """Ask the question, give the wallet pUSD and bridged USDC, and split :data:`OPENING_MICRO` of the latter."""
        node, bank = self.node, self.node.accounts[0]
        contract = node.conditional_tokens
        usdc = node.erc20("usdc_e").functions
        node.run(
            (bank, contract.functions.prepareCondition(self.oracle, self.question_id, 2)),
            (bank, node.erc20("pusd").functions.mint(self.wallet, PUSD_MICRO)),
            (bank, usdc.mint(self.wallet, WEALTH_MICRO)),
            (self.wallet, usdc.approve(contract.address, WEALTH_MICRO)),
            self.split(OPENING_MICRO),
        )

    def split(self, micro: int) -> tuple[ChecksumAddress, Any]:
        """Bridged USDC into as many YES and NO."""
        call = self.node.conditional_tokens.functions.splitPosition(*self._both(), micro)
        return self.wallet, call

    def merge(self, micro: int) -> tuple[ChecksumAddress, Any]:
        """YES and NO back into bridged USDC."""
        call = self.node.conditional_tokens.functions.mergePositions(*self._both(), micro)
        return self.wallet, call

    def send(self, token: int, micro: int) -> tuple[ChecksumAddress, Any]:
        """Tokens to the other account."""
        call = self.node.conditional_tokens.functions.safeTransferFrom(self.wallet, self.other, token, micro, b"")
        return self.wallet, call

    def _both(self) -> tuple[ChecksumAddress, bytes, bytes, list[int]]:
        return self.node.address("usdc_e"), NO_PARENT, self.condition, list(INDEX_SETS)

    def run(self, *calls: tuple[ChecksumAddress, Any]) -> None:
        """Do these, in this order."""
        self.node.run(*calls)

    def balances(self) -> dict[str, int]:
        """What the contract says the wallet holds, by token id; micro-shares."""
        balance_of = self.node.conditional_tokens.functions.balanceOf
        return {str(token): balance_of(self.wallet, token).call() for token in (self.yes, self.no)}

    def cash_micro(self) -> int:
        """What the ERC-20 contracts say the wallet holds, together."""
        names = ("pusd", "usdc_e", "wrapped_collateral")
        return sum(self.node.erc20(name).functions.balanceOf(self.wallet).call() for name in names)

    def transactions(self) -> int:
        """How many transactions the wallet has made."""
        return self.node.web3.eth.get_transaction_count(self.wallet)
