"""What every test shares: the `req` marker and hypothesis profiles. Fixtures live beside the tests they serve."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.measuring import unmeasured

if TYPE_CHECKING:
    from collections.abc import Iterable

REQUIREMENT = re.compile(r"[SLX]-\d\d|[RD]-\d\d")

# How long an example or its making takes is the machine's, and no test of ours.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("default", UNTIMED)
# The same examples on every run, so that a red build is red for everyone.
settings.register_profile("ci", UNTIMED, derandomize=True, print_blob=True)
settings.register_profile("long", UNTIMED, max_examples=5_000)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that ties a test to what it shows, and choose the hypothesis profile."""
    config.addinivalue_line("markers", "req(*ids): requirements (S-07, L-01, X-09) and rulings (R-06, D-02) it shows")
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Refuse a marker whose id could never be found in the table of requirements."""
    for item in items:
        for marker in item.iter_markers("req"):
            wrong = [name for name in marker.args if not REQUIREMENT.fullmatch(str(name))]
            if wrong or not marker.args or marker.kwargs:
                message = f"{item.nodeid}: req takes ids such as 'S-07' or 'R-06'; it was {marker.args} {marker.kwargs}"
                raise pytest.UsageError(message)


def pytest_collection_finish() -> None:
    """Let what hypothesis prepares once be prepared before coverage follows every call of it.

    In a fresh checkout those are tables of Unicode, and the constants in our code.
    """
    if Coverage.current() is not None:
        with unmeasured():
            _first_example()


@settings(max_examples=1, database=None)
@given(st.text())
def _first_example(_text: str) -> None:
    """Nothing: it was drawn."""
