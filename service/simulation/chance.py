"""Chance by seed: what a step draws depends on nothing that another step did, so that one can be left out."""

from __future__ import annotations

from random import Random


class Chance:
    """A run's randomness, parted by purpose and place."""

    def __init__(self, seed: int) -> None:
        """``seed`` is the run's."""
        self._seed = seed

    def of(self, *purpose: str | int) -> Random:
        """The draws for one purpose, the same whenever they are asked for."""
        return Random(self.text(*purpose))  # noqa: S311 - a story, not a secret

    def text(self, *purpose: str | int) -> str:
        """What seeds the draws for one purpose."""
        return "/".join(str(part) for part in (*purpose, self._seed))
