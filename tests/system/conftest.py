"""These tests run whole processes; the receivers that stand around them are greenlets."""

from __future__ import annotations

import gevent.monkey
import pytest


@pytest.fixture(autouse=True, scope="session")
def _patched() -> None:
    if not gevent.monkey.is_module_patched("socket"):
        pytest.fail("these tests need gevent's patches: run python -m gevent.monkey --module pytest (or make test)")
