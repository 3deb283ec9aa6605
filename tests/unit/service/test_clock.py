"""Stamps never go back, whatever the system's clock does."""

from __future__ import annotations

import pytest

from actors.pump import VirtualClock
from service.clock import SteadyClock


class SetClock(VirtualClock):
    """A clock that can be set."""

    def set_to(self, at_ms: int) -> None:
        """Forward or back."""
        self._now_ms = at_ms


@pytest.mark.req("D-20")
def test_time_stands_still_until_a_clock_that_was_set_back_has_caught_up() -> None:
    system = SetClock(5_000)
    steady = SteadyClock(system)
    shown = []
    for at_ms in (5_000, 9_000, 2_000, 8_999, 9_001):
        system.set_to(at_ms)
        shown.append(steady.now_ms())
    assert shown == [5_000, 9_000, 9_000, 9_000, 9_001]


@pytest.mark.req("D-20")
def test_it_begins_where_the_journal_ends() -> None:
    system = SetClock(5_000)
    steady = SteadyClock(system)
    steady.begin(7_000)
    assert steady.now_ms() == 7_000
    steady.begin(6_000)
    system.set_to(8_000)
    assert steady.now_ms() == 8_000
