"""Silence while a simulation runs: its crashes and outages are wanted, and its log would be of no machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def quiet() -> Iterator[None]:
    """No log lines within the block; what was configured before holds again after it."""
    known, pykka = structlog.get_config(), logging.getLogger("pykka")
    level = pykka.level
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    pykka.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        pykka.setLevel(level)
        structlog.configure(**known)
