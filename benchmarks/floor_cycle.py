"""Floor of the cycle benchmarks: the bare fetch and the bare rows of one quiet cycle (D-27).

Imports nothing of the product, nor any library. The requests depend on each other as in a cycle: a block, the balances
at it, then positions, their status and the open orders at once, then trades; cursors one after another. Bodies are read
whole and not parsed. Then a journal row, a report row and the moved head go into SQLite in one durable transaction.

``python benchmarks/floor_cycle.py SPEC`` with the JSON file described by :class:`Floor`; each line on stdin, ``cycles
N``, is answered with the milliseconds of each.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import socket
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

AGGREGATE3 = bytes.fromhex("82ad56cb")
BLOCK_NUMBER = bytes.fromhex("42cbb15c")
BALANCE_OF = bytes.fromhex("70a08231")
BALANCE_OF_BATCH = bytes.fromhex("4e1273f4")
PAYOUT_DENOMINATOR = bytes.fromhex("dd34de67")
PAYOUT_NUMERATORS = bytes.fromhex("0504c814")
QUESTION_COUNT = bytes.fromhex("5ccbac93")
CLOB_END = b"LTE="
FIRST = "MA=="
BLOCK_HASH = re.compile(rb'"hash":\s*"(0x[0-9a-f]{64})"')
CURSOR = re.compile(rb'"next_cursor":\s*"([^"]*)"')
JOURNAL_PAYLOAD = b"x" * 1500
REPORT_DOCUMENT = "x" * 1100
REPORT_NUMBERS = 12
TABLES = """
CREATE TABLE head (epoch INTEGER, seq INTEGER, hash TEXT);
CREATE TABLE journal (stream TEXT, seq INTEGER, address TEXT, kind TEXT, schema INTEGER, version INTEGER,
    at_ms INTEGER, payload BLOB, previous_hash TEXT, hash TEXT, PRIMARY KEY (stream, seq));
CREATE TABLE reports (wallet TEXT, cycle_id TEXT, synced_at_ms INTEGER, event_type TEXT, status TEXT, n0 INTEGER,
    n1 INTEGER, n2 INTEGER, n3 INTEGER, n4 INTEGER, n5 INTEGER, n6 INTEGER, n7 INTEGER, n8 INTEGER, n9 INTEGER,
    n10 INTEGER, n11 INTEGER, document TEXT, retained_until_ms INTEGER, PRIMARY KEY (wallet, synced_at_ms));
