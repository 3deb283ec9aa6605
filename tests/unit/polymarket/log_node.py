"""A node with logs that answers JSON-RPC, alone or in arrays: what the reader of logs talks to in unit tests.

It matches filters by itself, and refuses what it is told to refuse.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import msgspec

from messages.reads import LogsAnswer, ReadCompleted, ReadFailed, ReadLogs
from polymarket.chain_memory import ChainMemory
from polymarket.logs import read_logs
from polymarket.reading import ReadResult
from polymarket.requests import HttpReply, HttpRequest
from polymarket.settings import PolymarketSettings
from portfolio.chain import ChainTransaction
from portfolio.facts import FailureKind
from tests.unit.polymarket.raw_logs import Raw, placed
from tests.unit.polymarket.script import CONTEXT, FUNDER, SETTINGS, Played, play, response

MAIN = SETTINGS.rpc_url
SPARE = "http://spare/other-secret"
BOTH = msgspec.structs.replace(SETTINGS, further_rpc_urls=(SPARE,))


class Refusal(Exception):
    """An error object of JSON-RPC."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}


class LogNode:
    """Blocks up to ``head``; the hash of a block is its number with its mark, and a reorganisation changes marks."""

    def __init__(self, head: int = 100) -> None:
        self.chain_id = 137
        self.head = head
        self.tags: dict[str, int | None] = {"safe": head - 2, "finalized": head - 10}
        self.marks: dict[int, str] = {}
        self.logs: list[Raw] = []
        self._numbers = itertools.count(1)
        self.timed = True
        self.most_blocks: int | None = None
        self.most_calls = 1_000
        self.array_refusal: Callable[[], HttpReply] | None = None
        self.before: Callable[[str, list[Any]], None] = lambda method, params: None
        self.requests: list[list[tuple[str, list[Any]]]] = []

    def hash_of(self, number: int) -> str:
        return f"0x{number:056x}{self.marks.get(number, 'a').encode().hex():0>8}"

    def reorganise(self, number: int, mark: str = "b") -> None:
        """Other blocks from that number on, without their logs."""
        self.marks |= dict.fromkeys(range(number, self.head + 1), mark)
        self.logs = [log for log in self.logs if int(log["blockNumber"], 16) < number]

    def add(self, block: int, *logs: Raw) -> str:
        """A transaction of these logs; its hash."""
        number = next(self._numbers)
        for log in logs:
            index = sum(int(other["blockNumber"], 16) == block for other in self.logs)
            whole = placed(log, index, block, number, blockHash=self.hash_of(block))
            if not self.timed:
                del whole["blockTimestamp"]
            self.logs.append(whole)
        return f"0x{number:064x}"

    def answer(self, request: HttpRequest) -> HttpReply:
        body = json.loads(request.body)
        if not isinstance(body, list):
            self.requests.append([(body["method"], body["params"])])
            return response(self._one(body))
        self.requests.append([(call["method"], call["params"]) for call in body])
        if self.array_refusal is not None:
            return self.array_refusal()
        if len(body) > self.most_calls:
            return response({"error": {"code": -32600, "message": f"batch size exceeds {self.most_calls}"}})
        return response([self._one(call) for call in body][::-1])

    def _one(self, call: dict[str, Any]) -> dict[str, Any]:
        envelope = {"jsonrpc": "2.0", "id": call["id"]}
        self.before(call["method"], call["params"])
        try:
            return envelope | {"result": getattr(self, call["method"])(*call["params"])}
        except Refusal as refusal:
            return envelope | {"error": refusal.error}

    def eth_chainId(self) -> str:  # noqa: N802 - the wire's name
        return hex(self.chain_id)

    def eth_getBlockByNumber(self, tag: str, _full: bool) -> dict[str, str] | None:  # noqa: N802
        if tag in self.tags and self.tags[tag] is None:
            raise Refusal(-39001, f"{tag} block is not there")
        number = {"latest": self.head, **self.tags}.get(tag)
        number = int(tag, 16) if number is None else number
        if number > self.head and tag not in self.tags:
            return None
        return {"number": hex(number), "hash": self.hash_of(number), "timestamp": hex(1_700_000_000 + number)}

    def eth_getLogs(self, wanted: dict[str, Any]) -> list[Raw]:  # noqa: N802
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if last > self.head:
            raise Refusal(-32602, "block range extends beyond current head block")
        if self.most_blocks is not None and last - first + 1 > self.most_blocks:
            raise Refusal(-32701, f"exceed maximum block range: {self.most_blocks}")
        return [
            log
            for log in self.logs
            if first <= int(log["blockNumber"], 16) <= last
            and log["address"] in wanted["address"]
            and len(log["topics"]) >= len(wanted["topics"])
            and all(some is None or topic in some for some, topic in zip(wanted["topics"], log["topics"], strict=False))
        ]

    def eth_getTransactionReceipt(self, name: str) -> dict[str, Any] | None:  # noqa: N802
        logs = [log for log in self.logs if log["transactionHash"] == name]
        if not logs:
            return None
        return {"transactionHash": name, "blockHash": logs[0]["blockHash"], "status": "0x1", "logs": logs}

    @property
    def methods(self) -> list[list[str]]:
        """Methods of each HTTP request."""
        return [[method for method, _ in request] for request in self.requests]


def ask(
    node: LogNode | Callable[[HttpRequest], HttpReply],
    memory: ChainMemory | None = None,
    settings: PolymarketSettings = SETTINGS,
    **wanted: Any,
) -> tuple[ReadResult, Played]:
    """Read logs of the wallet, from block 1 where nothing else is said."""
    defaults: dict[str, Any] = {"wallet": "main", "wallets": (FUNDER,), "from_block": 1}
    read = ReadLogs(**(defaults | wanted))
    answer = node.answer if isinstance(node, LogNode) else node
    return play(read_logs(settings, read, CONTEXT, memory or ChainMemory()), answer)


def answer_of(result: ReadResult) -> LogsAnswer:
    assert isinstance(result, ReadCompleted), result
    assert isinstance(result.answer, LogsAnswer)
    return result.answer


def transactions(result: ReadResult) -> tuple[ChainTransaction, ...]:
    return answer_of(result).transactions


def failure_of(result: ReadResult) -> tuple[FailureKind, str]:
    assert isinstance(result, ReadFailed), result
    assert "secret" not in result.detail, "a URL may hold a key"
    return result.kind, result.detail
