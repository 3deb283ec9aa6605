"""What a fault is that the simulator must find: its replacements, what it would do to a user, and who reveals it."""

from __future__ import annotations

from dataclasses import dataclass

STEPS = 60
"""Of a story, where a fault needs no longer one."""


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """``old``, which stands exactly once in ``file``, becomes ``new``; ``name`` is the fault's."""

    name: str
    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One fault, which the simulator finds in one of the seeds 0 up to ``within``, without it.

    ``faults`` are the simulator's kinds that are played, as its command takes them. ``only`` is the kind among them
    without which it stays hidden; empty where it needs none, or where several would do. ``also`` are further
    replacements (file, old, new): a second defence that would hide the fault, gone with the first.
    """

    name: str
    breaks: str
    requirements: tuple[str, ...]
    file: str
    old: str
    new: str
    also: tuple[tuple[str, str, str], ...] = ()
    faults: str = "none"
    only: str = ""
    within: int = 4
    steps: int = STEPS

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        """All that is changed, in order."""
        first = (self.file, self.old, self.new)
        return tuple(Replacement(name=self.name, file=file, old=old, new=new) for file, old, new in (first, *self.also))
