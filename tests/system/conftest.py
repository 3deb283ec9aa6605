"""These tests run whole processes; the receivers that stand around them are greenlets."""

from __future__ import annotations

import os
from collections.abc import Iterator

import gevent.monkey
import pytest


@pytest.fixture(autouse=True, scope="session")
def _patched() -> None:
    if not gevent.monkey.is_module_patched("socket"):
        pytest.fail("these tests need gevent's patches: run python -m gevent.monkey --module pytest (or make test)")


@pytest.fixture(autouse=True, scope="module")
def _unmeasured() -> Iterator[None]:
    """Processes that are started here are not measured, which makes them twice as fast.

    Most of them are killed, and what a killed one covered is lost in any case. Others measure the same code.
    """
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            environment.delenv(name)
        yield
