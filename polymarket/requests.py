"""What a reader asks of its driver and what it is told: requests out, replies in (D-05).

Values and the types of the conversation; no sockets, no clock. A reader yields a tuple of requests, which may all be
sent at once, and is sent the replies in the same order. Times arrive in the replies.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal, TypeAlias, TypeVar

import msgspec

from portfolio.facts import FailureKind

T = TypeVar("T")


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the driver for level 2 headers of ``wallet`` over ``path``, made when the request is sent (R-15).

    ``path`` has neither host nor query: that is what the CLOB verifies.
    """

    wallet: str
    path: str


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call. ``label`` names it in messages; the URL may hold an RPC key and is never shown."""

    label: str
    url: str
    method: Literal["GET", "POST"] = "GET"
    params: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    signing: Signing | None = None


class HttpResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of any status, with its whole body. ``headers`` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes
    started_at_ms: int
    completed_at_ms: int

    @property
    def content_type(self) -> str:
        """Media type without its parameters, lower-case; empty when the header is missing."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class HttpFailure(msgspec.Struct, frozen=True, kw_only=True):
    """No answer: nobody there, out of time, or a body that was cut off or too large."""

    kind: FailureKind
    detail: str
    started_at_ms: int
    completed_at_ms: int


HttpReply: TypeAlias = HttpResponse | HttpFailure
Steps: TypeAlias = Generator[tuple[HttpRequest, ...], tuple[HttpReply, ...], T]
"""A reader, or a part of one: yields requests, is sent replies, returns T. With no requests it only lets others in."""


class ReadError(Exception):
    """Ends a read from within: the kind decides what happens next, the detail is one line for people.

    Never leaves a reader: ``reading.conclude`` turns it into a ``ReadFailed``.
    """

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
