"""Several operations in one transaction, by a wallet that is a contract: each is told, and none takes another's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest

from portfolio.chain import ChangeKind
from portfolio.labelling import label
from tests.evm.chain_operations import KINDS, NEG_RISK, ONE, OPERATIONS, Rows, Scene
from tests.evm.chain_suite import Scenes
from tests.evm.stage import Stage
from tests.evm.worlds import Row, StagedWorld, Watcher
from tests.evm.worlds.account import Account
from tests.evm.worlds.rows import legs, pusd, rows_of
from tests.evm.worlds.watching import answer_of, read

pytestmark = pytest.mark.req("X-01", "X-10", "L-14", "R-19")

BATCHES: dict[str, tuple[str, ...]] = {
    "split_and_merge": ("split", "merge"),
    "merge_and_split": ("merge", "split"),
    "split_twice": ("split", "split"),
    "merge_both_ways": ("merge", "merge_directly"),
    "split_both_ways": ("split_directly", "split"),
    "split_and_transfer": ("split", "transfer_out"),
    "transfer_and_merge": ("transfer_out", "merge"),
    "redeem_all": ("redeem", "redeem_with_zero", "redeem_for_nothing", "redeem_directly"),
    "redeem_the_same_way": ("redeem_with_zero", "redeem_with_zero", "redeem_for_nothing"),
    "redeem_and_withdraw": ("redeem_with_zero", "cash_out"),
    "merge_and_withdraw": ("merge", "withdraw"),
    "unwrap_and_split": ("unwrap", "split_directly"),
    "merge_and_wrap": ("merge_directly", "wrap"),
    "wrap_and_back": ("wrap", "unwrap"),
    "split_and_redeem": ("split", "redeem_with_zero"),
}
CONVERSIONS: dict[str, tuple[str, ...]] = {
    "convert_twice": ("convert_one", "convert_two"),
    "convert_both_ways": ("convert_two", "convert_directly"),
    "split_and_convert": ("split", "convert_one"),
    "convert_and_merge": ("convert_two", "merge"),
    "convert_and_transfer": ("convert_all", "transfer_out"),
}
CASES = [(kind, name) for kind in KINDS for name in (*BATCHES, *(CONVERSIONS if kind == NEG_RISK else ()))]


@pytest.fixture(scope="module")
def world(stage: Stage) -> Iterator[StagedWorld]:
    with closing(StagedWorld(stage, opened=Account)) as world:
        yield world


@pytest.fixture(scope="module")
def scenes(world: StagedWorld) -> Scenes:
    return {kind: Scene.set(world, kind) for kind in KINDS}


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_each_operation_of_a_transaction_is_told(world: StagedWorld, scenes: Scenes, kind: str, name: str) -> None:
    watcher = Watcher(world)
    batch = [OPERATIONS[operation] for operation in (BATCHES | CONVERSIONS)[name]]
    ready = [(operation.ready(scenes[kind]), operation.act) for operation in batch]
    account = world.account
    assert isinstance(account, Account)
    with account.one_transaction():
        expected: Rows = tuple(row for scene, act in ready for row in act(scene))
    watcher.follow()
    changes = watcher.changes(world.head)
    assert watcher.rows(world.head) == expected
    assert len({change.transaction_hash for change in changes}) == 1
    watcher.prove(changes)
    watcher.check()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held", [(5 * ONE, 5 * ONE), (5 * ONE, 7 * ONE), (0, 5 * ONE), (5 * ONE, 0)])
@pytest.mark.parametrize("turned", [False, True])
def test_of_an_operator_who_redeems_for_several_at_once_each_is_told_its_own(
    world: StagedWorld, kind: str, held: tuple[int, int], turned: bool
) -> None:
    """So many YES, which wins, and as many NO as make 9; the other wallet is ours as well."""
    stage, account, other = world.stage, world.account, world.stage.wallet()
    assert isinstance(account, Account)
    question = world.event()[0] if kind == NEG_RISK else world.market()
    market = world.contract_market(question)
    for wallet, yes in zip((account, other), held, strict=True):
        wallet.split(market, 9 * ONE)
        wallet.transfer_out(market.tokens[0], 9 * ONE - yes)
        wallet.transfer_out(market.tokens[1], yes)
    stage.resolve(market)
    owners = [account.address, other.address]
    account.redeem_for(owners[::-1] if turned else owners, market)
    both = (world.wallet, other.address.lower())
    (transaction,) = answer_of(read(world, from_block=world.head, wallets=both)).transactions
    book = msgspec.structs.replace(world.book, own=frozenset(both))
    for owner, yes in zip(both, held, strict=True):
        changes = label(transaction, owner, book)
        assert {change.wallet for change in changes} == {owner}
        gone = legs(*((question, outcome, -micro) for outcome, micro in enumerate((yes, 9 * ONE - yes)) if micro))
        assert rows_of(world, changes) == (Row(ChangeKind.REDEEMED, gone, pusd(yes)),)
