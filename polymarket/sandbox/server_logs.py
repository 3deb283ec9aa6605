"""eth_getLogs: which blocks it is about, which logs of them fit the filter, and how a log is shown.

It refuses as real nodes do: too many blocks at once, blocks that it has not, a filter that is none; and by its faults
what a node refuses that is short of history or does not serve logs at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from polymarket.sandbox.chain import Block, Chain, Receipt
from polymarket.sandbox.logs import Log
from polymarket.sandbox.server_faults import met
from polymarket.sandbox.server_rpc_errors import INVALID_PARAMS, LOGS_LIMITED, SERVER_ERROR, RpcError, no_method

_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_TOPIC = re.compile(r"0x[0-9a-f]{64}")
_MOST_TOPICS = 4
_KEPT_BLOCKS = 30
_FIELDS = frozenset({"fromBlock", "toBlock", "blockHash", "address", "topics"})

Wanted = frozenset[str] | None
"""What an address or a topic may be; None stands for anything."""


class LogQuery:
    """One request. ``head`` is the latest block that the node has; ``numbered`` and ``hashed`` find blocks for it."""

    def __init__(
        self, chain: Chain, head: Block, numbered: Callable[[str], int], hashed: Callable[[str], Block | None]
    ) -> None:
        self._chain = chain
        self._head = head
        self._numbered = numbered
        self._hashed = hashed

    def answer(self, given: dict[str, Any], most_blocks: int) -> list[dict[str, Any]]:
        """Every log that fits, in the order of the chain. Raises :class:`RpcError`."""
        refused = met("rpc_logs_refused")
        if refused is not None:
            refused.hit()
            raise no_method("eth_getLogs")
        if not set(given) <= _FIELDS:
            raise RpcError(INVALID_PARAMS, "invalid argument 0: unknown field of a filter")
        addresses, topics = _addresses(given.get("address")), _topics(given.get("topics"))
        first, last = self._range(given, most_blocks)
        self._check_history(first)
        found, half = list(self._fitting((first, last), addresses, topics)), met("half_rows")
        if half is None or not found:
            return found
        half.hit()
        return found[: len(found) // 2]

    def _range(self, given: dict[str, Any], most_blocks: int) -> tuple[int, int]:
        by_number = [given[name] for name in ("fromBlock", "toBlock") if given.get(name) is not None]
        if given.get("blockHash") is not None:
            if by_number:
                raise RpcError(
                    INVALID_PARAMS,
                    "invalid argument 0: cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
                )
            block = self._hashed(str(given["blockHash"]))
            if block is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            return block.number, block.number
        first, last = (self._numbered(given.get(name) or "latest") for name in ("fromBlock", "toBlock"))
        if first > last or last > self._head.number:
            raise RpcError(SERVER_ERROR, "invalid block range params")
        if last - first + 1 > most_blocks:
            raise RpcError(LOGS_LIMITED, f"exceed maximum block range: {most_blocks}")
        return first, last

    def _check_history(self, first: int) -> None:
        pruned = met("rpc_logs_pruned")
        if pruned is not None and first <= self._head.number - (pruned.spec.blocks or _KEPT_BLOCKS):
            pruned.hit()
            raise RpcError(LOGS_LIMITED, "History has been pruned for this block")

    def _fitting(
        self, blocks: tuple[int, int], addresses: Wanted, topics: tuple[Wanted, ...]
    ) -> Iterator[dict[str, Any]]:
        for number in range(max(blocks[0], self._chain.first_number), blocks[1] + 1):
            block = self._chain.block(number)
            for receipt in self._chain.receipts_of(number) if block is not None else ():
                for place, log in enumerate(receipt.logs):
                    if (addresses is None or log.address in addresses) and _fits(log, topics):
                        assert block is not None  # noqa: S101 - it has receipts
                        yield log_row(log, place, receipt, block)


def log_rows(receipt: Receipt, block: Block) -> list[dict[str, Any]]:
    """Every log of a transaction."""
    return [log_row(log, place, receipt, block) for place, log in enumerate(receipt.logs)]


def log_row(log: Log, place: int, receipt: Receipt, block: Block) -> dict[str, Any]:
    """A log as a node shows it; ``place`` is its place in its transaction."""
    return {
        "address": log.address,
        "topics": list(log.topics),
        "data": log.data,
        "blockNumber": hex(block.number),
        "transactionHash": receipt.transaction.hash,
        "transactionIndex": hex(receipt.index),
        "blockHash": block.hash,
        "blockTimestamp": hex(block.timestamp_s),
        "logIndex": hex(receipt.first_log + place),
        "removed": False,
    }


def _fits(log: Log, topics: tuple[Wanted, ...]) -> bool:
    """A log with fewer topics than the filter names does not fit, whatever they are."""
    have = log.topics
    return len(have) >= len(topics) and all(
        wanted is None or topic in wanted for wanted, topic in zip(topics, have, strict=False)
    )


def _addresses(given: Any) -> Wanted:
    return _wanted(given, _ADDRESS, "address")


def _topics(given: Any) -> tuple[Wanted, ...]:
    positions = [] if given is None else given
    if not isinstance(positions, list) or len(positions) > _MOST_TOPICS:
        raise RpcError(INVALID_PARAMS, f"invalid argument 0: topics are a list of at most {_MOST_TOPICS}")
    return tuple(_wanted(position, _TOPIC, "topic") for position in positions)


def _wanted(given: Any, form: re.Pattern[str], what: str) -> Wanted:
    """One value, any of a list, or anything: null, and an empty list too."""
    values = [] if given is None else given if isinstance(given, list) else [given]
    texts = [str(value).lower() for value in values]
    for text in texts:
        if form.fullmatch(text) is None:
            raise RpcError(INVALID_PARAMS, f"invalid argument 0: {text[:70]} is no {what}")
    return frozenset(texts) or None
