"""What reader and labels must make of a chain, whichever it is; the stage's and the sandbox's tests inherit it.

They bring ``world``, and ``young_world`` for the story, which live as long as their module. A test takes back no block
of another one: it lets things settle first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from messages.reads import LogsAnswer
from portfolio.chain import ChainTransaction
from portfolio.entries import Trade
from portfolio.facts import Side, TradeStatus
from portfolio.labelling_hints import hints_of
from tests.evm.chain_operations import HELD, KINDS, ONE, OPERATIONS, STORY, Operation, Scene, Story
from tests.evm.worlds import Bargain, Watcher, World
from tests.evm.worlds.watching import answer_of, read
from tests.unit.portfolio.markets import Book, balances_at, leg, meta

DEPTHS = (1, 3, 10)
CASES = [(kind, name) for name, operation in OPERATIONS.items() for kind in operation.kinds]
REORGANISED = (
    ("standard", "split"),
    ("neg_risk", "merge"),
    ("neg_risk", "redeem_with_zero"),
    ("standard", "auto_redeem"),
    ("neg_risk", "convert_two"),
    ("standard", "transfer_in"),
    ("neg_risk", "transfer_out"),
    ("standard", "withdraw"),
    ("standard", "wrap"),
    ("standard", "own_buy_taker_across"),
    ("neg_risk", "own_sell_maker"),
    ("standard", "external_buy_taker"),
    ("neg_risk", "in_one_block"),
)

Scenes = Mapping[str, Scene]


def held(bargain: Bargain) -> Book:
    """A market's books, in which the wallet has :data:`HELD` of the token."""
    question = bargain.question
    book = Book(meta(question.condition_id, question.tokens), market_id=question.condition_id)
    place: dict[str, Any] = {"condition_id": question.condition_id, "token_id": bargain.token}
    book.see(leg(size=HELD, status=TradeStatus.CONFIRMED, **place))
    book.look(balances_at(1, {bargain.token: HELD}))
    return book


def check_operation(scene: Scene, operation: Operation) -> None:
    """The logs say what it was, and nothing else; its proof is there; the sums are the balances."""
    watcher = Watcher(scene.world)
    ready = operation.ready(scene)
    first = scene.world.head + 1
    expected = operation.act(ready)
    assert watcher.follow() == ()
    assert watcher.rows(first) == expected
    watcher.prove(watcher.changes())
    watcher.check()


@dataclass(frozen=True)
class Glance:
    """What there was to read at one moment, and the hashes of the blocks."""

    transactions: tuple[ChainTransaction, ...]
    hashes: Mapping[int, str]

    @classmethod
    def at(cls, watcher: Watcher) -> Glance:
        answer = answer_of(read(watcher.world, from_block=watcher.next))
        blocks = watcher.world.blocks(watcher.next, answer.to_block)
        return cls(answer.transactions, {int(block["number"], 16): block["hash"] for block in blocks})

    def agrees(self, answer: LogsAnswer) -> bool:
        """Whether the answer is what was to be read, as far as it goes."""
        covered = tuple(each for each in self.transactions if each.block_number <= answer.to_block)
        return answer.transactions == covered and answer.to_hash == self.hashes.get(answer.to_block, "")


class Fixtures:
    """Scenes of the subclass's ``world``."""

    @pytest.fixture(scope="class")
    @classmethod
    def scenes(cls, world: World) -> Scenes:
        return {kind: Scene.set(world, kind) for kind in KINDS}

    @pytest.fixture(scope="class")
    @classmethod
    def story(cls, young_world: World) -> Story:
        return Story.tell(young_world)


