"""A node for ``chain-catch-up``, in a process of its own: JSON-RPC in arrays, answered with bytes made beforehand.

Prints ``{"url": …}``; then each line on its stdin is answered with the bodies of the requests since the last line, and
it ends with its stdin.
"""

from __future__ import annotations

import sys
import threading
from bisect import bisect_left
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import msgspec

from benchmarks.chain_world import HEAD, WALLET, block_hash, block_time_s, encoded, transactions, word

FINALIZED = HEAD - 10


class Chain:
    """Answers by method."""

    def __init__(self) -> None:
        topic = "0x" + word(WALLET)
        made = transactions()
        self._receipts = {
            each.name: encoded(
                {
                    "transactionHash": each.name,
                    "blockHash": block_hash(each.block),
                    "blockNumber": hex(each.block),
                    "status": "0x1",
                    "logs": each.logs,
                }
            )
            for each in made
        }
        self._matches = {
            place: [
                (each.block, encoded(log)) for each in made for log in each.mine if log["topics"][place:][:1] == [topic]
            ]
            for place in (1, 2, 3)
        }
        self.logs = cache(self._logs)

    def _logs(self, place: int, first: int, last: int) -> bytes:
        rows = self._matches[place]
        start, end = (bisect_left(rows, block, key=lambda row: row[0]) for block in (first, last + 1))
        return b"[" + b",".join(row for _, row in rows[start:end]) + b"]"

    def result(self, method: str, params: list[Any]) -> bytes:
        """The JSON of a result."""
        if method == "eth_getLogs":
            (wanted,) = params
            return self.logs(len(wanted["topics"]) - 1, int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16))
        if method == "eth_getTransactionReceipt":
            return self._receipts[params[0]]
        if method == "eth_chainId":
            return b'"0x89"'
        assert method == "eth_getBlockByNumber", f"{method} is not answered here"
        tags = {"latest": HEAD, "safe": FINALIZED, "finalized": FINALIZED}
        number = tags.get(params[0]) or int(params[0], 16)
        header = {"number": hex(number), "hash": block_hash(number), "logsBloom": "0x" + "0" * 512}
        return encoded(header | {"timestamp": hex(block_time_s(number))})


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    chain: ClassVar[Chain]
    bodies: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Answer an array of calls, or one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(body.decode())
        calls = msgspec.json.decode(body)
        answers = [self._answer(call) for call in (calls if isinstance(calls, list) else [calls])]
        content = b"[" + b",".join(answers) + b"]" if isinstance(calls, list) else answers[0]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _answer(self, call: dict[str, Any]) -> bytes:
        result = self.chain.result(call["method"], call["params"])
        return b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (call["id"], result)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def main() -> None:
    """Serve until stdin ends."""
    Handler.chain = Chain()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(msgspec.json.encode({"url": f"http://127.0.0.1:{server.server_port}"}).decode(), flush=True)
    for _ in sys.stdin:
        print(msgspec.json.encode(Handler.bodies).decode(), flush=True)
        Handler.bodies.clear()


if __name__ == "__main__":
    main()
