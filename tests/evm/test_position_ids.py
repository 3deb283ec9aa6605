"""Ids of conditions, collections and positions: computed here, and by the contract (R-18)."""

from __future__ import annotations

import pytest
from web3 import Web3

from polymarket import position_ids
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
