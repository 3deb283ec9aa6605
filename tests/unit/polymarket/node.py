"""A chain made of dictionaries that answers JSON-RPC: what the chain's reader talks to in unit tests.

It decodes and encodes calls with ``eth_abi`` alone, not with the code under test.
"""

from __future__ import annotations

import json
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from polymarket.requests import HttpReply, HttpRequest
from tests.unit.polymarket.script import SETTINGS, response


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


SELECTORS = {
    selector("aggregate3((address,bool,bytes)[])"): "aggregate",
    selector("getBlockNumber()"): "number",
    selector("balanceOf(address)"): "collateral",
    selector("balanceOfBatch(address[],uint256[])"): "batch",
    selector("payoutDenominator(bytes32)"): "denominator",
    selector("payoutNumerators(bytes32,uint256)"): "numerator",
    selector("getQuestionCount(bytes32)"): "questions",
    selector("getCollectionId(bytes32,bytes32,uint256)"): "hash",
    selector("getPositionId(address,bytes32)"): "hash",
}


class Node:
    """State at every block is the same unless ``balances_at`` says otherwise; hashes are the number with a mark.

    ``hashes`` are what views that compute ids answer, by the whole call; all other such calls revert.
    """

    def __init__(self) -> None:
        self.chain_id = 137
        self.head = 100
        self.finalized: int | None = 90
        self.mark = "a"
        self.collateral = {address.lower(): 1_000_000 * n for n, (_, address) in enumerate(SETTINGS.collateral_buckets)}
        self.tokens: dict[tuple[str, int], int] = {}
        self.payouts: dict[str, tuple[int, int, int]] = {}
        self.questions: dict[str, int] = {}
        self.hashes: dict[bytes, bytes] = {}
        self.empty: set[str] = set()
        self.takes_hashes = True
        self.largest_batch = 10_000
        self.wrong_number = 0
        self.methods: list[str] = []

    def hash_of(self, number: int) -> str:
        return f"0x{number:060x}{ord(self.mark):04x}"

    def answer(self, request: HttpRequest) -> HttpReply:
        call = json.loads(request.body)
        self.methods.append(call["method"])
        try:
            result = getattr(self, call["method"])(*call["params"])
        except ValueError as refusal:
            return response({"jsonrpc": "2.0", "id": 1, "error": {"code": int(str(refusal)), "message": "no"}})
        return response({"jsonrpc": "2.0", "id": 1, "result": result})

    def eth_chainId(self) -> str:  # noqa: N802 - the wire's name
        return hex(self.chain_id)

    def eth_getCode(self, address: str, _tag: str) -> str:  # noqa: N802
        return "0x" if address in self.empty else "0x6000"

    def eth_getBlockByNumber(self, tag: str, _full: bool) -> dict[str, str] | None:  # noqa: N802
        if tag == "finalized" and self.finalized is None:
            raise ValueError(-32602)
        number = {"latest": self.head, "finalized": self.finalized}.get(tag)
        number = int(tag, 16) if number is None else number
        if number > self.head:
            return None
        return {"number": hex(number), "hash": self.hash_of(number), "timestamp": hex(1_700_000_000 + number)}

    def eth_call(self, call: dict[str, str], at: Any) -> str:
        if isinstance(at, dict):
            if not self.takes_hashes:
                raise ValueError(-32602)
            number = int(at["blockHash"][2:-4], 16)
            if at["blockHash"] != self.hash_of(number):
                raise ValueError(-32000)
        else:
            number = int(at, 16)
        data = bytes.fromhex(call["data"][2:])
        assert SELECTORS[data[:4]] == "aggregate"
        (calls,) = decode(["(address,bool,bytes)[]"], data[4:])
        results = [self.one(target, inner, number) for target, _, inner in calls]
        return "0x" + encode(["(bool,bytes)[]"], [results]).hex()

    def one(self, target: str, data: bytes, number: int) -> tuple[bool, bytes]:
        name, arguments = SELECTORS[data[:4]], data[4:]
        if name == "number":
            return True, encode(["uint256"], [number + self.wrong_number])
        if name == "hash":
            return data in self.hashes, self.hashes.get(data, b"")
        if name == "collateral":
            return True, encode(["uint256"], [self.collateral[target]])
        if name == "batch":
            _, ids = decode(["address[]", "uint256[]"], arguments)
            if len(ids) > self.largest_batch:
                raise ValueError(-32000)
            return True, encode(["uint256[]"], [[self.tokens.get((target, token), 0) for token in ids]])
        key = "0x" + arguments[:32].hex()
        if name == "questions":
            return True, encode(["uint256"], [self.questions.get(key, 0)])
        if key not in self.payouts:
            return (True, encode(["uint256"], [0])) if name == "denominator" else (False, b"")
        index = 0 if name == "denominator" else 1 + int.from_bytes(arguments[32:], "big")
        return True, encode(["uint256"], [self.payouts[key][index]])
