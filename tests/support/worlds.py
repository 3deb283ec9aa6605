"""The fixture that builds whole systems and takes them down; a folder's conftest imports it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.system import Build, Harness


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Builds harnesses, each on a database of its own, and drops them after the test.

    An actor that crashed unnoticed fails the test: the supervisor heals so well that nothing else would.
    """
    built: list[Harness] = []

    def make(**options: Any) -> Harness:
        directory = tmp_path / f"system-{len(built)}"
        directory.mkdir()
        harness = Harness(directory, **options)
        built.append(harness)
        return harness

    yield make
    for harness in built:
        harness.stop()
    crashed = [address for harness in built if not harness.crashes_expected for address in harness.restarted]
    assert crashed == [], "actors crashed and were restarted"


__all__ = ["build"]
