"""The service beside the sandbox's chain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polymarket.sandbox.process import SandboxProcess
from tests.evm.serving_suite import ServiceContract
from tests.evm.worlds import SandboxWorld
from tests.evm.worlds.sandboxed import OPTIONS


@pytest.fixture(scope="module")
def world() -> Iterator[SandboxWorld]:
    with SandboxProcess(OPTIONS) as process:
        world = SandboxWorld(process)
        yield world
        world.close()


class TestSandboxService(ServiceContract):
    pass
