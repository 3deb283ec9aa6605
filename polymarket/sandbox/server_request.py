"""What is asked of the sandbox and what it answers, apart from how it travels: over a socket, or within a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, overload

import msgspec

if TYPE_CHECKING:
    from polymarket.sandbox.server_faults import Fault


class Arguments:
    """Parameters of a query; a name may come more than once."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """Its first value."""
        values = self._values.get(name)
        return values[0] if values else default

    def getlist(self, name: str) -> Sequence[str]:
        """All its values."""
        return self._values.get(name, ())


class Request(msgspec.Struct, kw_only=True):
    """A request. ``path`` begins with the prefix of its API; ``headers`` are named ``POLY_API_KEY``, as CGI does it.

    ``faults`` are those that it meets, noted by the gate.
    """

    method: str
    path: str
    args: Arguments
    headers: dict[str, str]
    body: bytes
    faults: Sequence[Fault] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer; ``headers`` have lower-case names, the length of the body is not among them."""

    status: int
    headers: dict[str, str]
    body: bytes


Application = Callable[[Request], Answer]

_PRESENT: ContextVar[Request] = ContextVar("request")


@contextmanager
def serving(present: Request) -> Iterator[None]:
    """Within the block it is the one that is answered in this greenlet."""
    token = _PRESENT.set(present)
    try:
        yield
    finally:
        _PRESENT.reset(token)


def request() -> Request:
    """The request that is being answered here. LookupError where none is."""
    return _PRESENT.get()


def faults() -> Sequence[Fault]:
    """The faults that it meets; none where no request is being answered."""
    present = _PRESENT.get(None)
    return () if present is None else present.faults


def answer(body: object, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status=status, headers={"content-type": "application/json"}, body=msgspec.json.encode(body))
