"""Logs of the chain: raw JSON-RPC rows into placed events of the contracts that count (X-01, R-19)."""

from __future__ import annotations

import msgspec

from polymarket.payloads.fields import FieldError, MalformedPayload, RejectedRow
from polymarket.payloads.log_events import Build, LogContracts, builds_of
from polymarket.payloads.log_words import LogWire, hash32, quantity
from portfolio.chain import ChainLog

_ID_SHOWN = 20
_MS_PER_S = 1000
_decoder = msgspec.json.Decoder(LogWire)


class PlacedLog(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A log and where it stands. ``block_time_ms`` is None where the node does not give it with the log."""

    block_number: int
    block_hash: str
    block_time_ms: int | None
    transaction_hash: str
    log_index: int
    events: tuple[ChainLog, ...]


class ReceiptLogs(msgspec.Struct, frozen=True, kw_only=True):
    """The raw logs of one transaction, and the block that holds it."""

    transaction_hash: str
    block_hash: str
    logs: tuple[msgspec.Raw, ...]


class _ReceiptWire(msgspec.Struct, rename="camel"):
    transaction_hash: str
    block_hash: str
    logs: list[msgspec.Raw]


class LogParser:
    """Parses the logs of these contracts."""

    def __init__(self, contracts: LogContracts) -> None:
        self._builds = dict(builds_of(contracts))

    def parse(self, raw: bytes | msgspec.Raw) -> PlacedLog | RejectedRow | None:
        """The log; a rejection where it is one that counts and cannot be believed; None where it does not count."""
        try:
            wire = _decoder.decode(raw)
        except msgspec.MsgspecError as error:
            return RejectedRow(row_id="?", reason=str(error)[:200])
        except (UnicodeDecodeError, RecursionError):
            return RejectedRow(row_id="?", reason="was not readable as JSON text")
        if not wire.topics:
            return None
        build = self._builds.get((wire.topics[0].lower(), wire.address.lower()))
        if build is None:
            return None
        try:
            placed = _placed(wire, build)
        except FieldError as error:
            return RejectedRow(row_id=wire.transaction_hash[:_ID_SHOWN] or "?", reason=str(error)[:200])
        return placed if placed.events else None


def decode_logs(result: bytes) -> list[msgspec.Raw]:
    """The rows of an ``eth_getLogs``."""
    try:
        return msgspec.json.decode(result, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MalformedPayload("the result was not a list of logs") from None


def decode_receipt_logs(result: bytes) -> ReceiptLogs | None:
    """The logs of an ``eth_getTransactionReceipt``; None where the node knows the transaction in no block."""
    if result == b"null":
        return None
    try:
        wire = msgspec.json.decode(result, type=_ReceiptWire)
        return ReceiptLogs(
            transaction_hash=hash32("transactionHash", wire.transaction_hash),
            block_hash=hash32("blockHash", wire.block_hash),
            logs=tuple(wire.logs),
        )
    except (msgspec.MsgspecError, FieldError, UnicodeDecodeError, RecursionError):
        raise MalformedPayload("the result was not a receipt with its logs") from None


def _placed(wire: LogWire, build: Build) -> PlacedLog:
    if wire.removed:
        raise FieldError("removed was true: its block was replaced")
    log_index = quantity("logIndex", wire.log_index)
    seen_s = None if wire.block_timestamp is None else quantity("blockTimestamp", wire.block_timestamp)
    return PlacedLog(
        block_number=quantity("blockNumber", wire.block_number),
        block_hash=hash32("blockHash", wire.block_hash),
        block_time_ms=None if seen_s is None else seen_s * _MS_PER_S,
        transaction_hash=hash32("transactionHash", wire.transaction_hash),
        log_index=log_index,
        events=build(wire, log_index),
    )
