"""Doing without coverage for a while: following every call makes what it follows two or three times as slow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from coverage import Coverage
from coverage.exceptions import CoverageWarning


@contextmanager
def unmeasured() -> Iterator[None]:
    """What runs within is not measured; nothing changes where coverage does not run."""
    running = Coverage.current()
    if running is None:
        yield
        return
    running.stop()
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)  # of what was imported before: it is measured all the same
            running.start()
