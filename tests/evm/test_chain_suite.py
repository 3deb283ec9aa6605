"""Reader and labels on the stage's real contracts, and what only these can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.evm.chain_suite import OperationsContract, ReorganisationsContract, StoryContract
from tests.evm.stage import Stage
from tests.evm.worlds import StagedWorld


@pytest.fixture(scope="module")
def world(stage: Stage) -> Iterator[StagedWorld]:
    world = StagedWorld(stage)
    yield world
    world.close()


class TestStagedOperations(OperationsContract):
    pass


class TestStagedStory(StoryContract):
    pass


class TestStagedReorganisations(ReorganisationsContract):
    pass
