"""Reorganisations of the stage's chain: blocks, transactions and balances, before and after."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hexbytes import HexBytes
from web3.exceptions import TransactionNotFound

from tests.evm.scene import ONE, Scene
from tests.evm.stage import Side, Stage

pytestmark = pytest.mark.req("X-01", "X-02")

DEPTHS = (1, 3, 10)


@pytest.fixture(scope="module")
def scene(stage: Stage) -> Scene:
    """Deep enough that no reorganisation takes the wallet's first shares; each test takes back its own blocks only."""
    scene = Scene.set(stage, stage.wallet(), neg_risk=False)
    stage.mine(max(DEPTHS))
    return scene


def hashes(stage: Stage, blocks: int) -> list[str]:
    """Of the newest blocks, and of the one before them."""
    return [stage.block_hash(number) for number in range(stage.head - blocks, stage.head + 1)]


def is_known(stage: Stage, transaction: str) -> bool:
    try:
        stage.receipt(transaction)
    except TransactionNotFound:
        return False
    return True


def logged(stage: Stage, blocks: int) -> set[str]:
    """Transactions of all logs that the node has in the newest blocks."""
    logs = stage.node.web3.eth.get_logs({"fromBlock": stage.head - blocks + 1, "toBlock": stage.head})
    return {HexBytes(log["transactionHash"]).to_0x_hex() for log in logs}


OPERATIONS: dict[str, Callable[[Scene], str]] = {
    "split": lambda s: s.wallet.split(s.market, ONE),
    "fill": lambda s: s.wallet.fill_as_taker(s.terms(Side.SELL)),
    "batch": lambda s: s.wallet.batch_with_zero(s.market, ONE),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_what_is_not_asked_for_again_is_gone_and_so_is_its_effect(scene: Scene, depth: int, operation: str) -> None:
    stage, before = scene.stage, scene.wallet.balances_at(scene.stage.head)
    transaction = OPERATIONS[operation](scene)
    stage.mine(depth - 1)
    head, old = stage.head, hashes(stage, depth)
    assert logged(stage, depth) == {transaction}
    assert scene.wallet.balances_at(head) != before
    assert stage.reorganise(depth) == [transaction]
    new = hashes(stage, depth)
    assert stage.head == head
    assert new[0] == old[0], "not deeper than asked for"
    assert not set(new[1:]) & set(old[1:])
    assert not is_known(stage, transaction)
    assert logged(stage, depth) == set()
    stage.mine(1)
    assert scene.wallet.balances_at(stage.head) == before
    assert not is_known(stage, transaction), "it does not come back by itself"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_what_is_asked_for_again_is_the_same_transaction_in_another_block(
    scene: Scene, depth: int, operation: str
) -> None:
    stage, place = scene.stage, depth // 2
    transaction = OPERATIONS[operation](scene)
    first = stage.receipt(transaction)["blockNumber"]
    stage.mine(depth - 1)
    old, after = hashes(stage, depth), scene.wallet.balances_at(stage.head)
    assert stage.reorganise(depth, again={transaction: place}) == []
    again = stage.receipt(transaction)
    assert again["blockNumber"] == first + place
    assert again["blockHash"].to_0x_hex() == hashes(stage, depth)[1 + place]
    assert not set(hashes(stage, depth)[1:]) & set(old)
    assert logged(stage, depth) == {transaction}
    assert scene.wallet.balances_at(stage.head) == after


def test_blocks_that_hold_the_same_in_the_same_places_have_other_hashes_all_the_same(scene: Scene) -> None:
    stage = scene.stage
    sent = [scene.wallet.transfer_out(scene.market.tokens[0], ONE) for _ in range(3)]
    old = hashes(stage, 3)
    stage.reorganise(3, again={transaction: place for place, transaction in enumerate(sent)})
    new = hashes(stage, 3)
    assert new[0] == old[0]
    assert not set(new[1:]) & set(old[1:])


def test_of_two_wallets_the_later_can_come_first(scene: Scene) -> None:
    stage, other = scene.stage, scene.stage.wallet()
    first, second = scene.wallet.split(scene.market, ONE), other.split(scene.market, ONE)
    assert stage.reorganise(2, again={first: 1, second: 0}) == []
    assert stage.receipt(second)["blockNumber"] < stage.receipt(first)["blockNumber"]


def test_a_transaction_that_was_taken_back_can_be_sent_again(scene: Scene) -> None:
    stage = scene.stage
    with stage.together():
        sent = [scene.wallet.transfer_out(token, ONE) for token in scene.market.tokens]
    after = scene.wallet.balances_at(stage.head)
    assert stage.reorganise(1) == sent
    stage.mine(2)
    with stage.together():
        for transaction in sent:
            stage.send_again(transaction)
    assert {stage.receipt(each)["blockNumber"] for each in sent} == {stage.head}
    assert scene.wallet.balances_at(stage.head) == after


def test_what_is_sent_together_is_in_one_block_in_that_order(scene: Scene) -> None:
    stage, head = scene.stage, scene.stage.head
    with stage.together():
        sent = [act(scene) for act in OPERATIONS.values()]
    receipts = [stage.receipt(each) for each in sent]
    assert stage.head == head + 1
    assert [each["transactionIndex"] for each in receipts] == [0, 1, 2]
    assert {each["blockNumber"] for each in receipts} == {stage.head}


def test_an_operation_that_reverts_is_an_error(scene: Scene) -> None:
    with pytest.raises(RuntimeError, match="was reverted"):
        scene.wallet.redeem(scene.market)


def test_a_reorganisation_that_cannot_be_is_an_error(scene: Scene) -> None:
    stage, wallet = scene.stage, scene.wallet
    first, second = wallet.split(scene.market, ONE), wallet.merge(scene.market, ONE)
    with pytest.raises(RuntimeError, match="an earlier one of its wallet"):
        stage.reorganise(2, again={second: 0})
    stage.mine(1)
    assert not is_known(stage, first)
