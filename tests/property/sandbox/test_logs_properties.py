"""Whatever happens and however the chain is reorganised: the logs add up to the balances, block by block."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from polymarket.sandbox import addresses
from polymarket.sandbox.logs import TRANSFER, TRANSFER_BATCH, TRANSFER_SINGLE
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.server_rpc import RpcApi
from polymarket.sandbox.server_state import Sandbox
from polymarket.sandbox.world import World
from tests.property.sandbox.happenings import Drawn, anything, let, reorganisation, small_world
from tests.unit.sandbox.worlds import check_books

pytestmark = pytest.mark.req("X-07", "X-01", "R-19", "R-31")

NOBODY = "0x" + "0" * 40
BALANCE_OF_COIN = keccak(text="balanceOf(address)")[:4]
BALANCE_OF_SHARES = keccak(text="balanceOf(address,uint256)")[:4]
Holding = tuple[str, str, int]
"""Contract, holder and token; 0 for a coin."""


class Node:
    """The world as its JSON-RPC shows it."""

    def __init__(self, here: World) -> None:
        sandbox = Sandbox(WorldOptions(activity=False), ServerOptions())
        sandbox.world = here
        self._api = RpcApi(sandbox)

    def ask(self, method: str, *params: Any) -> Any:
        reply = self._api.respond({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        return msgspec.json.decode(msgspec.json.encode(reply))["result"]

    def balance(self, holding: Holding, block: dict[str, Any]) -> int:
        contract, holder, token = holding
        if contract in addresses.ERC20:
            data = BALANCE_OF_COIN + encode(["address"], [holder])
        else:
            data = BALANCE_OF_SHARES + encode(["address", "uint256"], [holder, token])
        at = {"blockHash": block["hash"], "requireCanonical": True}
        return int(self.ask("eth_call", {"to": contract, "data": "0x" + data.hex()}, at), 16)

    def blocks(self) -> list[dict[str, Any]]:
        first, last = (int(self.ask("eth_getBlockByNumber", tag)["number"], 16) for tag in ("earliest", "latest"))
        return [self.ask("eth_getBlockByNumber", hex(number), False) for number in range(first, last + 1)]


def moves(log: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    """From whom, to whom, token and amount: what a transfer's log says, nothing of any other."""
    kind, data = log["topics"][0], bytes.fromhex(log["data"][2:])
    people = ["0x" + topic[26:] for topic in log["topics"][1:]]
    if kind == TRANSFER.topic:
        return [(*people, 0, int.from_bytes(data))]
    if kind == TRANSFER_SINGLE.topic:
        return [(people[1], people[2], *decode(["uint256", "uint256"], data))]
    if kind == TRANSFER_BATCH.topic:
        pairs = zip(*decode(["uint256[]", "uint256[]"], data), strict=True)
        return [(people[1], people[2], token, amount) for token, amount in pairs]
    return []


def check_sums(here: World) -> None:
    """The sum of all logs up to a block is the balance after it, for everybody who has or had anything."""
    node = Node(here)
    sums: dict[Holding, int] = defaultdict(int)
    blocks = node.blocks()
    for parent, block in zip([None, *blocks], blocks, strict=False):
        assert parent is None or block["parentHash"] == parent["hash"]
        touched: set[Holding] = set()
        rows = node.ask("eth_getLogs", {"blockHash": block["hash"]})
        for log in rows:
            for sender, recipient, token, amount in moves(log):
                sums[log["address"], sender, token] -= amount
                sums[log["address"], recipient, token] += amount
                touched |= {(log["address"], sender, token), (log["address"], recipient, token)}
        for holding in touched:
            if holding[1] != NOBODY:
                assert node.balance(holding, block) == sums[holding] >= 0
        receipts = [node.ask("eth_getTransactionReceipt", tx_hash) for tx_hash in block["transactions"]]
        assert [log for receipt in receipts for log in receipt["logs"]] == rows
    everybody = {
        (contract, holder, token) for (contract, holder), tokens in here.chain._balances.items() for token in tokens
    }
    assert {h: here.chain.balance(*h) for h in everybody} == {h: sums[h] for h in everybody}


def check_after(here: World, happening: Drawn, told: dict[str, Any] | None) -> None:
    """What holds after every single thing that happens."""
    check_books(here)
    if happening[0] == "reorganise" and told is not None:
        node = Node(here)
        for block in told["dropped"]:
            assert node.ask("eth_getBlockByHash", block["hash"], False) is None
        assert {node.ask("eth_getTransactionReceipt", tx_hash) for tx_hash in told["gone"]} <= {None}


@settings(max_examples=60)
@given(st.lists(anything | reorganisation, max_size=14))
def test_the_logs_add_up_to_the_balances_at_every_block(happenings: list[Drawn]) -> None:
    here = small_world()
    for happening in happenings:
        check_after(here, happening, let(here, happening))
    here.mine(6)
    check_books(here)
    check_sums(here)


@settings(max_examples=40)
@given(st.lists(anything, min_size=1, max_size=10), st.integers(1, 8), st.integers(0, 3))
def test_a_reorganisation_that_brings_everything_back_changes_no_balance(
    happenings: list[Drawn], depth: int, delay: int
) -> None:
    here = small_world()
    for happening in happenings:
        let(here, happening)
    here.mine(2)
    before = (here.books.tokens, here.books.cash, sorted(here.refused), kinds(here))
    let(here, ("reorganise", {"depth": depth, "delay": delay, "lost": 0, "blocks": None, "trade_status": ""}, delay))
    assert (here.books.tokens, here.books.cash, sorted(here.refused), kinds(here)) == before
    check_books(here)


def kinds(here: World) -> list[tuple[str, str]]:
    """What happened to the wallet, in the order of the chain."""
    return [(operation.kind, operation.transaction_hash) for operation in here.books.operations]
