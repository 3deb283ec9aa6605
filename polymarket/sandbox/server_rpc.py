"""JSON-RPC over HTTP, as far as an unmodified web3 needs it to read: blocks, code, calls at any past block, batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from polymarket.sandbox import addresses
from polymarket.sandbox.chain import GAS, Block, Receipt, bloom_of
from polymarket.sandbox.server_calls import Calls, ExecutionRevertedError
from polymarket.sandbox.server_faults import met
from polymarket.sandbox.server_logs import LogQuery, log_rows
from polymarket.sandbox.server_request import Answer, answer, request
from polymarket.sandbox.server_rpc_errors import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    REVERTED,
    SERVER_ERROR,
    RpcError,
    no_method,
)
from polymarket.sandbox.server_state import Route, Sandbox

_CODE = "0x60806040"
_NO_CODE = "0x"


class RpcApi:
    """The one endpoint of the chain."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": self._chain_id,
            "net_version": lambda: str(int(self._chain_id(), 16)),
            "web3_clientVersion": lambda: "polymarket-sandbox/1",
            "eth_syncing": lambda: False,
            "eth_gasPrice": lambda: hex(30_000_000_000),
            "eth_blockNumber": lambda: hex(self._head().number),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
            "eth_getCode": self._code,
            "eth_getBalance": lambda _address, tag="latest": hex(0 * self._at(tag).number),
            "eth_call": self._call,
        }

    def routes(self) -> list[Route]:
        """The path, with and without a slash at its end."""
        return [("POST", "", self._answer), ("POST", "/", self._answer)]

    def _answer(self) -> Answer:
        try:
            document = msgspec.json.decode(request().body)
        except msgspec.DecodeError:
            return answer(_failure(None, RpcError(PARSE_ERROR, "parse error")))
        return answer(self.respond(document))

    def respond(self, document: Any) -> Any:
        """The answer to a decoded request, or to each of a batch."""
        if not isinstance(document, list):
            return self._one(document)
        if not document:
            return _failure(None, RpcError(INVALID_REQUEST, "empty batch"))
        return [self._one(call) for call in document]

    def _one(self, call: Any) -> dict[str, Any]:
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            return _failure(None, RpcError(INVALID_REQUEST, "invalid request"))
        try:
            return {"jsonrpc": "2.0", "id": call.get("id"), "result": self._run(call["method"], call.get("params"))}
        except RpcError as error:
            return _failure(call.get("id"), error)

    def _run(self, name: str, params: Any) -> Any:
        method = self._methods.get(name)
        if method is None:
            raise no_method(name)
        try:
            return method(*(params or ()))
        except (TypeError, ValueError, KeyError, AttributeError):
            raise RpcError(INVALID_PARAMS, f"invalid params of {name}") from None

    def _chain_id(self) -> str:
        wrong = met("wrong_chain_id")
        if wrong is None:
            return hex(addresses.CHAIN_ID)
        wrong.hit()
        return hex(1)

    def _head(self) -> Block:
        """The latest block, or the one at which a fault lets the node stand still."""
        chain, stale = self._sandbox.world.chain, met("stale")
        if stale is None:
            return chain.head
        stale.hit()
        return chain.block(int(stale.frozen["block"])) or chain.head

    def _at(self, tag: Any) -> Block:
        """The block of a tag, a number, or an EIP-1898 object; an error where it is unknown."""
        if isinstance(tag, dict):
            known = self._pinned(tag) if "blockHash" in tag else self._numbered(tag["blockNumber"])
        else:
            known = self._numbered(tag)
        if known is None:
            raise RpcError(SERVER_ERROR, "header not found")
        return known

    def _pinned(self, tag: dict[str, Any]) -> Block | None:
        """The block of a hash; of one that a reorganisation dropped there is no state, as nodes say it."""
        block_hash = str(tag["blockHash"])
        if self._sandbox.world.chain.dropped(block_hash) is None:
            return self._by_hash(block_hash)
        text = "hash is not currently canonical" if tag.get("requireCanonical") else "header for hash not found"
        raise RpcError(SERVER_ERROR, text)

    def _numbered(self, tag: str) -> Block | None:
        head, number = self._head(), self._number(tag)
        return self._sandbox.world.chain.block(number) if number <= head.number else None

    def _number(self, tag: str) -> int:
        """The number that a tag stands for, or a hexadecimal one, of a block that the node may not have."""
        world, head = self._sandbox.world, self._head().number
        match tag:
            case "latest" | "pending":
                return head
            case "safe":
                return max(world.finalized(head), head - 1)
            case "finalized":
                return world.finalized(head)
            case "earliest":
                return world.chain.first_number
            case _:
                return int(tag, 16)

    def _by_hash(self, block_hash: str) -> Block | None:
        block = self._sandbox.world.chain.block_by_hash(block_hash)
        return None if block is None or block.number > self._head().number else block

    def _block_by_number(self, tag: str, _full: object = None) -> msgspec.Raw | None:
        block = self._numbered(tag)
        return None if block is None else block_row(block)

    def _block_by_hash(self, block_hash: str, _full: object = None) -> msgspec.Raw | None:
        block = self._by_hash(block_hash)
        return None if block is None else block_row(block)

    def _receipt(self, tx_hash: str) -> dict[str, Any] | None:
        receipt = self._sandbox.world.chain.receipt(tx_hash)
        block = None if receipt is None else self._numbered(hex(receipt.block))
        return None if receipt is None or block is None else receipt_row(receipt, block)

    def _logs(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        query = LogQuery(self._sandbox.world.chain, self._head(), self._number, self._by_hash)
        return query.answer(given, self._sandbox.logs_range_blocks)

    def _code(self, address: str, tag: Any = "latest") -> str:
        calls = Calls(self._sandbox.world, self._at(tag), _hidden(address.lower()))
        return _CODE if calls.has_code(address.lower()) else _NO_CODE

    def _call(self, transaction: dict[str, Any], tag: Any = "latest", _overrides: object = None) -> str:
        target = str(transaction["to"]).lower()
        data = bytes.fromhex(str(transaction.get("input") or transaction.get("data") or "0x")[2:])
        try:
            return "0x" + Calls(self._sandbox.world, self._at(tag), _hidden(target)).call(target, data).hex()
        except ExecutionRevertedError as error:
            reason = f"execution reverted: {error.reason}" if error.reason else "execution reverted"
            raise RpcError(REVERTED, reason, "0x" + error.data.hex()) from None


@lru_cache(maxsize=256)  # the same few are asked for again and again
def block_row(block: Block) -> msgspec.Raw:
    """A block as eth_getBlockByNumber shows it, as JSON; its hash is that of its own header."""
    fields = block.header
    row = {
        "number": hex(block.number),
        "hash": block.hash,
        "parentHash": block.parent_hash,
        "sha3Uncles": _data(fields[1]),
        "miner": _data(fields[2]),
        "stateRoot": _data(fields[3]),
        "transactionsRoot": _data(fields[4]),
        "receiptsRoot": _data(fields[5]),
        "logsBloom": _data(fields[6]),
        "difficulty": "0x1",
        "totalDifficulty": hex(block.number),
        "gasLimit": hex(int.from_bytes(fields[9], "big")),
        "gasUsed": hex(int.from_bytes(fields[10], "big")),
        "timestamp": hex(block.timestamp_s),
        "extraData": _data(fields[12]),
        "mixHash": _data(fields[13]),
        "nonce": _data(fields[14]),
        "baseFeePerGas": hex(int.from_bytes(fields[15], "big")),
        "size": hex(sum(len(part) for part in fields)),
        "transactions": list(block.transactions),
        "uncles": [],
    }
    return msgspec.Raw(msgspec.json.encode(row))


def receipt_row(receipt: Receipt, block: Block) -> dict[str, Any]:
    """A receipt as eth_getTransactionReceipt shows it; ``status`` is 0x0 where the transaction reverted."""
    return {
        "transactionHash": receipt.transaction.hash,
        "transactionIndex": hex(receipt.index),
        "blockHash": block.hash,
        "blockNumber": hex(block.number),
        "from": receipt.transaction.sender.lower(),
        "to": receipt.transaction.target.lower(),
        "contractAddress": None,
        "status": "0x1" if receipt.succeeded else "0x0",
        "type": "0x2",
        "gasUsed": hex(GAS),
        "cumulativeGasUsed": hex(GAS * (receipt.index + 1)),
        "effectiveGasPrice": hex(int.from_bytes(block.header[15], "big")),
        "logsBloom": _data(bloom_of([receipt])),
        "logs": log_rows(receipt, block),
    }


def _hidden(target: str) -> frozenset[str]:
    """Contracts that a fault takes the code from: all of them, or the one that the fault's value names."""
    missing = met("no_code")
    if missing is None:
        return frozenset()
    named = missing.spec.value.strip('"').lower()
    gone = frozenset({named}) if named.startswith("0x") else addresses.WITH_CODE
    if target in gone:
        missing.hit()
    return gone


def _data(value: bytes) -> str:
    return "0x" + value.hex()


def _failure(call_id: Any, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "error": error.body}