@pytest.mark.req("X-01", "X-10", "L-13", "L-14", "R-19", "R-20", "R-21")
class OperationsContract(Fixtures):
    @pytest.mark.parametrize(("kind", "name"), CASES)
    def test_an_operation_is_told_as_what_it_was_and_the_sums_are_the_balances(
        self, scenes: Scenes, kind: str, name: str
    ) -> None:
        check_operation(scenes[kind], OPERATIONS[name])

    @pytest.mark.req("L-15")
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("side", Side)
    @pytest.mark.parametrize("took", [True, False], ids=["taker", "maker"])
    def test_an_external_fill_is_booked_at_its_price_with_its_fee_beside_it(
        self, scenes: Scenes, kind: str, side: Side, *, took: bool
    ) -> None:
        scene = scenes[kind]
        paying = next(question for question in scene.event or (scene.question,) if question.fee_rate)
        bargain = replace(scene, question=paying).bargain(side, own=False, took=took)
        book = held(bargain)
        before = book.position(bargain.token)
        watcher = Watcher(scene.world)
        watcher.world.trade(bargain)
        watcher.follow()
        hints = hints_of(watcher.changes(), watcher.world.book, {})
        book.look_twice({bargain.token: HELD + bargain.sign * bargain.shares}, hints=hints)
        (entry,) = book.entries()
        assert isinstance(entry, Trade)
        assert (entry.shares_micro, entry.estimated) == (bargain.shares, False)
        assert entry.amount_micro * ONE == bargain.shares * bargain.price
        after = book.position(bargain.token)
        assert (after.fees_micro > 0, after.fees_micro) == (took, bargain.fee)
        assert after.cash_flow_settled_micro - before.cash_flow_settled_micro == bargain.cash


@pytest.mark.req("X-01", "X-10", "L-13")
class StoryContract(Fixtures):
    def test_since_the_wallet_began_the_sums_are_the_balances_at_every_block(self, story: Story) -> None:
        watcher = Watcher(story.world, story.world.birth)
        assert watcher.follow() == ()
        watcher.check()
        watcher.prove(watcher.changes())
        assert tuple(watcher.rows(block, block) for block in range(story.first, story.last + 1)) == story.rows

    @pytest.mark.parametrize("cut", range(len(STORY) + 1))
    def test_a_reader_that_was_killed_and_started_again_tells_everything_once(self, story: Story, cut: int) -> None:
        first, last, border = story.first, story.last, story.first + cut - 1
        before = answer_of(read(story.world, from_block=first, to_block=border)) if cut else None
        known = ((border, before.to_hash),) if before else ()
        after = read(story.world, from_block=border + 1, to_block=last, known=known) if border < last else None
        halves = [each.transactions for each in (before, after and answer_of(after)) if each]
        assert [each for half in halves for each in half] == self.at_once(story)

    @pytest.mark.parametrize("range_blocks", [1, 2, 5])
    def test_how_many_blocks_a_request_spans_is_all_the_same(self, story: Story, range_blocks: int) -> None:
        watcher = Watcher(story.world, story.first)
        while watcher.next <= story.last:
            asked: dict[str, Any] = {"to_block": story.last, "range_blocks": range_blocks}
            watcher.take(answer_of(read(story.world, from_block=watcher.next, known=tuple(watcher.tail), **asked)))
        assert watcher.transactions == self.at_once(story)

    @staticmethod
    def at_once(story: Story) -> list[ChainTransaction]:
        """The whole story by one request."""
        answer = answer_of(read(story.world, from_block=story.first, to_block=story.last))
        assert len(answer.transactions) >= len([rows for rows in story.rows if rows])
        return list(answer.transactions)


