"""Ids of conditions, collections and positions: computed here, and by the contract (R-18)."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from web3 import Web3

from messages.reads import BalancesAnswer, ReadBalances, ReadCompleted
from polymarket import position_ids
from polymarket.chain import read_balances
from polymarket.chain_memory import ID_CHECKS, ChainMemory
from polymarket.driver import HttpDriver
from polymarket.reading import ReadContext
from polymarket.settings import PolymarketSettings, WalletSettings
from portfolio.facts import ConditionTokens, TokenIdCheck
from tests.evm.market import NO_PARENT
from tests.support.evm import EvmNode

QUESTIONS = [bytes(Web3.keccak(text=f"question {number}")) for number in range(32)]


@pytest.mark.req("R-18", "R-06")
def test_computed_ids_are_the_contracts(node: EvmNode) -> None:
    contract, oracle = node.conditional_tokens.functions, node.accounts[0]
    usdc, wrapped = node.address("usdc_e"), node.address("wrapped_collateral")
    signs = set()
    for question in QUESTIONS:
        condition = contract.getConditionId(oracle, question, 2).call()
        assert position_ids.condition_id(oracle, "0x" + question.hex()) == "0x" + condition.hex()
        collections = [contract.getCollectionId(NO_PARENT, condition, index_set).call() for index_set in (1, 2)]
        for index_set, collection in enumerate(collections, start=1):
            assert position_ids.collection_id("0x" + condition.hex(), index_set) == "0x" + collection.hex()
            signs.add(collection[0] >> 6)
        for collateral in (usdc, wrapped):
            ids = tuple(str(contract.getPositionId(collateral, collection).call()) for collection in collections)
            assert position_ids.token_ids("0x" + condition.hex(), collateral) == ids
            flag = position_ids.derive_neg_risk("0x" + condition.hex(), ids, usdc_e=usdc, wrapped_collateral=wrapped)
            assert flag is (collateral == wrapped)
    assert signs == {0, 1}, "points with even and with odd y must both occur"


def checked(node: EvmNode, *stated: ConditionTokens) -> tuple[TokenIdCheck, ...]:
    """What the reader has from the contract, in one call beside the balances."""
    wallet = WalletSettings(name="main", address=node.accounts[1], signer_address=node.accounts[1])
    settings = PolymarketSettings(
        rpc_url=node.url,
        chain_id=node.web3.eth.chain_id,
        collateral=node.address("pusd"),
        usdc_e=node.address("usdc_e"),
        wrapped_collateral=node.address("wrapped_collateral"),
        conditional_tokens=node.address("conditional_tokens"),
        confirmations=0,
        wallets=(wallet,),
    )
    memory = ChainMemory()
    with closing(HttpDriver(settings, lambda: time.time_ns() // 1_000_000)) as driver:
        read = ReadBalances(wallet="main", tokens=(), token_ids_of=stated)
        context = ReadContext(correlation="c", started_at_ms=0, nonce="n")
        result = driver.run(read_balances(settings, read, context, memory))
    assert isinstance(result, ReadCompleted), result
    assert isinstance(result.answer, BalancesAnswer)
    assert memory.id_checks == ID_CHECKS, "so many were not too much at once"
    return result.answer.balances.token_ids


def described(node: EvmNode, number: int) -> ConditionTokens:
    """True metadata of a condition, of a standard and a neg-risk market in turn."""
    neg_risk = number % 2 == 1
    question = bytes(Web3.keccak(text=f"described {number}"))
    condition = position_ids.condition_id(node.accounts[0], "0x" + question.hex())
    collateral = node.address("wrapped_collateral" if neg_risk else "usdc_e")
    ids = position_ids.token_ids(condition, collateral)
    return ConditionTokens(condition_id=condition, neg_risk=neg_risk, token_ids=ids)


@pytest.mark.req("R-18", "R-06")
def test_the_contract_agrees_with_true_metadata_of_as_many_conditions_as_are_checked_at_once(node: EvmNode) -> None:
    stated = [described(node, number) for number in range(ID_CHECKS)]
    assert [check.computed for check in checked(node, *stated)] == [one.token_ids for one in stated]


@pytest.mark.req("R-18", "R-06")
def test_the_contract_contradicts_metadata_of_another_outcome_market_or_kind_of_market(node: EvmNode) -> None:
    true, other = described(node, 0), described(node, 2)
    of_event = position_ids.token_ids(true.condition_id, node.address("wrapped_collateral"))
    wrong = [true.token_ids[::-1], other.token_ids, of_event]
    checks = checked(
        node, *(ConditionTokens(condition_id=true.condition_id, neg_risk=False, token_ids=ids) for ids in wrong)
    )
    assert [check.stated for check in checks] == wrong
    assert [(check.computed, check.contradicted) for check in checks] == [(true.token_ids, True)] * 3
