"""Reader and labels on the sandbox, and what only it can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from polymarket.sandbox.actions import FillOrder, Reorganise
from polymarket.sandbox.process import SandboxProcess
from portfolio.facts import Side
from tests.evm.chain_operations import KINDS, OPERATIONS, STANDARD, Operation, Rows, Scene
from tests.evm.chain_suite import (
    OperationsContract,
    ReorganisationsContract,
    Scenes,
    StoryContract,
    check_operation,
)
from tests.evm.worlds import SandboxWorld, Watcher
from tests.evm.worlds.rows import filled
from tests.evm.worlds.sandboxed import OPTIONS


@contextmanager
def running() -> Iterator[SandboxWorld]:
    with SandboxProcess(OPTIONS) as process:
        world = SandboxWorld(process)
        yield world
        world.close()


@pytest.fixture(scope="module")
def world() -> Iterator[SandboxWorld]:
    with running() as world:
        yield world


@pytest.fixture(scope="module")
def young_world() -> Iterator[SandboxWorld]:
    with running() as world:
        yield world


def sandboxed(scene: Scene) -> SandboxWorld:
    assert isinstance(scene.world, SandboxWorld)
    return scene.world


def unlisted(scene: Scene) -> Rows:
    """On the stage nobody lists anything."""
    bargain = scene.bargain(Side.BUY, own=False)
    return (filled(bargain, sandboxed(scene).trade_elsewhere(bargain, listed=False)),)


def settled_at_the_second_try(scene: Scene) -> Rows:
    """The first transaction is reverted in a block; on the stage that is an error of the test."""
    world, bargain = sandboxed(scene), scene.bargain(Side.SELL, took=False)
    order_id = world.rest(bargain)
    world.control.act(FillOrder(order_id=order_id, retries=1))
    world.mine(2)
    return (filled(bargain, order_id),)


ONLY_HERE: dict[str, Operation] = {
    "unlisted_trade": Operation(unlisted),
    "settled_at_the_second_try": Operation(settled_at_the_second_try),
}


class TestSandboxOperations(OperationsContract):
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", ONLY_HERE)
    def test_what_only_the_sandbox_does_is_told_as_what_it_was(self, scenes: Scenes, kind: str, name: str) -> None:
        check_operation(scenes[kind], ONLY_HERE[name])


class TestSandboxStory(StoryContract):
    pass


class TestSandboxReorganisations(ReorganisationsContract):
    def test_nothing_is_told_while_the_head_is_below_what_is_known(self, scenes: Scenes) -> None:
        """The stage's node replaces as many blocks as it drops."""
        scene = scenes[STANDARD]
        world = sandboxed(scene)
        world.settle()
        watcher = Watcher(world)
        rows = OPERATIONS["transfer_out"].act(scene)
        watcher.follow()
        known = watcher.tail[-1][0]
        world.control.act(Reorganise(depth=1, delay=1, blocks=0))
        assert (world.head, watcher.follow(), watcher.rows()) == (known - 1, (), rows)
        world.mine(1)
        assert (watcher.follow(), watcher.rows()) == ((known,), ())
        world.mine(1)
        assert (watcher.follow(), watcher.rows()) == ((), rows)
        watcher.check()
