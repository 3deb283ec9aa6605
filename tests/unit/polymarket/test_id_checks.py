"""Token ids are checked with the contract beside the balances, and what cannot be checked is not wrong (R-18, R-06)."""

from __future__ import annotations

import msgspec
import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from messages.reads import BalancesAnswer, ReadBalances, ReadCompleted
from polymarket import position_ids
from polymarket.chain import read_balances
from polymarket.chain_memory import ChainMemory
from polymarket.requests import HttpReply, HttpRequest
from polymarket.settings import PolymarketSettings
from portfolio.facts import Balances, ConditionTokens, TokenIdCheck, TokenRef
from tests.unit.polymarket.node import Node, selector
from tests.unit.polymarket.script import CONTEXT, SETTINGS, play, response

pytestmark = pytest.mark.req("R-18", "R-06")

USDC, WRAPPED = SETTINGS.usdc_e, SETTINGS.wrapped_collateral
TOKENS = (TokenRef(contract=SETTINGS.conditional_tokens, token_id="7"),)


def condition(number: int) -> str:
    return "0x" + keccak(text=f"condition {number}").hex()


def stated(number: int, collateral: str = USDC) -> ConditionTokens:
    """What true metadata says."""
    name = condition(number)
    ids = position_ids.token_ids(name, collateral)
    return ConditionTokens(condition_id=name, neg_risk=collateral == WRAPPED, token_ids=ids)


def collection_call(name: str, index_set: int) -> bytes:
    arguments = encode(["bytes32", "bytes32", "uint256"], [b"\0" * 32, bytes.fromhex(name[2:]), index_set])
    return selector("getCollectionId(bytes32,bytes32,uint256)") + arguments


def position_call(collateral: str, collection: str) -> bytes:
    return selector("getPositionId(address,bytes32)") + encode(
        ["address", "bytes32"], [collateral, bytes.fromhex(collection[2:])]
    )


def node_of(*numbers: int) -> Node:
    """A node whose contract computes the ids of these conditions."""
    node = Node()
    for number in numbers:
        name = condition(number)
        for index_set in (1, 2):
            collection = position_ids.collection_id(name, index_set)
            node.hashes[collection_call(name, index_set)] = bytes.fromhex(collection[2:])
            for collateral in (USDC, WRAPPED):
                token = int(position_ids.position_id(collateral, collection))
                node.hashes[position_call(collateral, collection)] = token.to_bytes(32, "big")
    return node


def run(
    node: Node,
    *asked: ConditionTokens,
    memory: ChainMemory | None = None,
    settings: PolymarketSettings = SETTINGS,
    largest: int = 1_000_000,
) -> Balances:
    """The balances; a request with a body beyond ``largest`` bytes is refused."""

    def answer(request: HttpRequest) -> HttpReply:
        return response({}, 413) if len(request.body) > largest else node.answer(request)

    read = ReadBalances(wallet="main", tokens=TOKENS, token_ids_of=asked)
    result, _ = play(read_balances(settings, read, CONTEXT, memory or ChainMemory()), answer)
    assert isinstance(result, ReadCompleted), result
    assert isinstance(result.answer, BalancesAnswer)
    assert [token.token_id for token in result.answer.balances.tokens] == ["7"]
    return result.answer.balances


def test_true_ids_of_either_kind_of_market_are_the_contracts_in_one_call_beside_the_balances() -> None:
    node, asked = node_of(1, 2), (stated(1), stated(2, WRAPPED))
    checks = run(node, *asked).token_ids
    assert [check.computed for check in checks] == [one.token_ids for one in asked]
    assert not any(check.contradicted for check in checks)
    assert node.methods.count("eth_call") == 1
    assert run(node).token_ids == ()


@pytest.mark.parametrize("tokens", [stated(1).token_ids[::-1], stated(2).token_ids, stated(1, WRAPPED).token_ids])
def test_ids_of_another_outcome_market_or_collateral_are_contradicted(tokens: tuple[str, ...]) -> None:
    wrong = msgspec.structs.replace(stated(1), token_ids=tokens)
    (check,) = run(node_of(1, 2), wrong).token_ids
    assert check == TokenIdCheck(condition_id=condition(1), stated=tokens, computed=stated(1).token_ids)
    assert check.contradicted


def test_a_contract_that_hashes_otherwise_is_not_talked_out_of_it() -> None:
    """Its collection wins over the one computed here, and the id follows from it."""
    node = node_of(1)
    node.hashes[collection_call(condition(1), 2)] = b"\5" * 32
    (check,) = run(node, stated(1)).token_ids
    yes, no = check.computed
    assert (yes, no) == (stated(1).token_ids[0], position_ids.position_id(USDC, "0x" + "05" * 32))
    assert check.contradicted


@pytest.mark.parametrize("returned", [None, b"", b"\0" * 32, b"\1" * 64])
@pytest.mark.parametrize(
    "call", [collection_call(condition(1), 1), position_call(USDC, position_ids.collection_id(condition(1), 2))]
)
def test_a_contract_without_these_functions_leaves_ids_unchecked(call: bytes, returned: bytes | None) -> None:
    node = node_of(1, 2)
    del node.hashes[call]
    if returned is not None:
        node.hashes[call] = returned
    first, second = run(node, stated(1), stated(2)).token_ids
    assert (first.computed, first.contradicted) == ((), False)
    assert second.computed == stated(2).token_ids


def test_what_cannot_be_computed_is_answered_without_a_call() -> None:
    node, settings = node_of(1), msgspec.structs.replace(SETTINGS, usdc_e="")
    checks = run(node, stated(1), ConditionTokens(condition_id="0x1", neg_risk=False, token_ids=("1", "2"))).token_ids
    assert [bool(check.computed) for check in checks] == [True, False]
    (check,) = run(node, stated(1), settings=settings).token_ids
    assert check.computed == ()


@pytest.mark.req("D-28")
def test_where_an_endpoint_refuses_so_much_balances_come_first_and_fewer_ids_are_asked_for_next_time() -> None:
    asked = tuple(stated(number) for number in range(4))
    node, memory = node_of(*range(4)), ChainMemory()
    memory.id_checks = 4
    answered = [len(run(node, *asked, memory=memory, largest=8_000).token_ids) for _ in range(3)]
    assert answered == [0, 2, 2]
    assert memory.batch == ChainMemory().batch, "balances are still read in one call"


@pytest.mark.req("D-28")
def test_an_endpoint_that_refuses_even_one_leaves_all_unchecked_and_is_asked_no_more() -> None:
    node, memory = node_of(1), ChainMemory()
    memory.id_checks = 1
    assert run(node, stated(1), memory=memory, largest=4_000).token_ids == ()
    calls = node.methods.count("eth_call")
    (check,) = run(node, stated(1), memory=memory, largest=4_000).token_ids
    assert check.computed == ()
    assert node.methods.count("eth_call") == calls + 1
