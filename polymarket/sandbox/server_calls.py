"""What the sandbox's contracts answer to eth_call: the ABI of balances, payouts, neg-risk events and Multicall3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from polymarket import position_ids
from polymarket.sandbox import addresses
from polymarket.sandbox.chain import COIN, Block
from polymarket.sandbox.encoding import encoded
from polymarket.sandbox.markets import Event, Market
from polymarket.sandbox.world import World

_SUCCESS, _DATA = "bool", "bytes"
_ERROR_STRING = bytes.fromhex("08c379a0")


class ExecutionRevertedError(Exception):
    """The call reverted; ``data`` is what it reverted with."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.data = _ERROR_STRING + encode(["string"], [reason]) if reason else b""


class Calls:
    """Read calls at one block. ``hidden`` are contracts that for this request have no code."""

    def __init__(self, world: World, block: Block, hidden: frozenset[str] = frozenset()) -> None:
        self._world = world
        self._block = block
        self._hidden = hidden

    def call(self, target: str, data: bytes) -> bytes:
        """The result of a call. An address without code answers nothing; unknown functions revert."""
        address = target.lower()
        if not self.has_code(address):
            return b""
        function = _FUNCTIONS.get((_family(address), data[:4]))
        if function is None:
            raise ExecutionRevertedError
        inputs, outputs, method = function
        try:
            arguments = _decoded(tuple(inputs), data[4:]) if inputs else ()
        except (DecodingError, OverflowError):
            raise ExecutionRevertedError from None
        return encoded(outputs, method(self, address, *arguments))

    def has_code(self, address: str) -> bool:
        """Whether there is a contract."""
        return address in addresses.WITH_CODE and address not in self._hidden

    def balance_of_coin(self, contract: str, holder: str) -> Sequence[Any]:
        """ERC-20 balance."""
        return [self._world.chain.balance(contract, holder, COIN, self._block.number)]

    def decimals(self, _contract: str) -> Sequence[Any]:
        """ERC-20 decimals."""
        return [6]

    def symbol(self, contract: str) -> Sequence[Any]:
        """ERC-20 symbol."""
        names = {addresses.PUSD.lower(): "pUSD", addresses.USDC_E.lower(): "USDC.e", addresses.WCOL.lower(): "WCOL"}
        return [names[contract]]

    def balance_of(self, contract: str, holder: str, token: int) -> Sequence[Any]:
        """ERC-1155 balance; the neg-risk adapter shows that of the conditional tokens."""
        book = addresses.CONDITIONAL_TOKENS if contract == addresses.NEG_RISK_ADAPTER.lower() else contract
        return [self._world.chain.balance(book, holder, token, self._block.number)]

    def balance_of_batch(self, contract: str, holders: Sequence[str], tokens: Sequence[int]) -> Sequence[Any]:
        """ERC-1155 balances of pairs."""
        if len(holders) != len(tokens):
            raise ExecutionRevertedError("ERC1155: owners and IDs must have same lengths")
        pairs = zip(holders, tokens, strict=True)
        return [[self.balance_of(contract, holder, token)[0] for holder, token in pairs]]

    def is_approved_for_all(self, _contract: str, _owner: str, _operator: str) -> Sequence[Any]:
        """Every operator is approved."""
        return [True]

    def payout_denominator(self, _contract: str, condition: bytes) -> Sequence[Any]:
        """Sum of the payouts, 0 while unresolved."""
        return [sum(self._payouts(condition))]

    def payout_numerators(self, _contract: str, condition: bytes, index: int) -> Sequence[Any]:
        """One outcome's payout."""
        payouts = self._payouts(condition)
        if index >= len(payouts):
            raise ExecutionRevertedError
        return [payouts[index]]

    def outcome_slot_count(self, _contract: str, condition: bytes) -> Sequence[Any]:
        """2 for a known condition."""
        return [0 if self._market(condition) is None else 2]

    def collection_id(self, contract: str, parent: bytes, condition: bytes, index_set: int) -> Sequence[Any]:
        """Collection of a condition's outcomes. Collections within others are not modelled, and not answered."""
        self._require_conditional(contract)
        if any(parent):
            raise ExecutionRevertedError("the sandbox knows no collections within others")
        return [bytes.fromhex(position_ids.collection_id("0x" + condition.hex(), index_set)[2:])]

    def position_id(self, contract: str, collateral: str, collection: bytes) -> Sequence[Any]:
        """Token id of a collection that a collateral stands behind."""
        self._require_conditional(contract)
        return [int(position_ids.position_id(collateral, "0x" + collection.hex()))]

    def _require_conditional(self, contract: str) -> None:
        """The position manager of Protocol V2 has other ids and none of these functions."""
        if contract != addresses.CONDITIONAL_TOKENS.lower():
            raise ExecutionRevertedError

    def question_count(self, _contract: str, market_id: bytes) -> Sequence[Any]:
        """Questions of a neg-risk event."""
        event = self._event(market_id)
        return [0 if event is None else len(event.markets)]

    def fee_bips(self, _contract: str, market_id: bytes) -> Sequence[Any]:
        """Conversion fee of a neg-risk event."""
        event = self._event(market_id)
        return [0 if event is None else event.fee_bips]

    def determined(self, _contract: str, market_id: bytes) -> Sequence[Any]:
        """Whether a question of a neg-risk event was answered YES."""
        return [self._winner(market_id) is not None]

    def result(self, _contract: str, market_id: bytes) -> Sequence[Any]:
        """Index of that question."""
        return [self._winner(market_id) or 0]

    def block_number(self, _contract: str) -> Sequence[Any]:
        """Number of the block that is read."""
        return [self._block.number]

    def block_timestamp(self, _contract: str) -> Sequence[Any]:
        """Time of the block that is read."""
        return [self._block.timestamp_s]

    def block_hash(self, _contract: str, number: int) -> Sequence[Any]:
        """Hash of an earlier block."""
        known = self._world.chain.block(number) if number < self._block.number else None
        return [b"\0" * 32 if known is None else bytes.fromhex(known.hash[2:])]

    def aggregate3(self, _contract: str, calls: Sequence[tuple[str, bool, bytes]]) -> Sequence[Any]:
        """Calls that may each be allowed to fail."""
        return [[self._attempt(target, data, may_fail=may_fail) for target, may_fail, data in calls]]

    def try_aggregate(self, _contract: str, required: bool, calls: Sequence[tuple[str, bytes]]) -> Sequence[Any]:  # noqa: FBT001
        """Calls that are all required, or all allowed to fail."""
        return [[self._attempt(target, data, may_fail=not required) for target, data in calls]]

    def aggregate(self, _contract: str, calls: Sequence[tuple[str, bytes]]) -> Sequence[Any]:
        """Calls that are all required."""
        results = [self._attempt(target, data, may_fail=False)[1] for target, data in calls]
        return [self._block.number, results]

    def _attempt(self, target: str, data: bytes, *, may_fail: bool) -> tuple[bool, bytes]:
        try:
            return True, self.call(target, data)
        except ExecutionRevertedError as error:
            if not may_fail:
                raise ExecutionRevertedError("Multicall3: call failed") from None
            return False, error.data

    def _market(self, condition: bytes) -> Market | None:
        return self._world.directory.by_condition.get("0x" + condition.hex())

    def _payouts(self, condition: bytes) -> tuple[int, int]:
        """Payouts as of the block; zeros while it was unresolved."""
        market = self._market(condition)
        if market is None or market.payouts is None or (market.resolved_block or 0) > self._block.number:
            return (0, 0)
        return market.payouts

    def _event(self, market_id: bytes) -> Event | None:
        return self._world.directory.by_neg_risk_id.get("0x" + market_id.hex())

    def _winner(self, market_id: bytes) -> int | None:
        event = self._event(market_id)
        markets = [] if event is None else event.markets
        won = [m.question_index for m in markets if self._payouts(bytes.fromhex(m.condition_id[2:]))[0]]
        return won[0] if won else None


