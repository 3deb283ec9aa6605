"""Reader and labels on the sandbox, and what only it can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polymarket.sandbox.process import SandboxProcess
from tests.evm.chain_suite import OperationsContract, ReorganisationsContract, StoryContract
from tests.evm.worlds import SandboxWorld
from tests.evm.worlds.sandboxed import OPTIONS


@pytest.fixture(scope="module")
def world() -> Iterator[SandboxWorld]:
    with SandboxProcess(OPTIONS) as process:
        world = SandboxWorld(process)
        yield world
        world.close()


class TestSandboxOperations(OperationsContract):
    pass


class TestSandboxStory(StoryContract):
    pass


class TestSandboxReorganisations(ReorganisationsContract):
    pass
