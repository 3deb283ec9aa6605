"""Which version this is, as installed."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.resources

DECIDING = ("messages", "portfolio")
"""Packages whose code makes states of messages; ``actors.readings`` and ``service.replay`` are the rest of it."""

_ALSO = (("actors", "readings.py"), ("service", "replay.py"))


@functools.cache
def version() -> str:
    """The distribution's version; ``unknown`` where the packages lie about without having been installed."""
    try:
        return importlib.metadata.version("portfolio-sync")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@functools.cache
def code() -> str:
    """Which code makes states of a journal: another hash where it may make others of the same one.

    By the sources, and not by the version alone: what one edit of a transition changes has to be seen.
    """
    here = [(name, file.name) for name in DECIDING for file in importlib.resources.files(name).iterdir()]
    sources = sorted((package, name) for package, name in (*here, *_ALSO) if name.endswith(".py"))
    hashed = hashlib.sha256(version().encode())
    for package, name in sources:
        hashed.update(f"{package}/{name}\n".encode() + importlib.resources.files(package).joinpath(name).read_bytes())
    return hashed.hexdigest()
