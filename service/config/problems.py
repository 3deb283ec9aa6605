"""What can be wrong with a configuration, as values; and the one error that carries all of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to correct. ``place`` is the file or ``environment``; ``key`` is dotted, or the variable's name.

    ``code`` is a reason code (S-10) or empty. ``text`` says what was expected, what was found and what to do, and
    never holds a secret.
    """

    place: str
    key: str
    text: str
    code: str = ""

    def line(self) -> str:
        """One line for people, as the document writes it: ``ConfigError: CODE: place: key: text``."""
        parts = [part for part in (self.code, self.place, self.key, self.text) if part]
        return ": ".join(["ConfigError", *parts])


class ConfigError(Exception):
    """The configuration cannot be used; nothing of it came into force. The text has one line per problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.line() for problem in self.problems))