Function = tuple[list[str], list[str], Callable[..., Sequence[Any]]]
Entry = tuple[str, list[str], Callable[..., Sequence[Any]]]


@lru_cache(maxsize=4096)
def _decoded(inputs: tuple[str, ...], data: bytes) -> tuple[Any, ...]:
    """The arguments of a call. A client asks the same of one block after the other."""
    return decode(inputs, data)


def _family(address: str) -> str:
    if address in addresses.ERC20:
        return "coin"
    if address == addresses.MULTICALL.lower():
        return "multicall"
    if address == addresses.NEG_RISK_ADAPTER.lower():
        return "adapter"
    return "tokens" if address in addresses.ERC1155 else "other"


_BALANCES: list[Entry] = [
    ("balanceOf(address,uint256)", ["uint256"], Calls.balance_of),
    ("balanceOfBatch(address[],uint256[])", ["uint256[]"], Calls.balance_of_batch),
    ("isApprovedForAll(address,address)", ["bool"], Calls.is_approved_for_all),
]


def _table() -> dict[tuple[str, bytes], Function]:
    """Every function: who has it, its signature, what it returns, and the method that answers."""
    families: dict[str, list[Entry]] = {
        "coin": [
            ("balanceOf(address)", ["uint256"], Calls.balance_of_coin),
            ("decimals()", ["uint8"], Calls.decimals),
            ("symbol()", ["string"], Calls.symbol),
        ],
        "tokens": [
            *_BALANCES,
            ("payoutNumerators(bytes32,uint256)", ["uint256"], Calls.payout_numerators),
            ("payoutDenominator(bytes32)", ["uint256"], Calls.payout_denominator),
            ("getOutcomeSlotCount(bytes32)", ["uint256"], Calls.outcome_slot_count),
            ("getCollectionId(bytes32,bytes32,uint256)", ["bytes32"], Calls.collection_id),
            ("getPositionId(address,bytes32)", ["uint256"], Calls.position_id),
        ],
        "adapter": [
            *_BALANCES,
            ("getQuestionCount(bytes32)", ["uint256"], Calls.question_count),
            ("getFeeBips(bytes32)", ["uint256"], Calls.fee_bips),
            ("getDetermined(bytes32)", ["bool"], Calls.determined),
            ("getResult(bytes32)", ["uint256"], Calls.result),
        ],
        "multicall": [
            ("aggregate((address,bytes)[])", ["uint256", "bytes[]"], Calls.aggregate),
            ("aggregate3((address,bool,bytes)[])", ["(bool,bytes)[]"], Calls.aggregate3),
            ("tryAggregate(bool,(address,bytes)[])", ["(bool,bytes)[]"], Calls.try_aggregate),
            ("getBlockNumber()", ["uint256"], Calls.block_number),
            ("getCurrentBlockTimestamp()", ["uint256"], Calls.block_timestamp),
            ("getBlockHash(uint256)", ["bytes32"], Calls.block_hash),
        ],
    }
    return {
        (family, keccak(text=signature)[:4]): (_inputs(signature), outputs, method)
        for family, functions in families.items()
        for signature, outputs, method in functions
    }


def _inputs(signature: str) -> list[str]:
    """The argument types of a signature; tuples stay in one piece."""
    body = signature[signature.index("(") + 1 : -1]
    found: list[str] = []
    depth = 0
    for character in body:
        if character == "," and depth == 0:
            found.append("")
            continue
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not found:
            found.append("")
        found[-1] += character
    return found


_FUNCTIONS = _table()
