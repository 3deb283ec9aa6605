"""The sandbox's chain tells of a story what real contracts tell of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from polymarket.sandbox.process import SandboxProcess
from tests.evm.chain_operations import STORY, Story
from tests.evm.stage import Stage
from tests.evm.worlds import Row, SandboxWorld, StagedWorld, Watcher, World
from tests.evm.worlds.sandboxed import OPTIONS


def told(world: World) -> list[list[Row]]:
    """What the logs of each block of the story say; the orders' ids are each world's own."""
    story = Story.tell(world)
    watcher = Watcher(world, story.first)
    watcher.follow()
    blocks = range(story.first, story.last + 1)
    return [[replace(row, order_id="") for row in watcher.rows(block, block)] for block in blocks]


@pytest.mark.req("X-01", "X-07", "L-14", "R-19", "R-20")
def test_the_same_story_is_told_alike_by_the_sandbox_and_by_real_contracts(stage: Stage) -> None:
    with SandboxProcess(OPTIONS) as process, closing(SandboxWorld(process)) as sandbox:
        of_sandbox = told(sandbox)
        fee_rates = {name: question.fee_rate for name, question in sandbox.questions.items()}
    with closing(StagedWorld(stage, fee_rates)) as staged:
        of_contracts = told(staged)
    assert of_sandbox == of_contracts
    assert len(of_sandbox) == len(STORY)
    assert any(row.fee for rows in of_sandbox for row in rows)
