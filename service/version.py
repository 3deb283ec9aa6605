"""Which version this is, as installed."""

from __future__ import annotations

import functools
import importlib.metadata


@functools.cache
def version() -> str:
    """The distribution's version; ``unknown`` where the packages lie about without having been installed."""
    try:
        return importlib.metadata.version("portfolio-sync")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
