"""Reader and labels on the stage's real contracts, and what only these can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import msgspec
import pytest

from portfolio.chain import ChangeKind
from portfolio.facts import Side
from portfolio.labelling import label
from tests.evm.chain_operations import AMOUNT, HELD, NEG_RISK, ONE, PRICE, STANDARD, Operation, Rows, Scene, trade
from tests.evm.chain_suite import (
    OperationsContract,
    ReorganisationsContract,
    Scenes,
    StoryContract,
    check_operation,
)
from tests.evm.stage import Order, Stage, Terms
from tests.evm.stage import Side as ContractSide
from tests.evm.worlds import Row, StagedWorld
from tests.evm.worlds.rows import filled, legs, pusd
from tests.evm.worlds.watching import answer_of, read

FEE = 12_340


@pytest.fixture(scope="module")
def world(stage: Stage) -> Iterator[StagedWorld]:
    with closing(StagedWorld(stage)) as world:
        yield world


@pytest.fixture(scope="module")
def young_world(stage: Stage) -> Iterator[StagedWorld]:
    with closing(StagedWorld(stage)) as world:
        yield world


def staged(scene: Scene) -> StagedWorld:
    assert isinstance(scene.world, StagedWorld)
    return scene.world


def batch_with_zero(scene: Scene) -> Rows:
    """The sandbox makes batches with a zero where an adapter redeems, and no others."""
    world = staged(scene)
    world.account.batch_with_zero(world.contract_market(scene.question), AMOUNT)
    return (Row(ChangeKind.TRANSFER_OUT, legs((scene.question, 0, -AMOUNT))),)


def with_fee(scene: Scene) -> Scene:
    """Another event, which takes a hundredth; the sandbox's take nothing."""
    event = staged(scene).event(fee_bips=100)
    for question in event:
        scene.world.split(question, HELD)
    return Scene(scene.world, event[0], event)


def convert_with_fee(scene: Scene) -> Rows:
    event, out = scene.event, AMOUNT - AMOUNT * 100 // 10_000
    scene.world.convert([event[0], event[2]], AMOUNT)
    moved = legs((event[0], 1, -AMOUNT), (event[2], 1, -AMOUNT), (event[1], 0, out))
    return (Row(ChangeKind.CONVERTED, moved, pusd(out)),)


def sell_as_maker_with_fee(scene: Scene) -> Rows:
    """A builder's fee; in the sandbox makers pay none."""
    world, bargain = staged(scene), scene.bargain(Side.SELL, took=False)
    terms = Terms(
        market=world.contract_market(scene.question),
        side=ContractSide.SELL,
        shares=AMOUNT,
        price=PRICE,
        fee=FEE,
        order_hash=world.stage.fresh_hash(),
    )
    world.account.fill_as_maker(terms)
    whole = filled(bargain, terms.order_hash)
    return (replace(whole, cash=pusd(bargain.cash - FEE), fee=FEE),)


def order(scene: Scene, side: ContractSide, outcome: int, cash: int, shares: int) -> Order:
    """Of the wallet."""
    world = staged(scene)
    making, taking = (cash, shares) if side is ContractSide.BUY else (shares, cash)
    return Order(
        order_hash=world.stage.fresh_hash(),
        maker=world.account.address,
        side=side,
        token=int(scene.question.tokens[outcome]),
        making=making,
        taking=taking,
    )


def buy_with_refund(scene: Scene) -> Rows:
    """Both kinds of maker orders for one taker, who brings more than they need; the sandbox quotes one kind."""
    world, house = staged(scene), staged(scene).stage.house.address
    taker = replace(order(scene, ContractSide.BUY, 0, 1_500_000, 3 * ONE), fee=FEE)
    seller = replace(order(scene, ContractSide.SELL, 0, 400_000, ONE), maker=house)
    buyer = replace(order(scene, ContractSide.BUY, 1, 1_200_000, 2 * ONE), maker=house)
    world.stage.match(world.contract_market(scene.question), taker, seller, buyer)
    paid = pusd(-400_000 - 800_000 - FEE)
    return (Row(ChangeKind.FILL, legs((scene.question, 0, 3 * ONE)), paid, FEE, taker.order_hash, took=True),)


def sell_to_both_kinds(scene: Scene) -> Rows:
    """One maker buys the shares, and with the other's they are merged."""
    world, house = staged(scene), staged(scene).stage.house.address
    taker = replace(order(scene, ContractSide.SELL, 0, 1_200_000, 3 * ONE), fee=FEE)
    buyer = replace(order(scene, ContractSide.BUY, 0, 400_000, ONE), maker=house)
    seller = replace(order(scene, ContractSide.SELL, 1, 1_200_000, 2 * ONE), maker=house)
    world.stage.match(world.contract_market(scene.question), taker, buyer, seller)
    sold = legs((scene.question, 0, -3 * ONE))
    return (Row(ChangeKind.FILL, sold, pusd(1_200_000 - FEE), FEE, taker.order_hash, took=True),)


