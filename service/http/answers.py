"""How answers are made and parameters are read; the same for all routes."""

from __future__ import annotations

from typing import Any, TypeVar

import flask
import msgspec

from service.encoding import encode
from storage.queries import Selection

T = TypeVar("T")

LIMIT_DEFAULT = 100
LIMIT_MAX = 10_000


class BadRequest(Exception):
    """A parameter or body that cannot be used; the text says which, what was expected, and what it was."""


def answer(body: Any, status: int = 200) -> flask.Response:
    """A JSON answer, never cached."""
    response = flask.Response(encode(body), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def selection(*, limited: bool, known: tuple[str, ...] = ()) -> Selection:
    """``wallet``, ``market``, ``since_ms`` and ``limit`` of the query; an unknown parameter is an error."""
    only("wallet", "market", "since_ms", "limit", *known)
    limit = integer("limit")
    if limit is not None and limit > LIMIT_MAX:
        raise BadRequest(f"Parameter 'limit' may be at most {LIMIT_MAX}, was {limit}; page with 'since_ms'.")
    market = flask.request.args.get("market")
    return Selection(
        wallet=flask.request.args.get("wallet"),
        market=None if market is None else market.lower(),
        since_ms=integer("since_ms"),
        limit=LIMIT_DEFAULT if limit is None and limited else limit,
    )


def only(*names: str) -> None:
    """Refuse a query with any other parameter."""
    unknown = sorted(set(flask.request.args) - set(names))
    if unknown:
        raise BadRequest(f"Unknown parameter {unknown[0]!r}; known are {', '.join(sorted(names))}.")


def integer(name: str) -> int | None:
    """A parameter that is a number of at least 0; None where it is absent."""
    text = flask.request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(f"Parameter {name!r} must be a whole number of at least 0, was {text[:40]!r}.")
    return int(text)


def flag(name: str) -> bool:
    """A parameter that is true or false; absent is false."""
    text = flask.request.args.get(name, "false").lower()
    if text not in {"true", "false", "1", "0", ""}:
        raise BadRequest(f"Parameter {name!r} must be true or false, was {text[:40]!r}.")
    return text in {"true", "1", ""}


def body_as(kind: type[T]) -> T:
    """The request's JSON body; an empty one counts as ``{}``."""
    try:
        return msgspec.json.decode(flask.request.get_data() or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body cannot be used: {error}.") from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body must be one JSON object: {error}.") from error