INSERT INTO head VALUES (1, 0, '');
"""


def word(value: int) -> bytes:
    """One ABI word."""
    return value.to_bytes(32, "big")


def array(items: list[bytes]) -> bytes:
    """A dynamic array of dynamic items: length, offsets, items."""
    offsets, at = [], 32 * len(items)
    for item in items:
        offsets.append(word(at))
        at += len(item)
    return word(len(items)) + b"".join(offsets) + b"".join(items)


def call(target: str, data: bytes) -> bytes:
    """``(address,bool,bytes)`` of a multicall."""
    padded = data + b"\0" * (-len(data) % 32)
    return word(int(target, 16)) + word(1) + word(96) + word(len(data)) + padded


class Floor:
    """The fetch. ``spec`` has URLs, wallet, contracts, ``tokens`` (contract to ids), ``conditions``, ``events``."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.lines: dict[tuple[str, int], http.client.HTTPConnection] = {}
        self.data = self._multicall()
        self.after_s = int(time.time()) - 600

    def _multicall(self) -> str:
        contracts = self.spec["contracts"]
        owner = int(self.spec["wallet"]["address"], 16)
        calls = [call(contracts["multicall"], BLOCK_NUMBER)]
        buckets = ("collateral", "bridged_usdc", "wrapped_collateral")
        calls += [call(contracts[name], BALANCE_OF + word(owner)) for name in buckets]
        for condition in self.spec["conditions"]:
            key = bytes.fromhex(condition[2:])
            calls.append(call(contracts["conditional_tokens"], PAYOUT_DENOMINATOR + key))
            calls += [call(contracts["conditional_tokens"], PAYOUT_NUMERATORS + key + word(slot)) for slot in (0, 1)]
        for event in self.spec["events"]:
            calls.append(call(contracts["neg_risk_adapter"], QUESTION_COUNT + bytes.fromhex(event[2:])))
        for contract, tokens in self.spec["tokens"].items():
            owners = word(len(tokens)) + word(owner) * len(tokens)
            ids = word(len(tokens)) + b"".join(word(int(token)) for token in tokens)
            calls.append(call(contract, BALANCE_OF_BATCH + word(64) + word(64 + len(owners)) + owners + ids))
        return "0x" + (AGGREGATE3 + word(32) + array(calls)).hex()

    def send(self, url: str, path: str, body: bytes = b"", line: int = 0, signed: str = "") -> Any:
        """Send a request on a kept-alive connection; returns what reads its whole answer."""
        parts = urlsplit(url)
        key = (parts.netloc, line)
        if key not in self.lines:
            made = self.lines[key] = http.client.HTTPConnection(parts.netloc)
            made.connect()
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self.lines[key]
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
        if signed:
            headers.update(self.signature("GET", signed))
        connection.request("POST" if body else "GET", parts.path + path, body or None, headers)

        def receive() -> bytes:
            response = connection.getresponse()
            content = response.read()
            assert response.status == http.client.OK, f"{path}: the status was {response.status}, expected 200"
            return content

        return receive

    def signature(self, method: str, path: str) -> dict[str, str]:
        """Level 2 headers."""
        wallet, now_s = self.spec["wallet"], str(int(time.time()))
        key = base64.urlsafe_b64decode(wallet["api_secret"])
        digest = hmac.new(key, f"{now_s}{method}{path}".encode(), hashlib.sha256).digest()
        return {
            "POLY_ADDRESS": wallet["signer_address"],
            "POLY_SIGNATURE": base64.urlsafe_b64encode(digest).decode(),
            "POLY_TIMESTAMP": now_s,
            "POLY_API_KEY": wallet["api_key"],
            "POLY_PASSPHRASE": wallet["api_passphrase"],
        }

    def rpc(self, method: str, params: list[Any]) -> bytes:
        """A JSON-RPC call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        return bytes(self.send(self.spec["rpc_url"], "", body)())

    def clob_page(self, path: str, query: str, cursor: str) -> Any:
        """Ask for one page of a CLOB list; returns what reads its answer."""
        return self.send(self.spec["clob_url"], f"{path}?{query}next_cursor={cursor}", line=2, signed=path)

    def following(self, path: str, query: str, first: bytes) -> int:
        """All further pages of a CLOB list, one after another; the bytes of all pages."""
        size, content = len(first), first
        while (found := CURSOR.search(content)) is not None and found[1] not in {CLOB_END, b""}:
            content = self.clob_page(path, query, found[1].decode())()
            size += len(content)
        return size

    def fetch(self) -> int:
        """One fetch; returns the bytes that were read."""
        block = self.rpc("eth_getBlockByNumber", ["finalized", False])
        found = BLOCK_HASH.search(block)
        assert found is not None, "the block had no hash"
        at = {"blockHash": found[1].decode(), "requireCanonical": True}
        balances = self.rpc("eth_call", [{"to": self.spec["contracts"]["multicall"], "data": self.data}, at])
        assert b'"error"' not in balances[:200], balances[:300]
        user, nonce = self.spec["wallet"]["address"].lower(), time.time_ns()
        shown = f"user={user}&filter_amount=0&include_archived=true&limit=500&sort_by=TOKENS&sort_direction=DESC"
        waiting = (
            self.send(self.spec["data_api_url"], f"/v2/positions?{shown}&_={nonce}", line=0),
            self.send(self.spec["data_api_url"], f"/v2/status?_={nonce}", line=1),
            self.clob_page("/data/orders", "", FIRST),
        )
        positions, status, orders = (receive() for receive in waiting)
        size = self.following("/data/orders", "", orders)
        after = f"after={self.after_s}&"
        size += self.following("/data/trades", after, self.clob_page("/data/trades", after, FIRST)())
        return size + len(block) + len(balances) + len(positions) + len(status)


class Rows:
    """The rows of a quiet cycle: two inserted, one moved, in a durable transaction."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = wal")
        self.connection.execute("PRAGMA synchronous = full")
        self.connection.executescript(TABLES)
        self.seq = 0

    def write(self) -> None:
        """One cycle's rows; on disk when this returns."""
        self.seq += 1
        now_ms, name = time.time_ns() // 1_000_000, "0x" + "ab" * 32
        cursor = self.connection
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("UPDATE head SET seq = ?, hash = ? WHERE seq = ?", (self.seq, name, self.seq - 1))
        cursor.execute(
            "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ("main", self.seq, "coordinator:main", "closed", 1, self.seq, now_ms, JOURNAL_PAYLOAD, name, name),
        )
        row = (
            "main",
            name,
            now_ms + self.seq,
            "SYNC_CYCLE_COMPLETE",
            "ok",
            *range(REPORT_NUMBERS),
            REPORT_DOCUMENT,
            now_ms,
        )
        cursor.execute(f"INSERT INTO reports VALUES ({', '.join('?' for _ in row)})", row)  # noqa: S608
        cursor.execute("COMMIT")


def cycles(floor: Floor, rows: Rows, count: int) -> list[float]:
    """Milliseconds of each of so many cycles."""
    found = []
    for _ in range(count):
        started_s = time.perf_counter()
        floor.fetch()
        rows.write()
        found.append((time.perf_counter() - started_s) * 1000)
    return found


def main(file: str) -> None:
    """Serve commands until stdin ends."""
    spec = json.loads(Path(file).read_bytes())
    floor, rows = Floor(spec), Rows(Path(spec["database"]))
    floor.fetch()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(cycles(floor, rows, int(line.split()[1]))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
