"""Drives a reader by hand: each request is answered by a function, each reply gets the next millisecond."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import msgspec

from polymarket.reading import ReadContext
from polymarket.requests import HttpFailure, HttpReply, HttpRequest, HttpResponse, Steps, T
from polymarket.settings import ApiCredentials, PolymarketSettings, Secret, WalletSettings
from portfolio.facts import FailureKind

Answer = Callable[[HttpRequest], HttpReply]

FUNDER = "0x00000000000000000000000000000000000000aa"
SETTINGS = PolymarketSettings(
    clob_url="http://clob",
    data_api_url="http://data",
    gamma_url="http://gamma",
    rpc_url="http://rpc/v2/very-secret-key",
    confirmations=0,
    wallets=(
        WalletSettings(
            name="main",
            address=FUNDER,
            signer_address="0x00000000000000000000000000000000000000bb",
            credentials=ApiCredentials(
                key=Secret("key"),
                secret=Secret(base64.urlsafe_b64encode(b"secret").decode()),
                passphrase=Secret("pass"),
            ),
        ),
    ),
)
CONTEXT = ReadContext(correlation="c-1", started_at_ms=1_000, nonce="77")


class Played(msgspec.Struct):
    """What a reader asked for, round by round."""

    rounds: list[tuple[HttpRequest, ...]] = msgspec.field(default_factory=list)

    @property
    def requests(self) -> list[HttpRequest]:
        return [request for one in self.rounds for request in one]


def play(reader: Steps[T], answer: Answer) -> tuple[T, Played]:
    """Run a reader to its end."""
    played = Played()
    now = 2_000
    try:
        wanted = next(reader)
        while True:
            played.rounds.append(wanted)
            replies = []
            for request in wanted:
                replies.append(msgspec.structs.replace(answer(request), started_at_ms=now, completed_at_ms=now + 5))
                now += 10
            wanted = reader.send(tuple(replies))
    except StopIteration as stop:
        result: T = stop.value
        return result, played


def response(body: object, status: int = 200, content_type: str = "application/json") -> HttpResponse:
    """A response with a JSON body (bytes are sent as they are)."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(
        status=status, headers={"content-type": content_type}, body=raw, started_at_ms=0, completed_at_ms=0
    )


def failure(kind: FailureKind = FailureKind.TIMEOUT) -> HttpFailure:
    return HttpFailure(kind=kind, detail="no answer", started_at_ms=0, completed_at_ms=0)


def param(request: HttpRequest, name: str) -> str | None:
    return dict(request.params).get(name)


def in_turn(*replies: HttpReply) -> Answer:
    """Answer with these, one after the other."""
    rest = iter(replies)
    return lambda _request: next(rest)


def order_row(number: int, **changes: object) -> dict[str, object]:
    """A live order as the CLOB shows it."""
    return {
        "id": f"0x{number:064x}",
        "status": "LIVE",
        "owner": "key",
        "maker_address": FUNDER,
        "market": "0x" + "c" * 64,
        "asset_id": "123",
        "side": "BUY",
        "original_size": "100",
        "size_matched": "25",
        "price": "0.5",
        "outcome": "Yes",
        "order_type": "GTC",
        "associate_trades": [],
        "created_at": 1703875200,
        "expiration": "0",
    } | changes


def trade_row(number: int, **changes: object) -> dict[str, object]:
    """A confirmed trade as the CLOB shows it."""
    return {
        "id": f"t-{number}",
        "taker_order_id": f"0x{number:064x}",
        "market": "0x" + "c" * 64,
        "asset_id": "123",
        "side": "BUY",
        "size": "5",
        "price": "0.52",
        "status": "CONFIRMED",
        "match_time": str(1_725_958_681 + number),
        "last_update": "1725958682",
        "owner": "key",
        "maker_address": FUNDER,
        "transaction_hash": "0xAB",
        "trader_side": "TAKER",
        "bucket_index": 0,
        "maker_orders": [],
    } | changes


def page(rows: list[dict[str, object]], cursor: str = "LTE=", **changes: object) -> HttpResponse:
    return response({"data": rows, "next_cursor": cursor, "count": len(rows), "limit": 100} | changes)
