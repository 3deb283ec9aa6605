"""What a simulation can find: one thing that should have held and did not."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """``rule`` names what was checked, ``subject`` what it was looked at in; values are plain text."""

    rule: str
    subject: str
    expected: str
    found: str
    detail: str = ""

    def told(self) -> str:
        """In one line."""
        more = f" ({self.detail})" if self.detail else ""
        return f"{self.rule} {self.subject}: expected {self.expected}, was {self.found}{more}"


class Found(Exception):
    """Ends a simulation at the first finding."""

    def __init__(self, finding: Finding) -> None:
        """``finding`` is the first difference."""
        super().__init__(finding.told())
        self.finding = finding


def require(finding: Finding | None) -> None:
    """Raises :class:`Found` where there is a finding."""
    if finding is not None:
        raise Found(finding)


def compare(rule: str, subject: str, expected: object, found: object, detail: str = "") -> None:
    """Raises :class:`Found` where the two are not equal."""
    if expected != found:
        raise Found(Finding(rule=rule, subject=subject, expected=str(expected), found=str(found), detail=detail))
