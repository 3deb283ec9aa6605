"""Actor tests run the whole actor system under the deterministic pump."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.system import Build, Harness
from tests.support.worlds import build as systems


@pytest.fixture
def build(systems: Build) -> Iterator[Build]:
    """Builds harnesses; whatever a test did, afterwards the journal gives the books that are stored (L-20)."""
    built: list[Harness] = []

    def make(**options: Any) -> Harness:
        harness = systems(**options)
        built.append(harness)
        return harness

    yield make
    for harness in built:
        if harness.readable:
            harness.assert_replays()


__all__ = ["build", "systems"]