@pytest.mark.req("X-01", "X-10", "R-31")
class ReorganisationsContract(Fixtures):
    @pytest.mark.parametrize(("kind", "name"), REORGANISED)
    @pytest.mark.parametrize("depth", DEPTHS)
    def test_what_was_taken_back_is_undone_and_what_came_again_is_in_its_new_block(
        self, scenes: Scenes, kind: str, name: str, depth: int
    ) -> None:
        world, operation = scenes[kind].world, OPERATIONS[name]
        scene = operation.ready(scenes[kind])
        world.settle()
        watcher = Watcher(world)
        self.dropped(watcher, scene, operation, depth)
        self.moved(watcher, scene, operation, depth)

    def dropped(self, watcher: Watcher, scene: Scene, operation: Operation, depth: int) -> None:
        """Seen, and then gone for good; everything is as it was before."""
        world = scene.world
        block = self.amid(watcher, scene, operation, depth)
        was = watcher.world.balances(block - 1, block - 1)[block - 1]
        known = self.above(watcher, world.head - depth)
        world.reorganise(depth, again=False)
        assert watcher.follow() == known
        assert (watcher.rows(), watcher.ids()) == ((), set())
        watcher.check()
        assert world.balances(world.head, world.head)[world.head] == was

    def moved(self, watcher: Watcher, scene: Scene, operation: Operation, depth: int) -> None:
        """Seen again in another block, once of the same number, under the same names."""
        world = scene.world
        block = self.amid(watcher, scene, operation, depth)
        rows, ids, hashes = watcher.rows(), watcher.ids(), self.places(watcher)
        known = self.above(watcher, world.head - depth)
        world.reorganise(depth, again=True, later=int(depth != 3))
        assert watcher.follow() == known
        assert (watcher.rows(), watcher.ids()) == (rows, ids)
        assert not self.places(watcher) & hashes
        assert {change.block_number for change in watcher.changes()} <= {block, block + 1}
        watcher.prove(watcher.changes())
        watcher.check()

    @staticmethod
    def amid(watcher: Watcher, scene: Scene, operation: Operation, depth: int) -> int:
        """The operation in the middle of so many blocks, each side of it read; its block."""
        watcher.world.mine(depth // 2)
        watcher.follow()
        expected = operation.act(scene)
        block = watcher.world.head
        watcher.follow()
        assert watcher.rows() == expected
        if after := depth - depth // 2 - 1:
            watcher.world.mine(after)
            watcher.follow()
        return block

    @staticmethod
    def above(watcher: Watcher, fork: int) -> tuple[int, ...]:
        """The known blocks that a reorganisation replaces."""
        return tuple(number for number, _ in watcher.tail if number > fork)

    @staticmethod
    def places(watcher: Watcher) -> set[tuple[int, str]]:
        return {(change.block_number, change.block_hash) for change in watcher.changes()}

    @pytest.mark.parametrize(
        ("name", "depth", "again"),
        [("split", 3, True), ("own_sell_maker", 3, False), ("own_sell_maker", 1, True), ("own_sell_maker", 1, False)],
    )
    def test_what_is_read_while_blocks_are_replaced_is_of_one_chain_and_then_read_again(
        self, scenes: Scenes, name: str, depth: int, again: bool
    ) -> None:
        """Before each request of the read once, of two blocks each. A fill needs no receipt, which would tell."""
        scene = scenes["standard"]
        world, steps, happened = scene.world, 0, True
        while happened:
            world.settle()
            watcher = Watcher(world)
            first = OPERATIONS[name].act(scene)
            world.mine(1)
            second = OPERATIONS[name].act(scene)
            old = Glance.at(watcher)
            happened, answer = watcher.read_while(steps, lambda: world.reorganise(depth, again=again))
            new = Glance.at(watcher)
            assert answer is None or old.agrees(answer) or new.agrees(answer)
            if answer is not None:
                watcher.take(answer)
            watcher.follow()
            stays = again or not happened
            assert watcher.rows() == first * (stays or depth == 1) + second * stays
            watcher.check()
            steps += happened
        assert steps > 4, "asked one after the other"

    def test_what_a_reorganisation_put_into_another_order_is_told_in_that_order(self, scenes: Scenes) -> None:
        """Twice replaced, the second time deeper: what was read between is taken back as well."""
        scene = scenes["neg_risk"]
        world = scene.world
        world.settle()
        watcher = Watcher(world)
        first = OPERATIONS["transfer_in"].act(scene)
        watcher.follow()
        world.reorganise(1, again=False)
        watcher.follow()
        second = OPERATIONS["merge"].act(scene)
        watcher.follow()
        assert watcher.rows() == second != first
        third = OPERATIONS["split"].act(scene)
        watcher.follow()
        world.reorganise(2, again=True)
        watcher.follow()
        assert watcher.rows() == second + third
        watcher.check()
