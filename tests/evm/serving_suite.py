"""What the service's books must be beside a chain, whichever it is; the stage's and the sandbox's tests inherit it.

The production actors follow a real node over a real wire; the exchange beside it is scripted, and has a trade of ours
only where the operation is one (:class:`tests.evm.serving_story.Telling`).

Exhaustive: the operations of :data:`SHOWN` at each depth of a reorganisation, and over the three depths a kill at each
step of the story. Sampled: who is killed, the watcher or the whole process, in turn, so that over all operations each
is at each step and depth; all other operations are told once, undisturbed, the kinds of markets in turn; blocks that
were compared, and moments within a cycle, with some operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from messages.addresses import WATCHER
from messages.following import Look
from messages.reads import ReadLogs
from tests.evm.chain_operations import NEG_RISK, OPERATIONS, STANDARD, Operation
from tests.evm.chain_suite import CASES, DEPTHS, Fixtures, Scenes
from tests.evm.serving_story import Disturb, Telling
from tests.evm.worlds.base import DEEPEST
from tests.evm.worlds.serving import Serviced

BEHIND = DEEPEST + 2
"""So many blocks below the head nothing is ever replaced: what was compared stays."""

SHOWN = (
    (STANDARD, "split"),
    (NEG_RISK, "merge"),
    (STANDARD, "transfer_in"),
    (NEG_RISK, "redeem_with_zero"),
    (NEG_RISK, "convert_two"),
    (NEG_RISK, "own_sell_maker"),
    (STANDARD, "own_buy_taker_across"),
    (STANDARD, "external_buy_taker"),
)
COMPARED = (
    (STANDARD, "merge"),
    (NEG_RISK, "convert_two"),
    (STANDARD, "deposit"),
    (STANDARD, "own_buy_taker"),
    (STANDARD, "external_sell_maker"),
)
KILLED: Mapping[str, Disturb] = {"watcher": Serviced.poison, "process": Serviced.reborn}
STEPS = 11


def kills() -> list[tuple[str, str, int, str]]:
    """Kind of market, operation, depth and who is killed."""
    return [
        (kind, name, depth, sorted(KILLED)[(number + place) % len(KILLED)])
        for number, (kind, name) in enumerate(SHOWN)
        for place, depth in enumerate(DEPTHS)
    ]


def others() -> list[tuple[str, str]]:
    """Each operation that is not shown otherwise, in one kind of market."""
    names = sorted({name for _, name in CASES} - {name for _, name in SHOWN})
    chosen = [(number, name, OPERATIONS[name].kinds) for number, name in enumerate(names)]
    return [(kinds[number % len(kinds)], name) for number, name, kinds in chosen]


@dataclass
class Stories:
    """Begins stories, each with a database of its own in ``folder``."""

    scenes: Scenes
    folder: Path
    services: list[Serviced] = field(default_factory=list)

    def begin(
        self, kind: str, operation: Operation, depth: int, *, confirmations: int = BEHIND, **more: Any
    ) -> Telling:
        """One with a service that knows the operation's questions, and has just been opened."""
        scene = operation.ready(self.scenes[kind])
        folder = self.folder / str(len(self.services))
        folder.mkdir()
        service = Serviced(folder, scene.world, scene.event or (scene.question,), confirmations=confirmations)
        self.services.append(service)
        return Telling(service.open(), scene, operation, depth, **more)

    def close(self) -> None:
        """Leave nothing open."""
        for service in self.services:
            service.close()


class ServiceFixtures(Fixtures):
    @pytest.fixture
    def stories(self, scenes: Scenes, tmp_path: Path) -> Iterator[Stories]:
        stories = Stories(scenes, tmp_path)
        yield stories
        stories.close()


@pytest.mark.req("X-01", "X-10", "X-14", "R-31", "L-13", "L-14", "L-20", "D-19")
class ServiceContract(ServiceFixtures):
    @pytest.mark.parametrize(("kind", "name", "depth", "killed"), kills())
    def test_whoever_is_killed_the_books_are_the_contracts_while_blocks_are_replaced(
        self, stories: Stories, kind: str, name: str, depth: int, killed: str
    ) -> None:
        """Of the steps each third is cut; which third, the depth says."""
        at = range(DEPTHS.index(depth), STEPS, len(DEPTHS))
        own = name.startswith("own")
        telling = stories.begin(kind, OPERATIONS[name], depth, own=own, disturb=KILLED[killed], at=at)
        telling.tell()
        assert telling.steps == STEPS

    @pytest.mark.req("R-20", "R-21")
    @pytest.mark.parametrize(("kind", "name"), others())
    def test_what_happens_is_booked_undone_and_booked_again_with_its_block_before_any_cycle(
        self, stories: Stories, kind: str, name: str
    ) -> None:
        stories.begin(kind, OPERATIONS[name], 3, own=name.startswith("own")).tell()

    @pytest.mark.parametrize(("kind", "name"), COMPARED)
    @pytest.mark.parametrize("again", [True, False], ids=["again", "gone"])
    def test_what_was_compared_at_a_block_that_is_replaced_is_put_right_by_the_cycles_after_it(
        self, stories: Stories, kind: str, name: str, *, again: bool
    ) -> None:
        """Who sets so few confirmations has that; a fill, once by a cycle in the books, is moved or gone as well."""
        telling = stories.begin(kind, OPERATIONS[name], 3, own=name.startswith("own"), confirmations=0)
        telling.amid(known=True)
        telling.service.cycle()
        telling.compared()
        telling.service.check()
        telling.scene.world.reorganise(4, again=again)
        telling.service.look()
        if not again:
            telling.fail()
        telling.rest()

    @pytest.mark.parametrize("again", [True, False], ids=["again", "gone"])
    @pytest.mark.parametrize("depth", DEPTHS)
    def test_a_cycle_whose_block_is_replaced_under_it_infers_nothing(
        self, stories: Stories, depth: int, *, again: bool
    ) -> None:
        """Between the reading of its balances and that of its logs."""
        telling = stories.begin(STANDARD, OPERATIONS["transfer_out"], depth, confirmations=0)
        telling.pass_by(depth - 1)
        telling.operation.act(telling.scene)
        pinned = telling.scene.world.head
        telling.service.wire.before[ReadLogs] = lambda: telling.scene.world.reorganise(depth, again=again)
        report = telling.service.cycle()
        assert [reason for reason in report.reasons if f"block {pinned} was replaced" in reason]
        telling.rest()

    @pytest.mark.parametrize("again", [True, False], ids=["again", "gone"])
    def test_the_answer_to_a_watcher_that_is_no_more_changes_nothing(self, stories: Stories, *, again: bool) -> None:
        """It was read, and comes when another watcher asks and the chain is another one."""
        telling = stories.begin(STANDARD, OPERATIONS["merge"], 3)
        telling.operation.act(telling.scene)
        service = telling.service
        service.wire.held.add(ReadLogs)
        service.look()
        service.crash()
        telling.scene.world.reorganise(1, again=again, later=0)
        service.post.tell(WATCHER, Look())
        service.wire.release()
        service.runtime.run_until_idle()
        service.cycle()
        service.check(waiting=0)
        assert bool(list(telling.standing())) is again
        telling.rest()
