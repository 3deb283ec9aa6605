"""JSON-RPC envelopes: requests, results, refusals, quantities, blocks, receipts. No ABI, no web3; see ``chain``.

Many calls in one request are in ``rpc_batch``.
"""

from __future__ import annotations

import re

import msgspec

from polymarket.payloads import MalformedPayload
from polymarket.reading import expect_json, expect_ok
from polymarket.requests import HttpReply, HttpRequest, HttpResponse, ReadError, T
from portfolio.facts import FailureKind, Receipt, ReceiptStatus

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_LIMIT_EXCEEDED = -32005
_MS_PER_S = 1000
_MESSAGE_READ = 500
_REFUSING = frozenset({400, 413})
_RECEIPT_STATUS = {0: ReceiptStatus.REVERTED, 1: ReceiptStatus.SUCCEEDED}


class RpcRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """The node answered that it would not: a parameter form it does not know, a call too large, state it lacks.

    ``message`` is in the node's own words, which tell reasons apart and are never shown: they may hold the URL.
    """

    code: int
    detail: str
    message: str = ""

    def as_error(self) -> ReadError:
        """The refusal as the end of the read."""
        kind = FailureKind.THROTTLED if self.code == _LIMIT_EXCEEDED else FailureKind.REFUSED
        return ReadError(kind, self.detail)


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Number, hash and time of a block."""

    number: int
    hash: str
    time_ms: int


class RpcError(msgspec.Struct):
    """The error object. Some nodes say in ``data`` what was wrong, and only that it was in ``message``."""

    code: int = 0
    message: msgspec.Raw = msgspec.Raw(b"")
    data: msgspec.Raw = msgspec.Raw(b"")

    def refusal(self, label: str) -> RpcRefusal:
        """What it refuses."""
        said = (bytes(self.message) + bytes(self.data))[:_MESSAGE_READ].decode("utf-8", "replace")
        detail = f"{label}: the RPC answered with error {self.code}"
        return RpcRefusal(code=self.code, detail=detail, message=said)


class _Envelope(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: RpcError | None = None


class _BlockWire(msgspec.Struct):
    number: str
    hash: str
    timestamp: str


class _ReceiptWire(msgspec.Struct, rename="camel"):
    transaction_hash: str
    block_number: str | None = None
    status: str | None = None


def rpc_request(url: str, method: str, *params: object) -> HttpRequest:
    """A call of ``method``; all methods used here only read (S-21)."""
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return HttpRequest(label=method, method="POST", url=url, body=body)


def block_request(url: str, tag: str) -> HttpRequest:
    """The header of a block by hex number or tag."""
    return rpc_request(url, "eth_getBlockByNumber", tag, False)


def chain_id_request(url: str) -> HttpRequest:
    """The id of the chain that the endpoint speaks for."""
    return rpc_request(url, "eth_chainId")


def expect_chain(request: HttpRequest, reply: HttpReply, expected: int) -> int:
    """The chain id, if it is the expected one; another chain's answers would be wrong without looking so."""
    return chain_id_of(request.label, expect_result(request, reply), expected)


def chain_id_of(label: str, result: bytes, expected: int) -> int:
    """As :func:`expect_chain`, from the raw JSON of a result."""
    chain_id = _quantity(label, _decode(label, result, str))
    if chain_id != expected:
        raise ReadError(
            FailureKind.WRONG_CHAIN,
            f"the RPC's chain id was {chain_id}, expected {expected}; check polygon.rpc_url",
        )
    return chain_id


def result_or_refusal(request: HttpRequest, reply: HttpReply) -> bytes | RpcRefusal:
    """The raw JSON of the result, or the refusal; transport failures and bodies that are neither end the read."""
    if isinstance(reply, HttpResponse) and reply.status in _REFUSING:
        return RpcRefusal(code=reply.status, detail=f"{request.label}: the RPC refused it with status {reply.status}")
    envelope = expect_json(request, expect_ok(request, reply), _decode_envelope)
    if envelope.error is None:
        return bytes(envelope.result)
    return envelope.error.refusal(request.label)


def expect_result(request: HttpRequest, reply: HttpReply) -> bytes:
    """The raw JSON of the result; a refusal ends the read."""
    result = result_or_refusal(request, reply)
    if isinstance(result, RpcRefusal):
        raise result.as_error()
    return result


def parse_block(request: HttpRequest, reply: HttpReply) -> Block | None:
    """The block, or None where the node does not know it or the tag."""
    result = result_or_refusal(request, reply)
    if isinstance(result, RpcRefusal):
        if result.code == _LIMIT_EXCEEDED:
            raise result.as_error()
        return None
    return block_of(request.label, result)


def block_of(label: str, result: bytes) -> Block | None:
    """The block in the raw JSON of a result, or None where it is null."""
    if result == b"null":
        return None
    wire = _decode(label, result, _BlockWire)
    if _HASH.fullmatch(wire.hash) is None:
        raise ReadError(FailureKind.MALFORMED, f"{label}: the block's hash was not 32 bytes")
    return Block(
        number=_quantity(label, wire.number),
        hash=wire.hash.lower(),
        time_ms=_quantity(label, wire.timestamp) * _MS_PER_S,
    )


def parse_receipt(request: HttpRequest, reply: HttpReply, transaction_hash: str) -> Receipt:
    """The end of that transaction. A receipt without a block is not in one (yet), like no receipt at all."""
    result = expect_result(request, reply)
    wire = None if result == b"null" else _decode(request.label, result, _ReceiptWire)
    if wire is not None and wire.transaction_hash.lower() != transaction_hash:
        detail = f"the receipt was of {wire.transaction_hash[:20]}, expected {transaction_hash[:20]}"
        raise ReadError(FailureKind.MALFORMED, f"{request.label}: {detail}")
    if wire is None or wire.block_number is None:
        return Receipt(transaction_hash=transaction_hash, status=ReceiptStatus.ABSENT)
    status = _RECEIPT_STATUS.get(_quantity(request.label, wire.status or ""))
    if status is None:
        raise ReadError(FailureKind.MALFORMED, f"{request.label}: the status was neither 0 nor 1")
    number = _quantity(request.label, wire.block_number)
    return Receipt(transaction_hash=transaction_hash, status=status, block_number=number)


def parse_quantity(request: HttpRequest, result: bytes) -> int:
    """An integer as JSON-RPC writes it: ``"0x…"``."""
    return _quantity(request.label, _decode(request.label, result, str))


def parse_data(request: HttpRequest, result: bytes) -> bytes:
    """Bytes as JSON-RPC writes them: ``"0x…"``."""
    text = _decode(request.label, result, str)
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise ReadError(FailureKind.MALFORMED, f"{request.label}: the result was not hexadecimal") from None


def _decode_envelope(body: bytes) -> _Envelope:
    try:
        return msgspec.json.decode(body, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MalformedPayload("the body was not a JSON-RPC response") from None


def _decode(label: str, result: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(result, type=kind)
    except msgspec.MsgspecError:
        raise ReadError(FailureKind.MALFORMED, f"{label}: the result had another shape") from None


def _quantity(label: str, text: str) -> int:
    if _QUANTITY.fullmatch(text) is None:
        raise ReadError(FailureKind.MALFORMED, f"{label}: a quantity was not hexadecimal")
    return int(text, 16)
