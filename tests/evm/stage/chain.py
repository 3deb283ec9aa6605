"""The node with everything deployed: transactions, blocks and what takes them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from eth_typing import ChecksumAddress
from hexbytes import HexBytes
from web3 import Web3
from web3.contract import Contract
from web3.types import TxReceipt

from tests.evm.stage.solidity import Built
from tests.support.evm import MULTICALL, EvmNode

ACCOUNTS = ("deployer", "vault", "fee_receiver", "fee_vault", "operator", "house")
"""What the node's first accounts are; the others are for wallets. The deployer mints, and answers every question."""

CASH = {"pusd": "pusd", "usdc_e": "usdc_e", "wcol": "wrapped_collateral"}
"""The service's names of the collateral buckets (R-19), and the names of their contracts here."""

DEEPEST = 10
"""No reorganisation here is deeper."""

UNLIMITED = 2**256 - 1


class Chain:
    """Contracts by name, and blocks on request: nothing happens on this chain that a test did not ask for."""

    def __init__(self, node: EvmNode, built: Mapping[str, Built]) -> None:
        """Deploy on a node that makes ``BLOCKS_ON_REQUEST``."""
        self.node = node
        self.accounts = dict(zip(ACCOUNTS, node.accounts, strict=False))
        self.tokens: list[int] = []
        self._built = built
        self._contracts: dict[str, Contract] = {"conditional_tokens": node.conditional_tokens}
        self._fresh = count(1)
        self._waiting: list[HexBytes] = []
        self._together = False
        self._taken_back: dict[str, str] = {}
        self._deploy()

    # Contracts

    def contract(self, name: str) -> Contract:
        """One of :attr:`addresses`."""
        return self._contracts[name]

    def address(self, name: str) -> ChecksumAddress:
        """Of a contract, or of one of :data:`ACCOUNTS`."""
        return self.accounts[name] if name in self.accounts else self._contracts[name].address

    @property
    def addresses(self) -> dict[str, ChecksumAddress]:
        """Every contract and every account with a part, by name."""
        return {name: each.address for name, each in self._contracts.items()} | self.accounts

    @property
    def chain_settings(self) -> dict[str, Any]:
        """The part of ``polymarket.settings.PolymarketSettings`` that is about the chain; the newest block counts."""
        return {
            "rpc_url": self.node.url,
            "chain_id": self.node.web3.eth.chain_id,
            "collateral": self.address("pusd"),
            "multicall": MULTICALL,
            "position_contracts": (),
            "exchanges": (self.address("exchange"), self.address("neg_risk_exchange")),
            "confirmations": 0,
            **{name: self.address(name) for name in ("usdc_e", "wrapped_collateral")},
            **{name: self.address(name) for name in ("conditional_tokens", "neg_risk_adapter")},
        }

    def _deploy(self) -> None:
        """The user-facing adapters, and a second pair of them for the exchanges, as on Polygon."""
        tokens = self.address("conditional_tokens")
        usdc = self._create("usdc_e", "BridgedUsdc")
        pusd = self._create("pusd", "Pusd", usdc, self.accounts["vault"])
        neg_risk = self._create("neg_risk_adapter", "NegRiskAdapter", tokens, usdc, self.accounts["fee_vault"])
        wrapped = self.contract("neg_risk_adapter").functions.wcol().call()
        self._contracts["wrapped_collateral"] = self._at(wrapped, "WrappedCollateral")
        ramp = self._create("ramp", "Ramp", pusd)
        self._create("auto_redeemer", "AutoRedeemer", tokens, ramp, neg_risk)
        for prefix, kind, more in (
            ("", "CollateralAdapter", ()),
            ("neg_risk_", "NegRiskCollateralAdapter", (neg_risk,)),
        ):
            self._create(f"{prefix}collateral_adapter", kind, tokens, pusd, *more)
            factory = self._create(f"{prefix}outcome_token_factory", kind, tokens, pusd, *more)
            self._create(f"{prefix}exchange", "Exchange", tokens, pusd, factory, self.accounts["fee_receiver"])
        self.send(self.accounts["vault"], self.contract("usdc_e").functions.approve(pusd, UNLIMITED))

    def _create(self, name: str, kind: str, *arguments: Any) -> ChecksumAddress:
        built = self._built[kind]
        factory = self.node.web3.eth.contract(abi=built.abi, bytecode=built.bytecode)
        address = self.receipt(self.send(self.accounts["deployer"], factory.constructor(*arguments)))["contractAddress"]
        assert address is not None
        self._contracts[name] = self._at(address, kind)
        return address

    def _at(self, address: ChecksumAddress, kind: str) -> Contract:
        return self.node.web3.eth.contract(address=address, abi=self._built[kind].abi)

    # Transactions

    def send(self, sender: ChecksumAddress, call: Any) -> str:
        """Hash of the transaction, in a block of its own unless :meth:`together`. A revert is an error."""
        sent = self.node.send(sender, call)
        self._waiting.append(sent)
        if not self._together:
            self.mine(1)
        return sent.to_0x_hex()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is sent inside comes into one block, in the order it was sent."""
        assert not self._together, "one block at a time"
        self._together = True
        try:
            yield
        finally:
            self._together = False
        self.mine(1)

    def receipt(self, transaction: str) -> TxReceipt:
        """Of a transaction in a block; web3's ``TransactionNotFound`` for any other."""
        return self.node.web3.eth.get_transaction_receipt(HexBytes(transaction))

    def fresh_hash(self) -> str:
        """An order hash that nobody has seen."""
        return Web3.keccak(text=f"order {next(self._fresh)}").to_0x_hex()

    # Blocks

    @property
    def head(self) -> int:
        """Number of the newest block."""
        return self.node.web3.eth.block_number

    def block_hash(self, number: int) -> str:
        """Hash of that block, as the node has it now."""
        return self.node.web3.eth.get_block(number)["hash"].to_0x_hex()

    def mine(self, blocks: int) -> None:
        """As many blocks; what waits comes into the first."""
        self.node.rpc("anvil_mine", hex(blocks))
        waited, self._waiting = self._waiting, []
        self._expect(each.to_0x_hex() for each in waited)

    def reorganise(self, depth: int, again: Mapping[str, int] | None = None) -> Sequence[str]:
        """Put as many blocks, all of other hashes, in the place of the newest ones.

        ``again`` says which of the transactions taken back come again, and in which of the new blocks: 0 is the oldest
        of them. A wallet's transactions keep their order, so one of them can only come again with all earlier ones.
        Returns the hashes of the others: they are gone, and not in the pool either. See :meth:`send_again`.
        """
        assert depth <= DEEPEST, "deeper ones would take back what was set up"
        head, again = self.head, again or {}
        taken = [each for number in range(head - depth + 1, head + 1) for each in self._transactions(number)]
        raw = {each: self.node.rpc("eth_getRawTransactionByHash", each) for each in taken}
        # Blocks of the same content and second would have the same hash, were they not somebody else's.
        self.node.rpc("anvil_setCoinbase", self.fresh_hash()[:42])
        self.node.rpc("anvil_reorg", depth, [(raw[each], place) for each, place in again.items()])
        self._expect(again)
        self._taken_back |= raw
        return [each for each in taken if each not in again]

    def send_again(self, transaction: str) -> None:
        """Bring a transaction that a reorganisation took back into a new block. Its wallet must have sent no other."""
        self.node.rpc("eth_sendRawTransaction", self._taken_back[transaction])
        self._waiting.append(HexBytes(transaction))
        if not self._together:
            self.mine(1)

    def _transactions(self, number: int) -> list[str]:
        return [
            HexBytes(each).to_0x_hex()
            for each in self.node.web3.eth.get_block(number)["transactions"]
            if isinstance(each, bytes)
        ]

    def _expect(self, transactions: Iterable[str]) -> None:
        for each in transactions:
            receipt = self.node.rpc("eth_getTransactionReceipt", each)
            if receipt is None:
                raise RuntimeError(f"the node took {each} into no block; was an earlier one of its wallet left out?")
            if receipt["status"] != "0x1":
                raise RuntimeError(f"transaction {each} was reverted in block {int(receipt['blockNumber'], 16)}")