def trade_with_itself(scene: Scene) -> Rows:
    """The sandbox lets no wallet meet its own order."""
    world = staged(scene)
    taker = replace(order(scene, ContractSide.BUY, 0, 820_000, 2 * ONE), fee=FEE)
    maker = order(scene, ContractSide.SELL, 0, 820_000, 2 * ONE)
    world.stage.match(world.contract_market(scene.question), taker, maker)
    sold, bought = (legs((scene.question, 0, micro)) for micro in (-2 * ONE, 2 * ONE))
    return (
        Row(ChangeKind.FILL, sold, pusd(820_000), 0, maker.order_hash),
        Row(ChangeKind.FILL, bought, pusd(-820_000 - FEE), FEE, taker.order_hash, took=True),
    )


def nothing_of_value(scene: Scene) -> Rows:
    """Strangers may name the wallet in transfers of nothing, and in tokens of their own; the sandbox's do not."""
    world, house, wallet = staged(scene), staged(scene).stage.house.address, staged(scene).account.address
    stage, token = world.stage, int(scene.question.tokens[0])
    cash, tokens = (stage.contract(each).functions for each in ("pusd", "conditional_tokens"))
    name = f"stranger's token {stage.fresh_hash()}"
    with stage.together():
        stage.send(house, cash.transferFrom(wallet, house, 0))
        stage.send(house, cash.transfer(wallet, 0))
        stage.send(house, tokens.safeTransferFrom(house, wallet, token, 0, b""))
    stage._create(name, "BridgedUsdc")
    stage.send(stage.address("deployer"), stage.contract(name).functions.mint(wallet, AMOUNT))
    return ()


ONLY_HERE: dict[str, Operation] = {
    "batch_with_zero": Operation(batch_with_zero),
    "convert_with_fee": Operation(convert_with_fee, with_fee, (NEG_RISK,)),
    "sell_as_maker_with_fee": Operation(sell_as_maker_with_fee),
    "buy_with_refund": Operation(buy_with_refund),
    "sell_to_both_kinds": Operation(sell_to_both_kinds),
    "trade_with_itself": Operation(trade_with_itself),
    "nothing_of_value": Operation(nothing_of_value),
    **{
        f"external_{side.value.lower()}_{role}_across": Operation(
            trade(side, own=False, took=role == "taker", across=True)
        )
        for side in Side
        for role in ("taker", "maker")
    },
}


class TestStagedOperations(OperationsContract):
    @pytest.mark.parametrize(
        ("kind", "name"), [(kind, name) for name, operation in ONLY_HERE.items() for kind in operation.kinds]
    )
    def test_what_only_real_contracts_do_is_told_as_what_it_was(self, scenes: Scenes, kind: str, name: str) -> None:
        check_operation(scenes[kind], ONLY_HERE[name])

    @pytest.mark.parametrize("act", [True, False])
    def test_two_wallets_of_ours_that_trade_with_each_other_are_told_a_side_each(
        self, scenes: Scenes, stage: Stage, act: bool
    ) -> None:
        """By one reading; and what one sends the other is no trade."""
        scene, other, block = scenes[STANDARD], stage.wallet(), stage.head + 1
        world, token = staged(scene), int(scene.question.tokens[0])
        if act:
            taker = replace(order(scene, ContractSide.BUY, 0, 820_000, 2 * ONE), maker=other.address)
            maker = order(scene, ContractSide.SELL, 0, 820_000, 2 * ONE)
            stage.match(world.contract_market(scene.question), taker, maker)
        else:
            call = stage.contract("conditional_tokens").functions.safeTransferFrom
            stage.send(world.account.address, call(world.account.address, other.address, token, 2 * ONE, b""))
        both = (world.wallet, other.address.lower())
        (transaction,) = answer_of(read(world, from_block=block, wallets=both)).transactions
        book = msgspec.structs.replace(world.book, own=frozenset(both))
        told = [label(transaction, wallet, book) for wallet in both]
        assert [[(change.kind, change.legs, change.cash_micro) for change in each] for each in told] == [
            [(ChangeKind.FILL if act else kind, ((str(token), sign * 2 * ONE),), -sign * 820_000 * act)]
            for kind, sign in ((ChangeKind.TRANSFER_OUT, -1), (ChangeKind.TRANSFER_IN, 1))
        ]


class TestStagedStory(StoryContract):
    pass


class TestStagedReorganisations(ReorganisationsContract):
    pass
